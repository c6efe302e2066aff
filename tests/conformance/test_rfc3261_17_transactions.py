"""Timers and states of RFC 3261 section 17, with RFC 6026, on a virtual clock."""

from __future__ import annotations

import pytest
from unit.sip.virtual_network import Network, Node, alice, bob, line, make_request, network

from ringback.sip.effects import Ended, Failed, FinalResponse, Incoming
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import Request, Response

__all__ = ["alice", "bob", "network"]

T1 = 0.5
DOUBLING = [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
TO_T2 = [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]


class Nobody:
    """A place where nothing answers."""

    name = "nobody"
    address = ("192.0.2.200", 5060)


NOBODY: Node = Nobody()  # type: ignore[assignment]


def options(node: Node, transport: str = "UDP") -> None:
    node.run(
        node.agent.request(
            method="OPTIONS",
            uri="sip:192.0.2.99",
            hops=[Hop(transport, "192.0.2.99", 5060)],
            from_="<sip:alice@192.0.2.1>",
            to="<sip:192.0.2.99>",
            now=node.network.now,
            sent_by="192.0.2.1",
            owner="me",
        )
    )


def answer_to(node: Node, status: int, tag: str = "theirs", at: int = -1) -> Response:
    request = [each for each in node.sent if isinstance(each, Request) and each.method != "ACK"][at]
    headers = [("Contact", "<sip:bob@192.0.2.99>")] if 100 < status < 300 else []
    return request.reply(status, to_tag=tag, headers=headers)


# -- 17.1.1 INVITE client


def test_rfc3261_17_1_1_2_timer_a_doubles_until_timer_b(network: Network, alice: Node) -> None:
    session = alice.call(NOBODY)
    network.run()
    assert alice.times("INVITE") == DOUBLING
    assert network.now - alice.sent_at[0] == pytest.approx(64 * T1)
    (ended,) = alice.all(Ended)
    assert (ended.session, ended.cause, ended.status) == (session, "timeout", 408)
    network.assert_idle()


def test_rfc3261_17_1_1_2_no_retransmission_over_reliable_transports(network: Network, alice: Node) -> None:
    session = alice.call(NOBODY, transport="TCP")
    network.run()
    assert alice.times("INVITE") == [0]
    assert alice.endings(session) == ["timeout"]
    network.assert_idle()


def test_rfc3261_17_1_1_2_a_provisional_answer_stops_retransmissions(network: Network, alice: Node) -> None:
    session = alice.call(NOBODY)
    network.run(0.7)
    alice.feed(answer_to(alice, 100))
    network.run(600)
    assert alice.times("INVITE") == [0, 0.5]
    assert alice.endings(session) == []


def test_rfc3261_17_1_1_2_timer_d_repeats_the_ack_for_32_seconds(network: Network, alice: Node) -> None:
    alice.call(NOBODY)
    busy = answer_to(alice, 486)
    assert [line(each) for each in alice.feed(busy)] == ["ACK"]
    network.run(31.9)
    assert [line(each) for each in alice.feed(busy)] == ["ACK"]
    network.run(0.2)
    assert alice.feed(busy) == []
    assert alice.count(Ended) == 1
    network.assert_idle()


def test_rfc3261_17_1_1_2_timer_d_is_zero_over_reliable_transports(network: Network, alice: Node) -> None:
    alice.call(NOBODY, transport="TCP")
    assert [line(each) for each in alice.feed(answer_to(alice, 486))] == ["ACK"]
    network.assert_idle()


def test_rfc3261_17_1_1_3_ack_of_a_refusal_is_built_from_the_invite(network: Network, alice: Node) -> None:
    alice.call(NOBODY, route=("<sip:192.0.2.50;lr>", "<sip:192.0.2.51;lr>"))
    invite = alice.sent[0]
    assert isinstance(invite, Request)
    (ack,) = alice.feed(answer_to(alice, 404, tag="x1"))
    assert isinstance(ack, Request)
    assert ack.raw_uri == invite.raw_uri
    assert ack.raw("Via") == invite.raw("Via")[:1]
    assert ack.all("Route") == ["<sip:192.0.2.50;lr>", "<sip:192.0.2.51;lr>"]
    assert ack.get("From") == invite.get("From")
    assert ack.to.tag == "x1"
    assert ack.call_id == invite.call_id
    assert (ack.cseq.number, ack.cseq.method) == (invite.cseq.number, "ACK")
    assert ack.body == b""


def test_rfc3261_17_1_3_a_response_needs_our_branch_and_method(network: Network, alice: Node) -> None:
    alice.call(NOBODY)
    ringing = answer_to(alice, 180)
    other_branch = answer_to(alice, 180)
    other_branch.set("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKwrong")
    other_method = answer_to(alice, 180)
    other_method.set("CSeq", "1 OPTIONS")
    for response in (other_branch, other_method):
        alice.feed(response)
    assert alice.seen == []
    alice.feed(ringing)
    assert len(alice.seen) == 1


def test_rfc3261_18_1_2_a_response_for_another_sent_by_is_dropped(network: Network, alice: Node) -> None:
    alice.call(NOBODY)
    ringing = answer_to(alice, 180)
    via = ringing.get("Via") or ""
    ringing.set("Via", via.replace("192.0.2.1:5060", "192.0.2.77:5060"))
    alice.feed(ringing)
    assert alice.seen == []


def test_rfc3261_18_1_2_sent_by_is_compared_and_not_spelled(network: Network, alice: Node) -> None:
    alice.call(NOBODY, sent_by="Alice.Example:5060")
    ringing = answer_to(alice, 180)
    via = ringing.get("Via") or ""
    ringing.set("Via", via.replace("Alice.Example:5060", "alice.example"))
    alice.feed(ringing)
    assert len(alice.seen) == 1


def test_rfc3261_8_1_3_3_a_response_with_two_vias_is_dropped(network: Network, alice: Node) -> None:
    alice.call(NOBODY)
    ringing = answer_to(alice, 180)
    ringing.headers.append(("Via", "SIP/2.0/UDP 192.0.2.55;branch=z9hG4bKx"))
    alice.feed(ringing)
    assert alice.seen == []


def test_rfc3261_17_1_4_transport_error_ends_the_invite(network: Network, alice: Node) -> None:
    network.unreachable.add(("192.0.2.200", 5060))
    session = alice.call(NOBODY)
    network.run()
    assert alice.endings(session) == ["unreachable"]
    assert alice.times("INVITE") == [0]
    network.assert_idle()


def test_rfc6026_8_4_timer_m_takes_2xx_for_64_t1(network: Network, alice: Node) -> None:
    alice.call(NOBODY)
    ok = answer_to(alice, 200)
    assert [line(each) for each in alice.feed(ok)] == ["ACK"]
    network.run(31.9)
    assert [line(each) for each in alice.feed(ok)] == ["ACK"]
    network.run(0.2)
    assert alice.feed(ok) == []
    assert alice.agent.tables.clients == {}


def test_rfc6026_7_2_refusals_after_a_2xx_are_ignored(network: Network, alice: Node) -> None:
    session = alice.call(NOBODY)
    alice.feed(answer_to(alice, 200))
    assert alice.feed(answer_to(alice, 486)) == []
    assert alice.endings(session) == []


# -- 17.1.2 other clients


def test_rfc3261_17_1_2_2_timer_e_doubles_to_t2_until_timer_f(network: Network, alice: Node) -> None:
    options(alice)
    network.run()
    assert alice.times("OPTIONS") == TO_T2
    assert alice.all(Failed) == [Failed("me", "timeout")]
    assert network.now - alice.sent_at[0] == pytest.approx(64 * T1)
    network.assert_idle()


def test_rfc3261_17_1_2_2_timer_e_is_t2_when_proceeding(network: Network, alice: Node) -> None:
    options(alice)
    network.run(0.1)
    alice.feed(answer_to(alice, 100))
    network.run()
    assert alice.times("OPTIONS") == [0, 0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]
    assert alice.all(Failed) == [Failed("me", "timeout")]


def test_rfc3261_17_1_2_2_timer_f_runs_over_reliable_transports(network: Network, alice: Node) -> None:
    options(alice, "TCP")
    network.run()
    assert alice.times("OPTIONS") == [0]
    assert alice.all(Failed) == [Failed("me", "timeout")]
    network.assert_idle()


def test_rfc3261_17_1_2_2_timer_k_absorbs_copies_for_t4(network: Network, alice: Node) -> None:
    options(alice)
    ok = answer_to(alice, 200)
    alice.feed(ok)
    alice.feed(ok)
    assert alice.count(FinalResponse) == 1
    network.run(4.9)
    assert len(alice.agent.tables.clients) == 1
    network.run(0.2)
    network.assert_idle()


def test_rfc3261_17_1_2_2_timer_k_is_zero_over_reliable_transports(network: Network, alice: Node) -> None:
    options(alice, "TLS")
    alice.feed(answer_to(alice, 200))
    network.assert_idle()


# -- 17.2.1 INVITE server


def take(node: Node) -> None:
    """Let the node refuse every INVITE 486, statefully."""

    node.on[Incoming] = lambda effect: node.serve(effect)(effect.request.reply(486, to_tag="mine"))


def test_rfc3261_17_2_1_timer_g_doubles_to_t2_until_timer_h(network: Network, bob: Node) -> None:
    take(bob)
    bob.feed(make_request("INVITE"))
    network.run()
    assert bob.times("486 INVITE") == TO_T2
    assert network.now - bob.sent_at[0] == pytest.approx(64 * T1)
    network.assert_idle()


def test_rfc3261_17_2_1_timer_g_is_off_over_reliable_transports(network: Network, bob: Node) -> None:
    take(bob)
    flow = Flow("TCP", bob.address, ("192.0.2.99", 33333), 7)
    bob.feed(make_request("INVITE", transport="TCP"), flow)
    network.run()
    assert bob.times("486 INVITE") == [0]
    network.assert_idle()


def test_rfc3261_17_2_1_a_copy_of_the_invite_repeats_the_last_response(network: Network, bob: Node) -> None:
    bob.answering(lambda session, request: session.progress(180, network.now))
    invite = make_request("INVITE")
    assert [line(each) for each in bob.feed(invite)] == ["100 INVITE", "180 INVITE"]
    again = bob.feed(invite)
    assert [line(each) for each in again] == ["180 INVITE"]
    assert len(bob.sessions) == 1


def test_rfc3261_17_2_1_ack_stops_timer_g_and_timer_i_absorbs_acks(network: Network, bob: Node) -> None:
    take(bob)
    bob.feed(make_request("INVITE"))
    bob.feed(make_request("ACK", to_tag="mine"))
    network.run(4.9)
    assert bob.times("486 INVITE") == [0]
    assert bob.feed(make_request("ACK", to_tag="mine")) == []
    assert len(bob.agent.tables.servers) == 1
    network.run(0.2)
    network.assert_idle()


def test_rfc3261_17_2_1_timer_i_is_zero_over_reliable_transports(network: Network, bob: Node) -> None:
    take(bob)
    flow = Flow("TCP", bob.address, ("192.0.2.99", 33333), 7)
    bob.feed(make_request("INVITE", transport="TCP"), flow)
    bob.feed(make_request("ACK", transport="TCP", to_tag="mine"), flow)
    network.assert_idle()


def test_rfc6026_7_1_timer_l_absorbs_copies_of_the_invite(network: Network, bob: Node) -> None:
    bob.answering(lambda session, request: session.answer(b"sdp", network.now))
    bob.feed(make_request("INVITE", body=b"offer"))
    tag = bob.sent[-1].to.tag or ""
    bob.feed(make_request("ACK", branch="z9hG4bKack", to_tag=tag))
    network.run(31.9)
    assert bob.feed(make_request("INVITE", body=b"offer")) == []
    assert bob.count(Incoming) == 1
    network.run(0.2)
    assert bob.agent.tables.servers == {}


# -- 17.2.2 other servers


def test_rfc3261_17_2_2_timer_j_repeats_the_final_response(network: Network, bob: Node) -> None:
    taken = []
    bob.on[Incoming] = lambda effect: taken.append(bob.serve(effect))
    request = make_request("OPTIONS")
    assert bob.feed(request) == []
    assert bob.feed(request) == []  # nothing to repeat yet
    taken[0](request.reply(200, to_tag="t"))
    network.run(31.9)
    assert [line(each) for each in bob.feed(request)] == ["200 OPTIONS"]
    network.run(0.2)
    network.assert_idle()
    assert len(taken) == 1


def test_rfc3261_17_2_2_timer_j_is_zero_over_reliable_transports(network: Network, bob: Node) -> None:
    bob.on[Incoming] = lambda effect: bob.serve(effect)(effect.request.reply(200))
    flow = Flow("TLS", bob.address, ("192.0.2.99", 33333), 7)
    assert [line(each) for each in bob.feed(make_request("OPTIONS", transport="TLS"), flow)] == [
        "200 OPTIONS"
    ]
    network.assert_idle()


# -- 17.2.3 matching


def test_rfc3261_17_2_3_branch_sent_by_and_method_make_the_match(network: Network, bob: Node) -> None:
    bob.answering(lambda session, request: [])
    bob.feed(make_request("INVITE"))
    bob.feed(make_request("INVITE", via="192.0.2.98", call_id="other"))
    bob.feed(make_request("INVITE", branch="z9hG4bKtwo", call_id="third"))
    assert len(bob.sessions) == 3
    bob.feed(make_request("INVITE", via="192.0.2.99:5060"))
    assert len(bob.sessions) == 3


def test_rfc3261_17_2_3_without_the_magic_cookie_fields_are_compared(network: Network, bob: Node) -> None:
    bob.answering(lambda session, request: session.reject(486, network.now))
    bob.feed(make_request("INVITE", branch="1"))
    assert [line(each) for each in bob.feed(make_request("INVITE", branch="1"))] == ["486 INVITE"]
    bob.feed(make_request("INVITE", branch="1", cseq=2))
    assert len(bob.sessions) == 2
    bob.feed(make_request("ACK", branch="1", to_tag=bob.sent[0].to.tag or "x"))
    bob.feed(make_request("ACK", branch="1", to_tag="x", cseq=2))
    network.run()
    assert bob.times("486 INVITE") == [0, 0, 0]
    network.assert_idle()
