"""SIPS means TLS: what is refused that comes otherwise, and what is never sent otherwise (RFC 3261 section 26.2.2, RFC 5630)."""

from __future__ import annotations

import pytest
from unit.sip.virtual_network import Network, Node, alice, line, make_request, network

from ringback.sip.effects import Ended, Failed, Incoming
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import Request

__all__ = ["alice", "network"]

SIPS = "sips:bob@192.0.2.2"
UDP, TCP, TLS = (Hop(transport, "192.0.2.200", 5061) for transport in ("UDP", "TCP", "TLS"))


@pytest.fixture
def bob(network: Network) -> Node:
    node = network.node("bob", "192.0.2.2", methods=("INVITE", "OPTIONS", "REGISTER"))
    node.on[Incoming] = lambda effect: None
    return node


class Nobody:
    name = "nobody"
    address = ("192.0.2.200", 5061)


NOBODY: Node = Nobody()  # type: ignore[assignment]


def flow_over(transport: str, node: Node) -> Flow:
    return Flow(transport, node.address, ("192.0.2.99", 5060), 0 if transport == "UDP" else 7)


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "REGISTER"])
def test_rfc5630_5_1_2_a_sips_uri_without_tls_gets_480(bob: Node, method: str, transport: str) -> None:
    request = make_request(method, uri=SIPS, transport=transport)
    (refused,) = bob.feed(request, flow_over(transport, bob))
    assert line(refused) == f"480 {method}"
    assert refused.get("Warning") == '380 ringback "SIPS Not Allowed"'
    assert bob.count(Incoming) == 0


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_rfc3261_26_2_2_a_dialog_that_would_lead_back_by_sips_needs_tls(bob: Node, transport: str) -> None:
    request = make_request("INVITE", transport=transport, headers=[("Contact", "<sips:eve@192.0.2.99>")])
    (refused,) = bob.feed(request, flow_over(transport, bob))
    assert (line(refused), refused.get("Warning")) == ("480 INVITE", '380 ringback "SIPS Not Allowed"')


def test_rfc3261_26_2_2_over_tls_sips_comes_in(bob: Node) -> None:
    request = make_request(
        "INVITE", uri=SIPS, transport="TLS", headers=[("Contact", "<sips:eve@192.0.2.99>")]
    )
    assert bob.feed(request, flow_over("TLS", bob)) == []
    assert bob.count(Incoming) == 1


def test_rfc3261_26_2_2_a_call_to_sips_goes_by_tls_alone(alice: Node) -> None:
    alice.call(NOBODY, uri="sips:nobody@192.0.2.200", hops=[UDP, TLS, TCP])
    assert [hop.transport for hop in alice.hops] == ["TLS"]
    invite = alice.sent[0]
    assert isinstance(invite, Request)
    assert invite.raw_uri == "sips:nobody@192.0.2.200"


def test_rfc3261_8_1_1_8_who_calls_sips_names_a_sips_contact(alice: Node) -> None:
    contact = "<sip:alice@192.0.2.1:5061;transport=tls>"
    alice.call(NOBODY, uri="sips:nobody@192.0.2.200", hops=[TLS], contact=contact)
    assert alice.sent[0].get("Contact") == "<sips:alice@192.0.2.1:5061>"


def test_rfc3261_26_2_2_where_there_is_no_tls_sips_is_not_reached(network: Network, alice: Node) -> None:
    alice.call(NOBODY, uri="sips:nobody@192.0.2.200", hops=[UDP, TCP])
    assert alice.sent == []
    assert [each.cause for each in alice.all(Ended)] == ["unreachable"]
    asked = alice.agent.request(
        method="OPTIONS", uri="sips:nobody@192.0.2.200", hops=[UDP], from_="<sip:a@192.0.2.1>",
        to="<sip:n@192.0.2.200>", now=network.now, sent_by="192.0.2.1:5060", owner="me",
    )  # fmt: skip
    assert asked == [Failed("me", "unreachable")]


def test_a_callee_that_names_sips_without_tls_is_not_lost(network: Network, alice: Node) -> None:
    session = alice.call(NOBODY, hops=[UDP])
    invite = alice.sent[0]
    assert isinstance(invite, Request)
    alice.feed(invite.reply(200, to_tag="t", headers=[("Contact", "<sips:nobody@192.0.2.200>")]))
    alice.run(session.hangup(network.now))
    assert [line(each) for each in alice.sent] == ["INVITE", "ACK", "BYE"]
