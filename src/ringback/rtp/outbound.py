"""One steady RTP stream towards a peer, whatever it is made of: SSRC, sequence and timestamps.

A port's audio comes from a relayed leg, then from a file, then from a mixer. The peer must see one source
whose sequence numbers and timestamps go on (RFC 3550 section 5.1): each change of origin begins one after the
last sequence number, advances the timestamp by the time that passed, and sets the marker (RFC 3551 section 4.1).

Within a relayed stretch numbers are only shifted, so the peer still sees what was lost before us.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ringback.rtp.packet import sequence_step, timestamp_step
from ringback.rtp.reception import CLOCK_RATE

_OURS: Final = (-1, -1)
_MAX_AHEAD: Final = 3000  # as MAX_DROPOUT of RFC 3550 appendix A.1
_MAX_LEAP: Final = 10 * CLOCK_RATE  # timestamps that leap further began anew
_STEADY: Final = 0.030  # seconds between two frames of ours that still count as one talk spurt


class Stamp(NamedTuple):
    """The header fields of a packet to send."""

    sequence: int
    timestamp: int
    marker: bool


class OutboundStream:
    """The stream of one port; `ssrc` and the first numbers are random and given by the caller."""

    __slots__ = (
        "_at",
        "_base",
        "_input",
        "_input_timestamp",
        "_next_sequence",
        "_origin",
        "_samples",
        "_sequence_shift",
        "_timestamp",
        "_timestamp_shift",
        "octets",
        "packets",
        "ssrc",
    )

    def __init__(self, ssrc: int, sequence: int, timestamp: int) -> None:
        self.ssrc = ssrc
        self.packets = 0
        self.octets = 0
        self._next_sequence = sequence
        self._timestamp = timestamp
        self._samples = 0
        self._at: float | None = None
        self._origin: tuple[int, int] | None = None
        self._sequence_shift = 0
        self._timestamp_shift = 0
        self._base = 0
        self._input = 0
        self._input_timestamp = 0

    def frame(self, samples: int, payload_size: int, now: float) -> Stamp:
        """Stamp a frame of ours: `samples` long; it begins a talk spurt when nothing was sent just before."""
        steady = self._origin == _OURS and self._at is not None and now - self._at < _STEADY
        timestamp = (self._timestamp + self._samples) & 0xFFFFFFFF if steady else self._resumed(now)
        self._origin = _OURS
        stamp = Stamp(self._next_sequence, timestamp, not steady)
        self._sent(stamp, samples, payload_size, now)
        return stamp

    def begin_event(self, now: float) -> int:
        """The timestamp of a telephone event that starts now."""
        return self._resumed(now)

    def event(self, timestamp: int, duration: int, marker: bool, now: float) -> Stamp:
        """Stamp a packet of an event of ours (RFC 4733 section 2.5.1): all have the timestamp of its start."""
        self._origin = _OURS
        stamp = Stamp(self._next_sequence, timestamp, marker)
        self._sent(stamp, duration, 4, now)
        return stamp

    def relay(
        self,
        origin: tuple[int, int],
        sequence: int,
        timestamp: int,
        marker: bool,
        samples: int,
        payload_size: int,
        now: float,
    ) -> Stamp | None:
        """Stamp a packet of `origin` (a port and its SSRC); None for one from before the change of origin."""
        ahead = sequence_step(self._input, sequence)
        leap = timestamp_step(self._input_timestamp, timestamp)
        if origin != self._origin or abs(ahead) > _MAX_AHEAD or abs(leap) > _MAX_LEAP:
            self._origin = origin
            self._base = sequence
            self._sequence_shift = self._next_sequence - sequence
            self._timestamp_shift = self._resumed(now) - timestamp
            self._input, self._input_timestamp = sequence, timestamp
            marker = True
        elif sequence_step(self._base, sequence) < 0:
            return None
        elif ahead > 0:
            self._input, self._input_timestamp = sequence, timestamp
            if sequence_step(self._base, sequence) > 0x4000:
                self._base = (sequence - _MAX_AHEAD) & 0xFFFF  # keep the comparison away from its wrap
        stamp = Stamp(
            (sequence + self._sequence_shift) & 0xFFFF,
            (timestamp + self._timestamp_shift) & 0xFFFFFFFF,
            marker,
        )
        self._sent(stamp, samples, payload_size, now)
        return stamp

    def timestamp_at(self, now: float) -> int:
        """The timestamp of this very moment, for a sender report."""
        since = 0.0 if self._at is None else now - self._at
        return (self._timestamp + round(since * CLOCK_RATE)) & 0xFFFFFFFF

    @property
    def sent_at(self) -> float | None:
        """When the last frame or event began to be sent."""
        return self._at

    def _resumed(self, now: float) -> int:
        if self._at is None:
            return self._timestamp
        passed = max(self._samples, round((now - self._at) * CLOCK_RATE))
        return (self._timestamp + passed) & 0xFFFFFFFF

    def _sent(self, stamp: Stamp, samples: int, payload_size: int, now: float) -> None:
        if sequence_step(self._next_sequence, stamp.sequence) >= 0:
            self._next_sequence = (stamp.sequence + 1) & 0xFFFF
        step = 1 if self._at is None else timestamp_step(self._timestamp, stamp.timestamp)
        if step > 0:  # the packets of an event share the moment of its first
            self._timestamp, self._samples, self._at = stamp.timestamp, samples, now
        elif step == 0:
            self._samples = max(self._samples, samples)
        self.packets += 1
        self.octets += payload_size
