"""What is heard of a call is told in the order in which it happened, however late the event loop is."""

from __future__ import annotations

import asyncio
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from ringback.call import events
from ringback.call import leg_effects as legs
from ringback.shell import sound
from ringback.shell.exchange import Exchange
from ringback.shell.sound import Sound


class Scene:
    """Two calls with ports of a pump that tells what it is given, some of it only when asked again."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[Any, ...]]] = []
        self.told: list[tuple[Any, events.Event]] = []
        pump = SimpleNamespace(events=lambda: self.batches.pop(0) if self.batches else [])
        self.sound = Sound(pump, None, None, self.deliver, lambda call, note: None, str)  # type: ignore[arg-type]
        self.exchange = Exchange.__new__(Exchange)
        self.exchange.calls = SimpleNamespace(  # type: ignore[assignment]
            sound=self.sound,
            get={"one": "one", "two": "two"}.get,
            deliver=self.deliver,
            records=SimpleNamespace(talking=lambda call: None),
        )
        for port, name in enumerate(("one", "two"), 1):
            self.sound._calls[port] = name  # type: ignore[assignment]
        self.ends_at: tuple[Any, events.Event] | None = None

    def deliver(self, call: Any, event: events.Event) -> None:
        self.told.append((call, event))
        if (call, event) == self.ends_at:
            self.end("two")

    def end(self, name: str) -> None:
        leg: Any = SimpleNamespace(call_sid=name)
        self.exchange.happened(legs.Happened(leg, ENDED))


ENDED = events.LegEnded("bye", 200, "", {}, "1")


def test_a_digit_before_the_bye_is_told_before_it() -> None:
    scene = Scene()
    scene.batches = [[("digit", 1, "5", 100)]]
    scene.end("one")
    assert scene.told == [("one", events.Digit("5")), ("one", ENDED)]


def test_an_event_that_ends_another_call_does_not_overtake_what_that_call_heard() -> None:
    """The script of one call hangs the other up, while events of both were fetched and more came since."""
    scene = Scene()
    scene.ends_at = ("one", events.Digit("1"))
    scene.batches = [[("digit", 1, "1", 100), ("digit", 2, "2", 100)], [("digit", 2, "3", 100)]]
    scene.sound.drain()
    assert scene.told == [
        ("one", events.Digit("1")),
        ("two", events.Digit("2")),
        ("two", events.Digit("3")),
        ("two", ENDED),
    ]


async def test_many_events_leave_the_loop_turns_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = count()
    monkeypatch.setattr(sound, "monotonic", lambda: next(ticks) * sound.TURN / 4)
    scene = Scene()
    digits = [str(number) for number in range(10)]
    scene.batches = [[("digit", 1, digit, 100) for digit in digits[:8]], [("digit", 1, "8", 100)]]
    scene.sound.on_readable()
    assert 0 < len(scene.told) < 8
    scene.batches.append([("digit", 1, "9", 100)])
    for _ in range(8):
        scene.sound.on_readable()  # the descriptor is readable again
        await asyncio.sleep(0)
    assert scene.told == [("one", events.Digit(digit)) for digit in digits]


def test_the_end_of_a_leg_waits_for_all_that_was_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "TURN", 0.0)
    scene = Scene()
    scene.batches = [[("digit", 1, "1", 100), ("digit", 1, "2", 100)]]
    scene.end("one")
    assert scene.told == [("one", events.Digit("1")), ("one", events.Digit("2")), ("one", ENDED)]


def test_a_key_that_came_by_rtp_and_by_info_is_told_and_passed_on_once() -> None:
    scene, pressed = Scene(), []
    call: Any = SimpleNamespace(port=SimpleNamespace(id=1))
    scene.sound._calls[1] = call
    scene.sound._pump.press = lambda port, digit: pressed.append((port, digit))  # type: ignore[method-assign]
    scene.exchange.calls.get = {"one": call}.get  # type: ignore[assignment, method-assign]
    leg: Any = SimpleNamespace(call_sid="one")

    def info(digit: str) -> None:
        scene.exchange.happened(legs.Happened(leg, events.Digit(digit)))

    def rtp(digit: str) -> None:
        scene.batches = [[("digit", 1, digit, 100)]]
        scene.sound.drain()

    for digit in "44":  # a phone that uses INFO alone
        info(digit)
    assert pressed == [(1, "4"), (1, "4")]
    info("7")
    for digit in "78":  # and RTP as well: its first key was told
        rtp(digit)
        info(digit)
    rtp("8")
    assert [event for _, event in scene.told] == [events.Digit(digit) for digit in "44788"]
    assert pressed == [(1, "4"), (1, "4"), (1, "7")]
