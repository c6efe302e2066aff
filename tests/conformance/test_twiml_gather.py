"""Gather of digits (TwiML semantics, "Gather"; webhooks, "Callbacks": Gather action)."""

from __future__ import annotations

import pytest
from unit.twiml.driver import VOICE, Leg, Request, World

from ringback.call import effects as fx
from ringback.call.setup import Page

KEY = "http://app.test/key"
HANGUP = "<Response><Hangup/></Response>"


def gather(attributes: str = "", prompts: str = "", after: str = "<Say>nobody</Say>") -> tuple[World, Leg]:
    world = World({KEY: HANGUP})
    call = world.inbound(f'<Gather action="/key" {attributes}>{prompts}</Gather>{after}')
    world.run(0.5)
    return world, call


def result(world: World) -> Request:
    (request,) = world.asked(KEY)
    return request


def test_twiml_gather_posts_digits_without_the_finish_key() -> None:
    world, call = gather()
    call.press("12*3#")
    world.run(1)
    assert result(world).method == "POST"
    assert result(world)["Digits"] == "12*3"
    assert result(world)["FinishedOnKey"] == "#"
    assert result(world)["CallStatus"] == "in-progress"
    assert call.said == []
    world.assert_over()


def test_twiml_gather_num_digits_ends_at_once() -> None:
    world, call = gather('numDigits="3" method="GET"')
    call.press("4567")
    world.run(1)
    assert result(world).method == "GET"
    assert result(world)["Digits"] == "456"
    assert "FinishedOnKey" not in result(world).params
    world.assert_over()


def test_twiml_gather_no_input_makes_no_request_and_the_next_verb_runs() -> None:
    world, call = gather()
    world.run(4.4)
    assert call.said == []
    world.run(0.4)
    assert call.said == ["nobody"]
    world.run(2)
    assert world.asked(KEY) == []
    world.assert_over()


def test_twiml_gather_action_on_empty_result() -> None:
    world, _ = gather('actionOnEmptyResult="true" timeout="2"')
    world.run(3)
    assert result(world)["Digits"] == ""
    world.assert_over()


def test_twiml_gather_only_the_finish_key_is_empty() -> None:
    world, call = gather()
    call.press("#")
    world.run(0.5)
    assert call.said == ["nobody"]
    world.run(2)
    world.assert_over()


def test_twiml_gather_timeout_starts_again_at_each_digit() -> None:
    world, call = gather('timeout="3"')
    for _ in range(4):
        call.press("7")
        world.run(2.9)
    assert world.asked(KEY) == []
    world.run(0.2)
    assert result(world)["Digits"] == "7777"
    world.end()


def test_twiml_gather_timeout_starts_when_the_prompts_have_ended() -> None:
    world, call = gather('timeout="2"', "<Say loop='5'>Press</Say><Pause length='3'/>")
    world.run(9.0)
    assert call.said == ["Press"]
    call.press("1")
    world.run(2.2)
    assert result(world)["Digits"] == "1"
    world.end()


def test_twiml_gather_any_key_stops_the_prompt_and_counts() -> None:
    world, call = gather('numDigits="2"', "<Say loop='0'>Press</Say><Play>/x.wav</Play>")
    world.run(20)
    call.press("8")
    assert call.names()[-2:] == ["StopPlay", "Arm"]
    call.press("9")
    world.run(1)
    assert result(world)["Digits"] == "89"
    assert call.count(fx.Play) == 1
    world.assert_over()


def test_twiml_gather_finish_key_stops_the_prompt() -> None:
    world, call = gather("", "<Say loop='0'>Press</Say>")
    call.press("#")
    world.run(0.5)
    assert call.said == ["Press", "nobody"]
    world.end()


def test_twiml_gather_without_barge_in_plays_to_the_end_and_loses_no_key() -> None:
    world, call = gather('numDigits="3" bargeIn="false"', "<Say loop='4'>Press</Say>")
    call.press("12")
    world.run(2)
    assert call.count(fx.StopPlay) == 0
    assert world.asked(KEY) == []
    world.run(2)
    call.press("3")
    world.run(0.5)
    assert result(world)["Digits"] == "123"
    world.end()


def test_twiml_gather_without_finish_key_takes_every_key() -> None:
    world, call = gather('finishOnKey="" timeout="2"', "<Say>Press</Say>")
    call.press("1#*#")
    world.run(2.5)
    assert result(world)["Digits"] == "1#*#"
    world.end()


def test_twiml_gather_other_finish_key() -> None:
    world, call = gather('finishOnKey="*"')
    call.press("#5*")
    world.run(0.5)
    assert (result(world)["Digits"], result(world)["FinishedOnKey"]) == ("#5", "*")
    world.end()


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ('finishOnKey="12"', 13310),
        ('timeout="auto"', 13313),
        ('numDigits="many"', 13314),
        ('method="PUT"', 13312),
        ('bargeIn="maybe"', 13332),
    ],
)
def test_twiml_gather_bad_values_are_warnings_and_defaults_hold(attributes: str, code: int) -> None:
    world, call = gather(attributes)
    call.press("12#")
    world.run(1)
    assert call.codes("warning") == [code]
    assert (result(world)["Digits"], result(world).method) == ("12", "POST")
    world.end()


def test_twiml_gather_holds_say_play_and_pause_only() -> None:
    world, call = gather("", "<Dial>+14155552222</Dial>")
    world.run(2)
    assert call.codes("error") == [13320]
    world.assert_over()


def test_twiml_gather_default_action_is_the_document_itself() -> None:
    twiml = '<Response><Gather numDigits="1"/></Response>'
    url = "http://app.test/menu?level=2"
    world = World({url: [twiml, HANGUP]})
    call = world.inbound(page=Page(url, "GET"))
    world.run(0.5)
    call.press("1")
    world.run(1)
    assert [(r.url, r.method) for r in world.asked()] == [(url, "GET"), (url, "POST")]
    assert world.asked()[1]["Digits"] == "1"
    world.assert_over()


def test_twiml_gather_prompt_that_is_missing_goes_on_with_the_next() -> None:
    world, call = gather("", "<Play>/missing.mp3</Play><Say>Press</Say>")
    world.run(1)
    assert call.codes("error") == [11200]
    assert call.said == ["Press"]
    world.end()


@pytest.mark.parametrize("after", [0.3, 4.0, 9.0])
def test_twiml_gather_caller_hangs_up(after: float) -> None:
    world, call = gather('timeout="10"', "<Say loop='3'>Press</Say>")
    world.run(after)
    call.press("1" if after > 3.5 else "").hang_up()
    world.assert_over()
    assert world.asked(KEY) == []


@pytest.mark.parametrize("after", [0.3, 4.0])
def test_twiml_gather_redirected_by_rest(after: float) -> None:
    world, call = gather("", "<Say loop='3'>Press</Say>")
    world.run(after)
    call.redirect(twiml="<Response><Say>other</Say></Response>")
    world.run(0.5)
    assert call.said[-1] == "other"
    assert call.count(fx.StopPlay) == (after < 3)
    assert set(call.timers) == {"call-limit"}
    call.press("1#")
    world.run(2)
    assert world.asked(KEY) == []
    world.assert_over()


def test_twiml_gather_digits_go_to_the_action_alone() -> None:
    world, call = gather('numDigits="1"')
    world.pages[KEY] = "<Response><Redirect>/next</Redirect></Response>"
    world.pages["http://app.test/next"] = HANGUP
    call.press("1")
    world.run(1)
    (after,) = world.asked("http://app.test/next")
    assert "Digits" not in after.params
    world.assert_over()


def test_twiml_gather_first_request_url_is_the_voice_url() -> None:
    world, _ = gather()
    assert world.asked()[0].url == VOICE
    world.end()
