"""How far commits are spread, by who waits for them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ringback.store.pace import Pace


def waits(asked_at: list[float]) -> list[float]:
    """How long each waits for the begin of its commit, and all that wait then share it."""
    pace, free_at, found = Pace(), 0.0, []
    left = list(asked_at)
    while left:
        begins = max(left[0], free_at)
        served = [at for at in left if at <= begins]
        found += [begins - at for at in served]
        left = left[len(served) :]
        free_at = pace.next_after(begins, len(served))
    return found


@pytest.mark.parametrize("rate", [1, 5, 20])
def test_where_few_wait_each_has_a_commit_at_once(rate: int) -> None:
    assert max(waits([number / rate for number in range(20 * rate)])) == 0.0


@pytest.mark.parametrize("rate", [60, 100, 200, 1_000])
def test_where_many_wait_commits_begin_40_ms_apart(rate: int) -> None:
    pace, begun = Pace(), []
    at = 0.0
    for _ in range(100):
        begun.append(at)
        at = pace.next_after(at, max(1, round(rate * 0.04)))
    apart = [later - earlier for earlier, later in pairwise(begun[50:])]
    assert min(apart) == pytest.approx(0.04, abs=0.001)


def test_after_a_storm_the_next_one_waits_for_nobody() -> None:
    pace = Pace()
    at = 0.0
    for _ in range(100):
        at = pace.next_after(at, 20)
    assert pace.next_after(at + 5.0, 1) == at + 5.0


def test_one_caller_after_the_other_waits_less_the_fewer_there_were() -> None:
    """Each is asked for 5 ms after the one before was served."""
    pace, free_at, at, found = Pace(), 0.0, 0.0, []
    for _ in range(200):
        begins = max(at, free_at)
        found.append(begins - at)
        free_at = pace.next_after(begins, 1)
        at = begins + 0.005
    assert max(found[:20]) == 0.0
    assert max(found) < 0.03
