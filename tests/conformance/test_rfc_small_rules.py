"""Rules of small RFCs: Reason (3326), non-INVITE transactions (4320), loops (5393), IPv6 URIs (5954), Expires."""

from __future__ import annotations

import pytest
from unit.sip.virtual_network import Network, Node, alice, line, make_request, network

from ringback.sip.agent import UserAgent
from ringback.sip.effects import Arm, Disarm, Effect, Ended, Incoming, ReofferFailed, Send
from ringback.sip.errors import PeerError
from ringback.sip.flow import Hop
from ringback.sip.forwarding import bounds
from ringback.sip.message import Message, Request, parse
from ringback.sip.reason import COMPLETED_ELSEWHERE, Reason, reasons_of
from ringback.sip.session import InviteSession
from ringback.sip.uri import Uri

__all__ = ["alice", "network"]


@pytest.fixture
def bob(network: Network) -> Node:
    node = network.node("bob", "192.0.2.2")
    node.answering(lambda session, request: session.progress(180, network.now))
    return node


# -- RFC 3326


def test_rfc3326_2_the_examples_of_the_rfc_are_read() -> None:
    message = Message(
        [
            ("Reason", 'SIP ;cause=200 ;text="Call completed elsewhere"'),
            ("Reason", 'Q.850 ;cause=16 ;text="Terminated"'),
            ("Reason", 'SIP ;cause=600 ;text="Busy Everywhere"'),
            ("Reason", 'SIP ;cause=580 ;text="Precondition Failure"'),
        ]
    )
    assert reasons_of(message) == (  # section 2: one a protocol
        Reason("SIP", 200, "Call completed elsewhere"),
        Reason("Q.850", 16, "Terminated"),
    )


@pytest.mark.parametrize("value", ["", ";cause=1", 'SIP;cause="', "SIP;cause=1;cause=2", "x" * 200])
def test_rfc3326_2_what_cannot_be_read_is_passed_over(value: str) -> None:
    assert reasons_of(Message([("Reason", value), ("Reason", "Q.850;cause=x")])) == (Reason("Q.850", None),)


def test_rfc3326_3_1_a_losing_branch_is_told_that_the_call_was_completed_elsewhere(
    network: Network, alice: Node, bob: Node
) -> None:
    session = alice.call(bob)
    network.run(1)
    alice.run(session.hangup(network.now, headers=[COMPLETED_ELSEWHERE.header]))
    network.run(1)
    cancel = next(each for each in alice.sent if line(each) == "CANCEL")
    assert cancel.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
    (ended,) = bob.all(Ended)
    assert (ended.cause, ended.reasons) == ("cancelled", (COMPLETED_ELSEWHERE,))


def test_rfc3326_3_1_a_cancel_that_has_to_wait_keeps_its_reason(
    network: Network, alice: Node, bob: Node
) -> None:
    session = alice.call(bob)
    alice.run(session.hangup(network.now, headers=[COMPLETED_ELSEWHERE.header]))
    network.run(1)
    assert bob.all(Ended)[0].reasons == (COMPLETED_ELSEWHERE,)


def test_rfc3326_2_a_second_callee_that_accepts_hears_it_in_its_bye(network: Network, alice: Node) -> None:
    alice.call(NOBODY)
    invite = alice.sent[0]
    assert isinstance(invite, Request)
    for tag in ("one", "two"):
        alice.feed(invite.reply(200, to_tag=tag, headers=[("Contact", "<sip:nobody@192.0.2.200>")]))
    bye = alice.sent[-1]
    assert (line(bye), bye.to.tag) == ("BYE", "two")
    assert bye.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'


def test_rfc3326_2_the_reason_of_a_bye_is_told(network: Network, alice: Node, bob: Node) -> None:
    def react(session: InviteSession, request: Request) -> list[Effect]:
        return session.answer(b"answer", network.now)

    bob.answering(react)
    alice.call(bob)
    network.run(1)
    reason = Reason("Q.850", 16, 'Normal "call" clearing')
    bob.run(bob.sessions[0].hangup(network.now, headers=[reason.header]))
    network.run(1)
    assert alice.all(Ended)[0].reasons == (reason,)


def test_rfc6432_2_a_refusal_may_give_the_cause_of_the_telephone_network(
    network: Network, alice: Node, bob: Node
) -> None:
    reason = Reason("Q.850", 17, "User busy")
    bob.answering(lambda session, request: session.reject(486, network.now, headers=[reason.header]))
    alice.call(bob)
    network.run(1)
    assert alice.all(Ended)[0].reasons == (reason,)


class Nobody:
    name = "nobody"
    address = ("192.0.2.200", 5060)


NOBODY: Node = Nobody()  # type: ignore[assignment]

# -- RFC 4320


def test_rfc4320_4_2_a_non_invite_is_never_answered_408(bob: Node) -> None:
    del bob.on[Incoming]
    bob.feed(make_request("OPTIONS"))
    (incoming,) = bob.all(Incoming)
    bob.serve(incoming)(incoming.request.reply(408, to_tag="t"))
    assert bob.sent == []
    assert bob.agent.is_idle


def test_rfc4320_4_2_an_invite_may_be(network: Network, bob: Node) -> None:
    bob.answering(lambda session, request: session.reject(408, network.now))
    assert [line(each) for each in bob.feed(make_request("INVITE"))] == ["100 INVITE", "408 INVITE"]


# -- RFC 5393


def test_rfc5393_4_2_a_request_of_ours_that_comes_back_unchanged_is_a_loop(
    network: Network, alice: Node
) -> None:
    alice.call(NOBODY, uri="sip:round@192.0.2.1")
    ours = alice.sent[0]
    assert isinstance(ours, Request)
    back = ours.copy()
    back.prepend("Via", "SIP/2.0/UDP 192.0.2.200;branch=z9hG4bKproxy")
    (refusal,) = alice.feed(back)
    assert line(refusal) == "482 INVITE"


def test_rfc5393_4_2_a_spiral_is_no_loop(network: Network, alice: Node) -> None:
    alice.call(NOBODY, uri="sip:round@192.0.2.1")
    ours = alice.sent[0]
    assert isinstance(ours, Request)
    back = ours.copy()
    back.uri = Uri.parse("sip:somebody-else@192.0.2.1")
    back.prepend("Via", "SIP/2.0/UDP 192.0.2.200;branch=z9hG4bKproxy")
    alice.feed(back)
    assert alice.count(Incoming) == 1


@pytest.mark.parametrize(
    ("fields", "branches", "forwards", "breadth"),
    [
        ([("Max-Forwards", "70")], 1, 69, None),
        ([("Max-Forwards", "255")], 1, 69, None),
        ([], 3, 69, None),
        ([("Max-Forwards", "5"), ("Max-Breadth", "60")], 4, 4, 15),
        ([("Max-Forwards", "5"), ("Max-Breadth", "10")], 3, 4, 3),
    ],
)
def test_rfc5393_5_3_3_breadth_is_divided_among_the_branches(
    fields: list[tuple[str, str]], branches: int, forwards: int, breadth: int | None
) -> None:
    given = bounds(Request("INVITE", "sip:a@b", fields), branches)
    assert (given.max_forwards, given.max_breadth) == (forwards, breadth)


@pytest.mark.parametrize(
    ("fields", "status"), [([("Max-Forwards", "0")], 483), ([("Max-Breadth", "2")], 440)]
)
def test_rfc5393_5_3_3_a_call_without_breadth_or_hops_goes_no_further(
    fields: list[tuple[str, str]], status: int
) -> None:
    with pytest.raises(PeerError) as caught:
        bounds(Request("INVITE", "sip:a@b", fields), 3)
    assert caught.value.status == status


def test_rfc3261_8_1_1_6_a_call_that_begins_here_has_70_hops() -> None:
    assert bounds(None, 10) == (70, None)


# -- RFC 5954


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("sip:bob@[2001:db8::9:1]", "sip:bob@[2001:db8::9:01]", True),
        ("sip:bob@[2001:db8::9:1]", "sip:bob@[2001:DB8:0:0:0:0:9:1]", True),
        ("sip:bob@[2001:0db8::9:1]", "sip:bob@[2001:db8::9:1]", True),
        ("sip:bob@[::ffff:192.0.2.128]", "sip:bob@[::ffff:c000:280]", True),
        ("sip:bob@[2001:db8::9:1]", "sip:bob@[2001:db8::9:2]", False),
        ("sip:bob@[2001:db8:::9]", "sip:bob@[2001:db8::9]", False),
        ("sip:bob@192.0.2.1", "sip:bob@[::ffff:192.0.2.1]", False),
    ],
)
def test_rfc5954_4_2_ipv6_hosts_are_compared_by_their_bits(one: str, other: str, same: bool) -> None:
    assert Uri.parse(one).matches(Uri.parse(other)) is same
    assert Uri.parse(other).matches(Uri.parse(one)) is same


# -- Expires of an INVITE


def test_rfc3261_13_3_1_an_invite_that_expired_gets_487(network: Network, bob: Node) -> None:
    bob.feed(make_request("INVITE", headers=[("Expires", "20")]))
    network.run(19)
    assert bob.trace == ["100 INVITE", "180 INVITE"]
    network.run(1.1)
    assert bob.trace[2] == "487 INVITE"
    assert bob.endings(bob.sessions[0]) == ["timeout"]


def test_rfc3261_13_3_1_an_answer_in_time_ends_the_expiry(network: Network, bob: Node) -> None:
    bob.feed(make_request("INVITE", headers=[("Expires", "20")], body=b"offer"))
    bob.run(bob.sessions[0].answer(b"answer", network.now))
    assert ("expires", bob.sessions[0].dialog.local_tag) not in bob.timers


def test_rfc3261_13_2_1_a_caller_withdraws_what_expired(network: Network, alice: Node, bob: Node) -> None:
    session = alice.call(bob, expires=20)
    assert alice.sent[0].get("Expires") == "20"
    network.run(21)
    assert "487 INVITE" in bob.trace  # whose clock is ahead does not matter
    assert len(alice.endings(session)) == 1
    network.run()
    network.assert_idle()


def test_rfc3261_13_2_1_a_caller_cancels_where_the_callee_ignores_expires(
    network: Network, alice: Node
) -> None:
    session = alice.call(NOBODY, expires=20)
    invite = alice.sent[0]
    assert isinstance(invite, Request)
    alice.feed(invite.reply(180, to_tag="t", headers=[("Contact", "<sip:nobody@192.0.2.200>")]))
    network.run(20.5)
    assert "CANCEL" in alice.trace
    assert [(each.cause, each.status) for each in alice.all(Ended)] == [("timeout", 408)]
    assert session.is_over


# -- 18.1.1


def large(takes_tcp: bool, hops: list[Hop]) -> tuple[UserAgent, list[Effect]]:
    counter = iter(range(10**6))
    agent = UserAgent(lambda: f"token{next(counter)}", takes_tcp=lambda hop: takes_tcp)
    _, effects = agent.invite(
        uri="sip:bob@192.0.2.2",
        hops=hops,
        from_="<sip:a@192.0.2.1>",
        to="<sip:bob@192.0.2.2>",
        contact="<sip:a@192.0.2.1>",
        body=b"a=" + b"x" * 1300,
        now=0.0,
        sent_by="192.0.2.1",
    )
    return agent, effects


def sends(effects: list[Effect]) -> list[tuple[str, str]]:
    """The transport of the hop, and that of the Via."""
    return [
        (each.hop.transport, parse(each.data).via.transport) for each in effects if isinstance(each, Send)
    ]


UDP = Hop("UDP", "192.0.2.2", 5060)


def test_rfc3261_18_1_1_a_large_request_goes_by_tcp() -> None:
    _, effects = large(True, [UDP])
    assert sends(effects) == [("TCP", "TCP")]


def test_rfc3261_18_1_1_a_large_request_goes_by_the_tcp_server_that_the_dns_names() -> None:
    _, effects = large(False, [UDP, Hop("TCP", "192.0.2.2", 5060)])
    assert sends(effects) == [("TCP", "TCP")]


def test_rfc3261_18_1_1_a_large_request_goes_by_udp_where_tcp_is_not_known() -> None:
    _, effects = large(False, [UDP])
    assert sends(effects) == [("UDP", "UDP")]


def test_rfc3261_18_1_1_udp_is_tried_when_tcp_fails() -> None:
    agent, effects = large(True, [UDP])
    sent = next(each for each in effects if isinstance(each, Send))
    again = agent.on_unreachable(sent.hop, 0.1, sent.transaction)
    assert sends(again) == [("UDP", "UDP")]
    assert not any(isinstance(each, Ended) for each in again)
    assert any(isinstance(each, Arm | Disarm) for each in again)


def connected_by_udp(takes_tcp: bool) -> tuple[Network, Node, InviteSession]:
    """A call over UDP to somebody who may take TCP as well."""
    network = Network()
    alice = network.node("alice", "192.0.2.1", takes_tcp=lambda hop: takes_tcp)
    bob = network.node("bob", "192.0.2.2")
    bob.answering(lambda session, request: session.answer(b"answer", network.now))
    session = alice.call(bob)
    network.run(1)
    return network, alice, session


@pytest.mark.parametrize("takes_tcp", [True, False])
def test_rfc3261_18_1_1_a_large_request_inside_a_dialog_goes_by_tcp(takes_tcp: bool) -> None:
    network, alice, session = connected_by_udp(takes_tcp)
    alice.run(session.reinvite(b"a=" + b"x" * 1300, network.now))
    reinvite, transport = alice.sent[-1], "TCP" if takes_tcp else "UDP"
    assert (alice.hops[-1].transport, reinvite.via.transport) == (transport, transport)
    alice.run(session.hangup(network.now))
    assert alice.hops[-1].transport == "UDP"  # small


def test_rfc3261_18_1_1_inside_a_dialog_udp_is_tried_when_tcp_fails() -> None:
    network, alice, session = connected_by_udp(True)
    alice.run(session.reinvite(b"a=" + b"x" * 1300, network.now))
    (sent,) = [each for each in alice.agent.tables.clients.values() if each.hop.transport == "TCP"]
    alice.run(alice.agent.on_unreachable(sent.hop, network.now, sent.key))
    assert [hop.transport for hop in alice.hops[-2:]] == ["TCP", "UDP"]
    assert session.is_confirmed and alice.count(ReofferFailed) == 0
