"""Which HTTP connections are too slow."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ringback.app.http_connections import REQUEST_WITHIN, TAKEN_WITHIN, Slow


class Cycle:
    """A request, whole and not answered yet."""

    more_body = response_complete = False


class Connection:
    """uvicorn's, as far as it is looked at: with a request."""

    def __init__(self) -> None:
        self.cycle: Any = Cycle()
        self.flow = SimpleNamespace(write_paused=False)
        self.transport = SimpleNamespace(is_closing=lambda: self.is_closing)
        self.is_closing = False
        self.timeout_keep_alive_task: object | None = None
        self.taken = 0


def says_nothing(connection: Connection) -> None:
    connection.cycle = None


def owes_the_body(connection: Connection) -> None:
    connection.cycle.more_body = True


def owes_the_next_head(connection: Connection) -> None:
    connection.cycle.response_complete = True


def takes_nothing(connection: Connection) -> None:
    connection.flow.write_paused = True


def takes_nothing_before_the_end(connection: Connection) -> None:
    connection.cycle.response_complete = connection.is_closing = True
    connection.timeout_keep_alive_task = object()


@pytest.mark.parametrize(
    ("begin", "within"),
    [
        (says_nothing, REQUEST_WITHIN),
        (owes_the_body, REQUEST_WITHIN),
        (owes_the_next_head, REQUEST_WITHIN),
        (takes_nothing, TAKEN_WITHIN),
        (takes_nothing_before_the_end, TAKEN_WITHIN),
    ],
)
def test_who_owes_the_same_for_too_long(begin: Any, within: float) -> None:
    slow, slack = Slow(), Connection()
    begin(slack)
    assert slow.among([slack], 100.0) == []
    assert slow.among([slack], 100.0 + within - 0.1) == []
    assert slow.among([slack], 100.0 + within) == [slack]


def test_who_is_served_or_idle_owes_nothing() -> None:
    slow, served, idle = Slow(), Connection(), Connection()
    idle.cycle.response_complete, idle.timeout_keep_alive_task = True, object()
    for now in range(0, 100, 5):
        assert slow.among([served, idle], float(now)) == []


def test_who_takes_some_of_an_answer_may_go_on_taking() -> None:
    slow, reader = Slow(), Connection()
    takes_nothing(reader)
    for now in range(0, 100, 5):
        reader.taken = now // 10
        assert slow.among([reader], float(now)) == []
    assert slow.among([reader], 90.0 + TAKEN_WITHIN) == [reader]


def test_another_request_has_its_own_time() -> None:
    slow, asking = Slow(), Connection()
    owes_the_body(asking)
    assert slow.among([asking], 0.0) == []
    asking.cycle = Cycle()
    owes_the_body(asking)
    assert slow.among([asking], REQUEST_WITHIN) == []
    assert slow.among([asking], 2 * REQUEST_WITHIN) == [asking]
