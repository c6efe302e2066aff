"""Many thousands of keyed timers on one timer of the loop.

A call arms and disarms some thirty timers and lets few of them fire, so arming, re-arming and disarming are
what has to be cheap: a dictionary, and a heap whose dead entries are dropped when they come up. An entry that
is re-armed for later stays where it is in the heap and moves on when its old time comes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from heapq import heapify, heappop, heappush
from typing import Any, Final, Generic, Protocol, TypeVar

Key = TypeVar("Key", bound=Hashable)

FIRES_PER_TURN: Final = 500  # then sockets get their turn; some 5 ms of work for the machines
DEAD_ENTRIES: Final = 1_000  # so many dead entries, and more than live ones: the heap is rebuilt
SHORTEST_WAIT: Final = 0.001  # seconds; loops count in milliseconds, and an earlier wake-up would only spin


class Clock(Protocol):
    """Where the time comes from: seconds that never go back, from any origin."""

    def now(self) -> float:
        """The time in seconds."""
        ...


class MonotonicClock:
    """The clock of a running server."""

    now = staticmethod(time.monotonic)


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


class _Entry(Generic[Key]):
    """One armed timer. `parked` is the number of the heap's item that stands for it."""

    __slots__ = ("at", "key", "order", "parked")

    def __init__(self, key: Key, at: float, order: int) -> None:
        self.key = key
        self.at = at
        self.order = order
        self.parked = order


class Timers(Generic[Key]):
    """Timers by key: `fire(key, now)` is called once for each, in the order of their times.

    Timers for the same time fire in the order of arming. A timer never fires early, and late by what the loop
    is late. An exception out of `fire` goes to the loop's exception handler, and the other timers go on.
    """

    def __init__(self, loop: Loop, fire: Callable[[Key, float], None], clock: Clock | None = None) -> None:
        self._loop = loop
        self._fire = fire
        self._clock: Clock = clock or MonotonicClock()
        self._armed: dict[Key, _Entry[Key]] = {}
        self._heap: list[tuple[float, int, _Entry[Key]]] = []
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
        return None if entry is None else entry.at

    def arm(self, key: Key, at: float) -> None:
        """Fire `key` at `at` (the clock's seconds; past times fire in the loop's next turn). Replaces."""
        if self._closed:
            return
        self._order = order = self._order + 1
        entry = self._armed.get(key)
        if entry is None:
            entry = self._armed[key] = _Entry(key, at, order)
        else:
            later = at >= entry.at
            entry.at, entry.order = at, order
            if later:
                return  # it moves when its old time comes
            entry.parked = order
        heappush(self._heap, (at, order, entry))
        if self._wake is None or at < self._wake_at:
            self._schedule()

    def disarm(self, key: Key) -> None:
        """Forget `key`; nothing happens when it is not armed."""
        entry = self._armed.pop(key, None)
        if entry is None:
            return
        entry.parked = 0  # no item has this number
        heap = self._heap
        if len(heap) > DEAD_ENTRIES + 2 * len(self._armed):
            heap[:] = [(entry.at, entry.order, entry) for entry in self._armed.values()]
            for entry in self._armed.values():
                entry.parked = entry.order
            heapify(heap)

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
        if self._heap:
            self._wake_at = self._heap[0][0]
            delay = self._wake_at - self._clock.now()
            # Rounded up to the loop's millisecond: too early a wake-up finds nothing to do.
            delay = delay + SHORTEST_WAIT if delay > 0 else 0.0
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
                at, number, entry = heap[0]
                if entry.parked != number:
                    heappop(heap)  # disarmed, or armed anew for an earlier time
                    continue
                if at > now:
                    break
                heappop(heap)
                if entry.order != number:  # re-armed for later
                    entry.parked = entry.order
                    heappush(heap, (entry.at, entry.order, entry))
                    continue
                del armed[entry.key]
                left -= 1
                self._call(entry.key, now)
        finally:
            self._firing = False
            self._schedule()

    def _call(self, key: Key, now: float) -> None:
        try:
            self._fire(key, now)
        except Exception as error:  # noqa: BLE001  the guard around a timer: the others must still fire
            self._loop.call_exception_handler({"message": f"timer {key!r} failed", "exception": error})
