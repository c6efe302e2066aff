"""The order of a carrier's targets (sip.md sections 6 and 7)."""

from __future__ import annotations

from typing import Any

from unit.call.fake_directory import target_row

from ringback.call.failover import in_turn, may_fail_over


def names(rows: list[Any]) -> list[str]:
    return [row["target"] for row in rows]


def test_lower_priorities_come_first() -> None:
    rows = [target_row("c", priority=30), target_row("a", priority=1), target_row("b", priority=2)]
    assert names(in_turn(rows, lambda: 0.0)) == ["a", "b", "c"]


def test_targets_of_one_priority_are_drawn_by_weight() -> None:
    rows = [target_row("light", weight=1), target_row("heavy", weight=9)]
    assert names(in_turn(rows, lambda: 0.05)) == ["light", "heavy"]
    assert names(in_turn(rows, lambda: 0.15)) == ["heavy", "light"]


def test_a_weight_of_zero_is_drawn_last_but_never_lost() -> None:
    rows = [target_row("zero", weight=0), target_row("one", weight=1)]
    assert names(in_turn(rows, lambda: 0.0)) == ["one", "zero"]
    assert sorted(names(in_turn([target_row("a", weight=0), target_row("b", weight=0)], lambda: 0.5))) == [
        "a",
        "b",
    ]


def test_only_failures_of_the_way_fail_over() -> None:
    assert may_fail_over("timeout", 408)
    assert may_fail_over("unreachable", 503)
    assert may_fail_over("rejected", 503)
    assert may_fail_over("rejected", 403)
    for status in (400, 404, 405, 410, 416, 482, 484, 486, 600, 603):
        assert not may_fail_over("rejected", status)
    assert not may_fail_over("cancelled", 487)
    assert not may_fail_over("local", 200)
