"""Which stranger's stream is next: in its handshake, and with what it says."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from ringback.shell.stream_turns import Attention, Handshakes
from ringback.shell.transport_limits import TransportLimits


class Clock:
    time = 0.0

    def now(self) -> float:
        return self.time


class Loop:
    """The loop's timers, by hand."""

    def __init__(self) -> None:
        self.later: list[Any] = []

    def call_later(self, _: float, callback: Any) -> None:
        self.later.append(callback)

    def call_soon(self, callback: Any) -> None:
        self.later.append(callback)

    def create_future(self) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()


async def test_handshakes_are_begun_so_many_a_second_and_of_each_address_in_turn() -> None:
    loop, clock, begun = Loop(), Clock(), list[str]()
    turns = Handshakes(loop, TransportLimits(handshakes=10, handshakes_at_once=2), clock)  # type: ignore[arg-type]

    async def one(source: str) -> None:
        await turns.turn(source)
        begun.append(source)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one("a")) for _ in range(5)]
        await asyncio.sleep(0)
        assert begun == ["a", "a"]
        group.create_task(one("b"))
        await asyncio.sleep(0)
        tasks[3].cancel()
        for expected in (["a"], ["a", "b"], ["a", "b", "a"]):
            clock.time += 0.1
            loop.later.pop()()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert begun[2:] == expected
    assert len(loop.later) <= 1 and not turns._waiting


class Reader:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.got: list[bytes] = []

    def read(self, data: bytes) -> None:
        self.clock.time += 0.002
        self.got.append(data)


def test_strangers_are_read_for_so_long_in_a_turn_and_the_rest_in_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, clock = Loop(), Clock()
    monkeypatch.setattr(time, "monotonic", clock.now)
    clock.time = 1.0
    attention = Attention(loop, 0.005)  # type: ignore[arg-type]
    readers = [Reader(clock) for _ in range(10)]
    assert [attention.give(reader, b"x") for reader in readers] == [True] * 3 + [False] * 7
    turns = 0
    while loop.later:
        assert len(loop.later) == 1
        loop.later.pop()()
        turns += 1
        assert sum(len(reader.got) for reader in readers) == min(10, 3 + 3 * turns)
    assert turns == 4  # the last finds nobody
    assert attention.give(readers[0], b"y")
    assert readers[0].got == [b"x", b"y"]
