"""Who is put off while the server is late, and who may register what: one stateless answer each."""

from __future__ import annotations

from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
from unit.call.fake_directory import DOMAIN, REALM, FakeDirectory
from unit.sip.virtual_network import make_request

from ringback.shell.front_desk import FrontDesk
from ringback.shell.guard import Guard
from ringback.sip.agent import UserAgent
from ringback.sip.authenticator import Authenticator
from ringback.sip.digest import Challenge, answer
from ringback.sip.effects import Effect, Send
from ringback.sip.flow import Flow
from ringback.sip.message import Request, Response, parse
from ringback.sip.registrar import Registrar

FLOW = Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.99", 5060))
CONTACT = ("Contact", "<sip:alice@192.0.2.99>")


class Desk:
    """A front desk and what it answers."""

    def __init__(self) -> None:
        self.guard = Guard()
        self.registrar = Registrar()
        self.sent: list[Response] = []
        tables: Any = SimpleNamespace(record=lambda change, **more: True)
        store: Any = SimpleNamespace(configuration=FakeDirectory(), registrations=tables)
        self.desk = FrontDesk(
            store=store,
            agent=UserAgent(lambda: "token"),
            registrar=self.registrar,
            authenticator=Authenticator(bytes(16), REALM),
            calls=SimpleNamespace(),  # type: ignore[arg-type]
            carry_out=self._carry_out,
            mask=str,
            guard=self.guard,
        )

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                message = parse(effect.data)
                assert isinstance(message, Response)
                self.sent.append(message)

    def asks(self, request: Request) -> Response:
        """The one answer."""
        self.sent.clear()
        self.desk.on_request(request, FLOW)
        (found,) = self.sent
        return found

    def registers(self, user: str, login: str = "") -> Request:
        """A REGISTER of a user, with the password of another where that is named."""
        headers = [CONTACT]
        if login:
            challenge = self.asks(self.registers(user)).get("Proxy-Authenticate") or ""
            digest = answer(
                Challenge.parse(challenge),
                method="REGISTER",
                uri=f"sip:{DOMAIN}",
                username=login,
                password="Correct-horse-1",
                cnonce="c",
            )
            headers.append(("Proxy-Authorization", digest))
        request = make_request("REGISTER", uri=f"sip:{DOMAIN}", headers=headers)
        request.set("To", f"<sip:{user}@{DOMAIN}>")
        return request


@pytest.fixture
def desk() -> Desk:
    return Desk()


def late(desk: Desk) -> None:
    while not desk.guard.is_overloaded:
        desk.guard.late(1.0)


def test_a_late_server_puts_new_calls_off_and_says_until_when(desk: Desk) -> None:
    invite = make_request("INVITE", uri=f"sip:bob@{DOMAIN}", body=b"v=0")
    assert desk.asks(invite).status == 407
    late(desk)
    refused = desk.asks(invite)
    assert (refused.status, refused.get("Retry-After")) == (503, "10")
    desk.guard.vouch(FLOW.remote, monotonic())
    assert desk.asks(invite).status == 503, "those of carriers, too"
    assert desk.guard.counters.put_off == 2


def test_a_late_server_puts_strangers_registrations_off_and_no_phones(desk: Desk) -> None:
    again = desk.registers("alice", login="alice")
    late(desk)
    refused = desk.asks(again)
    assert (refused.status, refused.get("Retry-After"), desk.registrar.count) == (503, "10", 0)
    desk.guard.vouch(FLOW.remote, monotonic())
    assert (desk.asks(again).status, desk.registrar.count) == (200, 1)


def test_a_server_that_stops_takes_no_call_and_says_until_when(desk: Desk) -> None:
    desk.desk.draining = True
    refused = desk.asks(make_request("INVITE", uri=f"sip:bob@{DOMAIN}", body=b"v=0"))
    assert (refused.status, refused.get("Retry-After")) == (503, "10")


def test_a_user_registers_nobody_else(desk: Desk) -> None:
    refused = desk.asks(desk.registers("bob", login="alice"))
    assert (refused.status, (refused.get("X-Twilio-Error") or "")[:5]) == (403, "32202")
    assert (desk.registrar.count, desk.guard.is_vouched(FLOW.remote, monotonic())) == (0, False)
