"""How late the exchange is, the event loop or what waits to be read: looked at ten times a second while messages come, each second while none do.

    AWAKE --a beat without a message since the one before, in time--> RESTING
    AWAKE <--a message, or a beat that comes late------------------- RESTING

An idle server is woken for little else, and on a quiet machine a wake-up costs half a millisecond.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

BEAT: Final = 0.1
"""Seconds between beats while messages come: what `Guard.late` counts on."""
RESTING_BEAT: Final = 1.0
IN_TIME: Final = 0.01
"""Seconds of lateness, in the mean of the guard, below which there is nothing to watch."""


class Pulse:
    """Tells `late` how late each beat is, or for how long new work has `waited` by then; `lateness` gives the mean of that.

    The loop takes its turns in time, however much waits: each reads messages for some milliseconds only.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        late: Callable[[float], None],
        lateness: Callable[[], float],
        waited: Callable[[], float],
    ) -> None:
        self._loop = loop
        self._late = late
        self._lateness = lateness
        self._waited = waited
        self._is_resting = False
        self.heard = False
        """A message came since the last beat; who sees that it is not set calls `hear`."""
        self._due = loop.time() + BEAT
        self._timer = loop.call_later(BEAT, self._beat)

    def hear(self) -> None:
        """A message came, the first since the last beat."""
        self.heard = True
        if self._is_resting:
            self._is_resting = False
            self._timer.cancel()
            self._beat_in(BEAT)

    def stop(self) -> None:
        """Beat no more."""
        self._timer.cancel()

    def _beat(self) -> None:
        self._late(max(0.0, self._loop.time() - self._due, self._waited()))
        self._is_resting = not self.heard and self._lateness() < IN_TIME
        self.heard = False
        self._beat_in(RESTING_BEAT if self._is_resting else BEAT)

    def _beat_in(self, seconds: float) -> None:
        self._due = self._loop.time() + seconds
        self._timer = self._loop.call_later(seconds, self._beat)
