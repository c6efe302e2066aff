"""Legs against phones on the virtual network: every way in, every way out, and one LegEnded each time."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace
from unit.call.leg_network import HOST, Exchange, Phone
from unit.sip.virtual_network import Network

from ringback.call.events import Digit, LegAnswered, LegEnded, LegRinging
from ringback.call.incoming_leg import IncomingLeg
from ringback.call.info_digits import digit_of
from ringback.call.outgoing_leg import OutgoingLeg
from ringback.sip import effects as sip
from ringback.sip.headers import NameAddr
from ringback.sip.message import Request
from ringback.sip.session import InviteSession
from ringback.sip.uri import Uri


def incoming(body: bytes | None = None) -> tuple[Exchange, Phone, IncomingLeg]:
    network = Network()
    exchange, alice = Exchange(network), Phone(network, "alice", 7)
    leg = exchange.receiving()
    alice.call(body)
    network.run(1)
    return exchange, alice, leg


def talking() -> tuple[Exchange, Phone, IncomingLeg]:
    """An incoming leg that is up; alice answers re-offers, and has heard our answer."""
    exchange, alice, leg = incoming()
    alice.node.on[sip.Established] = lambda effect: alice.talk.accept(effect.body) and None
    exchange.do(leg.answer)
    return exchange, alice, leg


# -- incoming ----------------------------------------------------------------------------------------------


def test_incoming_leg_rings_answers_and_ends_by_bye() -> None:
    exchange, alice, leg = incoming()
    assert exchange.configured()[0].remote == ("192.0.2.7", 10_014)
    exchange.do(leg.ring, False)
    exchange.do(leg.answer)
    alice.do(alice.session.hangup, headers=[("X-Why", "done")])
    exchange.finish()
    ended = exchange.ending()
    assert (ended.cause, ended.status, ended.headers["X-Why"]) == ("bye", 200, "done")
    assert ended.sip_call_id == alice.session.call_id
    assert alice.last(200).get("X-Twilio-CallSid") is None
    assert alice.last(180).get("X-Twilio-CallSid") == "CA1"


def test_incoming_leg_rings_once_and_never_back_from_early_media() -> None:
    exchange, alice, leg = incoming()
    for early in (False, False, True, True, False):
        exchange.do(leg.ring, early)
    assert [line for line in alice.got if line.startswith("18")] == ["180 INVITE", "183 INVITE"]
    assert b"m=audio 40000" in alice.last(183).body
    exchange.do(leg.hang_up)
    exchange.finish()


@pytest.mark.parametrize(
    ("body", "status", "code", "warning"),
    [
        (b"nonsense", 400, "32102", None),
        (
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 9000 RTP/AVP 9\r\n",
            488,
            "32102",
            '305 ringback "none of PCMU, PCMA is offered"',
        ),
        (
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=video 9000 RTP/AVP 96\r\n",
            488,
            "32102",
            '304 ringback "no audio stream is offered"',
        ),
        (
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 9000 RTP/SAVP 0\r\n",
            488,
            "32207",
            '302 ringback "only encrypted audio is offered"',
        ),
        (
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP6 2001:db8::7\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\n",
            488,
            "32102",
            '301 ringback "the stream\'s address is of another IP version"',
        ),
    ],
)
def test_rfc3261_21_4_26_an_offer_that_cannot_be_met_is_refused_with_a_warning(
    body: bytes, status: int, code: str, warning: str | None
) -> None:
    exchange, alice, leg = incoming(body)
    assert alice.last(status).get("Warning") == warning
    assert alice.last(status).get("X-Twilio-Error").startswith(f"{code} ")
    assert exchange.ending().cause == "local"
    assert exchange.ending().status == status
    exchange.do(leg.answer)
    exchange.do(leg.hang_up)
    exchange.finish()


def test_incoming_without_offer_takes_the_answer_in_the_ack() -> None:
    exchange, alice, leg = incoming(b"")
    assert exchange.configured() == []
    exchange.do(leg.ring, True)
    assert alice.last(183).body == b""
    alice.node.on[sip.Established] = lambda effect: effect.session.ack(
        alice.talk.answer(effect.body), exchange.network.now
    )
    exchange.do(leg.answer)
    assert exchange.configured()[0].remote == ("192.0.2.7", 10_014)
    exchange.do(leg.hang_up)
    exchange.finish()


@pytest.mark.parametrize("answer", [b"", b"nonsense"])
def test_incoming_without_offer_and_without_a_good_answer_is_hung_up(answer: bytes) -> None:
    exchange, alice, leg = incoming(b"")
    alice.node.on[sip.Established] = lambda effect: effect.session.ack(answer, exchange.network.now)
    exchange.do(leg.answer)
    assert alice.got[-1] == "BYE"
    exchange.finish()


def test_incoming_cancelled_by_the_caller() -> None:
    exchange, alice, leg = incoming()
    exchange.do(leg.ring, False)
    alice.do(alice.session.hangup)
    assert (exchange.ending().cause, exchange.ending().status) == ("cancelled", 487)
    exchange.do(leg.answer)
    exchange.do(leg.refuse, 486, "Busy Here")
    exchange.finish()


def test_incoming_refused() -> None:
    exchange, alice, leg = incoming()
    exchange.do(leg.refuse, 486, "Busy Here")
    assert alice.last(486).reason == "Busy Here"
    assert exchange.ending().cause == "local"
    exchange.finish()


@pytest.mark.parametrize("status", [480, 500])
def test_incoming_hung_up_before_the_answer(status: int) -> None:
    exchange, alice, leg = incoming()
    exchange.do(leg.hang_up, status=status)
    assert alice.last(status)
    exchange.do(leg.hang_up)
    exchange.finish()


def test_incoming_hung_up_after_the_answer() -> None:
    exchange, alice, leg = talking()
    exchange.do(leg.hang_up)
    exchange.do(leg.hang_up)
    assert alice.got.count("BYE") == 1
    assert exchange.ending() == LegEnded("local", 200, "OK", {}, alice.session.call_id)
    exchange.finish()


def test_incoming_hung_up_before_the_ack_came() -> None:
    exchange, alice, leg = incoming()
    exchange.node.run(leg.answer(exchange.network.now))
    exchange.node.run(leg.hang_up(exchange.network.now))
    exchange.finish()
    assert alice.got[-1] == "BYE"


# -- hold, and other offers in a call --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "ours"), [("sendonly", "recvonly"), ("inactive", "inactive"), ("recvonly", "sendonly")]
)
def test_hold_and_resume(direction: str, ours: str) -> None:
    exchange, alice, leg = talking()
    alice.node.on[sip.Reanswered] = lambda effect: alice.talk.accept(effect.body) and None
    alice.do(alice.session.reinvite, alice.talk.offer(direction))
    assert exchange.configured()[-1].direction == ours
    alice.do(alice.session.reinvite, alice.talk.offer())
    assert [each.direction for each in exchange.configured()] == ["sendrecv", ours, "sendrecv"]
    exchange.do(leg.hang_up)
    exchange.finish()


def test_hold_by_the_old_zero_address() -> None:
    exchange, alice, leg = talking()
    offer = alice.talk.offer().replace(b"c=IN IP4 192.0.2.7", b"c=IN IP4 0.0.0.0")
    alice.do(alice.session.reinvite, offer)
    assert exchange.configured()[-1].direction in ("recvonly", "inactive")
    exchange.do(leg.hang_up)
    exchange.finish()


def test_reoffer_that_changes_nothing_configures_nothing() -> None:
    exchange, alice, leg = talking()
    alice.do(alice.session.reinvite, alice.talk.offer())
    assert len(exchange.configured()) == 1
    exchange.do(leg.hang_up)
    exchange.finish()


@pytest.mark.parametrize(
    ("body", "status", "warning"),
    [(b"nonsense", 400, None), (None, 488, '305 ringback "none of PCMU, PCMA is offered"')],
)
def test_rfc3261_14_2_a_reoffer_that_cannot_be_met_leaves_the_call_as_it_was(
    body: bytes | None, status: int, warning: str | None
) -> None:
    exchange, alice, leg = talking()
    offer = alice.talk.offer().replace(b"RTP/AVP 0 8 101", b"RTP/AVP 9") if body is None else body
    alice.do(alice.session.reinvite, offer)
    assert f"{status} INVITE" in alice.got
    assert alice.last(status).get("Warning") == warning
    assert len(exchange.configured()) == 1
    assert not leg.ended
    exchange.do(leg.hang_up)
    exchange.finish()


def test_reinvite_without_offer_is_offered_what_holds() -> None:
    exchange, alice, leg = talking()
    alice.node.on[sip.Reanswered] = lambda effect: effect.session.ack(
        alice.talk.answer(effect.body), exchange.network.now
    )
    alice.do(alice.session.reinvite, b"")
    assert len(exchange.configured()) == 2
    assert exchange.configured()[0] == replace(
        exchange.configured()[1], receive=exchange.configured()[0].receive
    )
    exchange.do(leg.hang_up)
    exchange.finish()


def test_reinvite_without_offer_whose_answer_is_bad_keeps_the_call() -> None:
    exchange, alice, leg = talking()
    alice.node.on[sip.Reanswered] = lambda effect: effect.session.ack(b"nonsense", exchange.network.now)
    alice.do(alice.session.reinvite, b"")
    assert not leg.ended
    alice.node.on.clear()
    alice.do(alice.session.reinvite, alice.talk.offer("sendonly"))
    assert exchange.configured()[-1].direction == "recvonly"
    exchange.do(leg.hang_up)
    exchange.finish()


# -- INFO --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body", "digit"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", "5"),
        ("application/dtmf-relay", b"Signal= #\r\nDuration= 250", "#"),
        ("application/dtmf-relay", b"Duration=160\r\nSignal=a\r\n", "A"),
        ("application/dtmf-relay", b"Signal=10\nDuration=160\n", "*"),
        ("application/dtmf-relay", b"Signal=11\r\n", "#"),
        ("Application/DTMF; charset=x", b"9", "9"),
        ("application/dtmf-relay", b"Signal=12\r\n", None),
        ("application/dtmf-relay", b"Duration=1\r\n", None),
        ("application/dtmf", b"", None),
        ("application/media_control+xml", b"5", None),
    ],
)
def test_digit_of_info(kind: str, body: bytes, digit: str | None) -> None:
    assert digit_of(kind, body) == digit


def test_info_is_a_digit_of_the_call() -> None:
    exchange, alice, leg = talking()
    alice.do(alice.session.info, b"Signal=5\r\nDuration=160\r\n", "application/dtmf-relay")
    alice.do(alice.session.info, b"<xml/>", "application/xml")
    assert exchange.events() == [Digit("5")]
    exchange.do(leg.hang_up)
    exchange.finish()


# -- outgoing ------------------------------------------------------------------------------------------------------


def outgoing(count: int = 1) -> tuple[Exchange, list[Phone], OutgoingLeg]:
    network = Network()
    phones = [Phone(network, f"phone{n}", n) for n in range(11, 11 + count)]
    exchange = Exchange(network)
    return exchange, phones, exchange.leg()


def test_outgoing_leg_is_answered_and_hung_up_by_the_callee() -> None:
    exchange, (bob,), leg = outgoing()
    bob.answering(headers=[("X-Agent", "7"), ("P-Other", "8")])
    exchange.do(leg.place, [bob.branch(headers=(("X-Twilio-CallSid", "CA1"),))])
    (answered,) = exchange.events()
    assert answered == LegAnswered(bob.session.call_id, {"X-Agent": "7"}, "192.0.2.11")
    assert bob.node.got[0].get("X-Twilio-CallSid") == "CA1"
    assert exchange.configured()[0].remote == ("192.0.2.11", 10_022)
    bob.do(bob.session.hangup, headers=[("x-bye", "1")])
    assert exchange.ending().headers == {"x-bye": "1"}
    exchange.finish()


def test_outgoing_early_media_and_a_different_answer() -> None:
    exchange, (bob,), leg = outgoing()

    def react(session: InviteSession, request: Request) -> list[sip.Effect]:
        early = bob.talk.answer(request.body).replace(b"10022", b"20000")
        now = exchange.network.now
        return session.progress(180, now) + session.progress(183, now, body=early)

    bob.on_invite(react)
    exchange.do(leg.place, [bob.branch()])
    assert exchange.events() == [LegRinging(180, False), LegRinging(183, True)]
    invite = next(message for message in bob.node.got if isinstance(message, Request))
    bob.do(bob.session.answer, bob.talk.answer(invite.body))
    assert [each.remote[1] for each in exchange.configured()] == [20_000, 10_022]
    exchange.do(leg.hang_up)
    exchange.finish()


@pytest.mark.parametrize("is_same", [True, False])
def test_rfc3261_13_2_1_the_answer_in_a_183_stands_where_the_200_has_none(is_same: bool) -> None:
    """Some gateways describe the session once, in an answer that may be lost; that of another fork does not count."""
    exchange, (bob,), leg = outgoing()

    def react(session: InviteSession, request: Request) -> list[sip.Effect]:
        now = exchange.network.now
        early = session.progress(183, now, body=bob.talk.answer(request.body))
        if is_same:
            return early + session.answer(b"", now)
        other = request.reply(200, to_tag="another", headers=[("Contact", "<sip:bob@192.0.2.8>")])
        hop = early[0].hop if isinstance(early[0], sip.Send) else None
        assert hop is not None
        return [*early, sip.Send(hop, other.render(), "")]

    bob.on_invite(react)
    exchange.do(leg.place, [bob.branch()])
    answered = [type(event) for event in exchange.events()].count(LegAnswered)
    assert (answered, leg.ended) == ((1, False) if is_same else (0, True))
    if is_same:
        assert [each.remote for each in exchange.configured()] == [exchange.configured()[0].remote] * 2
        exchange.do(leg.hang_up)
        exchange.finish()


def test_outgoing_forks_keep_the_early_media_of_the_first_while_it_rings() -> None:
    exchange, phones, leg = outgoing(3)

    def sounding(phone: Phone, port: bytes) -> None:
        def react(session: InviteSession, request: Request) -> list[sip.Effect]:
            early = re.sub(rb"m=audio \d+", b"m=audio " + port, phone.talk.answer(request.body))
            return session.progress(183, exchange.network.now, body=early)

        phone.on_invite(react)

    first, second, silent = phones
    sounding(first, b"20000")
    sounding(second, b"20002")
    silent.ringing()
    exchange.do(leg.place, [phone.branch() for phone in phones])
    assert exchange.events().count(LegRinging(183, True)) == 2
    assert [each.remote[1] for each in exchange.configured()] == [20_000]
    silent.do(silent.session.reject, 486)
    assert len(exchange.configured()) == 1
    first.do(first.session.reject, 486)
    assert [each.remote[1] for each in exchange.configured()] == [20_000, 20_002]
    second.do(second.session.reject, 486)
    assert exchange.ending().status == 486
    exchange.finish()


def test_outgoing_forks_and_the_first_answer_wins() -> None:
    exchange, (slow, quick, third), leg = outgoing(3)
    slow.ringing()
    third.ringing()
    quick.answering()
    exchange.do(leg.place, [phone.branch() for phone in (slow, quick, third)])
    assert slow.got[-2:] == ["CANCEL", "ACK"]
    assert third.got[-2:] == ["CANCEL", "ACK"]
    assert [type(event) for event in exchange.events()].count(LegAnswered) == 1
    assert not leg.ended
    exchange.do(leg.hang_up)
    assert quick.got[-1] == "BYE"
    exchange.finish()


def test_outgoing_two_answers_in_one_moment_keep_the_first() -> None:
    exchange, (first, second), leg = outgoing(2)
    first.answering()
    second.answering()
    exchange.do(leg.place, [first.branch(), second.branch()])
    assert second.got[-1] == "BYE"
    assert first.got == ["INVITE", "ACK"]
    assert len(exchange.configured()) == 1
    first.do(first.session.hangup)
    assert exchange.ending().cause == "bye"
    exchange.finish()


def test_outgoing_all_failed_gives_the_best_failure() -> None:
    exchange, phones, leg = outgoing(3)
    for phone, status in zip(phones, (404, 486, 480), strict=True):
        phone.rejecting(status, headers=[("X-Status", str(status))])
    exchange.do(leg.place, [phone.branch() for phone in phones])
    ended = exchange.ending()
    assert (ended.cause, ended.status, ended.headers) == ("rejected", 486, {"X-Status": "486"})
    exchange.finish()


def test_outgoing_global_failure_ends_all() -> None:
    exchange, (ringing, decliner), leg = outgoing(2)
    ringing.ringing()
    decliner.rejecting(603)
    exchange.do(leg.place, [ringing.branch(), decliner.branch()])
    assert "CANCEL" in ringing.got
    assert exchange.ending().status == 603
    exchange.finish()


def test_outgoing_answer_that_cannot_be_used_is_hung_up() -> None:
    exchange, (bob,), leg = outgoing()
    bob.on_invite(lambda session, request: session.answer(b"nonsense", exchange.network.now))
    exchange.do(leg.place, [bob.branch()])
    assert bob.got == ["INVITE", "ACK", "BYE"]
    assert (exchange.ending().cause, exchange.ending().status) == ("error", 488)
    exchange.finish()


def test_outgoing_nobody_there() -> None:
    exchange, (bob,), leg = outgoing()
    exchange.do(leg.place, [bob.branch(hops=())])
    assert exchange.ending().cause == "unreachable"
    exchange.finish()


def test_outgoing_nobody_answers_at_all() -> None:
    exchange, (bob,), leg = outgoing()
    del exchange.network.nodes[bob.node.address]
    exchange.do(leg.place, [bob.branch()])
    exchange.network.run(40)
    assert exchange.ending().cause == "timeout"
    exchange.finish()


def test_outgoing_hung_up_while_it_rings() -> None:
    exchange, (one, two), leg = outgoing(2)
    one.ringing()
    two.ringing()
    exchange.do(leg.place, [one.branch(), two.branch()])
    exchange.do(leg.hang_up)
    exchange.do(leg.hang_up)
    assert (exchange.ending().cause, exchange.ending().status) == ("cancelled", 487)
    assert exchange.ending().sip_call_id
    exchange.finish()


def test_outgoing_hung_up_before_it_was_placed() -> None:
    exchange, (bob,), leg = outgoing()
    exchange.do(leg.hang_up)
    assert exchange.ending().cause == "local"
    exchange.do(leg.place, [bob.branch()])
    assert bob.got == []
    exchange.finish()


def test_outgoing_answer_crosses_the_cancel() -> None:
    exchange, (bob,), leg = outgoing()
    bob.answering()
    exchange.node.run(leg.place([bob.branch()], exchange.network.now))
    exchange.network.run(0.015)
    exchange.node.run(leg.hang_up(exchange.network.now))
    exchange.network.run(2)
    assert bob.got[-1] == "BYE"
    assert not [event for event in exchange.events() if isinstance(event, LegAnswered)]
    exchange.finish()


# -- redirects ---------------------------------------------------------------------------------------------------------


def moved(phone: Phone, there: Phone) -> None:
    contact = NameAddr("", Uri.parse(f"sip:{there.node.name}@{there.node.address[0]}"))
    phone.rejecting(302, headers=[("Contact", str(contact))])


def follow(exchange: Exchange, there: Phone) -> None:
    (wanted,) = exchange.follows()
    assert wanted.uri.host == there.node.address[0]
    wanted.branch.hops = there.branch().hops
    exchange.do(wanted.leg.place, [wanted.branch])


def test_redirect_is_followed_once() -> None:
    exchange, (bob, there, elsewhere), leg = outgoing(3)
    moved(bob, there)
    moved(there, elsewhere)
    exchange.do(leg.place, [bob.branch(follow_redirects=True)])
    assert not leg.ended
    follow(exchange, there)
    assert elsewhere.got == []
    assert (exchange.ending().cause, exchange.ending().status) == ("redirected", 302)
    exchange.finish()


def test_redirect_leads_to_the_answer() -> None:
    exchange, (bob, there), leg = outgoing(2)
    moved(bob, there)
    there.answering()
    exchange.do(leg.place, [bob.branch(follow_redirects=True)])
    follow(exchange, there)
    assert isinstance(exchange.events()[-1], LegAnswered)
    exchange.do(leg.hang_up)
    exchange.finish()


def test_redirect_of_a_registered_phone_is_refused() -> None:
    exchange, (bob, there), leg = outgoing(2)
    moved(bob, there)
    exchange.do(leg.place, [bob.branch()])
    assert exchange.follows() == []
    assert exchange.ending().cause == "redirected"
    exchange.finish()


def test_redirect_that_leads_nowhere() -> None:
    exchange, (bob, there), leg = outgoing(2)
    moved(bob, there)
    exchange.do(leg.place, [bob.branch(follow_redirects=True)])
    (wanted,) = exchange.follows()
    exchange.do(leg.place, [wanted.branch])
    assert exchange.ending().cause == "unreachable"
    exchange.finish()


def test_redirect_being_followed_keeps_the_leg_when_the_others_fail() -> None:
    exchange, (bob, there, busy), leg = outgoing(3)
    moved(bob, there)
    busy.rejecting(486)
    there.answering()
    exchange.do(leg.place, [bob.branch(follow_redirects=True), busy.branch()])
    assert not leg.ended
    follow(exchange, there)
    assert isinstance(exchange.events()[-1], LegAnswered)
    exchange.do(leg.hang_up)
    exchange.finish()


def test_redirect_is_dropped_when_another_answered_meanwhile() -> None:
    exchange, (bob, there, quick), leg = outgoing(3)
    moved(bob, there)
    quick.answering()
    exchange.do(leg.place, [bob.branch(follow_redirects=True), quick.branch()])
    follow(exchange, there)
    assert there.got == []
    exchange.do(leg.hang_up)
    exchange.finish()


def test_redirect_is_dropped_when_somebody_declines_for_all() -> None:
    exchange, (bob, there, decliner), leg = outgoing(3)
    moved(bob, there)
    decliner.rejecting(603)
    exchange.do(leg.place, [bob.branch(follow_redirects=True), decliner.branch()])
    assert exchange.ending().status == 603
    follow(exchange, there)
    assert there.got == []
    exchange.finish()


def test_redirect_is_dropped_when_the_call_is_hung_up_meanwhile() -> None:
    exchange, (bob, there), leg = outgoing(2)
    moved(bob, there)
    exchange.do(leg.place, [bob.branch(follow_redirects=True)])
    exchange.do(leg.hang_up)
    assert exchange.ending().cause == "local"
    follow(exchange, there)
    assert there.got == []
    exchange.finish()


def test_wires_tell_the_call_in_words() -> None:
    exchange, alice, leg = incoming()
    exchange.do(leg.ring, False)
    exchange.do(leg.answer)
    alice.do(alice.session.hangup)
    assert exchange.wires() == [f"< INVITE sip:ringback@{HOST}", "> 180 Ringing", "> 200 OK", "< BYE"]
    exchange.finish()


def test_outgoing_turns_are_tried_one_after_another() -> None:
    exchange, (first, second, third), leg = outgoing(3)
    first.rejecting(503)
    second.answering()
    third.answering()
    exchange.do(leg.place, [phone.branch(turn=turn) for turn, phone in enumerate((first, second, third))])
    assert [type(event) for event in exchange.events()] == [LegAnswered]
    assert second.got[:1] == ["INVITE"]
    assert third.got == []
    exchange.do(leg.hang_up)
    exchange.finish()


@pytest.mark.parametrize("status", [404, 486, 603])
def test_outgoing_next_turn_is_not_tried_when_the_callee_has_spoken(status: int) -> None:
    exchange, (first, second), leg = outgoing(2)
    first.rejecting(status)
    second.answering()
    exchange.do(leg.place, [first.branch(turn=0), second.branch(turn=1)])
    assert exchange.ending().status == status
    assert second.got == []
    exchange.finish()


def test_outgoing_hung_up_between_turns_tries_no_other() -> None:
    exchange, (first, second), leg = outgoing(2)
    first.ringing()
    exchange.do(leg.place, [first.branch(turn=0), second.branch(turn=1)])
    exchange.do(leg.hang_up)
    assert second.got == []
    exchange.finish()


def test_outgoing_silence_goes_on_to_the_next_turn_after_four_seconds() -> None:
    """Twilio: the next origination URI after 4 s without an answer (sip.md section 6)."""
    exchange, (silent, second), leg = outgoing(2)
    del exchange.network.nodes[silent.node.address]
    second.answering()
    exchange.do(leg.place, [silent.branch(turn=0), second.branch(turn=1)])
    exchange.network.run(2)
    assert exchange.events() == []
    exchange.network.run(2)
    assert [type(event) for event in exchange.events()] == [LegAnswered]
    exchange.do(leg.hang_up)
    exchange.finish()


@pytest.mark.parametrize("status", [503, 430])
def test_outgoing_target_of_both_families_is_tried_at_the_other_with_its_own_offer(status: int) -> None:
    exchange, (first, second), leg = outgoing(2)
    first.rejecting(status)
    second.answering()
    other = second.branch(address="198.51.100.9", port=4444, contact="<sip:198.51.100.9>")
    exchange.do(leg.place, [first.branch(other=other)])
    assert [type(event) for event in exchange.events()] == [LegAnswered]
    offers = [message for message in second.node.got if isinstance(message, Request)][:1]
    assert b"c=IN IP4 198.51.100.9" in offers[0].body and b"m=audio 4444 " in offers[0].body
    assert offers[0].contacts[0].uri.host == "198.51.100.9"
    exchange.do(leg.hang_up)
    exchange.finish()


@pytest.mark.parametrize("status", [486, 500, 603])
def test_outgoing_target_that_has_spoken_is_not_tried_at_its_other_family(status: int) -> None:
    exchange, (first, second), leg = outgoing(2)
    first.rejecting(status)
    second.answering()
    exchange.do(leg.place, [first.branch(other=second.branch())])
    assert exchange.ending().status == status
    assert second.got == []
    exchange.finish()
