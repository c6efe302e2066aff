"""What plays on a port of the pure pump, and what listens to it, frame by frame."""

from __future__ import annotations

from typing import Final

from ringback.media import g711
from ringback.media.pump import Event, Track
from ringback.rtp.packet import timestamp_step
from ringback.rtp.playout import FRAME

SILENCE: Final = bytes([g711.ULAW_SILENCE]) * FRAME
_MAX_DRIFT: Final = 500.0  # milliseconds between a tap's stamps and the clock until it starts anew


class Playing:
    """A buffer that plays, frame by frame."""

    __slots__ = ("_audio", "_loops", "_position", "play_id")

    def __init__(self, play_id: int, audio: bytes, loops: int) -> None:
        self.play_id = play_id
        self._audio = audio
        self._loops = loops
        self._position = 0

    def frame(self) -> tuple[bytes, bool]:
        """160 bytes of mu-law, and whether it was the last."""
        if not self._audio:
            return SILENCE, True
        frame = b""
        while len(frame) < FRAME:
            piece = self._audio[self._position : self._position + FRAME - len(frame)]
            frame += piece
            self._position += len(piece)
            if self._position < len(self._audio):
                continue
            if self._loops == 1:
                return frame.ljust(FRAME, SILENCE[:1]), True
            self._loops = max(0, self._loops - 1)
            self._position = 0
        return frame, False


class Tap:
    """Cuts one direction of a port into frames of 160 bytes with times since the tap was set."""

    __slots__ = ("_anchor", "_expected", "_held", "_since", "tap_id", "track")

    def __init__(self, tap_id: int, track: Track, now: float) -> None:
        self.tap_id = tap_id
        self.track = track
        self._since = now
        self._held = b""
        self._expected = 0
        self._anchor: tuple[int, float] | None = None

    def feed(self, ulaw: bytes, timestamp: int, now: float) -> list[Event]:
        """Take a packet's audio; give the frames that are full."""
        elapsed = 1000.0 * (now - self._since)
        if self._anchor is None or abs(self._at(timestamp) - elapsed) > _MAX_DRIFT:
            self._anchor = (timestamp, elapsed)
            self._held = b""
        elif timestamp != self._expected:
            if timestamp_step(self._expected, timestamp) < 0:
                return []
            self._held = b""
        start = (timestamp - len(self._held)) & 0xFFFFFFFF
        self._held += ulaw
        self._expected = (timestamp + len(ulaw)) & 0xFFFFFFFF
        events: list[Event] = []
        while len(self._held) >= FRAME:
            events.append(("frames", self.tap_id, self._held[:FRAME], max(0, round(self._at(start)))))
            self._held = self._held[FRAME:]
            start = (start + FRAME) & 0xFFFFFFFF
        return events

    def _at(self, timestamp: int) -> float:
        anchor, milliseconds = self._anchor or (timestamp, 0.0)
        return milliseconds + timestamp_step(anchor, timestamp) / 8.0
