"""A mixer of the pure pump: each member hears all others, 8 kHz, 20 ms."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from operator import add, sub
from typing import Final

from ringback.media import g711
from ringback.media.pump import Event
from ringback.media.pure_port import PurePort
from ringback.media.pure_sound import SILENCE, Playing
from ringback.rtp.packet import Packet
from ringback.rtp.playout import FRAME, PlayoutBuffer

_NOTHING: Final = (0,) * FRAME


class Member:
    """A port in the mixer."""

    __slots__ = ("buffer", "deaf", "heard_by", "muted", "port")

    def __init__(self, port: PurePort) -> None:
        self.port = port
        self.muted = False
        self.deaf = False
        self.heard_by = 0
        self.buffer = PlayoutBuffer()


class PureMixer:
    """All calls come under the pump's lock."""

    def __init__(self, mixer_id: int, emit: Callable[[Event], None]) -> None:
        self.id = mixer_id
        self.members: dict[int, Member] = {}
        self._playing: Playing | None = None
        self._emit = emit

    def hear(self, port_id: int, packet: Packet, ulaw: bytes) -> None:
        """Take a member's audio."""
        self.members[port_id].buffer.write(packet.ssrc, packet.timestamp, g711.decode_ulaw(ulaw))

    def play(self, playing: Playing) -> None:
        """Play to all in place of what plays."""
        if self._playing is not None:
            self._emit(("mixer_played", self.id, self._playing.play_id))
        self._playing = playing

    def mix(self) -> dict[int, bytes]:
        """The next frame for each member, by port."""
        total = list(_NOTHING)
        if self._playing is not None:
            frame, is_last = self._playing.frame()
            total = list(g711.decode_ulaw(frame))
            if is_last:
                self._emit(("mixer_played", self.id, self._playing.play_id))
                self._playing = None
        heard: dict[int, array[int]] = {}
        told: dict[int, list[int]] = {}
        for port_id, member in self.members.items():
            samples = member.buffer.read()
            if member.muted or not any(samples):
                continue
            if member.heard_by:
                if member.heard_by in self.members and member.heard_by != port_id:
                    told[member.heard_by] = _added(told.get(member.heard_by, _NOTHING), samples)
            else:
                heard[port_id] = samples
                total = _added(total, samples)
        shared = _encoded(total)
        frames = {}
        for port_id, member in self.members.items():
            if member.deaf:
                frames[port_id] = SILENCE
            elif port_id in heard or port_id in told:
                others = map(sub, total, heard.get(port_id, _NOTHING))
                frames[port_id] = _encoded(map(add, others, told.get(port_id, _NOTHING)))
            else:
                frames[port_id] = shared
        return frames


def _added(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return list(map(add, one, other))


def _encoded(samples: Iterable[int]) -> bytes:
    return g711.encode_ulaw([max(-32768, min(32767, sample)) for sample in samples])
