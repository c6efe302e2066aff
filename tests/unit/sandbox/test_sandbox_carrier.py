"""How the sandbox carrier leaves its calls, whatever happens in them."""

from __future__ import annotations

import asyncio
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from ringback.call.events import LegAnswered, LegEnded
from ringback.media.clips import ClipError
from ringback.media.errors import PortsExhausted
from ringback.sandbox import carrier as carriers
from ringback.sandbox.carrier import SandboxCarrier
from ringback.sandbox.endpoint import EndpointCall
from ringback.shell.tasks import Tasks
from ringback.sip.flow import Flow
from ringback.sip.uri import Uri

ENDED = LegEnded("bye", 200, "OK", {}, "1")


class Leg:
    """A leg that does nothing but to remember what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *_: [name]


class Library:
    """A server without speech."""

    async def clip(self, source: Any) -> Any:
        raise ClipError(12400, "no speech on this server")


class Pump:
    """Plays everything at once."""

    def __init__(self) -> None:
        self.played: list[bytes] = []
        self.call: EndpointCall | None = None

    def play(self, port: int, play_id: int, mulaw: bytes, loops: int) -> None:
        self.played.append(mulaw)
        if self.call is not None and loops:
            self.call.on_pump(("played", port, play_id, "done"))


def carrier_and_call() -> tuple[SandboxCarrier, EndpointCall, list[str]]:
    pump, told = Pump(), []
    endpoint: Any = SimpleNamespace(pump=pump, ids=count(1), carry_out=told.extend, tasks=Tasks("test"))
    leg: Any = Leg()
    call = EndpointCall(endpoint, leg, SimpleNamespace(id=1))  # type: ignore[arg-type]
    pump.call = call
    endpoint.call = lambda *_, **__: call
    carrier = SandboxCarrier.__new__(SandboxCarrier)
    carrier.endpoint = endpoint
    carrier._library = Library()  # type: ignore[assignment]
    carrier._exchange = ("127.0.0.1", 5060)
    return carrier, call, told


async def test_nothing_waits_for_digits_of_a_call_that_is_over() -> None:
    carrier, call, _ = carrier_and_call()
    before = asyncio.all_tasks()
    asking = asyncio.create_task(carrier._behave(carrier._ask, call))
    while not call.digits._getters:  # type: ignore[attr-defined]
        await asyncio.sleep(0)
    call.on_event(ENDED)
    await asking
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_a_call_whose_behaviour_fails_is_hung_up() -> None:
    carrier, call, told = carrier_and_call()

    async def fail(of: EndpointCall) -> None:
        raise OSError("no port")

    with pytest.raises(OSError, match="no port"):
        await carrier._behave(fail, call)
    assert told == ["hang_up"]


async def test_a_call_from_outside_that_was_answered_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carriers, "TALKS_FOR", 0.0)
    carrier, call, told = carrier_and_call()
    assert carrier.call("+16505550101") is call
    call.on_event(LegAnswered("1", {}))
    await carrier.endpoint.tasks.drain(5)
    assert told == ["hang_up"]
    assert carrier.endpoint.pump.played  # type: ignore[attr-defined]


async def test_a_call_for_which_there_is_no_port_is_refused() -> None:
    carrier, _, _ = carrier_and_call()
    turned_away: list[int] = []

    def take(*_: Any) -> EndpointCall:
        raise PortsExhausted("all taken")

    carrier.endpoint.take = take  # type: ignore[method-assign]
    carrier.endpoint.turn_away = lambda request, flow, status: turned_away.append(status)  # type: ignore[method-assign]
    carrier.numbers = {"+15005550001": carrier._echo}
    request: Any = SimpleNamespace(uri=Uri.parse("sip:+15005550001@127.0.0.1"))
    carrier._on_invite(request, Flow("UDP", ("127.0.0.1", 5070), ("127.0.0.1", 5060)))
    assert turned_away == [503]


async def test_a_call_that_needs_another_port_and_gets_none_is_hung_up() -> None:
    carrier, call, told = carrier_and_call()

    async def fail(of: EndpointCall) -> None:
        raise PortsExhausted("all taken")

    await carrier._behave(fail, call)
    assert told == ["hang_up"]
