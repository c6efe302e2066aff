"""Many thousands of keyed timers on one timer of the loop.

A call arms and disarms some thirty timers and lets few of them fire, so arming, re-arming and disarming are
what has to be cheap: a dictionary, and a heap whose dead entries are dropped when they come up. The loop is
woken for the hundredth of a second in which something is due, so that timers that are near share a wake-up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from heapq import heapify, heappop, heappush
from math import ceil
from typing import Any, Final, Generic, Protocol, TypeVar

Key = TypeVar("Key", bound=Hashable)

FIRES_PER_TURN: Final = 500  # then sockets get their turn; some 5 ms of work for the machines
DEAD_ENTRIES: Final = 1_000  # so many dead entries, and more than live ones: the heap is rebuilt
SHORTEST_WAIT: Final = 0.001  # seconds; loops count in milliseconds, and an earlier wake-up would only spin
WAKES_A_SECOND: Final = 100  # the shortest interval of SIP is half a second; 10 ms more are nothing to it

Entry = tuple[Any, ...]
"""When, which in the order of arming, and the key. An entry is known by its identity, which a tuple has not in compiled
code that knows the types within."""


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
        self._armed: dict[Key, Entry] = {}
        self._heap: list[Entry] = []
        self._order = 0
        self._wake: LoopTimer | None = None
        self._wake_at = 0.0
        self._firing = False
        self._closed = False

    def __len__(self) -> int:
        """How many timers are armed."""
        return len(self._armed)

    def __contains__(self, key: object) -> bool:
        return key in self._armed

    def at(self, key: Key) -> float | None:
        """When `key` will fire, or None when it is not armed."""
        entry = self._armed.get(key)
        return None if entry is None else float(entry[0])

    def arm(self, key: Key, at: float) -> None:
        """Fire `key` at `at` (the clock's seconds; past times fire in the loop's next turn). Replaces."""
        if self._closed:
            return
        self._order = order = self._order + 1
        entry: Entry = (at, order, key)
        self._armed[key] = entry
        heappush(self._heap, entry)
        if self._wake is None or at < self._wake_at - 1 / WAKES_A_SECOND:
            self._schedule()
        elif len(self._heap) > DEAD_ENTRIES + 2 * len(self._armed):
            self._bury()

    def disarm(self, key: Key) -> None:
        """Forget `key`; nothing happens when it is not armed."""
        self._armed.pop(key, None)

    def _bury(self) -> None:
        """Drop the dead entries."""
        self._heap[:] = self._armed.values()
        heapify(self._heap)

    def close(self) -> None:
        """Forget all timers; later ones are not armed."""
        self._closed = True
        self._armed.clear()
        self._heap.clear()
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
        heap, armed = self._heap, self._armed
        while heap and armed.get(heap[0][2]) is not heap[0]:
            heappop(heap)
        if heap:
            first, now = heap[0][0], self._clock.now()
            self._wake_at = ceil(first * WAKES_A_SECOND) / WAKES_A_SECOND
            # Rounded up to the loop's millisecond: too early a wake-up finds nothing to do.
            delay = self._wake_at - now + SHORTEST_WAIT if first > now else 0.0
            self._wake = self._loop.call_later(delay, self._turn)

    def _turn(self) -> None:
        """Fire what is due, up to a bound."""
        self._wake = None
        self._firing = True
        heap, armed = self._heap, self._armed
        now = self._clock.now()
        left = FIRES_PER_TURN
        try:
            while heap and left:
                entry = heap[0]
                at, _, key = entry
                if armed.get(key) is not entry:
                    heappop(heap)  # disarmed, or armed anew
                    continue
                if at > now:
                    break
                heappop(heap)
                del armed[key]
                left -= 1
                self._call(key, now)
        finally:
            self._firing = False
            self._schedule()

    def _call(self, key: Key, now: float) -> None:
        try:
            self._fire(key, now)
        except Exception as error:  # noqa: BLE001  the guard around a timer: the others must still fire
            self._loop.call_exception_handler({"message": f"timer {key!r} failed", "exception": error})
