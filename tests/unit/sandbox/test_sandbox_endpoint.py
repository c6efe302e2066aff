"""Calls of an endpoint that end before what is to be done in them, or right after what happened in them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ringback.call.events import LegEnded
from ringback.sandbox.endpoint import CallEnded, Endpoint, EndpointCall


def new_call() -> tuple[Endpoint, EndpointCall, list[int]]:
    closed: list[int] = []

    def refuse(*given: Any, **more: Any) -> None:
        raise AssertionError("the port is closed")

    endpoint = Endpoint.__new__(Endpoint)
    endpoint.pump = SimpleNamespace(  # type: ignore[assignment]
        open=lambda host: SimpleNamespace(id=2, host=host, port=4002),
        configure=lambda port_id, **how: None,
        connect=refuse,
        play=refuse,
        close_port=closed.append,
    )
    endpoint.ids = iter(range(1, 9))  # type: ignore[assignment]
    leg: Any = SimpleNamespace(call_sid="phone-1")
    call = EndpointCall(endpoint, leg, SimpleNamespace(id=1))  # type: ignore[arg-type]
    endpoint._calls, endpoint._by_port, endpoint._taps = {leg.call_sid: call}, {call.port.id: call}, {}
    return endpoint, call, closed


def ended_call() -> tuple[Endpoint, EndpointCall, list[int]]:
    endpoint, call, closed = new_call()
    call.on_event(LegEnded("cancelled", 487, "Request Terminated", {}, "1"))
    return endpoint, call, closed


async def test_the_mirror_of_a_call_that_is_over_is_closed() -> None:
    endpoint, call, closed = ended_call()
    with pytest.raises(CallEnded), endpoint.echo(call):
        pass
    assert closed == [2]


async def test_nothing_is_played_to_a_call_that_is_over() -> None:
    _, call, _ = ended_call()
    with pytest.raises(CallEnded, match="487"):
        await call.play(b"\xff" * 160)


async def test_a_digit_that_was_heard_before_the_bye_is_told_before_the_end() -> None:
    """A busy loop finds both at once, in any order."""
    endpoint, call, closed = new_call()
    waiting = [("digit", call.port.id, "2", 100)]
    endpoint.pump.events = lambda: [waiting.pop()] if waiting else []  # type: ignore[method-assign]
    endpoint.happened(SimpleNamespace(leg=call.leg, event=LegEnded("bye", 200, "", {}, "1")))  # type: ignore[arg-type]
    assert await call.unless_ended(call.digits.get()) == "2"
    assert closed == [call.port.id]
