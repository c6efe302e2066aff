"""Offers of ours inside a dialog that nobody answers, or that come back for a longer session interval."""

from __future__ import annotations

import pytest
from unit.sip.test_sip_session import connected
from unit.sip.virtual_network import Network, Node, line, network

from ringback.sip.effects import Ended, Reanswered, Reoffered, ReofferFailed
from ringback.sip.message import Request
from ringback.sip.session import InviteSession
from ringback.sip.timers import INTERVAL_RETRIES, REINVITE_PATIENCE, Timers

__all__ = ["network"]


@pytest.fixture
def call(network: Network) -> tuple[Node, Node, InviteSession, InviteSession]:
    """Alice calls Bob, who leaves each re-INVITE open."""
    return connected(network)


def invite_of(node: Node) -> Request:
    """The last INVITE that a node has sent."""
    found = [each for each in node.sent if line(each) == "INVITE"][-1]
    assert isinstance(found, Request)
    return found


def test_rfc3261_9_1_a_reinvite_that_stays_open_is_cancelled(
    network: Network, call: tuple[Node, Node, InviteSession, InviteSession]
) -> None:
    alice, bob, session, _ = call
    alice.run(session.reinvite(b"hold", network.now))
    network.run(REINVITE_PATIENCE - 1)
    assert "CANCEL" not in alice.trace
    network.run(2)
    assert alice.trace[-2:] == ["CANCEL", "ACK"] and "487 INVITE" in bob.trace
    assert alice.all(ReofferFailed) == [ReofferFailed(session, 487)]
    bob.on[Reoffered] = lambda effect: effect.session.accept_reoffer(b"yes", network.now)
    alice.run(session.reinvite(b"once more", network.now))
    network.run(1)
    assert alice.all(Reanswered) == [Reanswered(session, b"yes")]
    alice.run(session.hangup(network.now))
    network.run()
    network.assert_idle()


def test_rfc3261_9_1_a_reinvite_whose_cancel_is_not_answered_is_given_up(
    network: Network, call: tuple[Node, Node, InviteSession, InviteSession]
) -> None:
    alice, _bob, session, _ = call
    network.weather = lambda data: ()
    alice.run(session.reinvite(b"hold", network.now))
    alice.feed(invite_of(alice).reply(100))
    network.run(REINVITE_PATIENCE + Timers().timeout - 1)
    assert alice.count(ReofferFailed) == 0
    network.run(2)
    assert alice.all(ReofferFailed) == [ReofferFailed(session, 408)]
    assert session.is_confirmed and alice.count(Ended) == 0
    alice.run(session.reinvite(b"once more", network.now))
    assert invite_of(alice).body == b"once more"


def test_a_reinvite_that_rings_again_and_again_is_cancelled_as_well(
    network: Network, call: tuple[Node, Node, InviteSession, InviteSession]
) -> None:
    alice, _bob, session, _ = call
    network.weather = lambda data: ()
    alice.run(session.reinvite(b"hold", network.now))
    invite = invite_of(alice)
    while "CANCEL" not in alice.trace:
        alice.feed(invite.reply(183))
        network.run(10)
        assert network.now < 1000 + 2 * REINVITE_PATIENCE


def test_rfc3261_9_1_an_answer_that_crossed_the_cancel_of_a_reinvite_counts(
    network: Network, call: tuple[Node, Node, InviteSession, InviteSession]
) -> None:
    alice, bob, session, callee = call
    alice.run(session.reinvite(b"hold", network.now))
    network.run(REINVITE_PATIENCE + 0.015)  # it sees the CANCEL in 15 ms
    assert "CANCEL" not in alice.trace
    bob.run(callee.accept_reoffer(b"at last", network.now))
    network.run(0.02)
    assert alice.trace[-2:] == ["CANCEL", "ACK"]
    assert alice.all(Reanswered) == [Reanswered(session, b"at last")]
    assert session.is_confirmed and callee.is_confirmed
    alice.run(session.hangup(network.now))
    network.run()
    network.assert_idle()


# -- session intervals


def timed(network: Network) -> tuple[Node, InviteSession]:
    """A call with a session timer, and nobody who answers from then on."""
    alice, bob = (
        network.node(name, f"192.0.2.{number}", extensions=["timer"], session_expires=600)
        for number, name in ((1, "alice"), (2, "bob"))
    )
    bob.answering(lambda session, request: session.answer(b"answer", network.now))
    session = alice.call(bob)
    network.run(1)
    network.weather = lambda data: ()
    return alice, session


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_rfc4028_7_3_an_offer_that_is_refused_for_its_interval_is_made_again(
    network: Network, method: str
) -> None:
    alice, session = timed(network)
    again = session.reinvite if method == "INVITE" else session.update
    alice.run(again(b"new offer", network.now))
    for least in (900, 1200):
        offer = alice.sent[-1]
        assert isinstance(offer, Request)
        sent = alice.feed(offer.reply(422, headers=[("Min-SE", str(least))]))
        assert [line(each) for each in sent if line(each) != "ACK"] == [method]
        assert sent[-1].body == b"new offer" and sent[-1].get("Min-SE") == str(least)
    assert alice.count(ReofferFailed) == 0
    accepted = alice.sent[-1]
    assert isinstance(accepted, Request)
    alice.feed(accepted.reply(200, body=b"agreed", content_type="application/sdp"))
    assert alice.all(Reanswered) == [Reanswered(session, b"agreed")]


def test_rfc4028_7_3_a_peer_that_asks_for_more_without_end_is_let_be(network: Network) -> None:
    alice, session = timed(network)
    alice.run(session.reinvite(b"new offer", network.now))
    for count in range(INTERVAL_RETRIES + 1):
        alice.feed(invite_of(alice).reply(422, headers=[("Min-SE", str(1000 + count))]))
    assert alice.all(ReofferFailed) == [ReofferFailed(session, 422)]
    assert alice.trace.count("INVITE") == 2 + INTERVAL_RETRIES
    assert session.is_confirmed


def test_a_refresh_that_stays_open_is_tried_again(network: Network) -> None:
    """Without UPDATE it is a re-INVITE, which may stay open."""
    alice, session = timed(network)
    session.timer.set(600, True, False)
    alice.run(alice.agent.resume(session, network.now))
    network.run(301)
    alice.feed(invite_of(alice).reply(100))
    first = invite_of(alice).cseq.number
    network.run(REINVITE_PATIENCE + Timers().timeout + 11)
    assert "CANCEL" in alice.trace
    assert invite_of(alice).cseq.number > first
    assert session.is_confirmed and alice.count(ReofferFailed) == 0
