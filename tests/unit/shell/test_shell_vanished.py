"""Calls whose far ends are gone without a word."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ringback.shell.vanished import VANISHED_AFTER, Vanished


class Signs:
    """What the pump and SIP show of each call."""

    def __init__(self) -> None:
        self.packets: dict[str, int] = {}
        self.reports: dict[str, Any] = {}
        self.vanished = Vanished(self.stats)  # type: ignore[arg-type]

    def stats(self, call: Any) -> Any:
        return SimpleNamespace(packets_in=self.packets.get(call.sid, 0), remote=self.reports.get(call.sid))

    def look(self, now: float, *calls: Any) -> list[str]:
        return [call.sid for call in self.vanished.look(calls, now)]


def call_of(sid: str = "CA1", *, interval: int = 0, is_silent: bool = True) -> Any:
    session = SimpleNamespace(timer=SimpleNamespace(interval=interval), dialog=SimpleNamespace(remote_seq=1))
    return SimpleNamespace(sid=sid, is_silent=is_silent, bridged=None, leg=SimpleNamespace(session=session))


def test_a_call_of_which_nothing_is_seen_is_over_after_five_minutes() -> None:
    signs, call = Signs(), call_of()
    assert signs.look(0.0, call) == []
    assert signs.look(VANISHED_AFTER - 1, call) == []
    assert signs.look(VANISHED_AFTER, call) == ["CA1"]


def test_sound_reports_and_requests_are_signs_of_life() -> None:
    signs, call = Signs(), call_of()
    signs.look(0.0, call)
    signs.packets["CA1"] = 1
    assert signs.look(200.0, call) == []
    signs.reports["CA1"] = (0.0, 0, 0.001)
    assert signs.look(400.0, call) == []
    call.leg.session.dialog.remote_seq = 2
    assert signs.look(600.0, call) == []
    assert signs.look(600.0 + VANISHED_AFTER - 1, call) == []
    assert signs.look(600.0 + VANISHED_AFTER, call) == ["CA1"]


def test_who_is_heard_or_on_hold_is_there() -> None:
    signs, call = Signs(), call_of(is_silent=False)
    signs.look(0.0, call)
    assert signs.look(10 * VANISHED_AFTER, call) == []
    call.is_silent = True
    assert signs.look(20 * VANISHED_AFTER, call) == []
    call.is_silent = False
    signs.look(20 * VANISHED_AFTER + 1, call)
    call.is_silent = True
    assert signs.look(30 * VANISHED_AFTER, call) == []


def test_where_a_session_timer_runs_sip_watches() -> None:
    signs, call = Signs(), call_of(interval=1_800)
    signs.look(0.0, call)
    assert signs.look(VANISHED_AFTER, call) == []


def test_a_bridge_ends_when_both_are_gone() -> None:
    signs, one, other = Signs(), call_of("CA1"), call_of("CA2", is_silent=False)
    one.bridged, other.bridged = other, one
    signs.look(0.0, one, other)
    assert signs.look(VANISHED_AFTER, one, other) == []
    other.is_silent = True
    assert signs.look(VANISHED_AFTER + 30, one, other) == []
    assert signs.look(2 * VANISHED_AFTER + 30, one, other) == ["CA1", "CA2"]


def test_calls_that_are_over_are_forgotten() -> None:
    signs, call = Signs(), call_of()
    signs.look(0.0, call)
    signs.look(1.0)
    assert signs.vanished._signs == {}
    assert signs.look(VANISHED_AFTER, call) == []
