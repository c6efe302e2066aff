"""RFC 4028 by clause: sessions that are refreshed, by either side, or end."""

from __future__ import annotations

from typing import Any

import pytest
from unit.sip.virtual_network import Network, Node, line, make_request, network

from ringback.sip.effects import Ended, Reoffered, ReofferFailed
from ringback.sip.message import Request, Response
from ringback.sip.session import InviteSession

__all__ = ["network"]

TIMERS: dict[str, Any] = {"extensions": ["timer"], "session_expires": 600}


@pytest.fixture
def bob(network: Network) -> Node:
    node = network.node("bob", "192.0.2.2", **TIMERS)
    node.answering(lambda session, request: session.answer(b"answer", network.now))
    return node


@pytest.fixture
def alice(network: Network) -> Node:
    return network.node("alice", "192.0.2.1", **TIMERS)


def invite(bob: Node, *headers: tuple[str, str]) -> Response:
    (*_, last) = bob.feed(make_request("INVITE", headers=headers, body=b"offer"))
    assert isinstance(last, Response)
    if last.status == 200:
        bob.feed(make_request("ACK", branch="z9hG4bKack", to_tag=last.to.tag or ""))
    return last


def accepted_with(alice: Node, *headers: tuple[str, str]) -> InviteSession:
    """Alice calls, and somebody answers with these fields."""
    session = alice.call(NOBODY)
    request = alice.sent[-1]
    assert isinstance(request, Request)
    fields = [("Contact", "<sip:nobody@192.0.2.200>"), *headers]
    alice.feed(
        request.reply(200, to_tag="theirs", headers=fields, body=b"answer", content_type="application/sdp")
    )
    return session


class Nobody:
    name = "nobody"
    address = ("192.0.2.200", 5060)


NOBODY: Node = Nobody()  # type: ignore[assignment]
TIMER = ("Supported", "timer")


@pytest.mark.parametrize("seconds", [0, 1, 60])
def test_rfc4028_5_too_short_an_interval_of_an_answer_counts_as_the_shortest(
    network: Network, alice: Node, seconds: int
) -> None:
    """Who answers could have us refresh as often as it likes: 90 seconds is the least."""
    accepted_with(alice, ("Session-Expires", f"{seconds};refresher=uac"), ("Allow", "UPDATE"))
    network.run(44)
    assert alice.trace == ["INVITE", "ACK"]
    network.run(2)
    assert "UPDATE" in alice.trace


# -- 5 and 9: as callee


def test_rfc4028_9_an_interval_below_ours_gets_422(bob: Node) -> None:
    refusal = invite(bob, TIMER, ("Session-Expires", "60"))
    assert (refusal.status, refusal.get("Min-SE")) == (422, "90")


def test_rfc4028_9_who_knows_no_timers_is_not_refused(bob: Node) -> None:
    assert invite(bob, ("Session-Expires", "60")).status == 200


def test_rfc4028_9_the_refresher_that_was_asked_for_is_taken(bob: Node) -> None:
    ok = invite(bob, TIMER, ("Session-Expires", "300;refresher=uas"))
    assert ok.get("Session-Expires") == "300;refresher=uas"
    assert ok.all("Require") == ["timer"]


def test_rfc4028_9_the_caller_refreshes_when_it_can_and_does_not_say(bob: Node) -> None:
    ok = invite(bob, TIMER, ("x", "300"))  # x is the compact form
    assert ok.get("Session-Expires") == "300;refresher=uac"
    assert ok.all("Require") == ["timer"]


def test_rfc4028_9_we_refresh_for_a_caller_that_cannot(bob: Node) -> None:
    ok = invite(bob, ("Session-Expires", "300"))
    assert ok.get("Session-Expires") == "300;refresher=uas"
    assert ok.get("Require") is None


def test_rfc4028_9_a_timer_is_offered_to_who_supports_it(bob: Node) -> None:
    assert invite(bob, TIMER).get("Session-Expires") == "600;refresher=uac"


def test_rfc4028_9_no_timer_for_who_neither_asks_nor_supports(network: Network, bob: Node) -> None:
    assert invite(bob).get("Session-Expires") is None
    network.run(1000)
    assert bob.count(Ended) == 0


def test_rfc4028_9_the_interval_may_be_lowered_but_never_below_min_se(bob: Node) -> None:
    assert invite(bob, TIMER, ("Session-Expires", "7200")).get("Session-Expires") == "600;refresher=uac"


def test_rfc4028_9_min_se_of_the_request_bounds_it(bob: Node) -> None:
    ok = invite(bob, TIMER, ("Session-Expires", "7200"), ("Min-SE", "900"))
    assert ok.get("Session-Expires") == "900;refresher=uac"


def test_rfc4028_10_without_a_refresh_the_callee_hangs_up_in_time(network: Network, bob: Node) -> None:
    invite(bob, TIMER, ("Session-Expires", "300;refresher=uac"))
    network.run(267)
    assert "BYE" not in bob.trace
    network.run(2)  # 300 - min(32, 300 / 3) = 268
    assert bob.trace[-1] == "BYE"
    assert bob.sent[-1].get("Reason") == 'SIP;cause=408;text="Session expired"'
    assert [(each.cause, each.status) for each in bob.all(Ended)] == [("timeout", 408)]


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_rfc4028_9_a_refresh_begins_the_interval_anew(network: Network, bob: Node, method: str) -> None:
    bob.on[Reoffered] = lambda effect: effect.session.accept_reoffer(b"answer", network.now)
    tag = invite(bob, TIMER, ("Session-Expires", "300;refresher=uac")).to.tag or ""
    network.run(150)
    body = b"offer" if method == "INVITE" else b""
    fields = [TIMER, ("Session-Expires", "300;refresher=uac")]
    answers = bob.feed(make_request(method, branch="z9hG4bKr", to_tag=tag, cseq=2, headers=fields, body=body))
    assert answers[-1].get("Session-Expires") == "300;refresher=uac"
    bob.feed(make_request("ACK", branch="z9hG4bKack2", to_tag=tag, cseq=2))
    network.run(260)
    assert "BYE" not in bob.trace
    network.run(10)
    assert bob.trace[-1] == "BYE"


def test_rfc4028_9_a_refresh_without_a_timer_turns_it_off(network: Network, bob: Node) -> None:
    tag = invite(bob, ("Session-Expires", "300")).to.tag or ""
    (ok,) = bob.feed(make_request("UPDATE", branch="z9hG4bKr", to_tag=tag, cseq=2))
    assert ok.get("Session-Expires") is None
    network.run(1000)
    assert bob.trace[-1] == "200 UPDATE"


# -- 7: as caller


def test_rfc4028_7_1_an_invite_asks_for_a_timer(alice: Node) -> None:
    alice.call(NOBODY)
    assert alice.sent[0].get("Session-Expires") == "600"
    assert "timer" in alice.sent[0].tokens("Supported")
    assert alice.sent[0].get("Min-SE") is None  # 90 is what everybody assumes


def test_rfc4028_7_3_a_422_is_answered_with_the_longer_interval(alice: Node) -> None:
    alice.call(NOBODY)
    first = alice.sent[0]
    assert isinstance(first, Request)
    ack, again = alice.feed(first.reply(422, to_tag="x", headers=[("Min-SE", "3600")]))
    assert (line(ack), line(again)) == ("ACK", "INVITE")
    assert (again.get("Session-Expires"), again.get("Min-SE")) == ("3600", "3600")
    assert again.call_id == first.call_id
    assert again.cseq.number == first.cseq.number + 1
    assert again.to.tag is None


def test_rfc4028_7_3_a_422_that_asks_for_nothing_more_ends_the_call(alice: Node) -> None:
    session = alice.call(NOBODY)
    first = alice.sent[0]
    assert isinstance(first, Request)
    alice.feed(first.reply(422, to_tag="x", headers=[("Min-SE", "60")]))
    assert alice.endings(session) == ["rejected"]


def test_rfc4028_7_2_no_session_expires_in_the_2xx_means_no_timer(network: Network, alice: Node) -> None:
    accepted_with(alice)
    network.run(2000)
    assert alice.trace == ["INVITE", "ACK"]


def test_rfc4028_7_2_a_refresher_refreshes_at_half_the_interval_by_update(
    network: Network, alice: Node
) -> None:
    accepted_with(alice, ("Session-Expires", "300;refresher=uac"), ("Allow", "INVITE, UPDATE"))
    network.run(149)
    assert "UPDATE" not in alice.trace
    network.run(2)
    update = alice.sent[-1]
    assert line(update) == "UPDATE"
    assert update.body == b""
    assert update.get("Session-Expires") == "300;refresher=uac"


def test_rfc4028_7_4_without_update_a_reinvite_with_the_same_sdp_refreshes(
    network: Network, alice: Node
) -> None:
    accepted_with(alice, ("Session-Expires", "300;refresher=uac"))
    network.run(151)
    reinvite = alice.sent[-1]
    assert line(reinvite) == "INVITE"
    assert (reinvite.body, reinvite.to.tag) == (b"offer", "theirs")


def test_rfc4028_7_2_the_other_side_refreshes_or_the_caller_hangs_up(network: Network, alice: Node) -> None:
    session = accepted_with(alice, ("Session-Expires", "300;refresher=uas"))
    network.run(268.2)
    assert alice.trace == ["INVITE", "ACK", "BYE"]
    assert alice.endings(session) == ["timeout"]


@pytest.mark.parametrize("status", [408, 481])
def test_rfc4028_10_a_refresh_that_finds_nobody_ends_the_session(
    network: Network, alice: Node, status: int
) -> None:
    session = accepted_with(alice, ("Session-Expires", "300;refresher=uac"), ("Allow", "UPDATE"))
    network.run(151)
    update = alice.sent[-1]
    assert isinstance(update, Request)
    alice.feed(update.reply(status))
    assert session.is_over


def test_rfc4028_10_a_refresh_without_any_answer_ends_the_session(network: Network, alice: Node) -> None:
    session = accepted_with(alice, ("Session-Expires", "300;refresher=uac"), ("Allow", "UPDATE"))
    network.run(151 + 33)
    assert alice.endings(session) == ["timeout"]
    assert alice.trace[-1] == "BYE"


@pytest.mark.parametrize("status", [405, 501])
def test_rfc4028_7_4_who_refuses_update_gets_a_reinvite(network: Network, alice: Node, status: int) -> None:
    accepted_with(alice, ("Session-Expires", "300;refresher=uac"), ("Allow", "UPDATE"))
    network.run(151)
    update = alice.sent[-1]
    assert isinstance(update, Request)
    (reinvite,) = alice.feed(update.reply(status))
    assert (line(reinvite), reinvite.body) == ("INVITE", b"offer")


def test_rfc4028_7_3_a_422_to_a_refresh_lengthens_the_interval(network: Network, alice: Node) -> None:
    accepted_with(alice, ("Session-Expires", "300;refresher=uac"), ("Allow", "UPDATE"))
    network.run(151)
    update = alice.sent[-1]
    assert isinstance(update, Request)
    (again,) = alice.feed(update.reply(422, headers=[("Min-SE", "400")]))
    assert (again.get("Session-Expires"), again.get("Min-SE")) == ("400;refresher=uac", "400")


def test_rfc4028_10_a_refresh_that_is_refused_for_now_is_tried_again(network: Network, alice: Node) -> None:
    session = accepted_with(alice, ("Session-Expires", "300;refresher=uac"), ("Allow", "UPDATE"))
    network.run(151)
    for _ in range(2):
        update = alice.sent[-1]
        assert isinstance(update, Request) and update.method == "UPDATE"
        alice.feed(update.reply(500))
        network.run(10.5)
    update = alice.sent[-1]
    assert isinstance(update, Request)
    alice.feed(update.reply(200, headers=[("Session-Expires", "300;refresher=uac"), ("Allow", "UPDATE")]))
    network.run(120)
    assert not session.is_over


def test_rfc4028_4_two_of_us_keep_a_session_alive(network: Network, alice: Node, bob: Node) -> None:
    session = alice.call(bob)
    network.run(5000)
    assert session.is_confirmed and bob.sessions[0].is_confirmed
    assert alice.trace.count("UPDATE") >= 10
    assert alice.count(ReofferFailed) == 0
    alice.run(session.hangup(network.now))
    network.run()
    network.assert_idle()


def test_rfc4028_10_the_survivor_of_a_crash_notices(network: Network, alice: Node, bob: Node) -> None:
    session = alice.call(bob)
    network.run(10)
    del network.nodes[bob.address]
    network.run(700)
    assert alice.endings(session) == ["timeout"]


def test_rfc4028_7_4_a_moved_session_goes_on_refreshing(network: Network, alice: Node, bob: Node) -> None:
    session = alice.call(bob)
    network.run(10)
    record = session.record()
    heir = network.node("heir", "192.0.2.1", **TIMERS)
    restored = heir.agent.restore(record)
    heir.run(heir.agent.resume(restored, network.now))
    network.run(400)
    assert "UPDATE" in heir.trace
    assert restored.is_confirmed and bob.sessions[0].is_confirmed
