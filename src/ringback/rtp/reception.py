"""What a receiver knows about one source: RFC 3550 appendices A.1 (sequence), A.3 (loss), A.8 (jitter).

Deviation: there is no probation of MIN_SEQUENTIAL packets, because `SourceLock` has already judged the
source before its packets come here (`test_rfc3550_a1_first_packet_counts`).
"""

from __future__ import annotations

from typing import Final

from ringback.rtp.packet import timestamp_step

CLOCK_RATE: Final = 8000
"""Timestamp units a second, RFC 3551 table 4: PCMU, PCMA and their telephone events."""

_SEQUENCES: Final = 1 << 16
_MAX_DROPOUT: Final = 3000  # RFC 3550 appendix A.1
_MAX_MISORDER: Final = 100  # RFC 3550 appendix A.1
_MAX_LEAP: Final = 10 * CLOCK_RATE
_MAX_LOST: Final = 0x7FFFFF  # 24 signed bits, RFC 3550 section 6.4.1


class Reception:
    """Statistics about one synchronization source."""

    __slots__ = ("_bad", "_base", "_cycles", "_jitter", "_prior", "_transit", "highest", "received", "ssrc")

    def __init__(self, ssrc: int, sequence: int) -> None:
        self.ssrc = ssrc
        self._transit: int | None = None
        self._jitter = 0
        self._restart(sequence)

    def _restart(self, sequence: int) -> None:
        self._base = sequence
        self.highest = sequence
        self._cycles = 0
        self._bad: int | None = None
        self.received = 0
        self._prior = (0, 0)

    def receive(self, sequence: int) -> bool:
        """Count a packet; False for a jump that is not believed yet, RFC 3550 appendix A.1."""
        ahead = (sequence - self.highest) & 0xFFFF
        if ahead < _MAX_DROPOUT:
            if sequence < self.highest:
                self._cycles += _SEQUENCES
            self.highest = sequence
        elif ahead <= _SEQUENCES - _MAX_MISORDER:
            if sequence != self._bad:
                self._bad = (sequence + 1) & 0xFFFF
                return False
            self._restart(sequence)  # two in a row: the other side started again
        self.received += 1
        return True

    def time(self, timestamp: int, arrival: float) -> None:
        """Note the arrival (seconds) of audio stamped `timestamp`, RFC 3550 appendix A.8.

        Timestamps that leap by more than 10 s began anew, as some phones do after hold: that is no jitter.
        """
        transit = (int(arrival * CLOCK_RATE) - timestamp) & 0xFFFFFFFF
        if self._transit is not None:
            difference = abs(timestamp_step(self._transit, transit))
            if difference <= _MAX_LEAP:
                self._jitter += difference - ((self._jitter + 8) >> 4)
        self._transit = transit

    @property
    def extended(self) -> int:
        """The highest sequence number with its cycles, as a report block carries it."""
        return self._cycles + self.highest

    @property
    def expected(self) -> int:
        """Packets that should have come."""
        return self.extended - self._base + 1

    @property
    def lost(self) -> int:
        """Packets lost so far; negative when some came twice, RFC 3550 appendix A.3."""
        return max(-_MAX_LOST - 1, min(_MAX_LOST, self.expected - self.received))

    @property
    def jitter(self) -> int:
        """Interarrival jitter in timestamp units."""
        return self._jitter >> 4

    @property
    def has_news(self) -> bool:
        """Whether something came since the last call of `fraction_lost`: else there is no block, RFC 3550 section 6.4."""
        return self.received != self._prior[1]

    def fraction_lost(self) -> int:
        """256ths lost since the last call of this method, RFC 3550 appendix A.3."""
        expected, received = self.expected - self._prior[0], self.received - self._prior[1]
        self._prior = (self.expected, self.received)
        lost = expected - received
        return min(255, (lost << 8) // expected) if expected > 0 and lost > 0 else 0
