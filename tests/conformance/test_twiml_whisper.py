"""What a callee is given before the bridge: a whisper document and digits (TwiML semantics, "Dial")."""

from __future__ import annotations

import pytest
from unit.twiml.driver import Leg, World

from ringback.call import effects as fx

DONE = "http://app.test/done"
WHISPER = "http://app.test/whisper"
HANGUP = "<Response><Hangup/></Response>"
ACCEPT = '<Response><Gather numDigits="1" action="/key"><Say>Press 1</Say></Gather><Hangup/></Response>'


def key(params: dict[str, str]) -> str:
    return "<Response/>" if params["Digits"] == "1" else HANGUP


def dial(document: str = ACCEPT, attributes: str = 'action="/done"', count: int = 1) -> tuple[World, Leg]:
    world = World({DONE: HANGUP, WHISPER: document, "http://app.test/key": key})
    nouns = "".join(f'<Number url="/whisper">+1415555222{n}</Number>' for n in range(count))
    call = world.inbound(f"<Dial {attributes}>{nouns}</Dial>")
    world.run(0.5)
    return world, call


def outcome(world: World) -> dict[str, str]:
    (request,) = [r for r in world.requests if r.url == DONE]
    return request.params


def test_twiml_whisper_runs_on_the_callee_before_the_bridge() -> None:
    world, call = dial("<Response><Say>A call for you</Say></Response>")
    child = world.child(call).answer()
    world.run(0.5)
    assert child.said == ["A call for you"]
    assert call.bridged is None
    assert call.playing  # the caller still hears ringing
    (asked,) = world.asked(WHISPER)
    assert (asked["CallSid"], asked["ParentCallSid"], asked["CallStatus"]) == (
        child.sid,
        call.sid,
        "in-progress",
    )
    world.run(1)
    assert call.bridged is child
    world.end()


def test_twiml_whisper_accepted_by_a_key() -> None:
    world, call = dial()
    child = world.child(call).answer()
    world.run(3)
    child.press("1")
    world.run(0.5)
    assert call.bridged is child
    world.run(10)
    child.hang_up()
    world.run(1)
    assert (outcome(world)["DialCallStatus"], outcome(world)["DialBridged"]) == ("completed", "true")
    world.assert_over()


@pytest.mark.parametrize("how", ["other key", "no key", "hang up"])
def test_twiml_whisper_that_ends_otherwise_does_not_bridge(how: str) -> None:
    world, call = dial()
    child = world.child(call).answer()
    world.run(2)
    if how == "hang up":
        child.hang_up()
    elif how == "other key":
        child.press("2")
    world.run(10)
    assert child.over
    assert call.count(fx.Bridge) == 0
    assert (outcome(world)["DialCallStatus"], outcome(world)["DialBridged"]) == ("completed", "false")
    world.assert_over()


def test_twiml_whisper_first_to_be_ready_wins() -> None:
    world, call = dial(count=3)
    slow, quick, ringing = world.children(call)
    slow.answer()
    world.run(1)
    quick.answer()
    world.run(1)
    quick.press("1")
    world.run(0.5)
    assert call.bridged is quick
    assert slow.over
    assert ringing.over
    assert (slow.status, ringing.status) == ("completed", "canceled")
    assert slow.played[-1][0] == "say"
    world.end()


def test_twiml_whisper_timeout_is_for_who_has_not_answered() -> None:
    world, call = dial(attributes='action="/done" timeout="5"', count=2)
    thinking, ringing = world.children(call)
    world.run(8)
    thinking.answer()
    world.run(3)
    assert ringing.status == "no-answer"
    assert not thinking.over
    thinking.press("1")
    world.run(0.5)
    assert call.bridged is thinking
    world.end()


def test_twiml_whisper_star_of_the_caller_ends_it() -> None:
    world, call = dial(attributes='action="/done" hangupOnStar="true"', count=2)
    first, second = world.children(call)
    first.answer()
    world.run(2)
    call.press("*")
    world.run(1)
    assert (first.status, second.status) == ("completed", "canceled")
    assert (outcome(world)["DialCallStatus"], outcome(world)["DialCallSid"]) == ("completed", first.sid)
    world.assert_over()


def test_twiml_whisper_sequential_stops_at_who_declined() -> None:
    world, call = dial(attributes='action="/done" sequential="true"', count=2)
    world.child(call).answer()
    world.run(10)
    assert len(world.children(call)) == 1
    assert (outcome(world)["DialCallStatus"], outcome(world)["DialBridged"]) == ("completed", "false")
    world.assert_over()


def test_twiml_whisper_has_no_dial() -> None:
    world, call = dial("<Response><Dial>+14155553333</Dial></Response>")
    child = world.child(call).answer()
    world.run(3)
    assert child.codes("error") == [13201]
    assert child.over
    assert call.count(fx.Bridge) == 0
    world.assert_over()


def test_twiml_whisper_redirect_stays_with_the_callee() -> None:
    world, call = dial("<Response><Redirect>/more</Redirect></Response>")
    world.pages["http://app.test/more"] = "<Response><Say>more</Say></Response>"
    child = world.child(call).answer()
    world.run(2)
    assert child.said == ["more"]
    assert call.bridged is child
    world.end()


@pytest.mark.parametrize("after", [0.05, 0.5, 2.0])
def test_twiml_whisper_caller_hangs_up_meanwhile(after: float) -> None:
    world, call = dial()
    child = world.child(call).answer()
    world.run(after)
    call.hang_up()
    assert child.over
    assert not child.left_armed
    assert outcome(world)["DialCallStatus"] == "completed"
    assert outcome(world)["DialBridged"] == "false"
    world.assert_over()


@pytest.mark.parametrize("after", [0.05, 0.5, 2.0])
def test_twiml_whisper_parent_redirected_by_rest_meanwhile(after: float) -> None:
    world, call = dial(count=2)
    first, second = world.children(call)
    first.answer()
    world.run(after)
    call.redirect(twiml="<Response><Say>other</Say></Response>")
    assert first.over
    assert second.over
    assert (first.status, second.status) == ("completed", "canceled")
    world.run(3)
    world.assert_over()


def test_twiml_whisper_child_redirected_by_rest_meanwhile() -> None:
    world, call = dial()
    child = world.child(call).answer()
    world.run(1)
    child.redirect(twiml="<Response><Say>taken</Say></Response>")
    assert child.said[-1] == "taken"
    world.run(3)
    assert outcome(world)["DialBridged"] == "false"
    world.assert_over()


def test_twiml_whisper_is_not_heard_by_a_caller_with_early_media() -> None:
    world, call = dial("<Response><Say>secret</Say></Response>")
    child = world.child(call).ring(183, early_media=True)
    assert call.bridged is child
    child.answer()
    assert call.bridged is None
    assert call.playing  # our ringing is back
    world.run(2)
    assert call.bridged is child
    world.end()


def test_twiml_send_digits_come_before_the_bridge() -> None:
    world = World()
    call = world.inbound('<Dial><Number sendDigits="wwww1928">+14155552222</Number></Dial>')
    world.run(0.5)
    child = world.child(call).answer()
    world.run(1.9)
    assert [each.digits for each in child.all(fx.SendDigits)] == ["wwww1928"]
    assert call.bridged is None
    world.run(0.2)
    assert call.bridged is child
    world.end()


def test_twiml_send_digits_that_are_none() -> None:
    world = World()
    call = world.inbound('<Dial><Number sendDigits="1+2">+14155552222</Number></Dial>')
    world.run(3)
    assert call.codes("error") == [13222]
    assert world.children(call) == []
    world.assert_over()


def test_twiml_whisper_of_a_sip_callee_has_its_headers() -> None:
    world = World({WHISPER: "<Response/>"})
    call = world.inbound('<Dial><Sip url="/whisper" method="GET">sip:bob@example.com</Sip></Dial>')
    world.run(0.5)
    child = world.child(call).answer({"X-Agent": "7"})
    world.run(1)
    (asked,) = world.asked(WHISPER)
    assert asked.method == "GET"
    assert asked["SipHeader_X-Agent"] == "7"
    assert asked["SipCallId"] == f"call-id-{child.sid[-4:]}"
    assert call.bridged is child
    world.end()


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("sip:agent@example.com:5070;transport=tcp", "example.com"),
        ("sip:agent@[2001:db8::9]:5070", "2001:db8::9"),
        ("sip:example.com", "example.com"),
    ],
)
def test_twiml_whisper_of_a_sip_callee_says_where_it_is(address: str, host: str) -> None:
    world = World({WHISPER: ACCEPT})
    call = world.inbound(f'<Dial><Sip url="/whisper">{address}</Sip></Dial>')
    world.run(0.5)
    world.child(call).answer()
    world.run(0.5)
    (asked,) = world.asked(WHISPER)
    assert (asked["SipDomain"], asked["SipSourceIp"]) == (host, "192.0.2.9")
    world.end()


def test_twiml_whisper_of_a_number_says_nothing_of_sip() -> None:
    world, call = dial()
    world.child(call).answer()
    world.run(0.5)
    (asked,) = world.asked(WHISPER)
    assert not [name for name in asked.params if name.startswith("Sip")]
    world.end()
