"""The pulse, on a loop of the tests' own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from ringback.shell.guard import Guard
from ringback.shell.pulse import BEAT, RESTING_BEAT, Pulse


class Handle:
    def __init__(self, at: float, callback: Callable[[], object]) -> None:
        self.at, self.callback, self.cancelled = at, callback, False

    def cancel(self) -> None:
        self.cancelled = True


class World:
    """A loop with one timer: `beat(late)` lets it fire so late."""

    def __init__(self) -> None:
        self.now = 50.0
        self.guard = Guard()
        self.told: list[float] = []
        self.handle = Handle(0.0, lambda: None)
        self.waited = 0.0
        self.pulse = Pulse(cast(Any, self), self.late, lambda: self.guard.lateness, lambda: self.waited)

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], object]) -> Handle:
        self.handle = Handle(self.now + delay, callback)
        return self.handle

    def late(self, seconds: float) -> None:
        self.told.append(round(seconds, 6))
        self.guard.late(seconds)

    def beat(self, late: float = 0.0) -> None:
        assert not self.handle.cancelled
        self.now = self.handle.at + late
        self.handle.callback()

    def next_in(self) -> float:
        return round(self.handle.at - self.now, 6)


@pytest.fixture
def world() -> World:
    return World()


def test_it_beats_while_messages_come_and_rests_when_none_do(world: World) -> None:
    for _ in range(3):
        world.pulse.hear()
        assert world.pulse.heard
        world.beat()
        assert not world.pulse.heard
        assert world.next_in() == BEAT
    world.beat()
    assert world.next_in() == RESTING_BEAT
    world.beat()
    assert world.next_in() == RESTING_BEAT
    assert world.told == [0.0] * 5


def test_a_message_wakes_it(world: World) -> None:
    world.beat()
    before = world.handle
    world.now += 0.7
    world.pulse.hear()
    assert before.cancelled
    assert world.next_in() == BEAT
    world.beat(late=0.4)
    assert world.told == [0.0, 0.4]
    assert world.next_in() == BEAT


def test_lateness_wakes_it_and_keeps_it_awake_until_it_is_over(world: World) -> None:
    world.beat()
    world.beat(late=0.5)
    assert world.next_in() == BEAT
    beats = 0
    while world.next_in() == BEAT:
        world.beat()
        beats += 1
    assert 5 < beats < 30
    assert world.guard.lateness < 0.01


def test_overload_without_messages_is_seen_and_ends(world: World) -> None:
    world.beat()
    for _ in range(5):
        world.beat(late=1.0)
    assert world.guard.is_overloaded
    while world.next_in() == BEAT:
        world.beat()
    assert not world.guard.is_overloaded


def test_a_stopped_one_beats_no_more(world: World) -> None:
    world.pulse.stop()
    assert world.handle.cancelled


def test_new_work_that_waits_makes_it_late_though_the_loop_is_in_time(world: World) -> None:
    world.waited = 0.8
    for _ in range(5):
        world.beat(0.001)
    assert world.told == [0.8] * 5
    assert world.guard.is_overloaded
    assert world.next_in() == BEAT
