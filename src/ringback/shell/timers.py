"""Many thousands of keyed timers on one timer of the loop.

A call arms and disarms some thirty timers and lets few of them fire, so arming, re-arming and disarming are
what has to be cheap: timers of one hundredth of a second are kept together, by key, and a heap has the hundredths. The loop is
woken for the hundredth in which something is due, so that timers that are near share a wake-up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from heapq import heapify, heappop, heappush
from typing import Any, Final, Generic, Protocol, TypeVar

Key = TypeVar("Key", bound=Hashable)

FIRES_PER_TURN: Final = 500  # then sockets get their turn; some 5 ms of work for the machines
DEAD_ENTRIES: Final = 1_000  # so many hundredths, and more than timers: those without any are dropped
SHORTEST_WAIT: Final = 0.001  # seconds; loops count in milliseconds, and an earlier wake-up would only spin
WAKES_A_SECOND: Final = 100  # the shortest interval of SIP is half a second; 10 ms more are nothing to it


class Clock(Protocol):
    """Where the time comes from: seconds that never go back, from any origin."""

    def now(self) -> float:
        """The time in seconds."""
        ...


class MonotonicClock:
    """The clock of a running server."""

    def now(self) -> float:
        """Seconds since the machine was started."""
        return time.monotonic()


class LoopTimer(Protocol):
    """A timer of the loop that can be called off (asyncio.TimerHandle)."""

    def cancel(self) -> None:
        """Call it off."""
        ...


class Loop(Protocol):
    """What is needed of the event loop; asyncio's and uvloop's both have it."""

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> LoopTimer:
        """Call back once after `delay` seconds."""
        ...

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report an error that nobody catches."""
        ...


class Timers(Generic[Key]):
    """Timers by key: `fire(key, now)` is called once for each, in the order of their times.

    Timers for the same time fire in the order of arming. A timer never fires early; it fires late by up to a
    hundredth of a second, and by what the loop is late. An exception out of `fire` goes to the loop's exception handler, and the other timers go on.
    """

    def __init__(self, loop: Loop, fire: Callable[[Key, float], None], clock: Clock | None = None) -> None:
        self._loop = loop
        self._fire = fire
        self._clock: Clock = clock or MonotonicClock()
        self._armed: dict[Key, int] = {}
        """Its tick, a hundredth of a second."""
        self._due: dict[int, dict[Key, float]] = {}
        """By tick: when exactly, in the order of arming."""
        self._ticks: list[int] = []
        """A heap of those in `_due`."""
        self._wake: LoopTimer | None = None
        self._wake_tick = 0
        self._firing = False
        self._closed = False

    def __len__(self) -> int:
        """How many timers are armed."""
        return len(self._armed)

    def __contains__(self, key: object) -> bool:
        return key in self._armed

    def at(self, key: Key) -> float | None:
        """When `key` will fire, or None when it is not armed."""
        tick = self._armed.get(key)
        return None if tick is None else self._due[tick][key]

    def arm(self, key: Key, at: float) -> None:
        """Fire `key` at `at` (the clock's seconds; past times fire in the loop's next turn). Replaces."""
        if self._closed:
            return
        exact = at * WAKES_A_SECOND
        tick = int(exact)
        if tick < exact:
            tick += 1  # never early
        armed = self._armed
        before = armed.get(key)
        if before is not None:
            del self._due[before][key]
        armed[key] = tick
        due = self._due.get(tick)
        if due is not None:
            due[key] = at
            return
        self._due[tick] = {key: at}
        heappush(self._ticks, tick)
        if self._wake is None or tick < self._wake_tick:
            self._schedule()
        elif len(self._ticks) > DEAD_ENTRIES + 2 * len(armed):
            self._bury()

    def disarm(self, key: Key) -> None:
        """Forget `key`; nothing happens when it is not armed."""
        tick = self._armed.pop(key, None)
        if tick is not None:
            del self._due[tick][key]

    def _bury(self) -> None:
        """Drop the ticks in which nothing is due any more."""
        if not self._firing:
            self._due = {tick: due for tick, due in self._due.items() if due}
            self._ticks[:] = self._due
            heapify(self._ticks)

    def close(self) -> None:
        """Forget all timers; later ones are not armed."""
        self._closed = True
        self._armed.clear()
        self._due.clear()
        self._ticks.clear()
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None

    def _schedule(self) -> None:
        """Have the loop wake us for the earliest item."""
        if self._firing:
            return  # done when the turn ends
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        ticks = self._ticks
        while ticks and not self._due[ticks[0]]:
            del self._due[heappop(ticks)]
        if ticks:
            self._wake_tick = tick = ticks[0]
            # Rounded up to the loop's millisecond: too early a wake-up finds nothing to do.
            delay = tick / WAKES_A_SECOND - self._clock.now() + SHORTEST_WAIT
            self._wake = self._loop.call_later(max(0.0, delay), self._turn)

    def _turn(self) -> None:
        """Fire what is due, up to a bound."""
        self._wake = None
        self._firing = True
        ticks = self._ticks
        now = self._clock.now()
        left = FIRES_PER_TURN
        try:
            while left and ticks and ticks[0] <= now * WAKES_A_SECOND:
                left = self._fire_tick(heappop(ticks), now, left)
        finally:
            self._firing = False
            self._schedule()

    def _fire_tick(self, tick: int, now: float, left: int) -> int:
        """Fire `left` timers of a tick that is over; how many others may fire then. What is left of it is due again."""
        due, armed = self._due[tick], self._armed
        for key in sorted(due, key=due.__getitem__) if len(due) > 1 else list(due):
            if armed.get(key) != tick:
                continue  # one before disarmed it, or armed it anew
            del due[key], armed[key]
            self._call(key, now)
            left -= 1
            if not left:
                break
        if self._due.get(tick) is due:
            if due:
                heappush(self._ticks, tick)
            else:
                del self._due[tick]
        return left

    def _call(self, key: Key, now: float) -> None:
        try:
            self._fire(key, now)
        except Exception as error:  # noqa: BLE001  the guard around a timer: the others must still fire
            self._loop.call_exception_handler({"message": f"timer {key!r} failed", "exception": error})
