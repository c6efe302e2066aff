"""Strangers' streams have their turns, so that however many there are, the loop has time for calls that are up."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from typing import Protocol

from .guard import Bucket
from .timers import Clock
from .transport_limits import TransportLimits


class Handshakes:
    """Begun so many a second, of one address after another.

    Each takes most of a millisecond of the loop's thread: a flood of them would hold up calls, and one address with
    many would hold up the others.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: TransportLimits, clock: Clock) -> None:
        self._loop = loop
        self._rate, self._burst = limits.handshakes, limits.handshakes_at_once
        self._clock = clock
        self._bucket = Bucket(self._burst, clock.now())
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def turn(self, source: str) -> None:
        """Wait for a turn."""
        if not self._waiting and self._bucket.take(self._rate, self._burst, self._clock.now()):
            return
        turn = self._loop.create_future()
        if not self._waiting:
            self._loop.call_later(1 / self._rate, self._give)
        self._waiting.setdefault(source, deque()).append(turn)
        await turn

    def _give(self) -> None:
        now = self._clock.now()
        while self._waiting:
            source, turns = next(iter(self._waiting.items()))
            while turns and turns[0].done():  # it was given up
                turns.popleft()
            if turns and not self._bucket.take(self._rate, self._burst, now):
                self._loop.call_later(1 / self._rate, self._give)
                return
            if turns:
                turns.popleft().set_result(None)
            self._waiting.move_to_end(source)
            if not turns:
                del self._waiting[source]


class Reader(Protocol):
    """A stream."""

    def read(self, data: bytes) -> None:
        """Read what came."""
        ...


class Attention:
    """What strangers say on streams is read for so many seconds in each turn of the loop, one stream after another."""

    def __init__(self, loop: asyncio.AbstractEventLoop, turn: float) -> None:
        self._loop = loop
        self._turn = turn
        self._until = 0.0  # 0: nobody was read in this turn
        self._waiting: deque[tuple[Reader, bytes]] = deque()

    def give(self, reader: Reader, data: bytes) -> bool:
        """Have a stream read now, if there is time; False when it is read later, and is to take nothing more till then."""
        if not self._until:
            self._until = time.monotonic() + self._turn
            self._loop.call_soon(self._go_on)
        if self._waiting or time.monotonic() > self._until:
            self._waiting.append((reader, data))
            return False
        reader.read(data)
        return True

    def _go_on(self) -> None:
        self._until = time.monotonic() + self._turn if self._waiting else 0.0
        if self._waiting:
            self._loop.call_soon(self._go_on)
        while self._waiting and time.monotonic() < self._until:
            reader, data = self._waiting.popleft()
            reader.read(data)
