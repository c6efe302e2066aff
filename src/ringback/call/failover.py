"""Which of a carrier's targets is tried when (sip.md section 6, "Origination"; section 7, ConnectionPolicyTarget).

Lowest priority first; those of one priority in an order drawn by weight (RFC 2782). The next is tried when
one cannot be reached, does not answer, or refuses for a reason of its own; not when it spoke for the callee.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from ringback.call.directory import Row

FINAL = frozenset({400, 404, 405, 410, 416, 482, 484, 486})
"""Statuses that no other target would better (Twilio: no failover on these, nor on 6xx)."""


def may_fail_over(cause: str, status: int) -> bool:
    """Whether the next target is to be tried after this end of an attempt."""
    if cause in ("timeout", "unreachable"):
        return True
    return cause == "rejected" and status not in FINAL and status < 600


def is_nobody_there(cause: str, status: int) -> bool:
    """Whether the next address of the same target is to be tried after this end (RFC 3263 section 4.3)."""
    return cause in ("timeout", "unreachable") or (cause == "rejected" and status in (430, 503))


def in_turn(targets: Iterable[Row], chance: Callable[[], float]) -> list[Row]:
    """The targets in the order of trying; ``chance`` gives numbers of [0, 1)."""
    ordered: list[Row] = []
    for _, group in groupby(sorted(targets, key=_priority), key=_priority):
        ordered += _drawn(list(group), chance)
    return ordered


def _priority(row: Row) -> int:
    return int(row["priority"])


def _drawn(rows: Sequence[Row], chance: Callable[[], float]) -> list[Row]:
    left, drawn = list(rows), []
    while left:
        mark = chance() * sum(row["weight"] for row in left)
        for index, row in enumerate(left):
            mark -= row["weight"]
            if mark < 0 or index == len(left) - 1:
                drawn.append(left.pop(index))
                break
    return drawn
