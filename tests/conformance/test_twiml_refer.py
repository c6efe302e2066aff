"""The verb Refer (TwiML reference, "Refer")."""

from __future__ import annotations

from typing import Any

import pytest
from unit.twiml.driver import VOICE, Leg, World

SIP_CALLER = "sip:desk@pbx.example.com"
DONE = "http://app.test/done"
REFER = '<Refer action="/done"><Sip>sip:alice@example.com?X-Acct=1</Sip></Refer><Say>after</Say>'


def referring(twiml: str = REFER, **changes: Any) -> tuple[World, Leg]:
    world = World({DONE: "<Response><Say>done</Say></Response>"})
    call = world.inbound(twiml, **({"from_": SIP_CALLER} | changes))
    world.run(0.5)
    return world, call


def told(world: World) -> dict[str, str]:
    """The Refer parameters of the action request."""
    (request,) = [request for request in world.requests if request.url == DONE]
    wanted = ("ReferCallStatus", "ReferSipResponseCode", "NotifySipResponseCode")
    return {name: value for name, value in request.params.items() if name in wanted}


def test_twiml_refer_answers_and_refers_the_caller() -> None:
    world, call = referring()
    assert call.state == "up"
    assert [target for _, target in call.referred] == ["sip:alice@example.com?X-Acct=1"]
    call.refer_answered(202).notify(100).notify(180).notify(200, is_final=True)
    world.run(0.2)
    assert told(world) == {
        "ReferCallStatus": "in-progress",
        "ReferSipResponseCode": "202",
        "NotifySipResponseCode": "200",
    }
    assert call.said == ["done"]
    world.run(2)
    world.assert_over()


@pytest.mark.parametrize(
    ("code", "word"), [(486, "busy"), (600, "busy"), (404, "failed"), (480, "no-answer"), (603, "failed")]
)
def test_twiml_refer_tells_what_the_target_said(code: int, word: str) -> None:
    world, call = referring()
    call.refer_answered(202).notify(code, is_final=True)
    world.run(3)
    assert (told(world)["ReferCallStatus"], told(world)["NotifySipResponseCode"]) == (word, str(code))
    world.assert_over()


def test_twiml_refer_that_is_refused() -> None:
    world, call = referring()
    call.refer_answered(405)
    world.run(3)
    assert told(world) == {"ReferCallStatus": "failed", "ReferSipResponseCode": "405"}
    world.assert_over()


def test_twiml_refer_of_which_nothing_is_told() -> None:
    world, call = referring()
    call.refer_answered(202)
    world.run(119)
    assert call.said == []
    world.run(3)
    assert told(world) == {"ReferSipResponseCode": "202"}
    world.end()


def test_twiml_refer_whose_caller_hangs_up_before_is_canceled() -> None:
    world, call = referring()
    call.refer_answered(202).notify(180).hang_up()
    world.run(1)
    assert told(world) == {
        "ReferCallStatus": "canceled",
        "ReferSipResponseCode": "202",
        "NotifySipResponseCode": "180",
    }
    assert not world.asked(DONE)
    world.assert_over()


def test_twiml_refer_whose_notify_overtakes_the_202() -> None:
    world, call = referring()
    call.notify(200, is_final=True)
    world.run(3)
    assert told(world)["ReferSipResponseCode"] == "202"
    world.assert_over()


def test_twiml_refer_without_action_goes_on() -> None:
    world, call = referring("<Refer><Sip>alice@example.com</Sip></Refer><Say>after</Say>")
    assert call.referred[0][1] == "sip:alice@example.com"
    call.refer_answered(202).notify(486, is_final=True)
    assert call.said == ["after"]
    world.run(3)
    world.assert_over()


def test_twiml_refer_works_in_a_call_that_a_program_started() -> None:
    world = World()
    call = world.outbound("<Refer><Sip>sip:alice@example.com</Sip></Refer>", to=SIP_CALLER)
    call.answer()
    world.run(0.5)
    call.refer_answered(202).notify(200, is_final=True)
    world.run(1)
    world.assert_over()


def test_twiml_refer_of_a_telephone_call_is_13801() -> None:
    world, call = referring(from_="+442079460123")
    assert call.codes("error") == [13801]
    assert call.referred == []
    world.end()


@pytest.mark.parametrize(
    "noun", ["", "<Sip/>", "<Sip>sip:</Sip>", "<Sip>sip:a@b c</Sip>", "<Sip>a@b</Sip><Sip>a@c</Sip>"]
)
def test_twiml_refer_needs_an_address(noun: str) -> None:
    world, call = referring(f"<Refer>{noun}</Refer>")
    assert call.codes("error") == [13243]
    world.end()


def test_twiml_redirect_ends_a_refer() -> None:
    world, call = referring()
    call.refer_answered(202)
    call.redirect(VOICE)
    world.run(0.5)
    call.refer_answered(202).notify(200, is_final=True)
    world.run(3)
    assert call.said == ["done"]
    world.assert_over()
