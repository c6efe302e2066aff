"""Whether somebody speaks, by the loudness of what comes: for who is told of it, not for the sound.

::

    quiet --loud for 100 ms of 200--> speaking --no loud frame for 1 s--> quiet

Tones and noise count as well. The threshold lies well above the noise of a quiet line (-65 dBm0 by ITU-T G.712
section 8.1) and below quiet speech (about -35 dBm0).
"""

from __future__ import annotations

from typing import Final

from ringback.media.g711 import ULAW_TO_LINEAR

THRESHOLD: Final = -42.0
"""dBm0 of a frame that is loud."""

WINDOW: Final = 10
"""Frames of 20 ms that are looked back on."""

NEEDED: Final = 5
"""Of these must be loud, so that a click is no speech."""

QUIET_AFTER: Final = 1.0
"""Seconds without a loud frame that end it: pauses between words are shorter."""

_FULL_SCALE_DBM0: Final = 3.17
"""Of a sine at mu-law's largest value (ITU-T G.711)."""

_STEP: Final = 64
"""Samples in units of this fit a byte, whose sum Python makes fast."""

_MAGNITUDES: Final = bytes(min(255, round(abs(ULAW_TO_LINEAR[code]) / _STEP)) for code in range(256))
_LEAST: Final = 10 ** ((THRESHOLD - _FULL_SCALE_DBM0) / 20) * 32124 * 0.637 / _STEP
"""The mean magnitude of a sine of that level, in these units."""


class Voice:
    """One speaker. Times are seconds of any steady clock."""

    __slots__ = ("_loud_at", "_recent", "speaks")

    def __init__(self) -> None:
        self._recent = 0
        self._loud_at = 0.0
        self.speaks = False

    def hear(self, frame: bytes, now: float) -> bool:
        """20 ms of mu-law came: whether ``speaks`` has changed."""
        is_loud = sum(frame.translate(_MAGNITUDES)) > _LEAST * len(frame)
        self._recent = (self._recent << 1 | is_loud) & ((1 << WINDOW) - 1)
        if is_loud:
            self._loud_at = now
            if not self.speaks and self._recent.bit_count() >= NEEDED:
                self.speaks = True
                return True
        return self.on_clock(now)

    def on_clock(self, now: float) -> bool:
        """Time passed, maybe without a frame: whether ``speaks`` has changed."""
        if not self.speaks or now - self._loud_at < QUIET_AFTER:
            return False
        self.speaks = False
        self._recent = 0
        return True
