"""Calls that come in to a live server, from the network and from its users, and the program that is asked."""

from __future__ import annotations

import asyncio
import io
import wave

import pytest
from aiohttp import web
from live_scene import ENDED, PLACES, STANDARD, Hit, Scene, answered, basic, hears, over, twiml

from ringback.media import g711, tones
from ringback.sandbox.endpoint import CallEnded

HANG_UP = twiml("<Hangup/>")


def wav(mulaw: bytes) -> bytes:
    """A WAV file of 16-bit samples at 8 kHz."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(g711.decode_ulaw(mulaw).tobytes())
    return file.getvalue()


# -- numbers --------------------------------------------------------------------------------------------------


async def test_a_number_asks_its_voice_url_and_tells_its_status_callback_of_the_end_alone(
    scene: Scene,
) -> None:
    number = await scene.number(
        voice_url=scene.program.on("/voice", twiml('<Say>Hello</Say><Pause length="1"/>')),
        status_callback=scene.program.on("/status"),
    )
    outcome = await scene.from_sandbox(number.phone_number)
    assert outcome["status"] == "answered"
    asked = await scene.program.hit("/voice")
    assert asked.method == "POST"
    assert set(asked.params) == STANDARD
    assert (asked["CallSid"], asked["AccountSid"]) == (outcome["sid"], scene.server.account_sid)
    assert (asked["From"], asked["Caller"]) == ("+15005550009", "+15005550009")
    assert (asked["To"], asked["Called"]) == (number.phone_number, number.phone_number)
    assert (asked["CallStatus"], asked["Direction"]) == ("ringing", "inbound")
    told = await scene.program.hit("/status")
    assert told["CallStatus"] == "completed"
    extra = {"Timestamp", "CallbackSource", "SequenceNumber", "CallDuration", "Duration"}
    assert set(told.params) == STANDARD | extra
    assert told["SequenceNumber"] == "0"
    assert int(told["CallDuration"]) >= 1
    call = await scene.do(scene.client.calls(outcome["sid"]).fetch)
    assert (call.direction, call.status, call.phone_number_sid) == ("inbound", "completed", number.sid)
    assert scene.program.waiting("/status") == 0


async def test_get_puts_the_parameters_behind_the_urls_own_query(scene: Scene) -> None:
    url = scene.program.on("/voice", HANG_UP) + "?callerId=%2B16505551234&a=b%20c"
    number = await scene.number(voice_url=url, voice_method="GET")
    await scene.from_sandbox(number.phone_number)
    asked = await scene.program.hit("/voice")
    assert asked.method == "GET"
    assert asked.url.startswith(f"{url}&CallSid=CA")
    assert set(asked.params) == STANDARD | {"callerId", "a"}
    assert (asked["callerId"], asked["a"]) == ("+16505551234", "b c")


async def test_an_application_comes_before_the_numbers_own_url(scene: Scene) -> None:
    application = await scene.do(
        scene.client.applications.create,
        voice_url=scene.program.on("/app", HANG_UP),
        status_callback=scene.program.on("/app-status"),
    )
    number = await scene.number(
        voice_url=scene.program.on("/own", HANG_UP), voice_application_sid=application.sid
    )
    await scene.from_sandbox(number.phone_number)
    asked = await scene.program.hit("/app")
    assert asked["ApplicationSid"] == application.sid
    assert (await scene.program.hit("/app-status"))["ApplicationSid"] == application.sid
    assert scene.program.waiting("/own") == 0


async def slow(hit: Hit) -> web.StreamResponse:
    """No answer before the client has gone."""
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize(
    ("answer", "fragment", "code"),
    [
        (web.Response(status=500), "", "11200"),
        (web.Response(status=404), "", "11200"),
        (slow, "#tt=300", "11200"),
        (web.Response(body=b"<Response><Say>", content_type="text/xml"), "", "12100"),
        (web.Response(body=b"<Answer/>", content_type="text/xml"), "", "12102"),
        (web.Response(body=b"{}", content_type="application/json"), "", "12300"),
        (
            web.Response(
                body=b"<Response><Play>%s</Play></Response>" % (b"x" * 65536), content_type="text/xml"
            ),
            "",
            "11750",
        ),
        (web.Response(status=302, headers={"Location": "/voice"}), "", "11215"),
    ],
    ids=["500", "404", "slow", "not-xml", "not-response", "json", "large", "redirect-loop"],
)
async def test_what_is_no_document_takes_the_fallback_with_code_and_url(
    scene: Scene, answer: object, fragment: str, code: str
) -> None:
    url = scene.program.on("/voice", answer) + fragment  # type: ignore[arg-type]
    number = await scene.number(
        voice_url=url, voice_fallback_url=scene.program.on("/fallback", HANG_UP), voice_fallback_method="GET"
    )
    outcome = await scene.from_sandbox(number.phone_number)
    hit = await scene.program.hit("/fallback")
    assert hit.method == "GET"
    assert (hit["ErrorCode"], hit["ErrorUrl"]) == (code, url)
    assert set(hit.params) == STANDARD | {"ErrorCode", "ErrorUrl"}
    assert outcome["status"] == "answered"
    notes = await scene.do(scene.client.calls(outcome["sid"]).notifications.list)
    assert [(note.error_code, note.log) for note in notes] == [(code, "0")]


async def test_without_a_fallback_the_caller_hears_of_the_error(scene: Scene) -> None:
    alice = await scene.registered("alice")
    await scene.home(voice_url=scene.program.on("/broken", web.Response(status=503)), voice_fallback_url="")
    call = alice.dial("help")
    sid = await answered(call)
    assert tones.level(await call.hear(1.5)) > -45
    await over(call)
    record = await scene.ended(sid)
    assert record.status == "completed"
    assert "11200" in await scene.timeline(sid)


async def test_redirects_of_the_webhook(scene: Scene) -> None:
    number = await scene.number(
        voice_url=scene.program.on("/first", web.Response(status=302, headers={"Location": "/second?x=1"}))
    )
    scene.program.on("/second", web.Response(status=307, headers={"Location": "third"}))
    scene.program.on("/third", HANG_UP)
    await scene.from_sandbox(number.phone_number)
    assert (await scene.program.hit("/first")).method == "POST"
    second = await scene.program.hit("/second")
    assert (second.method, second["x"]) == ("GET", "1")
    assert (await scene.program.hit("/third")).method == "GET"


async def test_307_keeps_the_post_with_its_parameters(scene: Scene) -> None:
    number = await scene.number(
        voice_url=scene.program.on("/first", web.Response(status=307, headers={"Location": "/second"}))
    )
    scene.program.on("/second", HANG_UP)
    await scene.from_sandbox(number.phone_number)
    hit = await scene.program.hit("/second")
    assert (hit.method, set(hit.params)) == ("POST", STANDARD)


async def test_cookies_live_as_long_as_their_call(scene: Scene) -> None:
    first = web.Response(
        body=twiml("<Redirect>/second</Redirect>").encode(),
        content_type="text/xml",
        headers={"Set-Cookie": "visit=1; Path=/"},
    )
    number = await scene.number(voice_url=scene.program.on("/first", first))
    scene.program.on("/second", HANG_UP)
    for _ in range(2):
        await scene.from_sandbox(number.phone_number)
        assert (await scene.program.hit("/first")).cookies == {}
        assert (await scene.program.hit("/second")).cookies == {"visit": "1"}


async def test_user_and_password_of_a_url_are_sent_as_basic_and_never_shown(scene: Scene) -> None:
    wanted = basic("user", "p@ss-Word-1234")

    def voice(hit: Hit) -> web.StreamResponse:
        if hit.headers.get("Authorization") != wanted:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="program"'})
        return web.Response(body=HANG_UP.encode(), content_type="text/xml")

    url = scene.program.on("/voice", voice).replace("http://", "http://user:p%40ss-Word-1234@")
    number = await scene.number(voice_url=url)
    outcome = await scene.from_sandbox(number.phone_number)
    assert outcome["status"] == "answered"
    await scene.ended(outcome["sid"])
    shown = await scene.timeline(outcome["sid"])
    assert "/voice: 200" in shown
    assert "p%40ss-Word-1234" not in shown
    assert "p%40ss-Word-1234" not in scene.server.output


async def test_a_document_that_rejects_gives_the_network_its_reason(scene: Scene) -> None:
    number = await scene.number(
        voice_url=scene.program.on("/voice", twiml('<Reject reason="busy"/>'), twiml("<Reject/>")),
        status_callback=scene.program.on("/status"),
    )
    outcome = await scene.from_sandbox(number.phone_number)
    assert (outcome["status"], outcome["detail"]) == ("ended", "486 Busy Here")
    assert (await scene.program.hit("/status"))["CallStatus"] == "busy"
    outcome = await scene.from_sandbox(number.phone_number)
    assert outcome["detail"] == "603 Decline"
    assert (await scene.program.hit("/status"))["CallStatus"] == "no-answer"


# -- users of a SIP domain --------------------------------------------------------------------------------------


async def test_a_users_call_tells_the_domain_and_the_custom_headers(scene: Scene) -> None:
    alice = await scene.registered("alice")
    await scene.home(
        voice_url=scene.program.on("/voice", twiml('<Pause length="1"/><Hangup/>')),
        voice_status_callback_url=scene.program.on("/status"),
    )
    headers = (
        ("X-Order-Id", "12;k=v"),
        ("x-lower", "yes"),
        ("User-to-User", "48656c6c6f;encoding=hex"),
        ("Subject", "not passed"),
    )
    call = alice.dial("+15551234567", headers=headers)
    hit = await scene.program.hit("/voice")
    domains = await scene.do(scene.client.sip.domains.list)
    domain = next(row for row in domains if row.domain_name == scene.server.domain)
    assert hit["SipDomain"] == scene.server.domain
    assert hit["SipDomainSid"] == domain.sid
    assert hit["SipSourceIp"] == "127.0.0.1"
    assert hit["SipUsername"] == "alice"
    assert hit["From"] == hit["Caller"] == f"sip:alice@{scene.server.domain}"
    assert hit["To"] == hit["Called"] == f"sip:+15551234567@{scene.server.domain}"
    assert hit["SipHeader_X-Order-Id"] == "12;k=v"
    assert hit["SipHeader_x-lower"] == "yes"
    assert hit["SipHeader_User-to-User"] == "48656c6c6f;encoding=hex"
    assert hit.get("SipHeader_Subject") is None
    assert set(hit.params) == (STANDARD - PLACES) | {
        "SipDomain",
        "SipDomainSid",
        "SipCallId",
        "SipSourceIp",
        "SipUsername",
        "SipHeader_X-Order-Id",
        "SipHeader_x-lower",
        "SipHeader_User-to-User",
    }
    ended = await over(call)
    assert hit["SipCallId"] == ended.sip_call_id
    told = await scene.program.hit("/status")
    assert (told["CallStatus"], told["SequenceNumber"]) == ("completed", "0")
    assert scene.program.waiting("/status") == 0
    await scene.home(voice_status_callback_url="")


async def test_text_is_spoken_and_audio_is_played(scene: Scene) -> None:
    alice = await scene.registered("alice")
    spoken = web.Response(text="This is no document, it is to be said.", content_type="text/plain")
    sound = web.Response(body=wav(tones.sine(800, 2.0)), content_type="audio/wav")
    await scene.home(voice_url=scene.program.on("/voice", spoken, sound))
    call = alice.dial("speak")
    await answered(call)
    assert tones.level(await call.hear(1.5)) > -45
    await over(call)
    call = alice.dial("play")
    await answered(call)
    await call.hear(0.5)
    assert tones.tone_present(await call.hear(0.5), 800) > 0.8
    await over(call)


@pytest.mark.parametrize("field", ["finish", "count"])
async def test_gather_gives_the_action_what_was_pressed(scene: Scene, field: str) -> None:
    alice = await scene.registered("alice")
    attributes = 'finishOnKey="#"' if field == "finish" else 'numDigits="3"'
    gather = f'<Gather action="/pressed" {attributes}><Pause length="20"/></Gather><Say>nothing came</Say>'
    await scene.home(voice_url=scene.program.on("/voice", twiml(gather)))
    scene.program.on("/pressed", twiml('<Pause length="20"/>'))
    call = alice.dial("menu")
    await answered(call)
    await call.hear(0.2)
    await call.send_digits("12#" if field == "finish" else "789")
    hit = await scene.program.hit("/pressed")
    if field == "finish":
        assert (hit["Digits"], hit["FinishedOnKey"]) == ("12", "#")
    else:
        assert (hit["Digits"], hit.get("FinishedOnKey")) == ("789", None)
    call.hang_up()
    await over(call)


async def test_gather_without_input_asks_nobody_and_goes_on(scene: Scene) -> None:
    alice = await scene.registered("alice")
    document = twiml('<Gather action="/pressed" timeout="1"/><Redirect>/after</Redirect>')
    await scene.home(voice_url=scene.program.on("/voice", document))
    scene.program.on("/after", HANG_UP)
    call = alice.dial("menu")
    await answered(call)
    await scene.program.hit("/after")
    await over(call)
    assert scene.program.waiting("/pressed") == 0


async def test_a_caller_who_gives_up_before_the_program_answers(scene: Scene) -> None:
    alice = await scene.registered("alice")
    let_go = asyncio.Event()

    async def wait(hit: Hit) -> web.StreamResponse:
        await let_go.wait()
        return web.Response(body=HANG_UP.encode(), content_type="text/xml")

    await scene.home(
        voice_url=scene.program.on("/voice", wait), voice_status_callback_url=scene.program.on("/status")
    )
    call = alice.dial("late")
    sid = (await scene.program.hit("/voice"))["CallSid"]
    call.hang_up()
    with pytest.raises(CallEnded):
        await answered(call)
    told = await scene.program.hit("/status")
    assert (told["CallSid"], told["CallStatus"], told["CallDuration"]) == (sid, "no-answer", "0")
    let_go.set()
    assert (await scene.ended(sid)).status in ENDED
    await scene.home(voice_status_callback_url="")


async def test_a_call_that_was_refused_can_be_looked_up(scene: Scene) -> None:
    number = await scene.number(voice_url=scene.program.on("/voice", twiml("<Reject/>")))
    outcome = await scene.from_sandbox(number.phone_number)
    assert outcome["sid"] == (await scene.program.hit("/voice"))["CallSid"]


async def test_audio_behind_a_login_is_played(scene: Scene) -> None:
    alice = await scene.registered("alice")
    wanted = basic("user", "pass-Word-1234")

    def voice(hit: Hit) -> web.StreamResponse:
        if hit.headers.get("Authorization") != wanted:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="program"'})
        return web.Response(body=wav(tones.sine(800, 6.0)), content_type="audio/wav")

    url = scene.program.on("/voice", voice).replace("http://", "http://user:pass-Word-1234@")
    await scene.home(voice_url=url)
    call = alice.dial("play")
    await answered(call)
    heard = await hears(call, 800)
    call.hang_up()
    assert heard
