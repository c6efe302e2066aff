"""Judged by Twilio's own Python package: what its builders write is what Ringback knows."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from twilio.twiml import voice_response as twilio
from unit.twiml.driver import World

from ringback.call import effects as fx
from ringback.twiml.document import parse
from ringback.twiml.schema import ATTRIBUTES, LATER

BUILDERS: dict[str, Any] = {
    "Say": twilio.VoiceResponse.say,
    "Play": twilio.VoiceResponse.play,
    "Pause": twilio.VoiceResponse.pause,
    "Hangup": twilio.VoiceResponse.hangup,
    "Reject": twilio.VoiceResponse.reject,
    "Redirect": twilio.VoiceResponse.redirect,
    "Gather": twilio.VoiceResponse.gather,
    "Dial": twilio.VoiceResponse.dial,
    "Start": twilio.VoiceResponse.start,
    "Stop": twilio.VoiceResponse.stop,
    "Number": twilio.Dial.number,
    "Sip": twilio.Dial.sip,
    "Conference": twilio.Dial.conference,
    "Stream": twilio.Start.stream,
    "Parameter": twilio.Stream.parameter,
}

NOT_ATTRIBUTES = {"self", "kwargs", "message", "phone_number", "sip_url", "number"}
"""What a builder puts into the element's text; ``url`` and ``name`` of Play, Redirect and Conference too."""

TEXTS = {("Play", "url"), ("Redirect", "url"), ("Conference", "name")}


def camel(name: str) -> str:
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(part.capitalize() for part in rest)


@pytest.mark.parametrize("element", BUILDERS)
def test_twiml_builders_attributes_are_all_known(element: str) -> None:
    names = set(inspect.signature(BUILDERS[element]).parameters) - NOT_ATTRIBUTES
    attributes = {camel(name) for name in names if (element, name) not in TEXTS}
    assert attributes <= set(ATTRIBUTES[element]), attributes - set(ATTRIBUTES[element])


def test_twiml_builders_verbs_are_all_known() -> None:
    response = twilio.VoiceResponse()
    for name, method in inspect.getmembers(twilio.VoiceResponse, inspect.isfunction):
        if name.startswith("_") or name in ("append", "nest", "add_text", "comment", "add_child", "to_xml"):
            continue
        required = [
            "x"
            for parameter in list(inspect.signature(method).parameters.values())[1:]
            if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ]
        method(response, *required)
    found = {element.name for element in parse(str(response)).children}
    assert {"Dial", "Gather", "Say"} <= found
    assert found - set(ATTRIBUTES) - LATER == set()


def test_twiml_builders_document_runs_without_a_warning() -> None:
    response = twilio.VoiceResponse()
    response.say("Hello", voice="alice", language="en-GB", loop=1)
    gather = twilio.Gather(num_digits=1, action="/key", timeout=3, finish_on_key="*", barge_in=True)
    gather.say("Press a key")
    response.append(gather)
    dial = twilio.Dial(
        answer_on_bridge=True,
        caller_id="+14155550100",
        hangup_on_star=True,
        ring_tone="uk",
        sequential=False,
        time_limit=60,
        timeout=20,
    )
    dial.number(
        "+14155552222",
        url="/whisper",
        status_callback="/s",
        status_callback_event="initiated ringing",
        send_digits="1",
    )
    dial.sip("sip:bob@example.com?x-a=b", username="u", password="Very-secret-77")
    response.append(dial)
    start = twilio.Start()
    stream = start.stream(name="tap", url="wss://ear.test/", track="both_tracks")
    stream.parameter(name="a", value="b")
    response.append(start)
    response.hangup()
    world = World({"http://app.test/voice": str(response)})
    call = world.inbound()
    world.run(8)
    assert [note for note in call.all(fx.Note) if note.level != "info"] == []
    assert [child.setup.to for child in world.children(call)] == ["+14155552222", "sip:bob@example.com"]
    world.end()
