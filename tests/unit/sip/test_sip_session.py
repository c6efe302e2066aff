"""Sessions from end to end, over the virtual network."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from unit.sip.virtual_network import Network, Node, line, make_request

from ringback.sip.effects import (
    Confirmed,
    Effect,
    Ended,
    Established,
    HopFailed,
    InfoAnswered,
    InfoReceived,
    Reanswered,
    Redirected,
    Reoffered,
    ReofferFailed,
    ReofferWithdrawn,
    Resolve,
    Ringing,
)
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import Request, parse
from ringback.sip.session import InviteSession


def pair(network: Network) -> tuple[Node, Node]:
    return network.node("alice", "192.0.2.1"), network.node("bob", "192.0.2.2")


def ring_and_answer(node: Node) -> None:
    def react(session: InviteSession, request: Request) -> list[Effect]:
        now = node.network.now
        return session.progress(180, now) + session.answer(b"answer", now)

    node.answering(react)


def test_basic_call() -> None:
    network = Network()
    alice, bob = pair(network)
    ring_and_answer(bob)
    session = alice.call(bob)
    network.run(1)
    assert alice.count(Ringing) == 1
    (established,) = alice.all(Established)
    assert established.body == b"answer"
    assert bob.all(Confirmed) == [Confirmed(bob.sessions[0], b"")]
    alice.run(session.hangup(network.now))
    network.run()
    assert [(each.cause, each.status) for each in bob.all(Ended)] == [("bye", 200)]
    assert alice.endings(session) == ["local"]
    assert alice.trace == ["INVITE", "ACK", "BYE"]
    assert bob.trace == ["100 INVITE", "180 INVITE", "200 INVITE", "200 BYE"]
    network.assert_idle()


def test_callee_hangs_up() -> None:
    network = Network()
    alice, bob = pair(network)
    ring_and_answer(bob)
    session = alice.call(bob)
    network.run(1)
    bob.run(bob.sessions[0].hangup(network.now, headers=[("X-Why", "enough")]))
    network.run()
    assert bob.endings(bob.sessions[0]) == ["local"]
    (ended,) = alice.all(Ended)
    assert (ended.session, ended.cause) == (session, "bye")
    assert ended.message.get("X-Why") == "enough"
    network.assert_idle()


def test_rejection() -> None:
    network = Network()
    alice, bob = pair(network)
    bob.answering(lambda session, request: session.reject(486, network.now, headers=[("X-Busy", "yes")]))
    session = alice.call(bob)
    network.run()
    (ended,) = alice.all(Ended)
    assert (ended.session, ended.cause, ended.status, ended.reason) == (session, "rejected", 486, "Busy Here")
    assert ended.message.get("X-Busy") == "yes"
    assert [each.cause for each in bob.all(Ended)] == ["local"]
    assert alice.trace == ["INVITE", "ACK"]
    network.assert_idle()


def test_rfc3261_9_1_cancel_while_ringing() -> None:
    network = Network()
    alice, bob = pair(network)
    bob.answering(lambda session, request: session.progress(180, network.now))
    session = alice.call(bob)
    network.run(1)
    alice.run(session.hangup(network.now))
    network.run()
    assert alice.endings(session) == ["cancelled"]
    assert [(each.cause, each.status) for each in bob.all(Ended)] == [("cancelled", 487)]
    assert alice.trace == ["INVITE", "CANCEL", "ACK"]
    assert bob.trace == ["100 INVITE", "180 INVITE", "200 CANCEL", "487 INVITE"]
    network.assert_idle()


# -- the races of CANCEL


def test_rfc3261_9_1_nothing_is_cancelled_before_the_first_answer_comes() -> None:
    network = Network()
    alice, bob = pair(network)
    bob.answering(lambda session, request: session.progress(180, network.now))
    session = alice.call(bob)
    alice.run(session.hangup(network.now))
    assert alice.trace == ["INVITE"]  # RFC 3261 section 9.1: no CANCEL before a provisional response
    network.run()
    assert alice.endings(session) == ["cancelled"]
    assert bob.endings(bob.sessions[0]) == ["cancelled"]
    assert alice.trace == ["INVITE", "CANCEL", "ACK"]
    assert alice.count(Ringing) == 0
    network.assert_idle()


def test_rfc3261_9_1_a_200_that_crossed_the_cancel_gets_ack_and_bye() -> None:
    network = Network()
    alice, bob = pair(network)
    bob.answering(lambda session, request: session.progress(180, network.now))
    session = alice.call(bob)
    network.run(1)
    alice.run(session.hangup(network.now))
    bob.run(bob.sessions[0].answer(b"answer", network.now))
    network.run()
    assert alice.endings(session) == ["cancelled"]
    assert alice.count(Established) == 0
    assert bob.endings(bob.sessions[0]) == ["bye"]
    assert alice.trace == ["INVITE", "CANCEL", "ACK", "BYE"]
    network.assert_idle()


def test_rfc3261_9_1_no_final_answer_after_cancel_frees_the_transaction() -> None:
    network = Network()
    alice, bob = pair(network)
    bob.answering(lambda session, request: session.progress(180, network.now))
    session = alice.call(bob)
    network.run(1)
    network.weather = lambda data: ()
    alice.run(session.hangup(network.now))
    network.run(70)
    assert alice.endings(session) == ["cancelled"]
    assert alice.agent.is_idle
    assert not alice.timers


def test_hangup_twice_is_harmless() -> None:
    network = Network()
    alice, bob = pair(network)
    ring_and_answer(bob)
    session = alice.call(bob)
    network.run(1)
    alice.run(session.hangup(network.now))
    assert session.hangup(network.now) == []
    assert session.reinvite(b"x", network.now) == []
    network.run()
    assert alice.endings(session) == ["local"]


def test_commands_that_come_too_late_do_nothing() -> None:
    network = Network()
    alice, bob = pair(network)
    bob.answering(lambda session, request: session.progress(180, network.now))
    session = alice.call(bob)
    network.run(1)
    alice.run(session.hangup(network.now))
    network.run(1)
    callee = bob.sessions[0]
    assert callee.progress(183, network.now) == []
    assert callee.answer(b"late", network.now) == []
    assert callee.reject(486, network.now) == []
    assert callee.hangup(network.now) == []
    assert callee.accept_reoffer(b"", network.now) == []
    assert callee.refuse_reoffer(488, network.now) == []
    assert callee.info(b"", "text/plain", network.now) == []
    assert callee.ack(b"", network.now) == []


# -- the 2xx and its ACK


def test_rfc3261_13_3_1_4_a_2xx_is_repeated_for_its_ack_and_then_bye() -> None:
    network = Network()
    bob = network.node("bob", "192.0.2.2")
    bob.answering(lambda session, request: session.answer(b"answer", network.now))
    bob.feed(make_request("INVITE", body=b"offer"))
    network.run()
    assert bob.times("200 INVITE") == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    (ended,) = bob.all(Ended)
    assert (ended.cause, ended.status) == ("no-ack", 408)
    assert round(bob.sent_at[bob.trace.index("BYE")] - bob.sent_at[1], 3) == 32
    assert bob.count(Confirmed) == 0
    network.assert_idle()


def test_rfc3261_13_3_1_4_a_2xx_is_repeated_over_streams_too() -> None:
    network = Network()
    bob = network.node("bob", "192.0.2.2")
    bob.answering(lambda session, request: session.answer(b"answer", network.now))
    flow = Flow("TCP", bob.address, ("192.0.2.99", 40000), 3)
    bob.feed(make_request("INVITE", transport="TCP", body=b"offer"), flow)
    network.run(2)
    assert bob.times("200 INVITE") == [0, 0.5, 1.5]  # RFC 3261 section 13.3.1.4


def test_rfc3261_15_hangup_before_the_ack_waits_for_it() -> None:
    network = Network()
    bob = network.node("bob", "192.0.2.2")
    bob.answering(lambda session, request: session.answer(b"answer", network.now))
    bob.feed(make_request("INVITE", body=b"offer"))
    session = bob.sessions[0]
    bob.run(session.hangup(network.now))
    assert bob.endings(session) == ["local"]
    assert "BYE" not in bob.trace  # RFC 3261 section 15
    tag = bob.sent[-1].to.tag or ""
    sent = bob.feed(make_request("ACK", branch="z9hG4bKack", to_tag=tag))
    assert [line(each) for each in sent] == ["BYE"]
    bob.feed(sent[0].reply(200) if isinstance(sent[0], Request) else sent[0])
    network.run()
    assert bob.count(Ended) == 1
    network.assert_idle()


def test_rfc3261_13_2_2_4_a_lost_ack_is_repeated_for_each_2xx() -> None:
    network = Network()
    alice, bob = pair(network)
    ring_and_answer(bob)
    lost = [b"ACK"]

    def weather(data: bytes) -> Sequence[float]:
        if lost and data.startswith(lost[0]):
            lost.pop()
            return ()
        return (0.01,)

    network.weather = weather
    alice.call(bob)
    network.run(5)
    assert alice.trace == ["INVITE", "ACK", "ACK"]
    assert alice.sent[1].render() == alice.sent[2].render()
    assert alice.count(Established) == 1
    assert bob.count(Confirmed) == 1


def test_rfc3261_13_3_1_1_ringing_is_repeated_every_minute() -> None:
    network = Network()
    alice, bob = pair(network)
    bob.answering(lambda session, request: session.progress(180, network.now))
    session = alice.call(bob)
    network.run(130)
    assert bob.times("180 INVITE") == [0, 60, 120]
    alice.run(session.hangup(network.now))
    network.run()
    network.assert_idle()


# -- offers in unusual places


def test_rfc3261_13_2_1_an_invite_without_an_offer() -> None:
    network = Network()
    alice, bob = pair(network)
    bob.answering(lambda session, request: session.answer(b"their offer", network.now))
    session = alice.call(bob, body=b"")
    network.run(1)
    (established,) = alice.all(Established)
    assert established.body == b"their offer"
    assert "ACK" not in alice.trace
    alice.run(session.ack(b"our answer", network.now))
    network.run(1)
    assert bob.all(Confirmed) == [Confirmed(bob.sessions[0], b"our answer")]
    alice.run(session.hangup(network.now))
    network.run()
    network.assert_idle()


def test_hangup_while_we_owe_an_answer_acknowledges_first() -> None:
    network = Network()
    alice, bob = pair(network)
    bob.answering(lambda session, request: session.answer(b"their offer", network.now))
    session = alice.call(bob, body=b"")
    network.run(0.1)
    alice.run(session.hangup(network.now))
    network.run()
    assert alice.trace == ["INVITE", "ACK", "BYE"]
    assert bob.endings(bob.sessions[0]) == ["bye"]
    network.assert_idle()


def connected(network: Network) -> tuple[Node, Node, InviteSession, InviteSession]:
    alice, bob = pair(network)
    ring_and_answer(bob)
    session = alice.call(bob)
    network.run(1)
    return alice, bob, session, bob.sessions[0]


def test_rfc3261_14_1_a_reinvite_and_its_answer() -> None:
    network = Network()
    alice, bob, session, callee = connected(network)
    bob.on[Reoffered] = lambda effect: effect.session.accept_reoffer(b"held", network.now)
    alice.run(session.reinvite(b"hold", network.now))
    network.run(1)
    assert bob.all(Reoffered)[0].body == b"hold"
    assert alice.all(Reanswered) == [Reanswered(session, b"held")]
    assert alice.trace == ["INVITE", "ACK", "INVITE", "ACK"]
    assert alice.sent[2].cseq.number == 2
    assert bob.count(Confirmed) == 1
    alice.on[Reoffered] = lambda effect: effect.session.accept_reoffer(b"back", network.now)
    bob.run(callee.reinvite(b"resume", network.now))
    network.run(1)
    assert bob.all(Reanswered) == [Reanswered(callee, b"back")]
    bob.run(callee.hangup(network.now))
    network.run()
    network.assert_idle()


def test_reinvite_refused_leaves_the_session() -> None:
    network = Network()
    alice, bob, session, callee = connected(network)
    bob.on[Reoffered] = lambda effect: effect.session.refuse_reoffer(488, network.now)
    alice.run(session.reinvite(b"video", network.now))
    network.run(1)
    assert alice.all(ReofferFailed) == [ReofferFailed(session, 488)]
    assert alice.count(Ended) == bob.count(Ended) == 0
    alice.run(session.hangup(network.now))
    network.run()
    assert bob.endings(callee) == ["bye"]
    network.assert_idle()


def test_rfc3261_14_2_a_reinvite_without_an_offer() -> None:
    network = Network()
    alice, bob, session, callee = connected(network)
    bob.on[Reoffered] = lambda effect: effect.session.accept_reoffer(b"their offer", network.now)
    alice.run(session.reinvite(b"", network.now))
    network.run(1)
    assert bob.all(Reoffered)[0].body == b""
    assert alice.all(Reanswered) == [Reanswered(session, b"their offer")]
    alice.run(session.ack(b"our answer", network.now))
    network.run(1)
    assert bob.all(Reanswered) == [Reanswered(callee, b"our answer")]
    alice.run(session.hangup(network.now))
    network.run()
    network.assert_idle()


def test_hangup_while_a_reinvites_offer_is_unanswered() -> None:
    network = Network()
    alice, bob, session, callee = connected(network)
    bob.on[Reoffered] = lambda effect: effect.session.accept_reoffer(b"their offer", network.now)
    alice.run(session.reinvite(b"", network.now))
    network.run(0.1)
    alice.run(session.hangup(network.now))
    network.run()
    assert bob.endings(callee) == ["bye"]
    network.assert_idle()


def test_rfc3261_14_1_glare_gets_491_and_the_owner_of_the_call_id_waits_longer() -> None:
    network = Network()
    alice, bob, session, callee = connected(network)
    for node in (alice, bob):
        node.on[Reoffered] = lambda effect: effect.session.accept_reoffer(b"yes", network.now)
    alice.run(session.reinvite(b"from alice", network.now))
    bob.run(callee.reinvite(b"from bob", network.now))
    network.run(10)
    assert alice.trace.count("491 INVITE") == bob.trace.count("491 INVITE") == 1
    assert bob.all(Reanswered) == [Reanswered(callee, b"yes")]
    # Bob came first, so what Alice had waiting is out of date: she is told, and offers anew if she likes.
    assert alice.all(ReofferFailed) == [ReofferFailed(session, 491)]
    assert 0 <= bob.times("INVITE")[1] <= 2.02
    alice.run(session.reinvite(b"once more", network.now))
    network.run(1)
    assert alice.all(Reanswered) == [Reanswered(session, b"yes")]
    alice.run(session.hangup(network.now))
    network.run()
    network.assert_idle()


def test_rfc3261_14_1_an_offer_that_met_glare_is_sent_again() -> None:
    network = Network()
    alice, bob, session, _callee = connected(network)
    answers = [491, 491]

    def react(effect: Reoffered) -> list[Effect]:
        if answers:
            return effect.session.refuse_reoffer(answers.pop(), network.now)
        return effect.session.accept_reoffer(b"yes", network.now)

    bob.on[Reoffered] = react
    alice.run(session.reinvite(b"hold", network.now))
    network.run(20)
    assert alice.all(Reanswered) == [Reanswered(session, b"yes")]
    _first, second, third, fourth = alice.times("INVITE")
    assert 2.1 <= third - second <= 4.1
    assert 2.1 <= fourth - third <= 4.1
    alice.run(session.hangup(network.now))
    network.run()
    network.assert_idle()


def test_glare_without_end_is_given_up() -> None:
    network = Network()
    alice, bob, session, _callee = connected(network)
    bob.on[Reoffered] = lambda effect: effect.session.refuse_reoffer(491, network.now)
    alice.run(session.reinvite(b"hold", network.now))
    network.run(60)
    assert alice.all(ReofferFailed) == [ReofferFailed(session, 491)]
    assert alice.trace.count("INVITE") == 6


def test_hangup_while_glare_waits() -> None:
    network = Network()
    alice, bob, session, _callee = connected(network)
    bob.on[Reoffered] = lambda effect: effect.session.refuse_reoffer(491, network.now)
    alice.run(session.reinvite(b"hold", network.now))
    network.run(0.5)
    alice.run(session.hangup(network.now))
    network.run()
    assert alice.trace.count("INVITE") == 2
    network.assert_idle()


def test_a_second_offer_while_one_is_open_fails_at_once() -> None:
    network = Network()
    alice, bob, session, _callee = connected(network)
    bob.on[Reoffered] = lambda effect: None
    alice.run(session.reinvite(b"one", network.now))
    alice.run(session.reinvite(b"two", network.now))
    assert alice.all(ReofferFailed) == [ReofferFailed(session, 491)]
    assert alice.trace.count("INVITE") == 2


def test_hangup_with_an_unanswered_reoffer_refuses_it_487() -> None:
    network = Network()
    alice, bob, session, callee = connected(network)
    alice.run(session.reinvite(b"hold", network.now))
    network.run(1)
    bob.run(callee.hangup(network.now))
    network.run()
    assert bob.trace[-2:] == ["487 INVITE", "BYE"]
    assert alice.endings(session) == ["bye"]
    network.assert_idle()


def test_hangup_with_our_own_reinvite_open() -> None:
    network = Network()
    alice, bob, session, callee = connected(network)
    alice.run(session.reinvite(b"hold", network.now))
    network.run(1)
    alice.run(session.hangup(network.now))
    network.run()
    assert bob.endings(callee) == ["bye"]
    assert "487 INVITE" in bob.trace
    network.assert_idle()


def test_our_reinvite_is_answered_after_we_hung_up() -> None:
    network = Network()
    alice, bob, session, callee = connected(network)
    alice.run(session.reinvite(b"hold", network.now))
    network.run(1)
    bob.run(callee.accept_reoffer(b"yes", network.now))
    alice.run(session.hangup(network.now))
    network.run()
    assert alice.trace == ["INVITE", "ACK", "INVITE", "BYE", "ACK"]
    assert alice.count(Reanswered) == 0
    network.assert_idle()


def test_a_cancelled_reinvite_is_withdrawn() -> None:
    network = Network()
    bob = network.node("bob", "192.0.2.2")
    bob.answering(lambda session, request: session.answer(b"answer", network.now))
    bob.feed(make_request("INVITE", body=b"offer"))
    tag = bob.sent[-1].to.tag or ""
    bob.feed(make_request("ACK", branch="z9hG4bKack", to_tag=tag))
    bob.feed(make_request("INVITE", branch="z9hG4bKre", to_tag=tag, cseq=2, body=b"hold"))
    sent = bob.feed(make_request("CANCEL", branch="z9hG4bKre", to_tag=tag, cseq=2))
    assert [line(each) for each in sent] == ["200 CANCEL", "487 INVITE"]
    session = bob.sessions[0]
    assert bob.all(ReofferWithdrawn) == [ReofferWithdrawn(session)]
    assert session.accept_reoffer(b"late", network.now) == []
    assert bob.count(Ended) == 0


def test_reinvite_gets_no_answer() -> None:
    network = Network()
    alice, _bob, session, _callee = connected(network)
    network.weather = lambda data: ()
    alice.run(session.reinvite(b"hold", network.now))
    network.run(40)
    assert alice.all(ReofferFailed) == [ReofferFailed(session, 408)]
    assert alice.endings(session) == ["timeout"]
    network.run(40)
    assert alice.agent.is_idle


@pytest.mark.parametrize(("status", "cause"), [(481, "rejected"), (408, "timeout")])
def test_rfc3261_12_2_1_2_a_481_or_408_ends_the_session(status: int, cause: str) -> None:
    network = Network()
    alice, bob, session, _callee = connected(network)
    bob.on[Reoffered] = lambda effect: effect.session.refuse_reoffer(status, network.now)
    alice.run(session.reinvite(b"hold", network.now))
    network.run(1)
    assert alice.all(ReofferFailed) == [ReofferFailed(session, status)]
    assert alice.endings(session) == [cause]
    assert ("BYE" in alice.trace) == (status == 408)


# -- other requests inside the dialog


def test_info_both_ways() -> None:
    network = Network()
    alice, bob, session, callee = connected(network)
    alice.run(session.info(b"Signal=5", "application/dtmf-relay", network.now))
    bob.run(callee.info(b"Signal=6", "application/dtmf-relay", network.now))
    network.run(1)
    (received,) = bob.all(InfoReceived)
    assert (received.request.body, received.request.content_type) == (b"Signal=5", "application/dtmf-relay")
    assert alice.all(InfoReceived)[0].request.body == b"Signal=6"
    assert alice.all(InfoAnswered) == [InfoAnswered(session, 200)]
    assert bob.all(InfoAnswered) == [InfoAnswered(callee, 200)]


def test_rfc3261_15_1_1_crossing_byes_end_both_sides_once() -> None:
    network = Network()
    alice, bob, session, callee = connected(network)
    alice.run(session.hangup(network.now))
    bob.run(callee.hangup(network.now))
    network.run()
    assert alice.endings(session) == bob.endings(callee) == ["local"]
    assert "200 BYE" in alice.trace
    assert "200 BYE" in bob.trace
    network.assert_idle()


def test_rfc3261_15_1_1_bye_without_an_answer_leaves_nothing() -> None:
    network = Network()
    alice, _bob, session, _callee = connected(network)
    network.weather = lambda data: ()
    alice.run(session.hangup(network.now))
    network.run(40)
    assert alice.endings(session) == ["local"]
    assert alice.agent.is_idle
    assert not alice.timers


def test_redirect() -> None:
    network = Network()
    alice, bob = pair(network)
    contacts = [("Contact", "<sip:carol@192.0.2.3>;q=0.5, <sip:dave@192.0.2.4>")]
    bob.answering(lambda session, request: session.reject(302, network.now, headers=contacts))
    session = alice.call(bob)
    network.run()
    (redirected,) = alice.all(Redirected)
    assert [str(each.uri) for each in redirected.contacts] == ["sip:carol@192.0.2.3", "sip:dave@192.0.2.4"]
    assert alice.endings(session) == ["redirected"]
    network.assert_idle()


# -- moving


def test_a_recorded_dialog_lives_on_in_another_agent() -> None:
    network = Network()
    alice, bob, session, callee = connected(network)
    record = json.loads(json.dumps(callee.record()))
    del network.nodes[bob.address]
    second = network.node("bob", "192.0.2.2")
    moved = second.agent.restore(record, owner="call 7")
    assert (moved.owner, moved.call_id) == ("call 7", session.call_id)
    assert (moved.local_uri, moved.remote_uri) == (callee.local_uri, callee.remote_uri)
    alice.on[Reoffered] = lambda effect: effect.session.accept_reoffer(b"yes", network.now)
    second.run(moved.reinvite(b"new address", network.now))
    network.run(1)
    assert second.all(Reanswered) == [Reanswered(moved, b"yes")]
    alice.run(session.hangup(network.now))
    network.run(40)
    assert second.endings(moved) == ["bye"]
    assert second.agent.is_idle


def test_a_restored_dialog_uses_no_stream_of_the_old_process() -> None:
    network = Network()
    bob = network.node("bob", "192.0.2.2")
    bob.answering(lambda session, request: session.answer(b"answer", network.now))
    flow = Flow("TCP", bob.address, ("192.0.2.99", 40000), 3)
    bob.feed(make_request("INVITE", transport="TCP", body=b"offer"), flow)
    bob.feed(make_request("ACK", branch="z9hG4bKa", transport="TCP", to_tag=bob.sent[-1].to.tag or ""), flow)
    bob.run(bob.sessions[0].info(b"1", "text/plain", network.now))
    assert bob.hops[-1].connection == 3
    moved = bob.agent.restore(bob.sessions[0].record())
    bob.run(moved.info(b"2", "text/plain", network.now))
    assert bob.hops[-1].parts()[:4] == ["TCP", "192.0.2.99", 40000, 0]


def test_a_route_with_a_name_is_resolved_before_requests_go_out() -> None:
    network = Network()
    bob = network.node("bob", "192.0.2.2")
    bob.names["edge.example"] = [Hop("UDP", "192.0.2.99", 5070)]
    bob.answering(lambda session, request: session.answer(b"answer", network.now))
    routes = [("Record-Route", "<sip:edge.example;lr>")]
    bob.feed(make_request("INVITE", body=b"offer", headers=routes))
    tag = bob.sent[-1].to.tag or ""
    bob.feed(make_request("ACK", branch="z9hG4bKack", to_tag=tag))
    bob.run(bob.sessions[0].info(b"1", "text/plain", network.now))
    bob.run(bob.sessions[0].hangup(network.now))
    assert "BYE" not in bob.trace
    network.run(0.1)
    assert bob.trace[-2:] == ["INFO", "BYE"]
    assert bob.hops[-1] == Hop("UDP", "192.0.2.99", 5070)
    assert [each.cseq.number for each in bob.sent[-2:]] == [1, 2]
    network.run()
    network.assert_idle()


def test_rfc3263_4_3_inside_a_dialog_the_next_address_of_a_route_is_tried() -> None:
    network = Network()
    bob = network.node("bob", "192.0.2.2")
    dead, other = Hop("UDP", "192.0.2.98", 5070), Hop("UDP", "192.0.2.97", 5070)
    bob.names["edge.example"] = [dead, other]
    network.unreachable.add((dead.host, dead.port))
    bob.answering(lambda session, request: session.answer(b"answer", network.now))
    routes = [("Record-Route", "<sip:edge.example;lr>")]
    bob.feed(make_request("INVITE", body=b"offer", headers=routes))
    bob.feed(make_request("ACK", branch="z9hG4bKack", to_tag=bob.sent[-1].to.tag or ""))
    bob.run(bob.sessions[0].info(b"1", "text/plain", network.now))
    network.run(0.1)
    assert (bob.trace[-2:], bob.hops[-2:]) == (["INFO", "INFO"], [dead, other])
    assert bob.sent[-1].cseq.number > bob.sent[-2].cseq.number
    assert HopFailed(dead, "unreachable", 0) in bob.all(HopFailed)
    bob.run(bob.sessions[0].hangup(network.now))
    assert bob.hops[-1] == other
    network.run()
    network.assert_idle()


@pytest.mark.parametrize(
    ("contact", "source", "reached"),
    [
        ("sip:eve@8.8.4.4:5070;transport=tcp", "8.8.8.8", ["8.8.8.8", "8.8.4.4"]),
        ("sip:eve@10.0.0.5:5070;transport=tcp", "10.0.0.5", ["10.0.0.5", "10.0.0.5"]),
        ("sip:eve@10.0.0.5:6379;transport=tcp", "8.8.8.8", ["8.8.8.8"]),
        ("sip:eve@name.example;transport=tcp", "8.8.8.8", ["8.8.8.8"]),
    ],
)
def test_rfc3261_12_2_1_1_a_bye_goes_to_the_contact_when_the_stream_is_gone(
    contact: str, source: str, reached: list[str]
) -> None:
    """Never to an address of our own network that a peer from elsewhere names."""
    network = Network()
    bob = network.node("bob", "192.0.2.2")
    bob.answering(lambda session, request: session.answer(b"answer", network.now))
    flow = Flow("TCP", bob.address, (source, 40000), 7)
    fields = [("Contact", f"<{contact}>")]
    bob.feed(make_request("INVITE", transport="TCP", headers=fields, body=b"offer"), flow)
    ack = make_request("ACK", transport="TCP", branch="z9hG4bKack", to_tag=bob.sent[-1].to.tag or "")
    bob.feed(ack, flow)
    network.unreachable.add((source, 40000))
    bob.run(bob.sessions[0].hangup(network.now))
    network.run()
    byes = [hop.host for hop, sent in zip(bob.hops, bob.sent, strict=True) if line(sent) == "BYE"]
    assert byes == reached
    assert bob.hops[-1].connection == (0 if len(reached) == 2 else 7)
    network.assert_idle()


def test_a_route_that_cannot_be_resolved_ends_the_session() -> None:
    network = Network()
    bob = network.node("bob", "192.0.2.2")
    bob.answering(lambda session, request: session.answer(b"answer", network.now))
    routes = [("Record-Route", "<sip:gone.example;lr>")]
    bob.feed(make_request("INVITE", body=b"offer", headers=routes))
    tag = bob.sent[-1].to.tag or ""
    bob.feed(make_request("ACK", branch="z9hG4bKack", to_tag=tag))
    bob.run(bob.sessions[0].reinvite(b"hold", network.now))
    network.run()
    assert bob.endings(bob.sessions[0]) == ["unreachable"]
    network.assert_idle()


def test_resolve_is_asked_once_for_what_waits() -> None:
    network = Network()
    bob = network.node("bob", "192.0.2.2")
    bob.answering(lambda session, request: session.answer(b"answer", network.now))
    bob.feed(make_request("INVITE", body=b"o", headers=[("Record-Route", "<sip:edge.example;lr>")]))
    bob.feed(make_request("ACK", branch="z9hG4bKack", to_tag=bob.sent[-1].to.tag or ""))
    session = bob.sessions[0]
    first = session.info(b"1", "text/plain", network.now)
    second = session.info(b"2", "text/plain", network.now)
    assert [type(each) for each in first] == [Resolve]
    assert second == []
    hop = Hop("UDP", "192.0.2.99", 5060)
    sent = bob.agent.on_resolved(first[0].key, [hop], network.now)
    assert [parse(each.data).body for each in sent if hasattr(each, "data")] == [b"1", b"2"]


# -- what a far end that vanishes leaves behind


@pytest.mark.parametrize("trying_comes", ["before", "after"])
def test_a_reinvite_that_is_never_answered_is_freed_after_the_hangup(trying_comes: str) -> None:
    network = Network()
    alice, _bob, session, _ = connected(network)
    network.weather = lambda data: ()
    alice.run(session.reinvite(b"hold", network.now))
    invite = alice.sent[-1]
    assert isinstance(invite, Request)
    if trying_comes == "before":
        alice.feed(invite.reply(100))
    alice.run(session.hangup(network.now))
    if trying_comes == "after":
        alice.feed(invite.reply(100))
    network.run(70)
    assert alice.endings(session) == ["local"]
    assert alice.agent.is_idle
    assert not alice.timers


def test_hangup_before_the_ack_of_a_reinvite_waits_for_it() -> None:
    network = Network()
    alice, bob, session, callee = connected(network)
    bob.on[Reoffered] = lambda effect: effect.session.accept_reoffer(b"yes", network.now)
    lost = [b"ACK"]
    network.weather = lambda data: () if lost and data.startswith(lost[0]) else (0.01,)
    alice.run(session.reinvite(b"hold", network.now))
    network.run(0.2)
    bob.run(callee.hangup(network.now))
    network.run(0.1)
    assert "BYE" not in bob.trace
    lost.clear()
    network.run()
    assert bob.trace[-1] == "BYE"
    assert alice.endings(session) == ["bye"]
    network.assert_idle()


def test_a_dialog_that_is_gone_leaves_no_2xx_behind() -> None:
    network = Network()
    alice, bob, session, callee = connected(network)
    bob.on[Reoffered] = lambda effect: effect.session.accept_reoffer(b"yes", network.now)
    network.weather = lambda data: () if data.startswith(b"ACK") else (0.01,)
    alice.run(session.reinvite(b"hold", network.now))
    network.run(0.1)
    alice.agent.sessions.clear()  # as after a restart of the far end
    bob.run(callee.info(b"1", "text/plain", network.now))
    network.run(0.1)
    assert bob.endings(callee) == ["rejected"]
    sent = len(bob.sent)
    network.run()
    assert len(bob.sent) == sent
    network.assert_idle()


def test_a_far_end_whose_2xx_were_all_lost_may_still_hang_up() -> None:
    network = Network()
    alice, bob = pair(network)
    ring_and_answer(bob)
    network.weather = lambda data: () if data.startswith(b"SIP/2.0 200 OK") and b"INVITE" in data else (0.01,)
    session = alice.call(bob)
    network.run(40)
    assert bob.endings(bob.sessions[0]) == ["no-ack"]
    assert alice.endings(session) == ["bye"]
    network.weather = lambda data: (0.01,)
    network.run()
    network.assert_idle()
