"""Dial of numbers and SIP addresses (TwiML semantics, "Dial"; webhooks, "Callbacks"; sip.md sections 1 and 3)."""

from __future__ import annotations

import pytest
from unit.call.fake_directory import DOMAIN, OURS, VERIFIED, Contact, FakeRegistrations
from unit.twiml.driver import CALLBACK, VOICE, Leg, Request, World

from ringback.call import effects as fx
from ringback.sip.flow import Hop
from ringback.sip.uri import Uri

DONE = "http://app.test/done"
PROGRESS = "http://app.test/progress"
HANGUP = "<Response><Hangup/></Response>"
NUMBER = "+14155552222"


def dial(nouns: str = NUMBER, attributes: str = "", after: str = "", **changes: object) -> tuple[World, Leg]:
    world = World({DONE: HANGUP})
    call = world.inbound(f"<Dial {attributes}>{nouns}</Dial>{after}", **changes)
    world.run(0.5)
    return world, call


def done(world: World) -> Request:
    (request,) = [r for r in world.requests if r.url == DONE]
    return request


def dialed(world: World) -> dict[str, str]:
    """The Dial parameters of the action request."""
    return {name: value for name, value in done(world).params.items() if name.startswith("Dial")}


# -- the way of a call -------------------------------------------------------------------------------------------


def test_twiml_dial_answers_rings_and_bridges() -> None:
    world, call = dial()
    child = world.child(call)
    assert call.names(fx.Fact, fx.Arm, fx.Plan) == ["Fetch", "Answer", "Spawn", "Play"]
    assert call.played == [["tone", "ringback:us"]]
    setup = child.setup
    assert (setup.direction, setup.from_, setup.to) == ("outbound-dial", "+442079460123", NUMBER)
    assert [target["uri"] for target in setup.targets] == [f"sip:{NUMBER}@sandbox.test;transport=tcp"]
    child.ring()
    assert child.status == "ringing"
    child.answer()
    assert call.bridged is child
    assert call.playing == ""
    assert child.status == "in-progress"
    world.run(7)
    child.hang_up()
    world.run(1)
    world.assert_over()
    assert (child.row["duration"], child.status) == ("7", "completed")


def test_twiml_dial_without_action_goes_on_after_the_leg_ended() -> None:
    world, call = dial(after="<Say>bye</Say>")
    world.child(call).answer().hang_up()
    world.run(0.5)
    assert call.said == ["bye"]
    assert call.names().index("Bridge") < call.names().index("Unbridge")
    world.end()


def test_twiml_dial_with_action_moves_control() -> None:
    world, call = dial(attributes='action="/done" method="GET"', after="<Say>never</Say>")
    child = world.child(call).answer()
    world.run(3)
    child.hang_up()
    world.run(1)
    assert done(world).method == "GET"
    assert done(world).is_question
    assert dialed(world) == {
        "DialCallStatus": "completed",
        "DialCallSid": child.sid,
        "DialCallDuration": "3",
        "DialBridged": "true",
    }
    assert call.said == []
    world.assert_over()


@pytest.mark.parametrize(
    ("status", "word"),
    [(486, "busy"), (600, "busy"), (480, "no-answer"), (408, "no-answer"), (404, "failed"), (603, "failed")],
)
def test_twiml_dial_that_is_refused(status: int, word: str) -> None:
    world, call = dial(attributes='action="/done"')
    child = world.child(call).ring().reject(status)
    world.run(1)
    expected = {"DialCallStatus": word, "DialCallSid": child.sid}
    assert dialed(world) == expected | {"DialCallDuration": "0", "DialBridged": "false"}
    assert child.status == word
    world.assert_over()


@pytest.mark.parametrize(("given", "seconds"), [("", 35), ('timeout="10"', 15), ('timeout="1"', 10)])
def test_twiml_dial_timeout_has_five_seconds_more(given: str, seconds: int) -> None:
    world, call = dial(attributes=f'action="/done" {given}')
    child = world.child(call).ring()
    started = child.started
    world.run(seconds + started - world.now - 0.01)
    assert not child.over
    world.run(0.02)
    assert child.over
    assert child.status == "no-answer"
    assert dialed(world)["DialCallStatus"] == "no-answer"
    world.run(1)
    world.assert_over()


def test_twiml_dial_time_limit_ends_the_child_alone() -> None:
    world, call = dial(attributes='timeLimit="60" action="/done"')
    child = world.child(call).answer()
    world.run(59)
    assert call.bridged is child
    world.run(2)
    assert dialed(world)["DialCallStatus"] == "completed"
    assert dialed(world)["DialCallDuration"] == "60"
    world.assert_over()


def test_twiml_dial_hangup_on_star_ends_the_child_alone() -> None:
    world, call = dial(attributes='hangupOnStar="true"', after="<Say>bye</Say>")
    child = world.child(call).answer()
    world.run(3)
    call.press("12*")
    world.run(0.5)
    assert child.status == "completed"
    assert call.said == ["bye"]
    world.end()


def test_twiml_dial_hangup_on_star_before_the_answer_cancels() -> None:
    world, call = dial(
        f"<Number>{NUMBER}</Number><Number>+14155553333</Number>", 'hangupOnStar="true" action="/done"'
    )
    call.press("*")
    world.run(1)
    assert [child.status for child in world.children(call)] == ["canceled", "canceled"]
    assert dialed(world)["DialCallStatus"] == "canceled"
    world.assert_over()


def test_twiml_dial_star_does_nothing_by_default() -> None:
    world, call = dial()
    child = world.child(call).answer()
    call.press("*")
    assert call.bridged is child
    world.end()


def test_twiml_dial_ring_tone_of_a_country() -> None:
    world, call = dial(attributes='ringTone="de"')
    assert call.played == [["tone", "ringback:de"]]
    world.end()


# -- answerOnBridge -------------------------------------------------------------------------------------------------


def test_twiml_dial_answer_on_bridge_rings_until_the_callee_answers() -> None:
    world, call = dial(attributes='answerOnBridge="true"')
    child = world.child(call).ring()
    assert call.names(fx.Fact, fx.Arm, fx.Plan) == ["Fetch", "Ring", "Spawn", "Ring"]
    world.run(4)
    child.answer()
    assert call.names()[-3:] == ["Answer", "Fact", "Bridge"]
    world.run(3)
    call.hang_up()
    world.run(1)
    world.assert_over()
    assert call.row["duration"] == "3"


@pytest.mark.parametrize(
    ("status", "refusal", "word"), [(486, 486, "busy"), (480, 480, "no-answer"), (503, 480, "failed")]
)
@pytest.mark.parametrize("after", ["", "<Hangup/>"])
def test_twiml_dial_answer_on_bridge_that_reaches_nobody_is_refused_alike(
    status: int, refusal: int, word: str, after: str
) -> None:
    world, call = dial(attributes='answerOnBridge="true"', after=after)
    world.child(call).reject(status)
    world.run(1)
    assert [refuse.status for refuse in call.all(fx.Refuse)] == [refusal]
    assert call.count(fx.Answer) == 0
    assert call.status == word
    world.assert_over()


def test_twiml_dial_answer_on_bridge_action_may_still_answer() -> None:
    world, call = dial(attributes='answerOnBridge="true" action="/done"')
    world.pages[DONE] = "<Response><Say>Leave a message</Say></Response>"
    world.child(call).reject(486)
    world.run(0.5)
    assert done(world)["CallStatus"] == "ringing"
    assert call.said == ["Leave a message"]
    world.run(2)
    assert call.status == "completed"
    world.assert_over()


def test_twiml_dial_answer_on_bridge_action_with_empty_document_refuses() -> None:
    world, call = dial(attributes='answerOnBridge="true" action="/done"')
    world.pages[DONE] = "<Response/>"
    world.child(call).reject(486)
    world.run(1)
    assert call.status == "busy"
    world.assert_over()


def test_twiml_dial_early_media_goes_to_the_caller() -> None:
    world, call = dial(attributes='answerOnBridge="true"')
    child = world.child(call).ring().ring(183, early_media=True)
    assert [ring.early_media for ring in call.all(fx.Ring)] == [False, False, True]
    assert call.bridged is child
    child.reject(486)
    assert call.bridged is None
    world.run(1)
    world.assert_over()


def test_twiml_dial_early_media_replaces_our_ringing() -> None:
    world, call = dial()
    child = world.child(call).ring(183, early_media=True)
    assert call.playing == ""
    assert call.bridged is child
    child.answer()
    assert call.bridged is child
    assert call.count(fx.Unbridge) == 0
    world.end()


def test_twiml_dial_early_media_of_one_of_several_is_not_heard() -> None:
    world, call = dial(f"<Number>{NUMBER}</Number><Number>+14155553333</Number>")
    world.child(call, 0).ring(183, early_media=True)
    assert call.bridged is None
    assert call.playing
    world.end()


# -- several nouns ---------------------------------------------------------------------------------------------------

THREE = "".join(f"<Number>+1415555333{n}</Number>" for n in range(3))


def test_twiml_dial_rings_all_nouns_and_the_first_answer_wins() -> None:
    world, call = dial(THREE, 'action="/done"')
    first, second, third = world.children(call)
    first.ring()
    second.answer()
    assert call.bridged is second
    assert (first.status, third.status) == ("canceled", "canceled")
    world.run(2)
    second.hang_up()
    world.run(1)
    assert dialed(world)["DialCallSid"] == second.sid
    world.assert_over()


def test_twiml_dial_two_answers_in_one_moment() -> None:
    world, call = dial(THREE, 'action="/done"')
    first, second, third = world.children(call)
    world.at_once((second, second.picked_up()), (first, first.picked_up()), (third, third.picked_up()))
    assert call.bridged is second
    assert first.over
    assert third.over
    assert {first.status, third.status} == {"completed"}
    assert call.count(fx.Bridge) == 1
    second.hang_up()
    world.run(1)
    assert dialed(world)["DialCallSid"] == second.sid
    world.assert_over()


@pytest.mark.parametrize(
    ("statuses", "word"),
    [
        ((486, 480, 404), "no-answer"),
        ((486, 404, 404), "busy"),
        ((404, 503, 500), "failed"),
    ],
)
def test_twiml_dial_parallel_failures(statuses: tuple[int, ...], word: str) -> None:
    world, call = dial(THREE, 'action="/done"')
    for child, status in zip(world.children(call), statuses, strict=True):
        child.reject(status)
    world.run(1)
    assert dialed(world)["DialCallStatus"] == word
    world.assert_over()


def test_twiml_dial_parallel_timeout_after_one_was_busy() -> None:
    world, call = dial(THREE, 'action="/done" timeout="5"')
    world.child(call, 0).reject(486)
    world.run(11)
    assert dialed(world)["DialCallStatus"] == "no-answer"
    assert dialed(world)["DialCallSid"] == world.child(call, 1).sid
    world.assert_over()


def test_twiml_dial_sequential_rings_one_after_another() -> None:
    world, call = dial(THREE, 'action="/done" sequential="true" timeout="5"')
    assert len(world.children(call)) == 1
    world.child(call).reject(486)
    assert len(world.children(call)) == 2
    world.run(10.1)
    first, second, third = world.children(call)
    assert (first.status, second.status) == ("busy", "no-answer")
    third.answer()
    world.run(4)
    third.hang_up()
    world.run(1)
    assert dialed(world)["DialCallSid"] == third.sid
    world.assert_over()


def test_twiml_dial_star_ends_a_sequential_dial() -> None:
    world, call = dial(THREE, 'action="/done" sequential="true" hangupOnStar="true"')
    call.press("*")
    world.run(1)
    assert len(world.children(call)) == 1
    assert dialed(world)["DialCallStatus"] == "canceled"
    world.assert_over()


def test_twiml_dial_sequential_stops_at_who_picked_up() -> None:
    world, call = dial(THREE, 'action="/done" sequential="true"')
    world.child(call).answer().hang_up()
    world.run(1)
    assert len(world.children(call)) == 1
    assert dialed(world)["DialCallStatus"] == "completed"
    world.assert_over()


def test_twiml_dial_holds_ten_nouns_at_most() -> None:
    world, call = dial("".join(f"<Number>+1415555{n:04}</Number>" for n in range(11)))
    world.run(3)
    assert call.codes("error") == [13250]
    assert world.children(call) == []
    world.assert_over()


def test_twiml_dial_noun_that_cannot_be_reached_does_not_stop_the_others() -> None:
    world, call = dial(f"<Number>what</Number><Number>{NUMBER}</Number>")
    assert call.codes("error") == [13224]
    assert [child.setup.to for child in world.children(call)] == [NUMBER]
    world.end()


def test_twiml_dial_child_that_cannot_be_started_has_failed() -> None:
    world = World({DONE: HANGUP})
    world.lost.add("all")
    call = world.inbound(f'<Dial action="/done">{NUMBER}</Dial>')
    world.run(1)
    assert dialed(world)["DialCallStatus"] == "failed"
    world.assert_over()
    assert call.status == "completed"


# -- numbers and caller IDs ---------------------------------------------------------------------------------------------


def test_twiml_dial_number_without_plus_reads_in_the_accounts_country() -> None:
    world, call = dial("020 7946 0000", country="GB")
    assert world.child(call).setup.to == "+442079460000"
    world.end()


@pytest.mark.parametrize("noun", ["", "   ", "what", "<Number/>"])
def test_twiml_dial_of_nothing_fails(noun: str) -> None:
    world, call = dial(noun, 'action="/done"')
    world.run(1)
    assert dialed(world) == {"DialCallStatus": "failed", "DialBridged": "false"}
    assert call.count(fx.Answer) == 1
    world.assert_over()


@pytest.mark.parametrize("shown", [OURS, VERIFIED, "(415) 555-0100"])
def test_twiml_dial_caller_id_that_is_ours_or_verified(shown: str) -> None:
    world, call = dial(attributes=f'callerId="{shown}"')
    assert world.child(call).setup.from_ in (OURS, VERIFIED)
    world.end()


def test_twiml_dial_caller_id_of_somebody_else_is_13214() -> None:
    world, call = dial(attributes='callerId="+14155559999" action="/done"')
    world.run(1)
    assert call.codes("error")[0] == 13214
    assert dialed(world)["DialCallStatus"] == "failed"
    world.assert_over()


def test_twiml_dial_from_a_sip_phone_needs_a_caller_id() -> None:
    alice = f"sip:alice@{DOMAIN}"
    world, call = dial(from_=alice, to=f"sip:100@{DOMAIN}")
    world.run(1)
    assert call.codes("error")[0] == 13214
    world.assert_over()
    world, call = dial(attributes=f'callerId="{OURS}"', from_=alice, to=f"sip:100@{DOMAIN}")
    assert world.child(call).setup.from_ == OURS
    world.end()


def test_twiml_dial_of_an_api_call_shows_its_own_number() -> None:
    world = World()
    call = world.outbound(f"<Dial>{NUMBER}</Dial>")
    call.answer()
    world.run(1)
    assert world.child(call).setup.from_ == OURS
    world.end()


# -- SIP addresses --------------------------------------------------------------------------------------------------------


def test_twiml_dial_sip_rings_every_phone_of_a_user() -> None:
    phones = [
        Contact(Uri.parse("sip:alice@10.0.0.7"), Hop("UDP", "192.0.2.7", 40000)),
        Contact(
            Uri.parse("sip:alice@10.0.0.8;transport=tcp"),
            Hop("TCP", "192.0.2.8", 40001, 3),
            ("<sip:edge;lr>",),
        ),
    ]
    world = World(registrations=FakeRegistrations({f"alice@{DOMAIN}": phones}))
    call = world.inbound(f"<Dial><Sip>sip:alice@{DOMAIN}?x-a=b%20c</Sip></Dial>")
    world.run(1)
    child = world.child(call)
    assert child.setup.to == f"sip:alice@{DOMAIN}"
    assert (child.setup.from_user, child.setup.from_domain) == ("+442079460123", DOMAIN)
    assert [target["uri"] for target in child.setup.targets] == [str(phone.target) for phone in phones]
    assert [target["hop"][:3] for target in child.setup.targets] == [
        phone.received.parts()[:3] for phone in phones
    ]
    assert child.setup.targets[1]["route"] == ["<sip:edge;lr>"]
    assert child.setup.targets[0]["headers"] == [["x-a", "b c"]]
    world.end()


def test_twiml_dial_sip_of_a_user_who_is_not_registered_is_32009() -> None:
    world, call = dial(f"<Sip>sip:bob@{DOMAIN}</Sip>", 'action="/done"')
    world.run(1)
    assert call.codes("error")[0] == 32009
    assert dialed(world)["DialCallStatus"] == "failed"
    world.assert_over()


def test_twiml_dial_sip_action_has_what_the_far_end_said() -> None:
    world, call = dial("<Sip>sip:bob@example.com</Sip>", 'action="/done"')
    child = world.child(call).answer({"X-Queue": "7"})
    world.run(2)
    child.hang_up({"X-Reason": "done"})
    world.run(1)
    found = dialed(world)
    assert found["DialSipCallId"] == f"call-id-{child.sid[-4:]}"
    assert found["DialSipResponseCode"] == "200"
    assert found["DialSipHeader_X-Reason"] == "done"
    world.assert_over()


def test_twiml_dial_sip_action_of_a_caller_who_hangs_up_has_what_the_answer_said() -> None:
    world, call = dial("<Sip>sip:bob@example.com</Sip>", 'action="/done"')
    child = world.child(call).answer({"X-Queue": "7"})
    world.run(2)
    call.hang_up()
    world.run(1)
    found = dialed(world)
    assert found["DialSipCallId"] == f"call-id-{child.sid[-4:]}"
    assert found["DialSipResponseCode"] == "200"
    assert found["DialSipHeader_X-Queue"] == "7"
    world.assert_over()


def test_twiml_dial_sip_refused_has_its_response_code() -> None:
    world, call = dial("<Sip>sip:bob@example.com</Sip>", 'action="/done"')
    world.child(call).reject(486, {"X-Why": "lunch"})
    world.run(1)
    assert dialed(world)["DialSipResponseCode"] == "486"
    assert dialed(world)["DialSipHeader_X-Why"] == "lunch"
    world.assert_over()


def test_twiml_dial_sip_timeout_has_487() -> None:
    world, _ = dial("<Sip>sip:bob@example.com</Sip>", 'action="/done" timeout="5"')
    world.run(11)
    assert dialed(world)["DialCallStatus"] == "no-answer"
    assert dialed(world)["DialSipResponseCode"] == "487"
    world.assert_over()


def test_twiml_dial_number_has_no_sip_parameters() -> None:
    world, call = dial(attributes='action="/done"')
    world.child(call).answer({"X-Carrier": "1"}).hang_up({"X-Carrier": "2"})
    world.run(1)
    assert not [name for name in dialed(world) if name.startswith("DialSip")]
    world.assert_over()


def test_twiml_dial_sip_password_stays_a_handle() -> None:
    world, call = dial('<Sip username="u" password="Very-secret-77">sip:bob@example.com</Sip>')
    child = world.child(call)
    assert child.setup.targets[0]["username"] == "u"
    handle = child.setup.targets[0]["password"]
    assert world.secrets[handle] == "Very-secret-77"
    world.end()  # no secret stands in any journal


# -- status callbacks of the child -------------------------------------------------------------------------------------------

ALL = f'statusCallback="{PROGRESS}" statusCallbackEvent="initiated ringing answered completed"'


def test_twiml_dial_status_callbacks_in_order() -> None:
    world, call = dial(f'<Number {ALL} statusCallbackMethod="GET">{NUMBER}</Number>')
    child = world.child(call).ring().ring(183)
    child.answer()
    world.run(61)
    child.hang_up()
    world.run(1)
    told = world.told(PROGRESS)
    assert [t["CallStatus"] for t in told] == ["initiated", "ringing", "in-progress", "completed"]
    assert [t["SequenceNumber"] for t in told] == ["0", "1", "2", "3"]
    assert {t.method for t in told} == {"GET"}
    assert {t["CallbackSource"] for t in told} == {"call-progress-events"}
    assert {t["CallSid"] for t in told} == {child.sid}
    assert {t["ParentCallSid"] for t in told} == {call.sid}
    assert {t["Direction"] for t in told} == {"outbound-dial"}
    last = told[-1]
    assert (last["CallDuration"], last["Duration"], last["SipResponseCode"]) == ("61", "2", "200")
    world.assert_over()


def test_twiml_dial_status_callback_is_completed_by_default() -> None:
    world, call = dial(f'<Number statusCallback="{PROGRESS}">{NUMBER}</Number>')
    world.child(call).ring().reject(486)
    world.run(1)
    (told,) = world.told(PROGRESS)
    assert (told["CallStatus"], told["SequenceNumber"], told["SipResponseCode"]) == ("busy", "0", "486")
    world.assert_over()


def test_twiml_inbound_callback_is_completed_only() -> None:
    world, call = dial()
    world.child(call).ring().answer()
    world.end()
    assert [t["CallStatus"] for t in world.told(CALLBACK)] == ["completed"]


# -- interruptions --------------------------------------------------------------------------------------------------------------


def test_twiml_dial_caller_hangs_up_while_it_rings() -> None:
    world, call = dial(THREE, 'action="/done"')
    world.child(call, 0).ring()
    call.hang_up()
    assert all(child.over for child in world.children(call))
    assert {child.status for child in world.children(call)} == {"no-answer"}
    found = dialed(world)
    assert found["DialCallStatus"] == "no-answer"
    assert found["DialCallSid"] == world.child(call, 0).sid
    assert found["DialBridged"] == "false"
    assert done(world)["CallStatus"] == "completed"
    world.assert_over()


def test_twiml_dial_caller_hangs_up_while_connected() -> None:
    world, call = dial(attributes='action="/done"')
    child = world.child(call).answer()
    world.run(5)
    call.hang_up()
    assert child.over
    assert dialed(world) == {
        "DialCallStatus": "completed",
        "DialCallSid": child.sid,
        "DialCallDuration": "5",
        "DialBridged": "true",
    }
    world.assert_over()


def test_twiml_dial_caller_gives_up_before_the_answer_on_bridge() -> None:
    world, call = dial(attributes='action="/done" answerOnBridge="true"')
    call.hang_up()
    assert done(world)["CallStatus"] == "no-answer"
    assert call.status == "no-answer"
    assert call.count(fx.Refuse) == 0
    world.assert_over()


def test_twiml_dial_completed_by_rest_tells_the_action() -> None:
    world, call = dial(attributes='action="/done"')
    world.child(call).answer()
    world.run(5)
    call.complete()
    assert dialed(world)["DialCallStatus"] == "completed"
    world.assert_over()


@pytest.mark.parametrize("connected", [False, True])
def test_twiml_dial_redirected_by_rest_lets_the_children_go(connected: bool) -> None:
    world, call = dial(THREE, 'action="/done"')
    if connected:
        world.child(call, 0).answer()
    call.redirect(twiml="<Response><Say>other</Say></Response>")
    assert call.said == ["other"]
    assert call.count(fx.Unbridge) == connected
    assert call.bridged is None
    assert all(child.over for child in world.children(call))
    assert set(call.timers) == {"call-limit"}
    words = [child.status for child in world.children(call)]
    assert words == (["completed"] if connected else ["canceled"]) + ["canceled"] * 2
    world.run(50)
    assert not [r for r in world.requests if r.url == DONE]
    world.assert_over()


def test_twiml_dial_child_answers_in_the_moment_of_the_timeout() -> None:
    world, call = dial(attributes='action="/done" timeout="5"')
    child = world.child(call)
    world.after(child.started + 10 - world.now, lambda: child.answer() if child.state == "placed" else None)
    world.run(12)
    assert dialed(world)["DialCallStatus"] == "no-answer"
    assert child.over
    world.assert_over()


@pytest.mark.parametrize("first", ["answer", "timer"])
def test_twiml_dial_timer_and_answer_in_one_inbox(first: str) -> None:
    """Either way the parent has not heard of the answer when its timer fires: the time is up."""
    world, call = dial(attributes='action="/done" timeout="5"')
    child = world.child(call)
    arrivals = [(child, child.picked_up()), world.fired(call, "dial-timeout")]
    world.at_once(*(arrivals if first == "answer" else reversed(arrivals)))
    world.run(1)
    assert dialed(world)["DialCallStatus"] == "no-answer"
    assert child.status == "completed"
    assert call.count(fx.Bridge) == 0
    world.assert_over()


def test_twiml_dial_child_redirected_by_rest_lives_by_itself() -> None:
    world, call = dial(attributes='action="/done"')
    child = world.child(call).answer()
    world.run(4)
    child.redirect(twiml="<Response><Say>taken</Say><Pause length='5'/></Response>")
    assert child.said == ["taken"]
    assert child.names().index("Unbridge") < child.names().index("Play")
    world.run(1)
    assert dialed(world)["DialCallStatus"] == "completed"
    assert dialed(world)["DialCallDuration"] == "4"
    assert call.over
    assert not child.over
    world.run(10)
    assert child.row["duration"] == "10"
    world.assert_over()


def test_twiml_dial_child_redirected_while_it_rings_is_taken_at_its_answer() -> None:
    world, call = dial(attributes='action="/done"')
    child = world.child(call).ring()
    child.redirect(twiml="<Response><Say>taken</Say></Response>")
    assert child.said == []
    child.answer()
    assert child.said == ["taken"]
    assert call.bridged is None
    world.run(3)
    assert dialed(world)["DialBridged"] == "false"
    world.assert_over()


def test_twiml_dial_child_completed_by_rest() -> None:
    world, call = dial(THREE, 'action="/done"')
    first, second, _ = world.children(call)
    first.complete("canceled")
    assert first.status == "canceled"
    second.answer()
    world.run(1)
    second.complete()
    world.run(1)
    assert dialed(world)["DialCallStatus"] == "completed"
    world.assert_over()


def test_twiml_dial_bad_noun_url_is_an_application_error() -> None:
    world, call = dial(f'<Number url="mailto:x@y.test">{NUMBER}</Number>')
    world.run(3)
    assert call.codes("error") == [11100]
    assert world.asked()[0].url == VOICE
    world.assert_over()
