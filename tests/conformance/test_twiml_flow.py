"""Say, Play, Pause, Hangup, Reject, Redirect and the interpreter (TwiML semantics; webhooks, "Fallback")."""

from __future__ import annotations

import pytest
from unit.twiml.driver import CALLBACK, EPOCH, OURS, VOICE, World

from ringback.call import effects as fx
from ringback.call.events import LegEnded
from ringback.call.setup import Page, StatusCallback

FALLBACK = "http://app.test/fallback"


def test_twiml_first_request_has_the_standard_parameters() -> None:
    world = World()
    call = world.inbound("<Hangup/>", parameters={"SipDomain": "office.example"})
    (first,) = world.asked()
    assert (first.url, first.method) == (VOICE, "POST")
    assert first.params == {
        "CallSid": call.sid,
        "AccountSid": call.setup.account_sid,
        "From": "+442079460123",
        "To": OURS,
        "Caller": "+442079460123",
        "Called": OURS,
        "CallStatus": "ringing",
        "ApiVersion": "2010-04-01",
        "Direction": "inbound",
        "FromCountry": "GB",
        "ToCountry": "US",
        "CallerCountry": "GB",
        "CalledCountry": "US",
        **{
            f"{who}{what}": ""
            for who in ("From", "To", "Caller", "Called")
            for what in ("City", "State", "Zip")
        },
        "SipDomain": "office.example",
    }
    world.end()


def test_twiml_a_sip_address_has_no_country() -> None:
    world = World()
    world.inbound("<Hangup/>", from_="sip:alice@office.example")
    (first,) = world.asked()
    assert [name for name in first.params if name.endswith("Country")] == ["ToCountry", "CalledCountry"]
    world.end()


def test_twiml_end_of_the_document_hangs_up() -> None:
    world = World()
    call = world.inbound("<Say>Hello</Say><Play>http://app.test/a.wav</Play>")
    world.run(3)
    assert call.played == [["say", ["Hello"], "man", ""], ["url", "http://app.test/a.wav"]]
    assert call.names(fx.Fact, fx.Arm, fx.Disarm) == [
        *("Fetch", "Answer", "Play", "Play", "HangUp"),
        *("Notify", "Finish"),
    ]
    assert call.status == "completed"
    world.assert_over()


def test_twiml_say_keeps_ssml_voice_language_and_loop() -> None:
    world = World()
    call = world.inbound('<Say voice="alice" language="de-DE" loop="2">Eins <break time="1s"/> zwei</Say>')
    world.run(1)
    assert call.all(fx.Play)[0].loops == 2
    assert call.played == [["say", ["Eins ", ["break", {"time": "1s"}, []], " zwei"], "alice", "de-DE"]]
    world.end()


def test_twiml_loop_zero_plays_until_the_caller_hangs_up() -> None:
    world = World()
    call = world.inbound('<Play loop="0">http://app.test/hold.mp3</Play><Say>never</Say>')
    world.run(500)
    assert call.all(fx.Play)[0].loops == 0
    assert call.count(fx.Play) == 1
    world.end()
    assert call.status == "completed"


def test_twiml_play_resolves_relative_urls_against_the_document() -> None:
    world = World({"http://app.test/menu/start?x=1": "<Response><Play>../a b.wav</Play></Response>"})
    call = world.inbound(page=Page("http://app.test/menu/start?x=1"))
    world.run(2)
    assert call.played == [["url", "http://app.test/a b.wav"]]
    world.end()


def test_twiml_play_digits_sends_dtmf_as_often_as_loop_says() -> None:
    world = World()
    call = world.inbound('<Play digits="1w#" loop="3"/>')
    world.run(5)
    assert [each.digits for each in call.all(fx.SendDigits)] == ["1w#"] * 3
    world.assert_over()


@pytest.mark.parametrize(
    ("verb", "code"),
    [
        ('<Play digits="12x"/>', 13430),
        ("<Play/>", 13420),
        ("<Play>ftp://a.test/x</Play>", 11100),
        ("<Redirect>http://[x</Redirect>", 11100),
    ],
)
def test_twiml_play_that_cannot_be_is_an_application_error(verb: str, code: int) -> None:
    world = World()
    call = world.inbound(verb)
    world.run(3)
    assert call.codes("error") == [code]
    assert call.said == ["An application error has occurred. Goodbye."]
    assert call.status == "completed"
    world.assert_over()


def test_twiml_play_of_a_missing_file_is_an_error_line_and_the_call_goes_on() -> None:
    world = World()
    call = world.inbound("<Play>/missing.wav</Play><Say>still here</Say>")
    world.run(3)
    assert call.codes("error") == [11200]
    assert call.said == ["still here"]
    world.assert_over()


@pytest.mark.parametrize("pauses", ['<Pause length="4"/>', '<Pause length="2"/><Pause length="2"/>'])
def test_twiml_pause_first_rings_that_long_without_answering(pauses: str) -> None:
    world = World()
    call = world.inbound(pauses + "<Say>now</Say>")
    world.run(4)
    assert set(call.names(fx.Fact, fx.Arm)) == {"Fetch", "Ring"}
    world.run(1)
    assert call.names(fx.Fact, fx.Arm)[-2:] == ["Answer", "Play"]
    world.end()


def test_twiml_pause_later_answers_and_takes_one_second_by_default() -> None:
    world = World()
    call = world.inbound("<Say>a</Say><Pause/><Say>b</Say>", status_callback=StatusCallback())
    world.run(1.9)
    assert call.said == ["a"]
    world.run(0.3)
    assert call.said == ["a", "b"]
    world.end()


def test_twiml_hangup_first_answers_and_ends() -> None:
    world = World()
    call = world.inbound("<Hangup/><Say>never</Say>")
    world.run(1)
    assert call.names(fx.Fact, fx.Arm, fx.Disarm) == ["Fetch", "Answer", "HangUp", "Notify", "Finish"]
    assert call.status == "completed"
    world.assert_over()


def test_twiml_empty_document_answers_and_hangs_up() -> None:
    world = World({VOICE: ""})
    call = world.inbound()
    world.run(1)
    assert "Answer" in call.names()
    assert call.status == "completed"
    world.assert_over()


@pytest.mark.parametrize(
    ("attributes", "status", "call_status"),
    [("", 603, "no-answer"), ('reason="rejected"', 603, "no-answer"), ('reason="busy"', 486, "busy")],
)
def test_twiml_reject_refuses_unanswered(attributes: str, status: int, call_status: str) -> None:
    world = World()
    call = world.inbound(f"<Reject {attributes}/><Say>never</Say>")
    world.run(1)
    assert [refuse.status for refuse in call.all(fx.Refuse)] == [status]
    assert not {"Answer", "HangUp", "Play"} & set(call.names())
    assert call.status == call_status
    (callback,) = world.told(CALLBACK)
    assert (callback["CallStatus"], callback["CallDuration"], callback["Duration"]) == (call_status, "0", "0")
    world.assert_over()


def test_twiml_reject_after_the_answer_hangs_up() -> None:
    world = World()
    call = world.inbound("<Say>hi</Say><Reject/>")
    world.run(3)
    assert call.count(fx.Refuse) == 0
    assert call.status == "completed"
    world.assert_over()


def test_twiml_redirect_goes_on_with_another_document() -> None:
    world = World({"http://app.test/two": "<Response><Say>two</Say></Response>"})
    call = world.inbound('<Redirect method="GET">/two</Redirect><Say>never</Say>')
    world.run(2)
    assert [(r.url, r.method) for r in world.asked()] == [(VOICE, "POST"), ("http://app.test/two", "GET")]
    assert call.said == ["two"]
    world.assert_over()


def test_twiml_empty_redirect_is_the_document_itself() -> None:
    world = World({VOICE: ["<Response><Redirect/></Response>", "<Response><Say>again</Say></Response>"]})
    call = world.inbound()
    world.run(2)
    assert [r.url for r in world.asked()] == [VOICE, VOICE]
    assert call.said == ["again"]
    world.assert_over()


def test_twiml_redirect_loop_ends() -> None:
    world = World({VOICE: "<Response><Redirect/></Response>"}, fetch_seconds=0.001)
    call = world.inbound()
    world.run(60)
    assert len(world.asked()) == 1000
    assert call.codes("error") == [12400]
    world.assert_over()


# -- mistakes ------------------------------------------------------------------------------------------------


def test_twiml_unknown_verbs_and_attributes_are_warning_12200() -> None:
    world = World()
    call = world.inbound('<say>small</say><Say colour="red" loop="often">ok</Say><Dance/>')
    world.run(3)
    assert call.codes("warning") == [12200, 12200, 13510, 12200]
    assert call.said == ["ok"]
    world.assert_over()


@pytest.mark.parametrize(
    ("answer", "code"),
    [("<Response><Say>", 12100), ("<Reply/>", 12102), (500, 11200), ("<Response>" + " " * 65536, 11750)],
)
def test_twiml_without_fallback_the_caller_hears_an_apology(answer: str | int, code: int) -> None:
    world = World({VOICE: answer})
    call = world.inbound()
    world.run(3)
    assert call.codes("error") == [code]
    assert call.said == ["An application error has occurred. Goodbye."]
    assert call.status == "completed"
    world.assert_over()


def test_twiml_fallback_is_told_error_code_and_url_once() -> None:
    twiml = "<Response><Gather action='/key' timeout='9'/></Response>"
    world = World({VOICE: 500, FALLBACK: twiml, "http://app.test/key": "<Response><Say>ok</Say></Response>"})
    call = world.inbound(page=Page(VOICE, "POST", FALLBACK, "GET"))
    world.run(1)
    call.press("1#")
    world.run(3)
    voice, fallback, key = world.asked()
    assert "ErrorCode" not in voice.params
    assert (fallback.url, fallback.method) == (FALLBACK, "GET")
    assert (fallback["ErrorCode"], fallback["ErrorUrl"]) == ("11200", VOICE)
    assert "ErrorCode" not in key.params
    assert "ErrorUrl" not in key.params
    assert call.said == ["ok"]
    world.assert_over()


def test_twiml_later_documents_use_the_same_fallback() -> None:
    world = World(
        {"http://app.test/two": "<Response><Say>", FALLBACK: "<Response><Say>sorry</Say></Response>"}
    )
    call = world.inbound("<Redirect>/two</Redirect>", page=Page(VOICE, "POST", FALLBACK))
    world.run(3)
    assert world.asked(FALLBACK)[0]["ErrorCode"] == "12100"
    assert world.asked(FALLBACK)[0]["ErrorUrl"] == "http://app.test/two"
    assert call.said == ["sorry"]
    world.assert_over()


def test_twiml_fallback_that_fails_too_ends_with_the_apology() -> None:
    world = World({VOICE: 500, FALLBACK: 404})
    call = world.inbound(page=Page(VOICE, "POST", FALLBACK))
    world.run(3)
    assert [r.url for r in world.asked()] == [VOICE, FALLBACK]
    assert call.said == ["An application error has occurred. Goodbye."]
    world.assert_over()


@pytest.mark.parametrize(
    "verb",
    [
        "<Record/>",
        "<Enqueue>q</Enqueue>",
        "<Connect/>",
        '<Gather input="speech"/>',
        '<Dial record="true">+14155552222</Dial>',
        '<Dial><Conference record="record-from-start">r</Conference></Dial>',
        "<Dial><Client>joe</Client></Dial>",
        "<Start><Siprec/></Start>",
    ],
)
def test_twiml_of_twilio_that_is_not_ours_yet_says_so(verb: str) -> None:
    world = World()
    call = world.inbound(verb)
    world.run(3)
    (problem,) = [note for note in call.all(fx.Note) if note.level == "error"]
    assert problem.code == 12400
    assert "not" in problem.text and "yet" in problem.text
    world.assert_over()


def test_twiml_document_of_thousands_of_unknown_verbs_does_no_harm() -> None:
    world = World()
    call = world.inbound("<a/>" * 4000)
    world.run(3)
    assert call.codes("warning") == [12200] * 100
    assert call.codes("error") == [12400]
    world.assert_over()


# -- interruptions ---------------------------------------------------------------------------------------------


def test_twiml_redirect_by_rest_aborts_the_verb_at_once() -> None:
    world = World({"http://app.test/two": "<Response><Say>two</Say></Response>"})
    call = world.inbound('<Play loop="0">http://app.test/hold.mp3</Play>')
    world.run(5)
    call.redirect("http://app.test/two")
    assert call.names()[-2:] == ["StopPlay", "Fetch"]
    world.run(0.5)
    assert call.said == ["two"]
    world.run(2)
    world.assert_over()


def test_twiml_redirect_by_rest_takes_a_document_in_place() -> None:
    world = World()
    call = world.inbound('<Pause length="60"/>')
    world.run(5)
    call.redirect(twiml="<Response><Say>in place</Say></Response>")
    assert call.said == ["in place"]
    assert call.names().count("Disarm") == 1
    world.end()


def test_twiml_in_place_has_no_relative_urls() -> None:
    world = World()
    call = world.inbound('<Pause length="60"/>')
    world.run(5)
    call.redirect(twiml="<Response><Redirect>/next</Redirect></Response>")
    assert call.codes("error") == [11100]
    world.end()


def test_twiml_gather_in_place_needs_no_action_until_a_key_comes() -> None:
    world = World()
    call = world.inbound('<Pause length="60"/>')
    world.run(5)
    call.redirect(twiml="<Response><Gather timeout='3'/><Say>nobody</Say></Response>")
    world.run(3.5)
    assert call.said == ["nobody"]
    call.redirect(twiml="<Response><Gather timeout='3'/></Response>")
    call.press("1#")
    assert call.codes("error") == [15004]
    world.end()


def test_twiml_redirect_by_rest_while_the_first_document_is_fetched() -> None:
    world = World(fetch_seconds=3.0)
    call = world.inbound("<Say>one</Say>")
    world.pages["http://app.test/two"] = "<Response><Say>two</Say></Response>"
    world.run(1)
    call.redirect("http://app.test/two")
    world.run(10)
    assert call.said == ["two"]
    world.assert_over()


@pytest.mark.parametrize("after", [0.05, 0.5, 2.0])
def test_twiml_caller_hangs_up(after: float) -> None:
    world = World()
    call = world.inbound("<Say>one</Say><Gather timeout='60'/>")
    world.run(after)
    call.hang_up()
    world.assert_over()
    answered = after > 0.1
    assert call.status == ("completed" if answered else "no-answer")
    (callback,) = world.told(CALLBACK)
    assert callback["SequenceNumber"] == "0"
    assert callback["CallbackSource"] == "call-progress-events"
    assert callback["Timestamp"].endswith("+0000")


def test_twiml_completed_by_rest_hangs_up() -> None:
    world = World()
    call = world.inbound('<Play loop="0">http://app.test/hold.mp3</Play>')
    world.run(5)
    call.complete()
    world.assert_over()
    assert call.status == "completed"


def test_twiml_canceled_by_rest_before_the_answer() -> None:
    world = World(fetch_seconds=3.0)
    call = world.inbound("<Say>one</Say>")
    world.run(1)
    call.complete("canceled")
    world.assert_over()
    assert call.status == "canceled"


def test_twiml_time_limit_of_the_call() -> None:
    world = World()
    call = world.inbound('<Play loop="0">http://app.test/hold.mp3</Play>', time_limit=60.0)
    world.run(61)
    world.assert_over()
    final = [fact.changes for fact in call.all(fx.Fact) if "end_time" in fact.changes]
    assert final[0]["end_time"] == EPOCH + 60.0


def test_twiml_call_refused_before_its_script_started_only_leaves_a_record() -> None:
    world = World()
    leg = world.open(world.setup("inbound"))
    leg.state = "ended"
    world.deliver(leg, LegEnded("local", 488, "Not Acceptable Here", {}, "x"))
    world.begin(leg)
    world.assert_over()
    assert not world.asked()
    assert leg.status == "failed"
