"""What comes in damaged or crafted hurts no call, and what programs write never becomes a header of its own."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
from aiohttp import web
from live_scene import MAIN_NUMBER, Phone, Scene, answered, hears, over, twiml
from security.sip_wire import SDP, Wire, credentials, wire_to
from twilio.base.exceptions import TwilioRestException

from ringback.media import tones
from ringback.sandbox.endpoint import CallEnded, EndpointCall

# -- garbage ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def running(scene: Scene) -> AsyncIterator[EndpointCall]:
    """A call through the echo, whose sound must come back before and after."""
    alice = scene.phone("alice")
    dial = f'<Dial callerId="{MAIN_NUMBER}">+15005550001</Dial>'
    await scene.home(voice_url=scene.program.on("/echo", twiml(dial)))
    call = alice.dial("echo")
    await answered(call)
    await call.play(tones.sine(1000, 0.2), loops=0)
    assert await hears(call, 1000)
    yield call
    call.heard.clear()
    assert await hears(call, 1000), "the call is unharmed"
    call.hang_up()
    await over(call)


def damaged(wire: Wire, uri: str) -> list[bytes]:
    """Messages that are none, or barely; of each something must come back or nothing, and nobody falls."""
    whole, _ = wire.request("INVITE", uri, body=SDP)
    raw = whole.encode()
    chance = random.Random(20)
    flipped = []
    for _ in range(100):
        copy = bytearray(raw)
        for _ in range(chance.randint(1, 12)):
            copy[chance.randrange(len(copy))] = chance.randrange(256)
        flipped.append(bytes(copy))
    return [
        b"",
        b"\x00" * 500,
        b"\xff" * 1400,
        b"SIP/2.0 200 OK\r\n\r\n",
        b"SIP/2.0 999999999999 x\r\n\r\n",
        b"INVITE\r\n\r\n",
        b"INVITE sip:x SIP/2.0\r\n\r\n",
        *(raw[:length] for length in range(10, len(raw), 60)),
        raw.replace(b"CSeq: 1", b"CSeq: " + b"9" * 400),
        raw.replace(b"Content-Length: ", b"Content-Length: -"),
        raw.replace(b"Content-Length: ", b"Content-Length: 9"),
        raw.replace(b"Max-Forwards: 70", b"Max-Forwards: " + b"7" * 4000),
        raw.replace(b"Max-Forwards: 70", b"Max-Forwards: 0"),
        raw.replace(b"SIP/2.0\r\n", b"SIP/9.9\r\n", 1),
        raw.replace(b"Via: ", b"Via: SIP/2.0/UDP 1.2.3.4;branch=z9hG4bKx\r\n" * 400 + b"Via: ", 1),
        raw.replace(b"To: ", b"To: <sip:" + b"(" * 20_000 + b">\r\nTo: ", 1),
        raw.replace(b"From: ", b"From: " + b'"' * 10_001, 1),
        raw.replace(b"\r\n", b"\n"),
        raw.replace(b"Max-Forwards", b"X-" + b"h" * 30_000),
        raw.replace(b"v=0", b"v=0\r\nm=audio 1 RTP/AVP " + b"0 " * 5_000, 1),
        *flipped,
    ]


async def test_garbage_in_datagrams_hurts_no_call(scene: Scene, running: EndpointCall) -> None:
    async with wire_to(scene.server, "UDP") as wire:
        for message in damaged(wire, f"sip:1@{scene.server.domain}"):
            wire.send(message[:65_000])
        wire.send(b"INVITE sip:x@y SIP/2.0\r\n" + b"X: y\r\n" * 10_500)
        assert await wire.is_alive()
    assert not running.ended.done()


@pytest.mark.parametrize("transport", ["TCP", "TLS"])
async def test_garbage_in_streams_hurts_no_call(scene: Scene, running: EndpointCall, transport: str) -> None:
    async with wire_to(scene.server, transport) as probe:
        messages = damaged(probe, f"sip:1@{scene.server.domain}")
    for message in messages[:: 4 if transport == "TLS" else 1]:
        async with wire_to(scene.server, transport) as wire:
            wire.send(message)
            wire.send(b"\r\n\r\n")
    async with wire_to(scene.server, transport) as wire:
        assert await wire.is_alive()
    assert not running.ended.done()


@pytest.mark.parametrize(
    "endless",
    [
        b"INVITE sip:x@y SIP/2.0\r\n" + b"X-Long: y\r\n" * 20_000,
        b"A" * 300_000,
        b"INVITE sip:x@y SIP/2.0\r\nX: " + b"y" * 300_000,
        b"OPTIONS sip:x@y SIP/2.0\r\nContent-Length: 99999999\r\n\r\n",
    ],
    ids=["headers", "line", "header", "body"],
)
async def test_a_stream_without_end_is_closed(scene: Scene, running: EndpointCall, endless: bytes) -> None:
    async with wire_to(scene.server, "TCP") as wire:
        wire.send(endless)
        await wire.closed()
    assert not running.ended.done()


# -- XML ------------------------------------------------------------------------------------------------------------

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))

BOMBS = {
    "file": '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><Response><Say>&x;</Say></Response>',
    "laughs": f'<!DOCTYPE r [<!ENTITY l0 "ha">{LAUGHS}]><Response><Say>&l11;</Say></Response>',
    "quadratic": f'<!DOCTYPE r [<!ENTITY q "{"q" * 20_000}">]><Response><Say>{"&q;" * 5_000}</Say></Response>',
    "dtd": '<!DOCTYPE r SYSTEM "URL/dtd"><Response><Say>x</Say></Response>',
    "parameter": '<!DOCTYPE r [<!ENTITY % p SYSTEM "URL/dtd"> %p;]><Response><Say>x</Say></Response>',
    "unknown": "<Response><Say>&nothing;</Say></Response>",
    "deep": f"<Response>{'<Say>' * 8_000}",
    "nested": f"<Response>{'<a>' * 5_000}{'</a>' * 5_000}</Response>",
}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_xml_that_attacks_is_no_document(scene: Scene, bomb: str) -> None:
    document = BOMBS[bomb].replace("URL", scene.program.url)
    scene.program.on("/dtd", web.Response(text='<!ENTITY x "y">'))
    number = await scene.number(
        voice_url=scene.program.on("/voice", web.Response(text=document, content_type="text/xml")),
        voice_fallback_url=scene.program.on("/fallback", twiml("<Hangup/>")),
    )
    outcome = await scene.from_sandbox(number.phone_number)
    assert (await scene.program.hit("/fallback"))["ErrorCode"] in ("12100", "11750")
    assert scene.program.waiting("/dtd") == 0
    await scene.do(scene.client.incoming_phone_numbers(number.sid).delete)
    if len(document) <= 4_000:
        with pytest.raises(TwilioRestException) as refused:
            await scene.do(scene.client.calls.create, to="+15005550004", from_=MAIN_NUMBER, twiml=document)
        assert refused.value.status == 400
    status, journal = await scene.get(f"/ringback/v1/calls/{outcome['sid']}/journal")
    assert status == 200
    assert b"root:" not in journal


# -- headers ----------------------------------------------------------------------------------------------------------


def clean(call: EndpointCall) -> None:
    """The INVITE that arrived holds no header that its author smuggled in."""
    assert call.request is not None
    names = {name.lower() for name, _ in call.request.headers}
    assert not {name for name in names if "evil" in name}
    assert len(call.request.raw("Via")) == 1
    assert len(call.request.raw("Contact")) == 1
    assert len(call.request.raw("From")) == 1


BREAK = "&#13;&#10;"


@pytest.mark.parametrize(
    "noun",
    [
        f'<Dial callerId="a{BREAK}X-Evil: 1"><Sip>PBX</Sip></Dial>',
        f'<Dial callerId="a&gt;{BREAK}X-Evil: 1{BREAK}{BREAK}body"><Sip>PBX</Sip></Dial>',
        '<Dial callerId="a&gt;;tag=1"><Sip>PBX</Sip></Dial>',
        "<Dial><Sip>PBX?X-A=b%0D%0AX-Evil%3A%201</Sip></Dial>",
        "<Dial><Sip>PBX?X-A%0D%0AX-Evil%3A=1</Sip></Dial>",
        "<Dial><Sip>PBX?X-A=%0AX-Evil:1</Sip></Dial>",
        f"<Dial><Sip>PBX?X-A=b{BREAK}X-Evil: 1</Sip></Dial>",
        "<Dial><Sip>PBX?Via=SIP/2.0/UDP%20evil</Sip></Dial>",
        "<Dial><Sip>PBX?From=sip:evil@x</Sip></Dial>",
        "<Dial><Sip>PBX?Contact=sip:evil@x</Sip></Dial>",
        "<Dial><Sip>PBX?Content-Length=0</Sip></Dial>",
        "<Dial><Sip>PBX?Route=sip:evil.example</Sip></Dial>",
        f'<Dial><Sip username="u{BREAK}X-Evil: 1" password="p{BREAK}X-Evil: 1">PBX</Sip></Dial>',
        '<Dial><Sip username="u&quot;, x=&quot;y" password="p">PBX</Sip></Dial>',
        f"<Dial><Sip>PBX;x=y{BREAK}X-Evil: 1</Sip></Dial>",
        "<Dial><Sip>PBX;x=%0d%0aX-Evil:1</Sip></Dial>",
        f"<Dial>+1500555{BREAK}X-Evil: 1</Dial>",
        f'<Dial callerId="+16505550100{BREAK}X-Evil: 1">+15005550004</Dial>',
    ],
)
async def test_a_document_cannot_write_headers_of_its_own(scene: Scene, noun: str) -> None:
    """Refused with a code of Twilio's, or sent without harm: the far end judges."""
    pbx = scene.phone("pbx")
    if "username" in noun:
        pbx.challenge = challenge_once(pbx)
    document = twiml(noun.replace("PBX", pbx.address), "<Redirect>/after</Redirect>")
    number = await scene.number(voice_url=scene.program.on("/voice", document))
    scene.program.on("/after", twiml("<Hangup/>"))
    calling = asyncio.create_task(scene.from_sandbox(number.phone_number))
    after = asyncio.create_task(scene.program.hit("/after"))
    ringing = asyncio.create_task(pbx.rung())
    await asyncio.wait({after, ringing}, return_when=asyncio.FIRST_COMPLETED)
    if ringing.done():
        call = ringing.result()
        clean(call)
        call.refuse(486)
    await after
    ringing.cancel()
    await asyncio.gather(calling, ringing, return_exceptions=True)
    await scene.do(scene.client.incoming_phone_numbers(number.sid).delete)


def challenge_once(phone: Phone):  # type: ignore[no-untyped-def]
    def on_invite(request, flow) -> bool:  # type: ignore[no-untyped-def]
        if request.get("Authorization"):
            return False
        header = 'Digest realm="pbx", nonce="1", qop="auth"'
        agent = phone.endpoint.stack.agent
        phone.endpoint.carry_out(
            agent.reply_statelessly(request, flow, 401, headers=(("WWW-Authenticate", header),))
        )
        return True

    return on_invite


@pytest.mark.parametrize(
    ("to", "from_"),
    [
        ("PBX?X-A=b%0D%0AX-Evil%3A1", MAIN_NUMBER),
        ("PBX?X-A=b\r\nX-Evil: 1", MAIN_NUMBER),
        ("PBX\r\nX-Evil: 1", MAIN_NUMBER),
        ("PBX?Via=x", MAIN_NUMBER),
        ("PBX", "sip:a\r\nX-Evil: 1@x"),
        ("PBX", "evil\r\nX-Evil: 1"),
        ("PBX", 'a"<sip:evil@x>'),
        ("sip:a%0d%0aX-Evil:1@HOST", MAIN_NUMBER),
        ("sip:%00%01@HOST", MAIN_NUMBER),
    ],
)
async def test_the_api_cannot_write_headers_of_its_own(scene: Scene, to: str, from_: str) -> None:
    pbx = scene.phone("pbx")
    host, port = pbx.endpoint.address
    to = to.replace("PBX", pbx.address).replace("HOST", f"{host}:{port}")
    path = f"/2010-04-01/Accounts/{scene.server.account_sid}/Calls.json"
    where = scene.program.on("/status")
    status, body = await scene.post(path, To=to, From=from_, Twiml=twiml(), StatusCallback=where)
    if status == 400:
        assert 20_000 < json.loads(body)["code"] < 40_000
        return
    assert status == 201, body
    ended = asyncio.create_task(scene.program.hit("/status"))
    ringing = asyncio.create_task(pbx.rung())
    await asyncio.wait({ended, ringing}, return_when=asyncio.FIRST_COMPLETED)
    if ringing.done():
        clean(ringing.result())
        ringing.result().refuse(486)
    await ended
    ringing.cancel()
    await asyncio.gather(ringing, return_exceptions=True)


async def test_what_a_user_sends_does_not_become_a_header_of_the_next_leg(scene: Scene) -> None:
    pbx = scene.phone("pbx")
    await scene.home(voice_url=scene.program.on("/dial", twiml(f"<Dial><Sip>{pbx.address}</Sip></Dial>")))
    uri = f"sip:{quote('1%0d%0aX-Evil:1', safe='%')}@{scene.server.domain}"
    for user in ("alice", "al%0D%0AX-Evil%3A%201", "%22%3E%0D%0AX-Evil:1", "x" * 400):
        async with wire_to(scene.server, "UDP") as wire:
            from_ = f"sip:{user}@{scene.server.domain}"
            challenge = await wire.ask("INVITE", uri, from_=from_, body=SDP)
            line = credentials(challenge, "INVITE", uri, "alice", scene.server.password)
            text, call_id = wire.request(
                "INVITE", uri, from_=from_, body=SDP, headers=(line, "X-Note: a\r\n b"), cseq=2
            )
            wire.send(text)
            asked = await scene.program.hit("/dial")
            assert not [name for name in asked.params if "evil" in name.lower()]
            final = asyncio.create_task(wire.reply(call_id))
            ringing = asyncio.create_task(pbx.rung())
            await asyncio.wait({final, ringing}, return_when=asyncio.FIRST_COMPLETED)
            if ringing.done():
                clean(ringing.result())
                ringing.result().refuse(486)
            assert (await final).status >= 200
            ringing.cancel()
            await asyncio.gather(ringing, return_exceptions=True)
            sid = asked["CallSid"]
            if (await scene.do(scene.client.calls(sid).fetch)).status == "in-progress":
                await scene.do(scene.client.calls(sid).update, status="completed")


async def test_a_call_for_nobody_in_a_storm_of_cancels(scene: Scene) -> None:
    """Twenty callers give up at once: each call ends, once, and the server is ready for the next."""
    dial = f'<Dial timeout="60" answerOnBridge="true" callerId="{MAIN_NUMBER}">+15005550003</Dial>'
    alice = scene.phone("alice")
    await scene.home(
        voice_url=scene.program.on("/ring", twiml(dial)),
        voice_status_callback_url=scene.program.on("/status"),
    )
    calls = [alice.dial("ring") for _ in range(20)]
    for call in calls:
        async with asyncio.timeout(30):
            await call.unless_ended(call.ringing)
    for call in calls:
        call.hang_up()
    for call in calls:
        with pytest.raises(CallEnded):
            await answered(call)
    told = [await scene.program.hit("/status") for _ in calls]
    assert len({hit["CallSid"] for hit in told}) == 20
    assert {hit["CallStatus"] for hit in told} == {"no-answer"}
    await scene.home(voice_status_callback_url="")
