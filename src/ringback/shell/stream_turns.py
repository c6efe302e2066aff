r"""Strangers' streams have their turns, so that however many there are, the loop has time for calls that are up.

a read, up to 256 kB --> Bites --a bite--> Attention: so many seconds in each turn of the loop --> who reads it
                           \--there is more than there is time for--> the peer is held up
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, Protocol

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


MAX_UNREAD: Final = 1024 * 1024
"""Bytes of one peer that wait: four reads; who is held up and sends more all the same is cut."""


class Bites:
    """What a peer sends on its way to a protocol: a bite at a time, in turn with those of other peers.

    One read gives up to 256 kB, and a protocol may have a second's work with that: frames, chunks or lines of a few bytes.
    While some wait, or the protocol ``is_held`` up by itself, nothing is read from the network.
    """

    def __init__(self, attention: Attention, size: int, read: Callable[[bytes], None]) -> None:
        self._attention = attention
        self._size = size
        self._read = read
        self._unread = bytearray()
        self._waits = self._is_paused = self._is_over = False
        self.is_held = False
        self.transport: asyncio.Transport | None = None
        """Set when it is open."""

    @property
    def is_behind(self) -> bool:
        """Whether something came that is not read yet."""
        return self._waits or bool(self._unread)

    def add(self, data: bytes) -> None:
        """What came from the network."""
        self._is_paused = False  # somebody else may have resumed it
        if len(self._unread) > MAX_UNREAD and self.transport is not None:
            self.transport.abort()
            return
        self._unread += data
        self.go_on()

    def go_on(self) -> None:
        """Hand on what waits, as much as there is time for."""
        while self._unread and not (self._waits or self.is_held):
            bite = bytes(self._unread[: self._size])
            del self._unread[: self._size]
            self._waits = not self._attention.give(self, bite)
        transport = self.transport
        if transport is None or transport.is_closing():
            self._unread.clear()
            return
        is_paused = self.is_held or self.is_behind
        if is_paused is not self._is_paused:
            self._is_paused = is_paused
            (transport.pause_reading if is_paused else transport.resume_reading)()

    def drop(self) -> None:
        """The peer is gone: read nothing more."""
        self._unread.clear()
        self._is_over = True

    def read(self, data: bytes) -> None:
        """A bite, now or when its turn has come."""
        if self._is_over:
            return
        self._read(data)
        if self._waits:
            self._waits = False
            self.go_on()
