"""100rel, UPDATE, session timers, REFER and Replaces, judged by PJSIP at the other end."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import pytest

if importlib.util.find_spec("pjsua2") is None:
    pytest.skip("pjsua2-python is not there", allow_module_level=True)

from conformance.sip_far_end import Ours, Pjsip

from ringback.sip.effects import (
    Confirmed,
    Effect,
    Established,
    Reanswered,
    ReferAnswered,
    ReferProgress,
    Referred,
    Reoffered,
    Ringing,
)
from ringback.sip.message import Request
from ringback.sip.reason import Reason
from ringback.sip.session import InviteSession

Start = Callable[..., Pjsip]
ALL: dict[str, Any] = {"extensions": ["100rel", "timer", "replaces"], "takes_referrals": True}


@pytest.fixture
def start() -> Iterator[Start]:
    made: list[Pjsip] = []

    def run(**options: Any) -> Pjsip:
        made.append(Pjsip(**options))
        return made[-1]

    yield run
    for each in made:
        each.close()


@pytest.fixture
def ours() -> Iterator[Ours]:
    made = Ours(**ALL)
    yield made
    made.close()


def to(ours: Ours) -> str:
    return f"sip:ours@{ours.sent_by}"


# -- RFC 3262


def test_rfc3262_3_pjsip_acknowledges_our_early_media(ours: Ours, start: Start) -> None:
    peer = start(prack="optional")

    def react(session: InviteSession, request: Request) -> list[Effect]:
        answer = ours.sdp.answer(request.body)
        return session.progress(183, ours.now, body=answer) + session.answer(answer, ours.now)

    ours.answering(react)
    peer.tell("call", to=to(ours))
    ours.until_got("PRACK")
    ours.until(lambda: ours.all(Confirmed))
    ok = next(
        each for each in ours.sent if getattr(each, "status", 0) == 200 and each.cseq.method == "INVITE"
    )
    assert ok.body == b""  # PJSIP has the answer from the 183
    peer.wait("media", status=1)
    peer.wait("state", state="CONFIRMED")
    ours.hang_up(next(iter(ours.agent.sessions.values())))
    peer.wait("state", state="DISCONNECTED")


def test_rfc3262_3_pjsip_that_requires_100rel_gets_it_for_a_bare_180(ours: Ours, start: Start) -> None:
    peer = start(prack="must")

    def react(session: InviteSession, request: Request) -> list[Effect]:
        answer = ours.sdp.answer(request.body)
        return session.progress(180, ours.now) + session.answer(answer, ours.now)

    ours.answering(react)
    peer.tell("call", to=to(ours))
    ours.until(lambda: ours.all(Confirmed))
    peer.wait("state", state="EARLY", status=180)
    peer.wait("media", status=1)


def test_rfc3262_4_we_acknowledge_the_early_media_of_pjsip(ours: Ours, start: Start) -> None:
    peer = start(prack="must")
    session = ours.call(peer.address)
    ours.step()
    peer.wait("incoming")
    peer.tell("answer", status=183)
    ours.until_got("PRACK", 200)
    (ringing,) = [each for each in ours.all(Ringing) if each.response.status == 183]
    assert ours.sdp.accept(ringing.body).codec in ("PCMU", "PCMA")
    peer.tell("answer", status=200)
    (established,) = ours.until(lambda: ours.all(Established))
    assert established.body == ringing.body or established.response.body
    peer.wait("state", state="CONFIRMED")
    ours.hang_up(session)


# -- RFC 3311


def test_rfc3311_5_2_pjsip_updates_a_call(ours: Ours, start: Start) -> None:
    peer = start()

    def reoffered(effect: Reoffered) -> list[Effect]:
        return effect.session.accept_reoffer(ours.sdp.answer(effect.body), ours.now)

    ours.on[Reoffered] = reoffered
    session = up(ours, peer)
    peer.tell("update")
    ours.until_got("UPDATE")
    assert [each.request.method for each in ours.all(Reoffered)] == ["UPDATE"]
    peer.wait("media", status=1)
    ours.hang_up(session)


def test_rfc3311_5_1_pjsip_answers_our_update(ours: Ours, start: Start) -> None:
    peer = start()
    session = up(ours, peer)
    ours.run(session.update(ours.sdp.offer("sendonly"), ours.now))
    (reanswered,) = ours.until(lambda: ours.all(Reanswered))
    assert ours.sdp.accept(reanswered.body).direction == "sendonly"
    peer.wait("media", status=3)  # PJSUA_CALL_MEDIA_REMOTE_HOLD
    ours.hang_up(session)


def test_rfc3311_5_1_pjsip_answers_our_update_before_the_call_is_answered(ours: Ours, start: Start) -> None:
    peer = start(prack="must")
    session = ours.call(peer.address)
    ours.step()
    peer.wait("incoming")
    peer.tell("answer", status=183)
    ours.until_got("PRACK", 200)
    (ringing,) = [each for each in ours.all(Ringing) if each.response.status == 183]
    ours.sdp.accept(ringing.body)
    assert session.is_settled_early
    ours.run(session.update(ours.sdp.offer(), ours.now))
    (reanswered,) = ours.until(lambda: ours.all(Reanswered))
    ours.sdp.accept(reanswered.body)
    peer.tell("answer", status=200)
    ours.until(lambda: ours.all(Established))
    ours.hang_up(session)


def up(ours: Ours, peer: Pjsip) -> InviteSession:
    session = ours.call(peer.address)
    ours.step()
    peer.wait("incoming")
    peer.tell("answer", status=200)
    (established,) = ours.until(lambda: ours.all(Established))
    ours.sdp.accept(established.body)
    peer.wait("state", state="CONFIRMED")
    return session


# -- RFC 4028


def test_rfc4028_9_pjsip_as_caller_refreshes_what_we_agree_to(ours: Ours, start: Start) -> None:
    peer = start(timer="always", expires=100)

    def react(session: InviteSession, request: Request) -> list[Effect]:
        return session.answer(ours.sdp.answer(request.body), ours.now)

    ours.answering(react)
    peer.tell("call", to=to(ours))
    ours.until(lambda: ours.all(Confirmed))
    ok = next(each for each in ours.sent if each.get("Session-Expires"))
    assert ok.get("Session-Expires") == "100;refresher=uac"
    session = next(iter(ours.agent.sessions.values()))
    assert (session.timer.interval, session.timer.is_refresher) == (100, False)
    peer.wait("state", state="CONFIRMED")
    ours.skipped += (
        70  # shortly before 100 - min(32, 33) seconds: PJSIP has not refreshed, for its clock did not skip
    )
    ours.until(lambda: ours.endings == ["timeout"])
    peer.wait("state", state="DISCONNECTED")


def test_rfc4028_7_4_pjsip_takes_our_refreshes(ours: Ours, start: Start) -> None:
    peer = start(timer="always", expires=100)
    ours.agent.session_expires = 100
    session = up(ours, peer)
    if not session.timer.is_refresher:  # PJSIP as callee takes the part itself unless it was asked
        session.timer.is_refresher = True
        ours.run(session.agent.resume(session, ours.now))
    for count in (1, 2):
        ours.skipped += 50
        ours.until_got("UPDATE", 200, count)
    assert session.is_confirmed
    ours.hang_up(session)


def test_rfc4028_7_3_pjsip_asks_for_a_longer_interval_and_gets_it(ours: Ours, start: Start) -> None:
    peer = start(timer="always", min_se=300, expires=300)
    ours.agent.session_expires = 120
    session = ours.call(peer.address)
    ours.until_got("INVITE", 422)
    ours.until_got("INVITE", 100)
    peer.wait("incoming", call=0)  # the one that it refused
    peer.tell("answer", status=200, call=peer.wait("incoming")["call"])
    ours.until(lambda: ours.all(Established))
    assert session.timer.interval == 300
    ours.hang_up(session)


def test_rfc4028_9_pjsip_takes_our_422(ours: Ours, start: Start) -> None:
    peer = start(timer="always", expires=90)
    ours.agent.min_se = 200
    ours.agent.admission._min_se = 200

    def react(session: InviteSession, request: Request) -> list[Effect]:
        return session.answer(ours.sdp.answer(request.body), ours.now)

    ours.answering(react)
    peer.tell("call", to=to(ours))
    ours.until(lambda: ours.all(Confirmed))
    assert [getattr(each, "status", 0) for each in ours.sent].count(422) == 1
    session = next(iter(ours.agent.sessions.values()))
    assert session.timer.interval >= 200


# -- RFC 3515 and 3891


def test_rfc3515_2_4_pjsip_refers_us_and_hears_what_became_of_it(ours: Ours, start: Start) -> None:
    peer = start()
    ours.on[Referred] = lambda effect: effect.session.accept_referral(effect.referral, ours.now)
    session = up(ours, peer)
    peer.tell("transfer", to="sip:carol@127.0.0.1:9")
    (referred,) = ours.until(lambda: ours.all(Referred))
    assert str(referred.refer_to.uri) == "sip:carol@127.0.0.1:9"
    ours.until_got("NOTIFY", 200)
    ours.run(session.refer_progress(referred.referral, 180, ours.now))
    ours.until_got("NOTIFY", 200, 2)
    ours.run(session.refer_progress(referred.referral, 200, ours.now))
    ours.until_got("NOTIFY", 200, 3)
    for status, final in ((100, False), (180, False), (200, True)):
        peer.wait("transferred", status=status, final=final)


def test_rfc3515_2_4_2_pjsip_goes_on_talking_after_our_refusal(ours: Ours, start: Start) -> None:
    peer = start()
    ours.on[Referred] = lambda effect: effect.session.refuse_referral(effect.referral, 603, ours.now)
    session = up(ours, peer)
    peer.tell("transfer", to="sip:carol@127.0.0.1:9")
    ours.until(lambda: ours.all(Referred))
    peer.wait("message")
    peer.tell("hold")
    ours.until_got("INVITE")
    assert session.is_confirmed


def test_rfc3515_2_4_pjsip_follows_our_refer(ours: Ours, start: Start) -> None:
    peer, carol = start(), start(user="carol")
    session = up(ours, peer)
    host, port = carol.address
    number, effects = session.refer(f"<sip:carol@{host}:{port}>", ours.now)
    ours.run(effects)
    ours.until(lambda: ours.all(ReferAnswered))
    assert ours.all(ReferAnswered) == [ReferAnswered(session, number, 202)]
    carol.wait("incoming")
    carol.tell("answer", status=200)
    ours.until(lambda: any(each.is_final for each in ours.all(ReferProgress)))
    assert ours.all(ReferProgress)[-1].status == 200
    carol.wait("state", state="CONFIRMED")
    ours.hang_up(session)


def test_rfc3891_3_pjsip_transfers_with_replaces_and_we_take_over(ours: Ours, start: Start) -> None:
    """Attended transfer: one PJSIP talks to us and to another one, and connects the two."""
    peer, carol = start(), start(user="carol")
    replaced: list[InviteSession | None] = []

    def react(session: InviteSession, request: Request) -> list[Effect]:
        old = ours.agent.replaced(request)
        replaced.append(old)
        effects = session.answer(ours.sdp.answer(request.body), ours.now)
        return effects + (old.hangup(ours.now) if old is not None else [])

    ours.answering(react)
    peer.tell("call", to=to(ours))
    ours.until(lambda: ours.all(Confirmed))
    first = next(iter(ours.agent.sessions.values()))
    host, port = carol.address
    peer.tell("call", to=f"sip:carol@{host}:{port}")
    carol.wait("incoming")
    carol.tell("answer", status=200)
    carol.wait("state", state="CONFIRMED")
    peer.tell("replace", call=1, other=0)  # carol is to take our place's far end
    ours.until(lambda: len(ours.all(Confirmed)) == 2)
    assert replaced == [None, first]
    assert first.is_over


# -- RFC 3326


def test_rfc3326_2_pjsip_survives_a_bye_with_a_reason(ours: Ours, start: Start) -> None:
    peer = start()
    session = up(ours, peer)
    ours.run(session.hangup(ours.now, headers=[Reason("Q.850", 16, "Normal call clearing").header]))
    ours.until_got("BYE", 200)
    peer.wait("state", state="DISCONNECTED")
