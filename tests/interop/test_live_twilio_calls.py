"""Calls that Twilio's official client makes, changes and lists on a live server."""

from __future__ import annotations

import asyncio
import hashlib
import re
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from live_scene import MAIN_NUMBER, STANDARD, WITHIN, Hit, Phone, Scene, answered, over, twiml
from twilio.base.exceptions import TwilioRestException

from ringback.media import tones
from ringback.sandbox.endpoint import CallEnded
from ringback.sip.flow import Flow
from ringback.sip.message import Request

EVENTS = ["initiated", "ringing", "answered", "completed"]
PROGRESS = STANDARD | {"Timestamp", "CallbackSource", "SequenceNumber"}


async def progress(scene: Scene, path: str, count: int) -> list[Hit]:
    """The callbacks of one call, in the order of their numbers."""
    hits = [await scene.program.hit(path) for _ in range(count)]
    assert [hit["SequenceNumber"] for hit in hits] == [str(i) for i in range(count)]
    return hits


def check_progress(hit: Hit, sid: str, status: str, extra: set[str] = frozenset()) -> None:
    assert hit["CallSid"] == sid
    assert hit["CallStatus"] == status
    assert hit["CallbackSource"] == "call-progress-events"
    assert hit["Direction"] == "outbound-api"
    assert hit["ApiVersion"] == "2010-04-01"
    assert (hit["Caller"], hit["Called"]) == (hit["From"], hit["To"])
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000", hit["Timestamp"])
    assert parsedate_to_datetime(hit["Timestamp"])
    assert set(hit.params) == PROGRESS | extra
    assert hit.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    assert hit.headers["User-Agent"] == "TwilioProxy/1.1"
    assert hit.headers["I-Twilio-Idempotency-Token"]


async def test_a_call_with_a_url_to_the_sandbox_echo_reports_its_progress_exactly(scene: Scene) -> None:
    progress_url = scene.program.on("/progress")
    voice = scene.program.on("/voice", twiml('<Pause length="1"/><Hangup/>'))
    call = await scene.do(
        scene.client.calls.create,
        to="+15005550001",
        from_=MAIN_NUMBER,
        url=voice,
        status_callback=progress_url,
        status_callback_event=EVENTS,
    )
    assert (call.status, call.direction, call.to, call._from) == (
        "queued",
        "outbound-api",
        "+15005550001",
        MAIN_NUMBER,
    )
    assert (call.duration, call.start_time, call.end_time, call.answered_by) == (None, None, None, None)
    hits = await progress(scene, "/progress", 4)
    for hit, status in zip(hits[:3], ["initiated", "ringing", "in-progress"], strict=True):
        check_progress(hit, call.sid, status)
    check_progress(hits[3], call.sid, "completed", {"CallDuration", "Duration", "SipResponseCode"})
    assert (hits[3]["CallDuration"], hits[3]["Duration"], hits[3]["SipResponseCode"]) == ("1", "1", "200")
    asked = await scene.program.hit("/voice")
    assert set(asked.params) == STANDARD
    assert asked["CallStatus"] == "in-progress"
    done = await scene.do(scene.client.calls(call.sid).fetch)
    assert (done.status, done.duration) == ("completed", "1")
    assert done.start_time is not None and done.end_time is not None
    assert 1 <= (done.end_time - done.start_time).total_seconds() <= 2


@pytest.mark.parametrize(
    ("to", "status", "sip"),
    [("+15005550004", "busy", "486"), ("+15005550005", "failed", "603"), ("+15005550008", "failed", "404")],
)
async def test_a_call_that_fails_tells_why(scene: Scene, to: str, status: str, sip: str) -> None:
    where = scene.program.on("/progress")
    call = await scene.do(
        scene.client.calls.create,
        to=to,
        from_=MAIN_NUMBER,
        twiml=twiml("<Hangup/>"),
        status_callback=where,
    )
    hit = await scene.program.hit("/progress")
    check_progress(hit, call.sid, status, {"CallDuration", "Duration", "SipResponseCode"})
    assert (hit["CallDuration"], hit["SipResponseCode"]) == ("0", sip)
    found = await scene.do(scene.client.calls(call.sid).fetch)
    (number,) = await scene.do(scene.client.incoming_phone_numbers.list, phone_number=MAIN_NUMBER)
    assert (found.status, found.phone_number_sid, found.duration) == (status, number.sid, None)
    assert found.start_time <= found.end_time, "it was dialed"


async def test_a_call_that_nobody_answers_in_time_is_no_answer_with_487(scene: Scene) -> None:
    where = scene.program.on("/progress")
    call = await scene.do(
        scene.client.calls.create,
        to="+15005550003",
        from_=MAIN_NUMBER,
        twiml=twiml("<Hangup/>"),
        timeout=1,
        status_callback=where,
        status_callback_event=["ringing", "completed"],
    )
    first, last = await progress(scene, "/progress", 2)
    check_progress(first, call.sid, "ringing")
    check_progress(last, call.sid, "no-answer", {"CallDuration", "Duration", "SipResponseCode"})
    assert last["SipResponseCode"] == "487"


async def test_an_application_gives_the_url_and_the_callback(scene: Scene) -> None:
    application = await scene.do(
        scene.client.applications.create,
        friendly_name="Interop",
        voice_url=scene.program.on("/app-voice", twiml("<Hangup/>")),
        voice_method="GET",
        status_callback=scene.program.on("/app-status"),
        status_callback_method="GET",
    )
    call = await scene.do(
        scene.client.calls.create,
        to="+15005550001",
        from_=MAIN_NUMBER,
        application_sid=application.sid,
    )
    asked = await scene.program.hit("/app-voice")
    assert asked.method == "GET"
    assert asked["ApplicationSid"] == application.sid
    ended = await scene.program.hit("/app-status")
    assert (ended.method, ended["CallSid"], ended["CallStatus"]) == ("GET", call.sid, "completed")


async def test_twiml_in_place_reaches_a_registered_phone_with_its_sound(scene: Scene) -> None:
    alice = await scene.registered("alice")
    where = scene.program.on("/progress")
    call = await scene.do(
        scene.client.calls.create,
        to=f"sip:alice@{scene.server.domain}",
        from_=MAIN_NUMBER,
        twiml=twiml("<Say>Hello, this is a call for you from your own exchange.</Say>"),
        status_callback=where,
        status_callback_event=EVENTS,
    )
    ringing = await alice.pick_up()
    assert ringing.request is not None
    assert ringing.request.get("X-Twilio-CallSid") == call.sid
    assert ringing.request.get("X-Twilio-AccountSid") == scene.server.account_sid
    assert ringing.request.from_.uri.user == MAIN_NUMBER
    heard = await ringing.hear(1.5)
    assert tones.level(heard) > -45
    await over(ringing)
    hits = await progress(scene, "/progress", 4)
    assert [hit["CallStatus"] for hit in hits] == ["initiated", "ringing", "in-progress", "completed"]
    assert hits[3]["To"] == f"sip:alice@{scene.server.domain}"


def challenging(user: str, password: str, seen: list[str]) -> Any:
    """A far end that wants Digest, checked here by hand (RFC 2617 section 3.2.2)."""
    nonce, realm = "dcd98b7102dd2f0e8b11d0f600bfb0c093", "pbx.example"

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    def judge(phone: Phone) -> Any:
        def on_invite(request: Request, flow: Flow) -> bool:
            given = request.get("Authorization")
            if given is not None:
                seen.append(given)
                fields = dict(re.findall(r'(\w+)="?([^",]*)"?', given))
                ha1 = md5(f"{user}:{realm}:{password}")
                ha2 = md5(f"INVITE:{fields['uri']}")
                middle = f"{nonce}:{fields['nc']}:{fields['cnonce']}:auth"
                if fields["response"] == md5(f"{ha1}:{middle}:{ha2}") and fields["username"] == user:
                    return False
            header = f'Digest realm="{realm}", nonce="{nonce}", qop="auth", algorithm=MD5'
            agent = phone.endpoint.stack.agent
            given_401 = agent.reply_statelessly(request, flow, 401, headers=(("WWW-Authenticate", header),))
            phone.endpoint.carry_out(given_401)
            return True

        return on_invite

    return judge


@pytest.mark.parametrize("password", ["Right-Pass-1234", "Wrong-Pass-1234"])
async def test_an_external_sip_address_that_challenges(scene: Scene, password: str) -> None:
    seen: list[str] = []
    pbx = scene.phone("pbx")
    pbx.challenge = challenging("trunk", "Right-Pass-1234", seen)(pbx)
    where = scene.program.on("/progress")
    call = await scene.do(
        scene.client.calls.create,
        to=f"{pbx.address}?X-Order=77&User-to-User=abc%3Bencoding%3Dhex",
        from_=MAIN_NUMBER,
        twiml=twiml("<Pause/>"),
        sip_auth_username="trunk",
        sip_auth_password=password,
        status_callback=where,
    )
    if password.startswith("Right"):
        ringing = await pbx.pick_up()
        assert ringing.request is not None
        assert ringing.request.get("X-Order") == "77"
        assert ringing.request.get("User-to-User") == "abc;encoding=hex"
        await over(ringing)
    hit = await scene.program.hit("/progress")
    expected = ("completed", "200") if password.startswith("Right") else ("failed", "401")
    assert (hit["CallStatus"], hit["SipResponseCode"]) == expected
    assert len(seen) == 1
    status, journal = await scene.get(f"/ringback/v1/calls/{call.sid}/journal")
    assert status == 200
    assert password.encode() not in journal
    assert re.search(rb'"password":"secret:[0-9a-f]{16}"', journal)


async def test_a_dead_address_fails_the_call(scene: Scene) -> None:
    where = scene.program.on("/progress")
    await scene.do(
        scene.client.calls.create,
        to="sip:nobody@no-such-host.invalid",
        from_=MAIN_NUMBER,
        twiml=twiml("<Hangup/>"),
        status_callback=where,
    )
    hit = await scene.program.hit("/progress")
    assert hit["CallStatus"] == "failed"


async def test_fetch_and_list_while_calls_run(scene: Scene) -> None:
    alice = await scene.registered("alice")
    where = scene.program.on("/progress")
    sids, legs = [], []
    for _ in range(3):
        call = await scene.do(
            scene.client.calls.create,
            to=f"sip:alice@{scene.server.domain}",
            from_=MAIN_NUMBER,
            twiml=twiml('<Pause length="30"/>'),
            status_callback=where,
            status_callback_event=["answered", "completed"],
        )
        sids.append(call.sid)
        legs.append(await alice.pick_up())
        assert (await scene.program.hit("/progress"))["CallStatus"] == "in-progress"
    for sid in sids:
        assert (await scene.do(scene.client.calls(sid).fetch)).status == "in-progress"
    running = await scene.do(scene.client.calls.list, status="in-progress")
    assert {call.sid for call in running} == set(sids)
    to = f"sip:alice@{scene.server.domain}"
    paged = await scene.do(scene.client.calls.list, to=to, status="in-progress", page_size=1)
    assert sorted(call.sid for call in paged) == sorted(sids)
    first = await scene.do(scene.client.calls.page, to=to, status="in-progress", page_size=2)
    second = await scene.do(first.next_page)
    assert [len(list(first)), len(list(second))] == [2, 1]
    assert await scene.do(second.next_page) is None
    assert await scene.do(scene.client.calls.list, status="in-progress", to="+15005550001") == []
    today = running[0].start_time.replace(hour=0, minute=0, second=0)
    after = await scene.do(scene.client.calls.list, status="in-progress", start_time_after=today)
    assert {call.sid for call in after} == set(sids)
    before = await scene.do(scene.client.calls.list, status="in-progress", start_time_before=today)
    assert before == []
    for leg in legs:
        leg.hang_up()
    ended = {(await scene.program.hit("/progress"))["CallSid"] for _ in legs}
    assert ended == set(sids)
    done = await scene.do(scene.client.calls.list, status="completed", to=to)
    assert set(sids) <= {call.sid for call in done}


async def ringing_call(scene: Scene, phone: Phone, **more: Any) -> Any:
    return await scene.do(
        scene.client.calls.create,
        to=f"sip:{phone.name}@{scene.server.domain}",
        from_=MAIN_NUMBER,
        status_callback=scene.program.on("/progress"),
        **more,
    )


async def test_update_redirects_by_url_and_by_twiml_and_completes(scene: Scene) -> None:
    alice = await scene.registered("alice")
    call = await ringing_call(scene, alice, twiml=twiml('<Pause length="60"/>'))
    leg = await alice.pick_up()
    second = scene.program.on("/second", twiml('<Pause length="60"/>'))
    await answered_over_rest(scene, call.sid)
    changed = await scene.do(scene.client.calls(call.sid).update, url=second, method="GET")
    assert (changed.sid, changed.status) == (call.sid, "in-progress")
    hit = await scene.program.hit("/second")
    assert (hit.method, hit["CallSid"], hit["CallStatus"]) == ("GET", call.sid, "in-progress")
    await scene.do(
        scene.client.calls(call.sid).update, twiml=twiml('<Play digits="42"/><Pause length="60"/>')
    )
    async with asyncio.timeout(WITHIN):
        assert await leg.digits.get() + await leg.digits.get() == "42"
    await scene.do(scene.client.calls(call.sid).update, status="completed")
    ended = await over(leg)
    assert ended.cause == "bye"
    assert (await scene.program.hit("/progress"))["CallStatus"] == "completed"
    with pytest.raises(TwilioRestException) as refused:
        await scene.do(scene.client.calls(call.sid).update, status="completed")
    assert (refused.value.status, refused.value.code) == (400, 21220)
    with pytest.raises(TwilioRestException) as refused:
        await scene.do(scene.client.calls(call.sid).update, twiml=twiml())
    assert refused.value.code == 21220


async def answered_over_rest(scene: Scene, sid: str) -> None:
    """Until the API too knows that the call was answered: it hears of the ACK's sender a moment later."""
    async with asyncio.timeout(WITHIN):
        while (await scene.do(scene.client.calls(sid).fetch)).status != "in-progress":
            pass


async def test_cancel_takes_back_a_call_that_rings_and_no_other(scene: Scene) -> None:
    alice = await scene.registered("alice")
    call = await ringing_call(scene, alice, twiml=twiml("<Pause/>"))
    leg = await alice.rung()
    leg.ring()
    changed = await scene.do(scene.client.calls(call.sid).update, status="canceled")
    assert changed.sid == call.sid
    assert (await over(leg)).cause == "cancelled"
    hit = await scene.program.hit("/progress")
    assert (hit["CallStatus"], hit["CallDuration"]) == ("canceled", "0")
    with pytest.raises(TwilioRestException) as refused:
        await scene.do(scene.client.calls(call.sid).update, status="canceled")
    assert refused.value.code == 21220

    call = await ringing_call(scene, alice, twiml=twiml('<Pause length="60"/>'))
    leg = await alice.pick_up()
    await answered_over_rest(scene, call.sid)
    with pytest.raises(TwilioRestException) as refused:
        await scene.do(scene.client.calls(call.sid).update, status="canceled")
    assert refused.value.code == 21220
    leg.hang_up()
    assert (await scene.program.hit("/progress"))["CallStatus"] == "completed"


async def test_send_digits_are_pressed_at_the_answer_before_the_document(scene: Scene) -> None:
    alice = await scene.registered("alice")
    voice = scene.program.on("/voice", twiml("<Hangup/>"))
    await ringing_call(scene, alice, url=voice, send_digits="w12#")
    leg = await alice.pick_up()
    async with asyncio.timeout(WITHIN):
        assert [await leg.digits.get() for _ in range(3)] == ["1", "2", "#"]
    await scene.program.hit("/voice")
    await over(leg)


async def test_a_browser_gets_a_page_and_a_program_an_error_at_the_root(scene: Scene) -> None:
    status, body = await scene.get("/", headers={"Accept": "text/html,*/*;q=0.8"})
    assert (status, b"<h1>Ringback</h1>" in body) == (200, True)
    status, body = await scene.get("/", headers={"Accept": "application/json"})
    assert (status, b"20404" in body) == (404, True)


async def test_the_clients_other_domains_say_that_there_is_nothing_here(scene: Scene) -> None:
    """What is not served must be the client's own exception with 20404, not a page that it cannot read."""
    scene.client.voice.base_url = scene.server.api
    scene.client.conversations.base_url = scene.server.api
    with pytest.raises(TwilioRestException) as missing:
        await scene.do(scene.client.voice.v1.byoc_trunks("BY" + "0" * 32).fetch)
    assert (missing.value.status, missing.value.code) == (404, 20404)
    with pytest.raises(TwilioRestException) as missing:
        await scene.do(scene.client.conversations.v1.conversations.create, friendly_name="x")
    assert (missing.value.status, missing.value.code) == (404, 20404)
    with pytest.raises(TwilioRestException) as missing:
        await scene.do(scene.client.calls("CA" + "0" * 32).fetch)
    assert (missing.value.status, missing.value.code) == (404, 20404)


async def test_a_phone_calls_another_number_of_the_server_through_the_carrier(scene: Scene) -> None:
    alice, bob = await scene.registered("alice"), await scene.registered("bob")
    call = alice.dial("+16505550102")
    leg = await bob.pick_up()
    await answered(call)
    sound = asyncio.create_task(call.play(tones.sine(700, 2.0)))
    await leg.hear(0.3)
    assert tones.tone_present(await leg.hear(0.5), 700) > 0.8
    leg.hang_up()
    await over(call)
    with pytest.raises(CallEnded):
        await sound
