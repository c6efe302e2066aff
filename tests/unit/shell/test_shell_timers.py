"""Keyed timers, on a clock and a loop of the tests' own."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from ringback.shell.timers import DEAD_ENTRIES, FIRES_PER_TURN, MonotonicClock, Timers


class Handle:
    def __init__(self, at: float, callback: Callable[..., object]) -> None:
        self.at = at
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class World:
    """A clock and a loop in one: `go(at)` runs the loop until that time."""

    def __init__(self) -> None:
        self.time = 100.0
        self.handles: list[Handle] = []
        self.errors: list[dict[str, Any]] = []
        self.wakes = 0

    def now(self) -> float:
        return self.time

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Handle:
        assert delay >= 0 and not args
        handle = Handle(self.time + delay, callback)
        self.handles.append(handle)
        return handle

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    def pending(self) -> list[Handle]:
        self.handles = [handle for handle in self.handles if not handle.cancelled]
        return self.handles

    def go(self, until: float) -> None:
        while due := [handle for handle in self.pending() if handle.at <= until + 0.002]:
            handle = min(due, key=lambda handle: handle.at)
            self.handles.remove(handle)
            self.time = max(self.time, handle.at)
            self.wakes += 1
            handle.callback()
        self.time = max(self.time, until)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def fired() -> list[tuple[str, float]]:
    return []


@pytest.fixture
def timers(world: World, fired: list[tuple[str, float]]) -> Timers[str]:
    return Timers(world, lambda key, now: fired.append((key, now)), world)


def keys(fired: list[tuple[str, float]]) -> list[str]:
    return [key for key, _ in fired]


def test_timers_fire_in_the_order_of_their_times(world: World, timers: Timers[str], fired: list) -> None:  # type: ignore[type-arg]
    timers.arm("c", 103)
    timers.arm("a", 101)
    timers.arm("b", 102)
    world.go(102.5)
    assert keys(fired) == ["a", "b"]
    world.go(110)
    assert keys(fired) == ["a", "b", "c"]
    assert len(timers) == 0


def test_a_timer_is_never_early_and_now_is_the_clocks(world: World, timers: Timers[str], fired: list) -> None:  # type: ignore[type-arg]
    timers.arm("a", 100.5)
    world.go(105)
    ((_, now),) = fired
    assert 100.5 <= now < 100.51


def test_an_early_wake_up_fires_nothing_and_is_repeated(
    world: World, timers: Timers[str], fired: list
) -> None:  # type: ignore[type-arg]
    timers.arm("a", 101)
    (handle,) = world.pending()
    world.handles.clear()
    handle.callback()
    assert fired == []
    world.go(102)
    assert keys(fired) == ["a"]


def test_same_time_fires_in_the_order_of_arming(world: World, timers: Timers[str], fired: list) -> None:  # type: ignore[type-arg]
    for key in "bca":
        timers.arm(key, 101)
    timers.arm("b", 101)
    world.go(102)
    assert keys(fired) == ["c", "a", "b"]


def test_timers_of_one_hundredth_fire_in_the_order_of_their_times(
    world: World, timers: Timers[str], fired: list[tuple[str, float]]
) -> None:
    for key, at in (("c", 101.009), ("a", 101.001), ("b", 101.005), ("d", 101.011)):
        timers.arm(key, at)
    world.go(102)
    assert keys(fired) == ["a", "b", "c", "d"]
    assert fired[2][1] < 101.02 <= fired[3][1]


def test_what_is_closed_while_it_fires_fires_no_more(world: World) -> None:
    fired: list[str] = []

    def fire(key: str, now: float) -> None:
        fired.append(key)
        timers.close()

    timers: Timers[str] = Timers(world, fire, world)
    timers.arm("a", 101)
    timers.arm("b", 101)
    world.go(102)
    assert fired == ["a"] and world.pending() == []


@pytest.mark.parametrize("first,second", [(101, 105), (105, 101), (101, 101)])
def test_arming_again_replaces(
    world: World, timers: Timers[str], fired: list[tuple[str, float]], first: float, second: float
) -> None:
    timers.arm("a", first)
    timers.arm("a", second)
    assert timers.at("a") == second
    world.go(110)
    assert keys(fired) == ["a"]
    assert fired[0][1] == pytest.approx(second, abs=0.01)


def test_back_and_forth(world: World, timers: Timers[str], fired: list) -> None:  # type: ignore[type-arg]
    for at in (110, 105, 120, 103, 104):
        timers.arm("a", at)
    world.go(103.9)
    assert fired == []
    world.go(130)
    assert keys(fired) == ["a"]


def test_disarmed_timers_do_not_fire(world: World, timers: Timers[str], fired: list) -> None:  # type: ignore[type-arg]
    timers.arm("a", 101)
    timers.arm("b", 102)
    timers.disarm("a")
    timers.disarm("a")
    timers.disarm("never")
    assert "a" not in timers and timers.at("a") is None
    world.go(110)
    assert keys(fired) == ["b"]


def test_a_key_may_be_armed_after_it_was_disarmed(world: World, timers: Timers[str], fired: list) -> None:  # type: ignore[type-arg]
    timers.arm("a", 105)
    timers.disarm("a")
    timers.arm("a", 110)
    world.go(109)
    assert fired == []
    world.go(111)
    assert keys(fired) == ["a"]


def test_past_times_fire_at_once(world: World, timers: Timers[str], fired: list) -> None:  # type: ignore[type-arg]
    timers.arm("a", 5)
    world.go(100)
    assert keys(fired) == ["a"]


def test_fire_may_arm_and_disarm(world: World) -> None:
    fired: list[str] = []

    def fire(key: str, now: float) -> None:
        fired.append(key)
        if key == "a" and len(fired) < 4:
            timers.arm("a", now + 1)
        timers.disarm("b")

    timers: Timers[str] = Timers(world, fire, world)
    timers.arm("a", 101)
    timers.arm("b", 101)
    world.go(120)
    assert fired == ["a", "a", "a", "a"]


def test_one_timer_of_the_loop_is_enough(world: World, timers: Timers[str]) -> None:
    for number in range(100):
        timers.arm(str(number), 200 - number)
        assert len(world.pending()) == 1


def test_a_failing_timer_does_not_stop_the_others(world: World) -> None:
    fired: list[str] = []

    def fire(key: str, now: float) -> None:
        if key == "bad":
            raise ValueError("broken")
        fired.append(key)

    timers: Timers[str] = Timers(world, fire, world)
    timers.arm("bad", 101)
    timers.arm("good", 101)
    world.go(102)
    assert fired == ["good"]
    assert isinstance(world.errors[0]["exception"], ValueError)


def test_a_storm_leaves_the_loop_room_to_breathe(world: World, timers: Timers[str], fired: list) -> None:  # type: ignore[type-arg]
    for number in range(3 * FIRES_PER_TURN):
        timers.arm(str(number), 101)
    world.go(102)
    assert len(fired) == 3 * FIRES_PER_TURN
    assert world.wakes >= 3


def test_endless_rearming_for_the_past_does_not_capture_the_loop(world: World) -> None:
    count = 0

    def fire(key: str, now: float) -> None:
        nonlocal count
        count += 1
        timers.arm(key, now)

    timers: Timers[str] = Timers(world, fire, world)
    timers.arm("a", 100)
    (handle,) = world.pending()
    handle.callback()
    assert count == FIRES_PER_TURN


def test_disarmed_entries_do_not_pile_up(world: World, timers: Timers[str], fired: list) -> None:  # type: ignore[type-arg]
    timers.arm("kept", 150)
    for number in range(10 * DEAD_ENTRIES):
        timers.arm("x", 200 + number)
        timers.disarm("x")
    assert len(timers._ticks) <= DEAD_ENTRIES + 3
    world.go(300)
    assert keys(fired) == ["kept"]


def test_close_forgets_everything(world: World, timers: Timers[str], fired: list) -> None:  # type: ignore[type-arg]
    timers.arm("a", 101)
    timers.close()
    timers.arm("b", 101)
    assert world.pending() == [] and len(timers) == 0
    world.go(110)
    assert fired == []


@pytest.mark.parametrize("seed", range(5))
def test_any_sequence_fires_what_a_simple_model_fires(seed: int) -> None:
    chance = random.Random(seed)
    world = World()
    fired: list[str] = []
    timers: Timers[str] = Timers(world, lambda key, now: fired.append(key), world)
    model: dict[str, tuple[float, int]] = {}
    expected: list[str] = []
    for step in range(3000):
        key = str(chance.randrange(40))
        match chance.randrange(4):
            case 0 | 1:
                at = float(int(world.time) + chance.randrange(1, 60))
                timers.arm(key, at)
                model[key] = (at, step)
            case 2:
                timers.disarm(key)
                model.pop(key, None)
            case 3:
                until = float(int(world.time) + chance.randrange(3)) + 0.5
                world.go(until)
                due = sorted((when, order, key) for key, (when, order) in model.items() if when <= until)
                expected += [key for _, _, key in due]
                for _, _, key in due:
                    del model[key]
    assert fired == expected
    assert len(timers) == len(model)
    assert len(expected) > 100


def test_the_servers_clock_goes_forward() -> None:
    clock = MonotonicClock()
    assert clock.now() <= clock.now()
