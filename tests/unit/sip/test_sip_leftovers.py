"""What is left of a session that is over: no ring of objects, and in its transactions only what the peer may still ask for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from unit.sip.leftovers import alive, forget, no_collector
from unit.sip.test_sip_session import pair, ring_and_answer
from unit.sip.virtual_network import Network, Node, line

from ringback.sip.authorization import Login
from ringback.sip.effects import Ended, Reoffered
from ringback.sip.flow import Hop
from ringback.sip.message import Request, Response
from ringback.sip.session import InviteSession
from ringback.sip.timers import ROUTES_MAX

__all__ = ["no_collector"]

KINDS = (InviteSession, Request, Response)


def by_caller(alice: Node, bob: Node) -> None:
    alice.run(alice.sessions[0].hangup(alice.network.now))


def by_callee(alice: Node, bob: Node) -> None:
    bob.run(bob.sessions[0].hangup(bob.network.now))


def after_another_offer(alice: Node, bob: Node) -> None:
    bob.on[Reoffered] = lambda effect: effect.session.accept_reoffer(b"other answer", bob.network.now)
    alice.run(alice.sessions[0].reinvite(b"other offer", alice.network.now))
    alice.network.run(1)
    by_caller(alice, bob)


def pair_with(extensions: tuple[str, ...]) -> tuple[Network, Node, Node]:
    network = Network()
    alice = network.node("alice", "192.0.2.1", extensions=extensions)
    return network, alice, network.node("bob", "192.0.2.2", extensions=extensions)


def call_up(extensions: tuple[str, ...] = ()) -> tuple[Network, Node, Node]:
    """Alice has called Bob, and they talk."""
    network, alice, bob = pair_with(extensions)
    ring_and_answer(bob)
    alice.call(bob)
    network.run(1)
    return network, alice, bob


def accepted_by(bob: Node) -> Request | Response:
    """His 200 to the INVITE."""
    (accepted,) = [message for message in bob.sent if line(message) == "200 INVITE"]
    return accepted


def assert_nothing_is_left(network: Network, alice: Node, bob: Node, before: list[int]) -> None:
    """Both have heard of the end, and hold nothing."""
    network.run()
    assert alice.count(Ended) == bob.count(Ended) == 1
    forget(alice, bob)
    assert alive(*KINDS) == before
    network.assert_idle()


@pytest.mark.parametrize("extensions", [(), ("100rel", "timer")])
@pytest.mark.parametrize("end", [by_caller, by_callee, after_another_offer])
def test_a_call_leaves_no_ring_of_objects(
    end: Callable[[Node, Node], None], extensions: tuple[str, ...]
) -> None:
    before = alive(*KINDS)
    network, alice, bob = call_up(extensions)
    end(alice, bob)
    assert_nothing_is_left(network, alice, bob, before)


@pytest.mark.parametrize("extensions", [(), ("100rel",)])
def test_a_cancelled_call_leaves_no_ring_of_objects(extensions: tuple[str, ...]) -> None:
    before = alive(*KINDS)
    network, alice, bob = pair_with(extensions)
    bob.answering(lambda session, request: session.progress(183, network.now, body=b"early"))
    alice.call(bob)
    network.run(1)
    by_caller(alice, bob)
    assert_nothing_is_left(network, alice, bob, before)


CHALLENGE = ("WWW-Authenticate", 'Digest realm="x", nonce="y"')


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (302, ("Contact", "<sip:carol@192.0.2.9>")),
        (401, CHALLENGE),
        (422, ("Min-SE", "3600")),
        (486, ("X-Why", "not now")),
        (503, ("Retry-After", "9")),
    ],
)
def test_a_refused_call_leaves_no_ring_of_objects(status: int, headers: tuple[str, str]) -> None:
    network = Network()
    alice, bob = pair(network)
    bob.answering(lambda session, request: session.reject(status, network.now, headers=[headers]))
    before = alive(*KINDS)
    hops = [Hop("UDP", *bob.address), Hop("UDP", *bob.address)]
    alice.call(bob, hops=hops, credentials=Login("alice", "secret"))
    network.run()
    assert alice.count(Ended) == 1
    forget(alice, bob)
    assert alive(*KINDS) == before
    network.assert_idle()


def test_a_call_that_nobody_answers_leaves_no_ring_of_objects() -> None:
    """Each hop that was given up is listened to for a while."""
    network = Network()
    alice, bob = pair(network)
    before = alive(*KINDS)
    alice.call(bob, hops=[Hop("UDP", f"192.0.2.{number}", 5060) for number in (77, 78, 79)])
    network.run()
    assert [each.cause for each in alice.all(Ended)] == ["timeout"]
    forget(alice, bob)
    assert alive(*KINDS) == before
    network.assert_idle()


@pytest.mark.parametrize("end", [by_caller, by_callee])
def test_transactions_hold_no_session_that_is_over(end: Callable[[Node, Node], None]) -> None:
    before = alive(*KINDS)
    network, alice, bob = call_up()
    end(alice, bob)
    network.run(1)
    forget(alice, bob)
    assert alice.agent.tables.clients  # an ACCEPTED INVITE
    assert bob.agent.tables.servers
    assert alive(*KINDS) == before
    network.run()
    network.assert_idle()


def test_the_transaction_of_a_later_offer_holds_no_session_that_is_over() -> None:
    before = alive(InviteSession)
    network, alice, bob = call_up()
    after_another_offer(alice, bob)
    network.run(1)
    accepted = [message for message in bob.sent if line(message) == "200 INVITE"]
    acks = [message for message in alice.sent if line(message) == "ACK"]
    assert [[each.render() for each in alice.feed(again)] for again in accepted] == [
        [ack.render()] for ack in acks
    ]
    forget(alice, bob)
    assert len(alice.agent.tables.clients) > 1  # two INVITEs are ACCEPTED
    assert alive(InviteSession) == before
    network.run()
    network.assert_idle()


def test_the_transaction_of_a_call_that_was_answered_while_it_was_cancelled_holds_no_session() -> None:
    before = alive(InviteSession)
    network = Network()
    alice, bob = pair(network)
    bob.answering(lambda session, request: session.progress(180, network.now))
    alice.call(bob)
    network.run(1)
    bob.run(bob.sessions[0].answer(b"answer", network.now))
    by_caller(alice, bob)
    network.run(1)
    assert alice.trace == ["INVITE", "CANCEL", "ACK", "BYE"]
    assert [line(each) for each in alice.feed(accepted_by(bob))] == ["ACK"]
    forget(alice, bob)
    assert alive(InviteSession) == before
    network.run()
    network.assert_idle()


def test_rfc6026_7_2_a_copy_of_the_2xx_that_comes_after_the_call_gets_its_ack() -> None:
    network, alice, bob = call_up()
    accepted = accepted_by(bob)
    by_caller(alice, bob)
    network.run(1)
    ack = next(message for message in alice.sent if line(message) == "ACK")
    (again,) = alice.feed(accepted)
    assert again.render() == ack.render()


def test_rfc3261_13_2_2_4_a_branch_that_answers_after_the_call_gets_ack_and_bye() -> None:
    network, alice, bob = call_up()
    accepted = accepted_by(bob)
    by_caller(alice, bob)
    network.run(1)
    accepted.set("To", "<sip:bob@192.0.2.2>;tag=other")
    ack, bye = alice.feed(accepted)
    assert (line(ack), line(bye)) == ("ACK", "BYE")
    assert ack.to.tag == bye.to.tag == "other"
    assert bye.cseq.number > ack.cseq.number == accepted.cseq.number
    (again,) = alice.feed(accepted)
    assert again.render() == ack.render()


def test_rfc3261_9_2_a_cancel_that_comes_after_the_call_changes_nothing() -> None:
    network, alice, bob = call_up()
    invite = alice.sent[0]
    assert isinstance(invite, Request)
    by_caller(alice, bob)
    network.run(1)
    cancel = invite.copy()
    cancel.method = "CANCEL"
    cancel.set("CSeq", f"{invite.cseq.number} CANCEL")
    (answer,) = bob.feed(cancel)
    assert line(answer) == "200 CANCEL"
    assert answer.to.tag == accepted_by(bob).to.tag
    assert bob.count(Ended) == 1


def test_rfc3261_13_2_2_4_an_answer_whose_route_is_too_long_gets_ack_and_bye() -> None:
    """It would be repeated for 32 s, and the callee would believe in the call."""
    network = Network()
    alice, bob = pair(network)
    ring_and_answer(bob)
    alice.call(bob)
    network.run(0.015)
    accepted = bob.sent[-1]
    assert line(accepted) == "200 INVITE"
    accepted.headers[1:1] = [("Record-Route", "<sip:edge.example;lr>")] * (ROUTES_MAX + 1)
    ack, bye = alice.feed(accepted)
    assert (line(ack), line(bye)) == ("ACK", "BYE")
    assert not bye.has("Route")
    assert [(each.cause, each.status) for each in alice.all(Ended)] == [("rejected", 502)]
    network.run()
    network.assert_idle()
