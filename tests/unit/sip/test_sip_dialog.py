"""Dialogs: route sets, targets, records."""

from __future__ import annotations

import json

import pytest
from unit.sip.virtual_network import Network, Node, make_request

from ringback.sip.dialog import Dialog, contact_and_sent_by
from ringback.sip.effects import Effect
from ringback.sip.errors import PeerError
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import Request
from ringback.sip.routing import literal_hop, response_hop
from ringback.sip.session import InviteSession
from ringback.sip.timers import ROUTES_MAX
from ringback.sip.uri import Uri


def invited(*record_routes: str) -> Dialog:
    headers = [("Record-Route", route) for route in record_routes]
    return Dialog.of_request(make_request("INVITE", headers=headers), "ours")


def bye_of(dialog: Dialog) -> Request:
    return dialog.request("BYE", dialog.next_seq(), "SIP/2.0/UDP here;branch=z9hG4bK1", 70, (), b"")


def test_rfc3261_12_1_1_a_callee_keeps_the_record_routes_in_order() -> None:
    bye = bye_of(invited("<sip:p1.example;lr>, <sip:p2.example;lr>", "<sip:p3.example;lr>"))
    assert bye.all("Route") == ["<sip:p1.example;lr>", "<sip:p2.example;lr>", "<sip:p3.example;lr>"]
    assert bye.raw_uri == "sip:eve@192.0.2.99"
    assert bye.get("From") == "<sip:bob@192.0.2.2>;tag=ours"
    assert bye.get("To") == "<sip:eve@192.0.2.99>;tag=far"
    assert str(bye.cseq) == "1 BYE"


def test_rfc3261_12_1_2_a_caller_reverses_the_record_routes() -> None:
    dialog = Dialog("id", "<sip:a@x>;tag=1", "1", "<sip:b@y>", Uri.parse("sip:b@y"))
    routes = [("Record-Route", "<sip:p2.example;lr>"), ("Record-Route", "<sip:p1.example;lr>")]
    answer = make_request("INVITE").reply(
        200, to_tag="2", headers=[("Contact", "<sip:b@192.0.2.7:5080>"), *routes]
    )
    dialog.establish(answer)
    bye = bye_of(dialog)
    assert bye.all("Route") == ["<sip:p1.example;lr>", "<sip:p2.example;lr>"]
    assert bye.raw_uri == "sip:b@192.0.2.7:5080"
    assert (dialog.remote_tag, bye.to.tag) == ("2", "2")


def test_rfc3261_12_2_1_1_a_strict_router_gets_itself_in_the_request_uri() -> None:
    bye = bye_of(invited("<sip:strict.example;x=1;method=BYE?h=v>", "<sip:p2.example;lr>"))
    assert bye.raw_uri == "sip:strict.example;x=1"
    assert bye.all("Route") == ["<sip:p2.example;lr>", "<sip:eve@192.0.2.99>"]


def test_rfc3261_12_2_1_2_a_target_refresh_changes_the_target_and_no_route() -> None:
    dialog = invited("<sip:p1.example;lr>")
    dialog.retarget(make_request("INVITE", headers=[("Contact", "<sip:new@192.0.2.98>")]))
    bye = bye_of(dialog)
    assert bye.raw_uri == "sip:new@192.0.2.98"
    assert bye.all("Route") == ["<sip:p1.example;lr>"]


def test_too_long_a_route_set_is_refused() -> None:
    with pytest.raises(PeerError):
        invited(*["<sip:p.example;lr>"] * (ROUTES_MAX + 1))


def test_an_invite_without_a_contact_is_answered_to_its_from() -> None:
    request = make_request("INVITE")
    request.remove("Contact")
    assert bye_of(Dialog.of_request(request, "ours")).raw_uri == "sip:eve@192.0.2.99"
    request.set("From", "<tel:+14155550100>;tag=1")
    with pytest.raises(PeerError):
        Dialog.of_request(request, "ours")


@pytest.mark.parametrize("routes", [(), ("<sip:p1.example;lr>",), ("<sip:strict.example>", "<sip:p2;lr>")])
def test_a_record_gives_the_same_dialog_back(routes: tuple[str, ...]) -> None:
    dialog = invited(*routes)
    dialog.next_seq()
    again = Dialog.restore(json.loads(json.dumps(dialog.record())))
    assert bye_of(again).render() == bye_of(dialog).render()
    assert again.remote_seq == dialog.remote_seq == 1


@pytest.mark.parametrize(
    ("contact", "value", "sent_by"),
    [
        ("<sip:a@192.0.2.1:5070>", "<sip:a@192.0.2.1:5070>", "192.0.2.1:5070"),
        ("sip:a@192.0.2.1", "<sip:a@192.0.2.1>", "192.0.2.1"),
        (
            Uri.parse("sip:a@[2001:db8::1]:5062;transport=tcp"),
            "<sip:a@[2001:db8::1]:5062;transport=tcp>",
            "[2001:db8::1]:5062",
        ),
    ],
)
def test_contact_gives_our_sent_by(contact: str | Uri, value: str, sent_by: str) -> None:
    assert contact_and_sent_by(contact) == (value, sent_by)


# -- hops


UDP = Flow("UDP", ("192.0.2.2", 5060), ("198.51.100.7", 40000))
UDP6 = Flow("UDP", ("2001:db8::2", 5060), ("2001:db8::7", 40000))
TLS = Flow("TLS", ("192.0.2.2", 5061), ("198.51.100.7", 50000), 9)


@pytest.mark.parametrize(
    ("via", "flow", "hop"),
    [
        ("SIP/2.0/UDP 10.0.0.1:5070;branch=b", UDP, Hop("UDP", "198.51.100.7", 5070, local=UDP.local)),
        ("SIP/2.0/UDP 10.0.0.1;branch=b", UDP, Hop("UDP", "198.51.100.7", 5060, local=UDP.local)),
        ("SIP/2.0/UDP 10.0.0.1;rport;branch=b", UDP, Hop("UDP", "198.51.100.7", 40000, local=UDP.local)),
        (
            "SIP/2.0/UDP a.example;maddr=192.0.2.88;branch=b",
            UDP,
            Hop("UDP", "192.0.2.88", 5060, local=UDP.local),
        ),
        (
            "SIP/2.0/UDP [2001:db8::1];maddr=[2001:db8::88];branch=b",
            UDP6,
            Hop("UDP", "2001:db8::88", 5060, local=UDP6.local),
        ),
        ("SIP/2.0/TLS a.example:5062;branch=b", TLS, Hop("TLS", "198.51.100.7", 5062, 9)),
        ("SIP/2.0/TLS a.example;branch=b", TLS, Hop("TLS", "198.51.100.7", 5061, 9)),
    ],
)
def test_answers_go_back_by_the_via(via: str, flow: Flow, hop: Hop) -> None:
    request = make_request("OPTIONS")
    request.set("Via", via)
    request.stamp_via(*flow.remote)
    assert response_hop(request.via, flow) == hop


@pytest.mark.parametrize(
    ("uri", "flow", "hop"),
    [
        ("sip:192.0.2.9;lr", None, Hop("UDP", "192.0.2.9", 5060)),
        ("sip:192.0.2.9:5080;lr", UDP, Hop("UDP", "192.0.2.9", 5080, local=UDP.local)),
        ("sip:192.0.2.9;transport=tcp;lr", UDP, Hop("TCP", "192.0.2.9", 5060)),
        ("sips:192.0.2.9;lr", None, Hop("TLS", "192.0.2.9", 5061)),
        ("sip:198.51.100.7;transport=tls;lr", TLS, Hop("TLS", "198.51.100.7", 5061, 9)),
        ("sip:[2001:db8::9];lr", None, Hop("UDP", "2001:db8::9", 5060)),
        ("sip:p.example;maddr=192.0.2.9;lr", None, Hop("UDP", "192.0.2.9", 5060)),
        ("sip:p.example;maddr=[2001:db8::9];lr", None, Hop("UDP", "2001:db8::9", 5060)),
        ("sip:p.example;lr", UDP, None),
        ("sip:1.2.3.example;lr", UDP, None),
    ],
)
def test_the_hop_of_a_route(uri: str, flow: Flow | None, hop: Hop | None) -> None:
    assert literal_hop(Uri.parse(uri), flow) == hop


# -- where requests inside a dialog go


def answer(node: Node) -> None:
    def react(session: InviteSession, request: Request) -> list[Effect]:
        return session.answer(b"answer", node.network.now)

    node.answering(react)


def called(bob: Node) -> str:
    """Call somebody who answers: the tag of the dialog."""
    answer(bob)
    bob.feed(make_request("INVITE", body=b"offer"))
    tag = bob.sent[-1].to.tag or ""
    bob.feed(make_request("ACK", branch="z9hG4bKack", to_tag=tag))
    return tag


def test_without_routes_requests_go_where_the_peer_sends_from() -> None:
    network = Network()
    bob = network.node("bob", "192.0.2.2")
    answer(bob)
    flow = Flow("UDP", bob.address, ("198.51.100.7", 40000))
    private = [("Contact", "<sip:eve@10.0.0.5>")]
    bob.feed(make_request("INVITE", via="10.0.0.5", headers=private, body=b"offer"), flow)
    bob.feed(make_request("ACK", branch="z9hG4bKack", to_tag=bob.sent[-1].to.tag or ""), flow)
    bob.run(bob.sessions[0].hangup(network.now))
    assert bob.hops[-1] == Hop("UDP", "198.51.100.7", 40000, local=bob.address)
    bye = bob.sent[-1]
    assert isinstance(bye, Request)
    assert bye.raw_uri == "sip:eve@10.0.0.5"


@pytest.mark.parametrize(
    ("contact", "source", "host"),
    [
        ("sip:eve@8.8.4.4:5070", "8.8.8.8", "8.8.4.4"),
        ("sip:eve@[2606:4700::2]:5070", "2606:4700::1", "2606:4700::2"),
        ("sip:eve@8.8.4.4:5070;ob", "8.8.8.8", "8.8.8.8"),
        ("sip:eve@8.8.4.4:5070;maddr=192.0.2.7", "8.8.8.8", "8.8.8.8"),
        ("sip:eve@8.8.8.8:5070", "8.8.8.8", "8.8.8.8"),
        ("sip:eve@10.0.0.5:5070", "8.8.8.8", "8.8.8.8"),
        ("sip:eve@8.8.4.4:5070", "10.0.0.5", "10.0.0.5"),
        ("sip:eve@name.example:5070", "8.8.8.8", "8.8.8.8"),
    ],
)
def test_rfc3261_12_2_1_1_a_contact_counts_where_no_nat_is_between(
    contact: str, source: str, host: str
) -> None:
    network = Network()
    bob = network.node("bob", "192.0.2.2")
    answer(bob)
    flow = Flow("UDP", bob.address, (source, 40000))
    bob.feed(make_request("INVITE", headers=[("Contact", f"<{contact}>")], body=b"offer"), flow)
    bob.feed(make_request("ACK", branch="z9hG4bKack", to_tag=bob.sent[-1].to.tag or ""), flow)
    bob.run(bob.sessions[0].hangup(network.now))
    port = 40000 if host == source else 5070
    assert bob.hops[-1] == Hop("UDP", host, port, local=bob.address)


def test_rfc3261_13_2_2_4_an_ack_goes_to_the_contact_where_no_nat_is_between() -> None:
    network = Network()
    alice = network.node("alice", "192.0.2.1")
    alice.call(network.node("proxy", "8.8.8.8"))
    invite = alice.sent[-1]
    assert isinstance(invite, Request)
    ok = invite.reply(200, to_tag="far", headers=[("Contact", "<sip:bob@8.8.4.4>")], body=b"answer")
    alice.feed(ok, Flow("UDP", alice.address, ("8.8.8.8", 5060)))
    assert (alice.trace[-1], alice.hops[-1].host) == ("ACK", "8.8.4.4")


def test_an_accepted_reinvite_from_elsewhere_moves_the_dialog() -> None:
    network = Network()
    bob = network.node("bob", "192.0.2.2")
    tag = called(bob)
    moved = Flow("UDP", bob.address, ("198.51.100.8", 5062))
    again = make_request("INVITE", branch="z9hG4bKre", to_tag=tag, cseq=2, body=b"offer")
    bob.feed(again, moved)
    bob.run(bob.sessions[0].accept_reoffer(b"answer", network.now))
    bob.feed(make_request("ACK", branch="z9hG4bKack2", to_tag=tag, cseq=2), moved)
    bob.run(bob.sessions[0].hangup(network.now))
    assert bob.hops[-1].parts()[:3] == ["UDP", "198.51.100.8", 5062]


def test_a_refused_reinvite_from_elsewhere_moves_nothing() -> None:
    network = Network()
    bob = network.node("bob", "192.0.2.2")
    tag = called(bob)
    moved = Flow("UDP", bob.address, ("198.51.100.8", 5062))
    bob.feed(make_request("INVITE", branch="z9hG4bKre", to_tag=tag, cseq=2, body=b"offer"), moved)
    bob.run(bob.sessions[0].refuse_reoffer(488, network.now))
    bob.run(bob.sessions[0].hangup(network.now))
    assert bob.hops[-1].parts()[:3] == ["UDP", "192.0.2.99", 5060]
