"""Verbs on a live server, proven by what the phones hear and what the program is asked."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import pytest
from aiohttp import web
from live_scene import MAIN_NUMBER, WITHIN, Phone, Scene, answered, encoded, hears, over, twiml
from twilio.request_validator import RequestValidator
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from ringback.media import tones
from ringback.sandbox.endpoint import EndpointCall

ECHO = "+15005550001"


async def dialed(scene: Scene, phone: Phone, document: str) -> tuple[EndpointCall, str]:
    """A call of a phone to the domain, answered with a document: the call and its SID."""
    await scene.home(voice_url=scene.program.on("/voice", document))
    call = phone.dial("start")
    return call, await answered(call)


# -- Say and Play -----------------------------------------------------------------------------------------------


async def test_say_speaks_for_as_long_as_its_text_takes(scene: Scene) -> None:
    alice = await scene.registered("alice")
    text = "The quick brown fox jumps over the lazy dog, and then it walks home."
    call, _ = await dialed(scene, alice, twiml(f"<Say>{text}</Say>"))
    await over(call)
    heard = bytes(call.heard)
    spoken = [tones.level(heard[i : i + 800]) > -45 for i in range(0, len(heard) - 800, 800)]
    assert 2.0 < sum(spoken) * 0.1 < 10.0  # fourteen words
    assert max(tones.level(heard[i : i + 800]) for i in range(0, len(heard) - 800, 800)) < -3


@pytest.mark.parametrize("form", ["wav", "mp3"])
async def test_play_fetches_a_file_once_while_its_server_says_it_may_be_kept(scene: Scene, form: str) -> None:
    alice = await scene.registered("alice")
    kind = {"wav": "audio/wav", "mp3": "audio/mpeg"}[form]
    sound = web.Response(
        body=encoded(tones.sine(900, 1.5), form),
        content_type=kind,
        headers={"Cache-Control": "max-age=600", "ETag": '"one"'},
    )
    file = scene.program.on(f"/tone.{form}", sound)
    for _ in range(2):
        call, _ = await dialed(scene, alice, twiml(f"<Play>/tone.{form}</Play>"))
        assert await hears(call, 900)
        await over(call)
    assert [hit.path for hit in scene.program.hits].count(f"/tone.{form}") == 1
    assert file.endswith(form)


async def test_a_file_that_is_missing_is_an_error_line_and_the_document_goes_on(scene: Scene) -> None:
    alice = await scene.registered("alice")
    scene.program.on("/after", twiml("<Hangup/>"))
    call, sid = await dialed(scene, alice, twiml("<Play>/missing.wav</Play><Redirect>/after</Redirect>"))
    await scene.program.hit("/after")
    await over(call)
    notes = await scene.do(scene.client.calls(sid).notifications.list)
    assert notes and all(note.log == "0" for note in notes)


# -- Dial -------------------------------------------------------------------------------------------------------


async def test_the_caller_hears_ringback_while_dial_rings_and_then_the_callee(scene: Scene) -> None:
    alice, bob = await scene.registered("alice"), await scene.registered("bob")
    dial = f'<Dial action="/ended" timeout="20"><Sip>sip:bob@{scene.server.domain}</Sip></Dial>'
    scene.program.on("/ended", twiml("<Hangup/>"))
    call, sid = await dialed(scene, alice, twiml(dial))
    leg = await bob.rung()
    leg.ring()
    heard = await call.hear(1.0)
    assert tones.tone_present(heard[4000:], 440) + tones.tone_present(heard[4000:], 480) > 0.8
    leg.answer()
    leg.listen()
    await leg.play(tones.sine(650, 0.2), loops=0)
    assert await hears(call, 650)
    await call.play(tones.sine(850, 0.2), loops=0)
    assert await hears(leg, 850)
    await leg.hear(1.0)
    leg.hang_up()
    hit = await scene.program.hit("/ended")
    assert (hit["CallSid"], hit["CallStatus"]) == (sid, "in-progress")
    assert (hit["DialCallStatus"], hit["DialBridged"]) == ("completed", "true")
    assert hit["DialSipResponseCode"] == "200"
    assert leg.request is not None
    assert hit["DialSipCallId"] == leg.request.call_id
    assert int(hit["DialCallDuration"]) >= 1
    await over(call)
    child = await scene.do(scene.client.calls(hit["DialCallSid"]).fetch)
    assert (child.parent_call_sid, child.direction) == (sid, "outbound-dial")
    listed = await scene.do(scene.client.calls.list, parent_call_sid=sid)
    assert [row.sid for row in listed] == [child.sid]


@pytest.mark.parametrize(
    ("number", "status"),
    [("+15005550004", "busy"), ("+15005550005", "failed"), ("+15005550003", "no-answer")],
)
async def test_dial_tells_its_action_how_the_number_ended(scene: Scene, number: str, status: str) -> None:
    alice = await scene.registered("alice")
    dial = f'<Dial action="/ended" timeout="5" callerId="{MAIN_NUMBER}">{number}</Dial>'
    scene.program.on("/ended", twiml("<Hangup/>"))
    call, sid = await dialed(scene, alice, twiml(dial))
    hit = await scene.program.hit("/ended")
    assert (hit["CallSid"], hit["DialCallStatus"], hit["DialBridged"]) == (sid, status, "false")
    assert hit["DialCallDuration"] == "0"
    child = await scene.do(scene.client.calls(hit["DialCallSid"]).fetch)
    assert (child.status, child.to) == (status, number)
    await over(call)


async def test_the_dialed_leg_reports_its_own_progress(scene: Scene) -> None:
    alice = await scene.registered("alice")
    where = scene.program.on("/leg")
    noun = (
        f'<Number statusCallback="{where}" statusCallbackEvent="initiated ringing answered completed">'
        f"{ECHO}</Number>"
    )
    call, sid = await dialed(scene, alice, twiml(f'<Dial callerId="{MAIN_NUMBER}">{noun}</Dial>'))
    first = [await scene.program.hit("/leg") for _ in range(3)]
    assert [hit["CallStatus"] for hit in first] == ["initiated", "ringing", "in-progress"]
    assert {hit["ParentCallSid"] for hit in first} == {sid}
    assert {hit["Direction"] for hit in first} == {"outbound-dial"}
    sound = asyncio.create_task(call.play(tones.sine(1000, 0.2), loops=0))
    assert await hears(call, 1000)
    await sound
    call.hang_up()
    last = await scene.program.hit("/leg")
    assert (last["CallStatus"], last["SequenceNumber"]) == ("completed", "3")
    await over(call)


async def test_a_rest_redirect_takes_the_caller_out_of_a_parallel_dial_with_a_whisper(scene: Scene) -> None:
    """Two phones ring; one answers and hears its whisper; a program redirects the caller meanwhile."""
    alice, bob = await scene.registered("alice"), await scene.registered("bob")
    pbx = scene.phone("pbx")
    whisper = '<Gather numDigits="1" action="/accept"><Pause length="30"/></Gather><Hangup/>'
    nouns = f'<Sip url="/whisper">sip:bob@{scene.server.domain}</Sip><Sip>{pbx.address}</Sip>'
    scene.program.on("/whisper", twiml(whisper))
    scene.program.on("/redirected", twiml('<Play digits="9"/><Pause length="30"/>'))
    call, sid = await dialed(scene, alice, twiml(f'<Dial action="/ended">{nouns}</Dial>'))
    leg = await bob.pick_up()
    other = await pbx.rung()
    other.ring()
    heard_whisper = await scene.program.hit("/whisper")
    assert heard_whisper["ParentCallSid"] == sid
    assert heard_whisper["Direction"] == "outbound-dial"
    await scene.do(scene.client.calls(sid).update, url=scene.program.url + "/redirected")
    hit = await scene.program.hit("/redirected")
    assert hit["CallSid"] == sid
    async with asyncio.timeout(WITHIN):
        assert await call.digits.get() == "9"
    assert (await over(other)).cause == "cancelled"
    assert (await over(leg)).cause == "bye"
    children = {row.sid: row.status for row in await scene.do(scene.client.calls.list, parent_call_sid=sid)}
    assert sorted(children.values()) == ["canceled", "completed"]
    assert scene.program.waiting("/ended") == 0
    call.hang_up()
    await over(call)


async def test_a_whisper_that_accepts_connects_and_the_loser_is_cancelled(scene: Scene) -> None:
    alice, bob = await scene.registered("alice"), await scene.registered("bob")
    pbx = scene.phone("pbx")
    whisper = '<Gather numDigits="1" action="/accept"><Pause length="30"/></Gather><Hangup/>'
    scene.program.on("/whisper", twiml(whisper))
    scene.program.on("/accept", twiml())
    nouns = f'<Sip url="/whisper">sip:bob@{scene.server.domain}</Sip><Sip>{pbx.address}</Sip>'
    call, _ = await dialed(scene, alice, twiml(f"<Dial>{nouns}</Dial>"))
    leg = await bob.pick_up()
    other = await pbx.rung()
    other.ring()
    hit = await scene.program.hit("/whisper")
    assert (hit["SipDomain"], hit["SipSourceIp"]) == (scene.server.domain, "127.0.0.1")
    assert hit["SipCallId"] == leg.request.call_id
    await leg.send_digits("1")
    assert (await scene.program.hit("/accept"))["Digits"] == "1"
    assert (await over(other)).cause == "cancelled"
    await leg.play(tones.sine(750, 0.2), loops=0)
    assert await hears(call, 750)
    leg.hang_up()
    await over(call)


# -- streams ------------------------------------------------------------------------------------------------------


class StreamServer:
    """Somebody's WebSocket server: keeps every message of each connection."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.url = ""
        self.is_signed: list[bool] = []
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def talk(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        signature = socket.request.headers.get("X-Twilio-Signature", "")
        self.is_signed.append(RequestValidator(self.token).validate(self.url, {}, signature))
        try:
            async for text in socket:
                self.messages.put_nowait(json.loads(text))
        except ConnectionClosed:
            pass

    async def next(self, event: str = "") -> dict[str, Any]:
        async with asyncio.timeout(WITHIN):
            while True:
                message = await self.messages.get()
                if not event or message["event"] == event:
                    return message


async def test_a_stream_carries_the_phones_sound_and_outlives_its_document(scene: Scene) -> None:
    alice = await scene.registered("alice")
    far = StreamServer(scene.server.auth_token)
    async with serve(far.talk, "127.0.0.1", 0) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        far.url = f"ws://127.0.0.1:{port}/audio"
        start = (
            f'<Start><Stream name="monitor" url="{far.url}" track="both_tracks" statusCallback="/stream">'
            '<Parameter name="agent" value="7"/></Stream></Start>'
        )
        scene.program.on("/stream")
        scene.program.on("/next", twiml('<Pause length="30"/>'))
        call, sid = await dialed(scene, alice, twiml(start, "<Redirect>/next</Redirect>"))
        connected = await far.next()
        assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        started = await far.next()
        stream_sid = started["streamSid"]
        assert stream_sid.startswith("MZ")
        assert started["sequenceNumber"] == "1"
        assert started["start"] == {
            "accountSid": scene.server.account_sid,
            "streamSid": stream_sid,
            "callSid": sid,
            "tracks": ["inbound", "outbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"agent": "7"},
        }
        assert far.is_signed == [True]
        told = await scene.program.hit("/stream")
        assert (told["StreamEvent"], told["StreamSid"], told["StreamName"]) == (
            "stream-started",
            stream_sid,
            "monitor",
        )
        await scene.program.hit("/next")  # the document that started it is over
        await call.play(tones.sine(1200, 1.0), loops=0)
        await check_frames(far, stream_sid)
        stop = twiml('<Stop><Stream name="monitor"/></Stop><Pause length="30"/>')
        await scene.do(scene.client.calls(sid).update, twiml=stop)
        stopped = await far.next("stop")
        assert stopped["stop"] == {"accountSid": scene.server.account_sid, "callSid": sid}
        assert (await scene.program.hit("/stream"))["StreamEvent"] == "stream-stopped"
        call.hang_up()
        await over(call)


async def test_a_stream_of_a_phone_that_sends_nothing_is_silence(scene: Scene) -> None:
    alice = await scene.registered("alice")
    far = StreamServer(scene.server.auth_token)
    began = time.monotonic()
    async with serve(far.talk, "127.0.0.1", 0) as listening:
        far.url = f"ws://127.0.0.1:{next(iter(listening.sockets)).getsockname()[1]}/audio"
        call, _ = await dialed(
            scene, alice, twiml(f'<Start><Stream url="{far.url}"/></Start>', '<Pause length="30"/>')
        )
        for index in range(25):
            media = (await far.next("media"))["media"]
            assert (media["chunk"], media["timestamp"]) == (str(index + 1), str(20 * index))
            assert base64.b64decode(media["payload"]) == b"\xff" * 160
        assert time.monotonic() - began > 0.5, "sound is not sent before its time"
        call.hang_up()
        await over(call)


async def check_frames(far: StreamServer, stream_sid: str) -> None:
    sound, sequence, chunk = b"", 1, 0
    while len(sound) < 1600 or tones.tone_present(sound[-1600:], 1200) < 0.9:
        message = await far.next()
        assert message["event"] == "media"
        assert message["streamSid"] == stream_sid
        sequence += 1
        assert message["sequenceNumber"] == str(sequence)
        media = message["media"]
        assert set(media) == {"track", "chunk", "timestamp", "payload"}
        payload = base64.b64decode(media["payload"], validate=True)
        assert len(payload) == 160
        assert media["timestamp"].isdigit()
        if media["track"] == "inbound":
            chunk += 1
            assert media["chunk"] == str(chunk)
            sound += payload
        else:
            assert media["track"] == "outbound"


async def test_a_stream_that_cannot_connect_hurts_nothing_but_itself(scene: Scene) -> None:
    alice = await scene.registered("alice")
    scene.program.on("/stream")
    start = '<Start><Stream url="ws://127.0.0.1:9/none" statusCallback="/stream"/></Start>'
    call, sid = await dialed(scene, alice, twiml(start, '<Pause length="30"/>'))
    told = await scene.program.hit("/stream")
    assert told["StreamEvent"] == "stream-error"
    assert "ConnectionRefusedError" in told["StreamError"]
    assert (await scene.do(scene.client.calls(sid).fetch)).status == "in-progress"
    call.hang_up()
    await over(call)
