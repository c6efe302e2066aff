"""A mixer of the pure pump: each member hears all others, 8 kHz, 20 ms."""

from __future__ import annotations

from array import array
from collections.abc import Callable

from ringback.media import g711
from ringback.media.pump import Event
from ringback.media.pure_port import PurePort
from ringback.media.pure_sound import SILENCE, Playing
from ringback.rtp.packet import Packet
from ringback.rtp.playout import FRAME, PlayoutBuffer


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
        total = [0] * FRAME
        if self._playing is not None:
            frame, is_last = self._playing.frame()
            total = list(g711.decode_ulaw(frame))
            if is_last:
                self._emit(("mixer_played", self.id, self._playing.play_id))
                self._playing = None
        heard: dict[int, array[int]] = {}
        private: list[tuple[int, array[int]]] = []
        for port_id, member in self.members.items():
            samples = member.buffer.read()
            if member.muted:
                continue
            if member.heard_by:
                private.append((member.heard_by, samples))
            else:
                heard[port_id] = samples
                total = [a + b for a, b in zip(total, samples, strict=True)]
        frames = {}
        for port_id, member in self.members.items():
            if member.deaf:
                frames[port_id] = SILENCE
                continue
            own = heard.get(port_id)
            mixed = total if own is None else [a - b for a, b in zip(total, own, strict=True)]
            for listener, samples in private:
                if listener == port_id:
                    mixed = [a + b for a, b in zip(mixed, samples, strict=True)]
            frames[port_id] = g711.encode_ulaw([max(-32768, min(32767, sample)) for sample in mixed])
        return frames
