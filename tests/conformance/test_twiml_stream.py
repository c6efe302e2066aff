"""Start and Stop of streams (TwiML reference, "Stream"; media streams)."""

from __future__ import annotations

import json

import pytest
from unit.twiml.driver import World

from ringback.call import effects as fx
from ringback.call.stream import SendText

STREAM = (
    '<Start><Stream name="tap" url="wss://ear.test/in" {}><Parameter name="who" value="me"/></Stream></Start>'
)


def frames(world: World, name: str) -> list[dict[str, object]]:
    return [json.loads(f.text) for owner, f in world.frames if owner == name and isinstance(f, SendText)]


def test_twiml_stream_outlives_its_document() -> None:
    world = World({"http://app.test/two": "<Response><Pause length='30'/></Response>"})
    call = world.inbound(STREAM.format('track="both_tracks"') + "<Redirect>/two</Redirect>")
    world.run(2)
    (stream,) = call.streams
    assert stream.status == "in-progress"
    connected, start = frames(world, "tap")
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start["start"]["customParameters"] == {"who": "me"}
    assert start["start"]["tracks"] == ["inbound", "outbound"]
    call.hang_up()
    world.run(1)
    assert frames(world, "tap")[-1]["event"] == "stop"
    world.assert_over()


def test_twiml_stream_is_stopped_by_name() -> None:
    world = World()
    call = world.inbound(
        STREAM.format("") + '<Pause length="2"/><Stop><Stream name="tap"/></Stop><Pause length="9"/>'
    )
    world.run(1)
    assert call.streams[0].status == "in-progress"
    world.run(2)
    assert call.streams[0].status == "stopped"
    assert not call.over
    world.end()


@pytest.mark.parametrize("url", ["http://ear.test/in", "wss://", "", "wss:///in", "//["])
def test_twiml_stream_needs_a_websocket_url(url: str) -> None:
    world = World()
    call = world.inbound(f'<Start><Stream url="{url}"/></Start>')
    world.run(3)
    assert call.codes("error") == [31922]
    world.assert_over()


@pytest.mark.parametrize(
    ("url", "found"),
    [("/in", "ws://app.test/in"), ("in?x=1", "ws://app.test/in?x=1"), ("//ear.test/in", "ws://ear.test/in")],
)
def test_twiml_stream_relative_to_the_document(url: str, found: str) -> None:
    world = World()
    call = world.inbound(f'<Start><Stream url="{url}"/></Start><Pause/>')
    world.run(3)
    assert [stream.options["url"] for stream in call.all(fx.StartStream)] == [found]
    world.assert_over()


def test_twiml_stream_of_a_document_without_url_cannot_be_relative() -> None:
    world = World()
    call = world.inbound("<Pause length='9'/>")
    call.redirect(twiml='<Response><Start><Stream url="/in"/></Start></Response>')
    world.run(3)
    assert call.codes("error") == [31922]
    world.assert_over()


def test_twiml_stream_callbacks() -> None:
    world = World()
    call = world.inbound(STREAM.format('statusCallback="/stream"') + "<Pause length='1'/>")
    world.run(3)
    told = world.told("http://app.test/stream")
    assert [request["StreamEvent"] for request in told] == ["stream-started", "stream-stopped"]
    assert {request["StreamSid"] for request in told} == {call.streams[0].sid}
    assert {request["StreamName"] for request in told} == {"tap"}
    world.assert_over()


def test_twiml_start_holds_four_streams_at_most() -> None:
    world = World()
    call = world.inbound("<Start>" + '<Stream url="wss://ear.test/"/>' * 5 + "</Start>")
    world.run(3)
    assert call.codes("error") == [12400]
    assert call.streams == []
    world.assert_over()
