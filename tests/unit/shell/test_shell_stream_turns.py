"""Which stranger's stream is next: in its handshake, and with what it says."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from ringback.shell.stream_turns import MAX_UNREAD, Attention, Bites, Handshakes
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


class Transport:
    """The network, as far as it is held up."""

    def __init__(self) -> None:
        self.is_paused = self.is_aborted = False

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True


class Busy:
    """Attention that has time for so many bites."""

    def __init__(self, time: int) -> None:
        self.time = time
        self.later: list[tuple[Any, bytes]] = []

    def give(self, reader: Any, data: bytes) -> bool:
        if not self.time:
            self.later.append((reader, data))
            return False
        self.time -= 1
        reader.read(data)
        return True

    def go_on(self, time: int) -> None:
        self.time = time
        (reader, data), self.later = self.later[0], self.later[1:]
        reader.read(data)


def bites_of(time: int) -> tuple[Bites, Busy, Transport, list[bytes]]:
    busy, transport, eaten = Busy(time), Transport(), list[bytes]()
    bites = Bites(busy, 4, eaten.append)  # type: ignore[arg-type]
    bites.transport = transport  # type: ignore[assignment]
    return bites, busy, transport, eaten


def test_what_comes_is_read_in_bites_as_there_is_time() -> None:
    bites, busy, transport, eaten = bites_of(time=2)
    bites.add(b"abcd")
    assert (eaten, transport.is_paused) == ([b"abcd"], False)
    bites.add(b"efghijklmnopq")
    assert (eaten, transport.is_paused) == ([b"abcd", b"efgh"], True)
    busy.go_on(time=1)
    assert (eaten[2:], transport.is_paused) == ([b"ijkl", b"mnop"], True)
    busy.go_on(time=0)
    assert (eaten[4:], transport.is_paused) == ([b"q"], False)


def test_who_is_held_up_by_the_protocol_goes_on_when_it_says_so() -> None:
    bites, _, transport, eaten = bites_of(time=9)
    bites.is_held = True
    bites.add(b"abcdef")
    assert (eaten, transport.is_paused) == ([], True)
    bites.is_held = False
    bites.go_on()
    assert (eaten, transport.is_paused) == ([b"abcd", b"ef"], False)


def test_a_peer_that_somebody_else_lets_go_on_fills_no_memory() -> None:
    bites, _, transport, eaten = bites_of(time=0)
    for _ in range(9):
        transport.resume_reading()
        bites.add(bytes(MAX_UNREAD // 4))
        assert transport.is_paused or transport.is_aborted
    assert transport.is_aborted
    assert eaten == []


def test_of_a_connection_that_is_closing_nothing_more_is_read() -> None:
    bites, busy, transport, eaten = bites_of(time=0)
    bites.add(b"abcdef")
    transport.abort()
    busy.go_on(time=9)
    bites.add(b"ghi")
    assert eaten[:1] == [b"abcd"]
