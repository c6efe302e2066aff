"""Who speaks in conferences whose program wants to know (Conference, statusCallbackEvent "speaker")."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from ringback.media.voice import QUIET_AFTER, Voice
from ringback.shell.live import LiveCall
from ringback.shell.sound import Sound

Told = Callable[[LiveCall, bool], None]


class _Ear:
    """Listens to one call."""

    __slots__ = ("_call", "_told", "_voice", "tap", "timer")

    def __init__(self, call: LiveCall, told: Told) -> None:
        self._call = call
        self._told = told
        self._voice = Voice()
        self.tap = 0
        self.timer: asyncio.TimerHandle | None = None

    def hear(self, frame: bytes, _milliseconds: int) -> None:
        """A frame came from the far end."""
        if self._voice.hear(frame, time.monotonic()):
            self._tell()

    def _look(self) -> None:
        """A far end that sends nothing more has ended to speak as well."""
        self.timer = None
        if self._voice.on_clock(time.monotonic()):
            self._tell()
        elif self._voice.speaks:
            self._look_later()

    def _look_later(self) -> None:
        self.timer = asyncio.get_running_loop().call_later(QUIET_AFTER, self._look)

    def _tell(self) -> None:
        if self._voice.speaks and self.timer is None:
            self._look_later()
        self._told(self._call, self._voice.speaks)


class Speakers:
    """The calls that are listened to."""

    def __init__(self, sound: Sound, told: Told) -> None:
        self._sound = sound
        self._told = told
        self._ears: dict[str, _Ear] = {}

    def listen(self, call: LiveCall) -> None:
        """Tell from now on when this call's far end begins and ends to speak."""
        if call.sid not in self._ears:
            ear = self._ears[call.sid] = _Ear(call, self._told)
            ear.tap = self._sound.tap(call, "inbound", ear.hear)

    def forget(self, call_sid: str) -> None:
        """No longer."""
        ear = self._ears.pop(call_sid, None)
        if ear is None:
            return
        if ear.timer is not None:
            ear.timer.cancel()
        self._sound.untap(ear.tap)
