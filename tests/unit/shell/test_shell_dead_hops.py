"""Which hops failed a moment ago."""

from __future__ import annotations

from ringback.shell.dead_hops import DEAD_FOR, HOPS_KEPT, LONGEST, DeadHops
from ringback.sip.effects import HopFailed
from ringback.sip.flow import Hop

A, B, C = (Hop("UDP", f"192.0.2.{n}", 5060) for n in (1, 2, 3))


class HandClock:
    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time


def test_dead_hops_come_last_and_in_their_order() -> None:
    clock = HandClock()
    dead = DeadHops(clock)
    dead.failed(HopFailed(A, "timeout", 0))
    dead.failed(HopFailed(B, "unreachable", 0))
    assert dead.ordered([A, B, C]) == [C, A, B]
    clock.time = DEAD_FOR
    assert dead.ordered([A, B, C]) == [A, B, C]
    assert len(dead) == 0


def test_rfc3261_21_5_4_a_503_without_retry_after_is_no_more_than_a_500() -> None:
    dead = DeadHops(HandClock())
    dead.failed(HopFailed(A, "unavailable", 0))
    assert not dead.is_dead(A) and len(dead) == 0


def test_retry_after_is_kept_up_to_a_limit() -> None:
    clock = HandClock()
    dead = DeadHops(clock)
    dead.failed(HopFailed(A, "unavailable", 120))
    dead.failed(HopFailed(B, "unavailable", 86_400))
    clock.time = 119.0
    assert dead.is_dead(A)
    clock.time = LONGEST - 1
    assert not dead.is_dead(A) and dead.is_dead(B)
    clock.time = LONGEST
    assert not dead.is_dead(B)


def test_another_port_or_transport_is_another_hop() -> None:
    dead = DeadHops(HandClock())
    dead.failed(HopFailed(A, "timeout", 0))
    assert not dead.is_dead(A.replace(port=5070)) and not dead.is_dead(A.replace(transport="TCP"))
    assert dead.is_dead(A.replace(server_name="carrier.example"))


def test_streams_of_phones_are_not_remembered() -> None:
    dead = DeadHops(HandClock())
    dead.failed(HopFailed(A.replace(connection=3), "unreachable", 0))
    assert len(dead) == 0


def test_the_memory_is_bounded() -> None:
    dead = DeadHops(HandClock())
    for port in range(HOPS_KEPT + 10):
        dead.failed(HopFailed(Hop("UDP", "192.0.2.1", port), "timeout", 0))
    assert len(dead) == HOPS_KEPT
    assert not dead.is_dead(Hop("UDP", "192.0.2.1", 0))
