"""Calls that a program starts (webhooks, "Callbacks": REST call StatusCallback; sip.md section 3)."""

from __future__ import annotations

import pytest
from unit.twiml.driver import CALLBACK, VOICE, Leg, World

from ringback.call import effects as fx
from ringback.call.setup import Page, StatusCallback

ALL = StatusCallback(CALLBACK, "POST", ("initiated", "ringing", "answered", "completed"))


def started(twiml: str = "<Say>Hello</Say>", **changes: object) -> tuple[World, Leg]:
    world = World()
    return world, world.outbound(twiml, status_callback=ALL, **changes)


def told(world: World) -> list[str]:
    return [request["CallStatus"] for request in world.told(CALLBACK)]


def test_twiml_outbound_runs_its_document_at_the_answer() -> None:
    world, call = started()
    assert call.names(fx.Notify, fx.Arm) == ["Place", "Fact"]
    assert call.status == "queued"
    world.run(3)
    call.ring()
    assert call.status == "ringing"
    assert world.asked() == []
    call.answer()
    world.run(3)
    assert call.said == ["Hello"]
    assert world.asked()[0]["Direction"] == "outbound-api"
    assert world.asked()[0]["CallStatus"] == "in-progress"
    assert told(world) == ["initiated", "ringing", "in-progress", "completed"]
    assert [r["SequenceNumber"] for r in world.told(CALLBACK)] == ["0", "1", "2", "3"]
    assert world.told(CALLBACK)[-1]["SipResponseCode"] == "200"
    world.assert_over()


def test_twiml_outbound_sequence_counts_what_is_sent() -> None:
    world = World()
    call = world.outbound("<Hangup/>").ring().answer()
    world.run(1)
    (last,) = world.told(CALLBACK)
    assert (last["CallStatus"], last["SequenceNumber"]) == ("completed", "0")
    assert call.over
    world.assert_over()


@pytest.mark.parametrize(("status", "word"), [(486, "busy"), (480, "no-answer"), (404, "failed")])
def test_twiml_outbound_refused(status: int, word: str) -> None:
    world, call = started()
    call.ring().reject(status)
    assert call.status == word
    assert world.told(CALLBACK)[-1]["SipResponseCode"] == str(status)
    world.assert_over()
    assert world.asked() == []


def test_twiml_outbound_timeout_is_no_answer_with_487() -> None:
    world, call = started(timeout=20.0)
    call.ring()
    world.run(19.9)
    assert not call.over
    world.run(0.2)
    assert call.status == "no-answer"
    assert world.told(CALLBACK)[-1]["SipResponseCode"] == "487"
    world.assert_over()


def test_twiml_outbound_that_cannot_be_placed_has_failed() -> None:
    world, call = started(targets=())
    assert call.status == "failed"
    assert told(world) == ["initiated", "failed"]
    world.assert_over()


@pytest.mark.parametrize("word", ["completed", "canceled"])
def test_twiml_outbound_ended_by_rest_before_the_answer_is_canceled(word: str) -> None:
    world, call = started()
    call.ring().complete(word)
    assert call.status == "canceled"
    world.assert_over()


def test_twiml_outbound_ended_by_rest_after_the_answer() -> None:
    world, call = started('<Play loop="0">http://app.test/x.wav</Play>')
    call.answer()
    world.run(3)
    call.complete()
    assert call.status == "completed"
    world.assert_over()


def test_twiml_outbound_send_digits_before_the_document() -> None:
    world, call = started(send_digits="12ww")
    call.answer()
    assert world.asked() == []
    world.run(1.05)
    assert len(world.asked()) == 1
    world.end()


def test_twiml_outbound_redirected_while_it_rings() -> None:
    world, call = started()
    call.ring()
    call.redirect("http://app.test/other")
    world.pages["http://app.test/other"] = "<Response><Say>other</Say></Response>"
    call.answer()
    world.run(0.5)
    assert [r.url for r in world.asked()] == ["http://app.test/other"]
    assert call.said == ["other"]
    world.end()


def test_twiml_outbound_redirected_while_its_digits_are_sent() -> None:
    world, call = started(send_digits="1234567890")
    call.answer()
    world.run(1)
    call.redirect(twiml="<Response><Say>other</Say></Response>")
    assert call.said == ["other"]
    assert call.count(fx.StopPlay) == 1
    world.run(2)
    assert [r.url for r in world.asked() if r.url == VOICE] == []
    world.assert_over()


def test_twiml_outbound_time_limit_counts_from_the_answer() -> None:
    world, call = started('<Play loop="0">http://app.test/x.wav</Play>', time_limit=30.0)
    world.run(10)
    call.answer()
    world.run(29.9)
    assert not call.over
    world.run(0.2)
    assert call.row["duration"] == "30"
    world.assert_over()


def test_twiml_outbound_answer_and_timeout_in_one_inbox() -> None:
    world, call = started()
    world.at_once(world.fired(call, "ring-timeout"), (call, call.picked_up()))
    assert call.status == "no-answer"
    world.assert_over()


def test_twiml_outbound_to_sip_gives_its_headers_to_the_document() -> None:
    world, call = started(to="sip:bob@example.com")
    call.answer({"X-Room": "5"})
    world.run(1)
    assert world.asked()[0]["SipHeader_X-Room"] == "5"
    world.end()


def test_twiml_outbound_document_in_place() -> None:
    world = World()
    document = ["Response", {}, [["Say", {}, ["in place"]]]]
    call = world.outbound(page=Page(document=document))
    call.answer()
    assert call.said == ["in place"]
    world.run(2)
    assert world.asked() == []
    world.assert_over()
