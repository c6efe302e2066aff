"""What a peer may send at once, and in the long run."""

from __future__ import annotations

from ringback.rtp.allowance import Allowance


def test_so_many_at_once_and_then_so_many_a_second() -> None:
    allowance = Allowance(10, 5)
    assert [allowance.take(1, 100.0) for _ in range(11)] == [True] * 10 + [False]
    assert [allowance.take(1, 100.4) for _ in range(3)] == [True, True, False]
    assert allowance.take(10, 200.0)
    assert not allowance.take(1, 200.1)


def test_what_finds_no_room_takes_none() -> None:
    allowance = Allowance(10, 5)
    assert not allowance.take(11, 100.0)
    assert allowance.take(10, 100.0)
