"""What is left of a leg that is over: no ring of objects, so that it goes at once."""

from __future__ import annotations

import pytest
from unit.call.leg_network import Exchange, Phone
from unit.call.test_call_transfer import talking
from unit.sip.leftovers import alive, forget, no_collector
from unit.sip.virtual_network import Network

from ringback.call.incoming_leg import IncomingLeg
from ringback.call.leg_effects import Transfer
from ringback.call.outgoing_leg import OutgoingLeg
from ringback.sip import effects as sip
from ringback.sip.authorization import Login
from ringback.sip.message import Request, Response
from ringback.sip.session import InviteSession

__all__ = ["no_collector"]

KINDS = (InviteSession, Request, Response, IncomingLeg, OutgoingLeg)
CHALLENGE = ("WWW-Authenticate", 'Digest realm="x", nonce="y"')


def scene() -> tuple[Exchange, Phone, Phone]:
    network = Network()
    return Exchange(network), Phone(network, "alice", 7), Phone(network, "bob", 8)


def leave(exchange: Exchange, *phones: Phone) -> list[int]:
    """Let all come to its end; what lives then, though the tests have let go of it."""
    exchange.finish()
    forget(exchange.node)
    for phone in phones:
        forget(phone.node)
        phone.session = None
    return alive(*KINDS)


def test_a_call_that_is_cancelled_goes() -> None:
    before = alive(*KINDS)
    exchange, alice, _ = scene()
    leg = exchange.receiving()
    session = alice.call()
    exchange.network.run(1)
    exchange.do(leg.ring, True)
    alice.do(session.hangup)
    del leg, session
    assert leave(exchange, alice) == before


@pytest.mark.parametrize("body", [None, b"v=0\r\nthis is none"])
def test_a_call_that_is_refused_goes(body: bytes | None) -> None:
    before = alive(*KINDS)
    exchange, alice, _ = scene()
    leg = exchange.receiving()
    alice.call(body)
    exchange.network.run(1)
    exchange.do(leg.refuse, 486, "")
    del leg
    assert leave(exchange, alice) == before


@pytest.mark.parametrize(
    ("status", "header"),
    [
        (302, ("Contact", "<sip:carol@192.0.2.9>")),
        (401, CHALLENGE),
        (486, ("X-Why", "not now")),
        (603, ("X-Why", "never")),
    ],
)
def test_a_leg_that_is_refused_goes(status: int, header: tuple[str, str]) -> None:
    before = alive(*KINDS)
    exchange, alice, bob = scene()
    alice.rejecting(status, headers=[header])
    bob.rejecting(status, headers=[header])
    leg = exchange.leg()
    branches = [alice.branch(login=Login("alice", "secret")), bob.branch(turn=1)]
    exchange.node.run(leg.place(branches, exchange.network.now))
    del leg, branches
    assert leave(exchange, alice, bob) == before


def test_a_leg_with_a_branch_that_lost_goes() -> None:
    before = alive(*KINDS)
    exchange, alice, bob = scene()
    alice.answering()
    bob.ringing()
    leg = exchange.leg()
    exchange.do(leg.place, [alice.branch(), bob.branch()])
    exchange.do(leg.hang_up)
    del leg
    assert leave(exchange, alice, bob) == before


@pytest.mark.parametrize("is_there", [True, False])
def test_a_leg_that_nobody_answers_goes(is_there: bool) -> None:
    before = alive(*KINDS)
    exchange, alice, bob = scene()
    for phone in (alice, bob):
        phone.ringing()
        if not is_there:
            del exchange.network.nodes[phone.node.address]
    leg = exchange.leg()
    exchange.do(leg.place, [alice.branch(), bob.branch()])
    if is_there:
        exchange.do(leg.hang_up)
    del leg
    assert leave(exchange, alice, bob) == before


def test_a_transfer_that_goes_on_after_the_call_goes() -> None:
    before = alive(*KINDS)
    exchange, alice, leg = talking()
    assert alice.session is not None
    alice.node.run(alice.session.refer("<sip:carol@192.0.2.9>", exchange.network.now)[1])
    exchange.network.run(1)
    number = exchange.node.all(Transfer)[0].number
    exchange.do(leg.transfers.answer, number, 202)
    exchange.do(leg.hang_up)
    exchange.do(leg.transfers.notify, number, 200)
    assert [each.method for each in exchange.node.sent if isinstance(each, Request)][-1] == "NOTIFY"
    del leg
    assert leave(exchange, alice) == before


def test_a_transfer_that_was_asked_for_goes() -> None:
    before = alive(*KINDS)
    exchange, alice, leg = talking()
    alice.node.on[sip.Referred] = lambda effect: effect.session.accept_referral(
        effect.referral, exchange.network.now
    )
    exchange.do(leg.transfers.refer, "token", "sip:carol@192.0.2.9")
    exchange.do(leg.hang_up)
    del leg
    assert leave(exchange, alice) == before
