"""Conferences on a live server, judged by what the phones hear and by Twilio's own Python package."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from live_scene import MAIN_NUMBER, Scene, encoded, hears, over, twiml
from twilio.base.exceptions import TwilioRestException

from ringback.media import tones
from ringback.sandbox.endpoint import EndpointCall


async def hears_silence(call: EndpointCall) -> bool:
    """Whether sound comes that is silent: half a second of it, after what was under way."""
    for _ in range(12):
        if tones.level(await call.hear(0.5)) < -60:
            return True
    return False


async def test_a_participant_on_hold_hears_its_document_and_an_ended_conference_can_be_read(
    scene: Scene,
) -> None:
    where = scene.program.on("/room")
    noun = (
        f'<Conference beep="false" statusCallback="{where}" statusCallbackEvent="hold end">desk</Conference>'
    )
    legs, sids = [], []
    for seat in ("one", "two"):
        phone = scene.phone(seat)
        call = await scene.do(
            scene.client.calls.create,
            to=phone.address,
            from_=MAIN_NUMBER,
            twiml=twiml(f"<Dial>{noun}</Dial>"),
        )
        sids.append(call.sid)
        legs.append(await phone.pick_up())
    for leg, frequency in zip(legs, (500, 800), strict=True):
        await leg.play(tones.sine(frequency, 1.0), loops=0)
    assert await hears(legs[0], 800)
    assert await hears(legs[1], 500)
    (room,) = await scene.do(scene.client.conferences.list, friendly_name="desk", status="in-progress")
    held = scene.client.conferences(room.sid).participants(sids[0])
    tone = web.Response(body=encoded(tones.sine(1200, 2.0), "wav"), content_type="audio/wav")
    scene.program.on("/tone.wav", tone)
    music = scene.program.on("/music", twiml('<Play loop="0">/tone.wav</Play>'))
    changed = await scene.do(held.update, hold=True, hold_url=music, hold_method="POST")
    assert changed.hold is True
    asked = await scene.program.hit("/music")
    assert (asked.method, asked["CallSid"], asked["ConferenceSid"]) == ("POST", sids[0], room.sid)
    told = await scene.program.hit("/room")
    assert (told["StatusCallbackEvent"], told["Hold"]) == ("participant-hold", "true")
    assert await hears(legs[0], 1200)
    assert await hears_silence(legs[1])
    (person,) = await scene.do(scene.client.conferences(room.sid).participants.list, hold=True)
    assert person.call_sid == sids[0]
    assert (await scene.do(held.update, hold=False)).hold is False
    assert (await scene.program.hit("/room"))["StatusCallbackEvent"] == "participant-unhold"
    assert await hears(legs[0], 800)
    assert await hears(legs[1], 500)
    legs[1].hang_up()
    await over(legs[1])
    legs[0].hang_up()
    await over(legs[0])
    assert (await scene.program.hit("/room"))["ReasonConferenceEnded"] == "last-participant-left"
    ended = await scene.do(scene.client.conferences(room.sid).fetch)
    assert (ended.status, ended.reason_conference_ended) == ("completed", "last-participant-left")
    assert ended.call_sid_ending_conference == sids[0]
    assert await scene.do(scene.client.conferences(room.sid).participants.list) == []
    assert room.sid in {
        each.sid for each in await scene.do(scene.client.conferences.list, status="completed")
    }


async def test_three_in_a_conference_and_one_muted_over_rest_is_no_longer_heard(scene: Scene) -> None:
    where = scene.program.on("/room")
    events = "start end join leave mute"
    noun = (
        f'<Conference beep="false" statusCallback="{where}" statusCallbackEvent="{events}">team</Conference>'
    )
    document = twiml(f'<Dial action="/left">{noun}</Dial>')
    scene.program.on("/left", twiml("<Hangup/>"))
    legs: list[EndpointCall] = []
    sids: list[str] = []
    for index in range(3):
        phone = scene.phone(f"seat{index}")
        call = await scene.do(
            scene.client.calls.create,
            to=phone.address,
            from_=MAIN_NUMBER,
            url=scene.program.on("/join", document),
        )
        sids.append(call.sid)
        legs.append(await phone.pick_up())
        joined = await scene.program.hit("/room")
        if joined["StatusCallbackEvent"] == "conference-start":
            joined = await scene.program.hit("/room")
        assert (joined["StatusCallbackEvent"], joined["CallSid"]) == ("participant-join", call.sid)
        if index == 1:
            started = await scene.program.hit("/room")
            assert started["StatusCallbackEvent"] == "conference-start"
    for leg, frequency in zip(legs, (500, 800, 1100), strict=True):
        await leg.play(tones.sine(frequency, 1.0), loops=0)
    assert await parts(legs[0], 800, 1100)
    assert await parts(legs[1], 500, 1100)
    assert await parts(legs[2], 500, 800)
    room = (await scene.do(scene.client.conferences.list, friendly_name="team", status="in-progress"))[0]
    people = await scene.do(scene.client.conferences(room.sid).participants.list)
    assert {person.call_sid for person in people} == set(sids)
    muted = await scene.do(scene.client.conferences(room.sid).participants(sids[0]).update, muted=True)
    assert muted.muted is True
    assert (await scene.program.hit("/room"))["StatusCallbackEvent"] == "participant-mute"
    assert await hears(legs[1], 1100), "the others are still heard"
    assert not tones.tone_present(await legs[1].hear(0.5), 500) > 0.05
    assert await parts(legs[0], 800, 1100), "who is muted still hears"
    await scene.do(scene.client.conferences(room.sid).participants(sids[0]).update, muted=False)
    assert (await scene.program.hit("/room"))["StatusCallbackEvent"] == "participant-unmute"
    assert await parts(legs[1], 500, 1100)
    await scene.do(scene.client.conferences(room.sid).participants(sids[2]).delete)
    left = await scene.program.hit("/left")
    assert (left["CallSid"], left["DialCallStatus"]) == (sids[2], "answered")
    assert left.get("DialCallSid") is None and left.get("DialCallDuration") is None
    await over(legs[2])
    await scene.do(scene.client.conferences(room.sid).update, status="completed")
    for leg in legs[:2]:
        await over(leg)


async def parts(call: EndpointCall, *frequencies: int) -> bool:
    """Whether these tones come together, each with a fair share of the power."""
    for _ in range(24):
        heard = await call.hear(0.25)
        if all(tones.tone_present(heard, frequency) > 0.25 for frequency in frequencies):
            return True
    return False


# -- participants that the REST API calls in --------------------------------------------------------------------


async def told(scene: Scene, event: str) -> dict[str, str]:
    """The next callback of a conference with this event; others before it are passed over."""
    while True:
        hit = await scene.program.hit("/events")
        if hit["StatusCallbackEvent"] == event:
            return dict(hit.params)


async def stranger(call: EndpointCall, frequency: int, present: int) -> bool:
    """Whether one tone comes and another one does not, once what was under way is over."""
    for _ in range(24):
        sound = await call.hear(0.25)
        if tones.tone_present(sound, present) > 0.25 and tones.tone_present(sound, frequency) < 0.05:
            return True
    return False


async def hears_music(call: EndpointCall) -> bool:
    """Whether the music of the house is heard: its first note, above its chord."""
    for _ in range(48):
        sound = await call.hear(0.25)
        if tones.tone_present(sound, 659) > 0.2:
            return True
    return False


async def test_participants_called_in_over_rest_are_coached_held_announced_to_and_let_go(
    scene: Scene,
) -> None:
    where = scene.program.on("/events")
    names = ("agent", "customer", "coach")
    room = scene.client.conferences("Support desk")
    legs: list[EndpointCall] = []
    people: list[str] = []
    for name in names:
        phone = scene.phone(name)
        more = {"call_sid_to_coach": people[0]} if name == "coach" else {}
        person = await scene.do(
            room.participants.create,
            from_=MAIN_NUMBER,
            to=phone.address,
            label=name,
            beep="false",
            conference_status_callback=where,
            conference_status_callback_event=[
                "start",
                "end",
                "join",
                "leave",
                "modify",
                "speaker",
                "announcement",
            ],
            **more,
        )
        assert (person.status, person.label) == ("queued", name)
        room = scene.client.conferences(person.conference_sid)
        legs.append(await phone.pick_up())
        people.append(person.call_sid)
        joined = await told(scene, "participant-join")
        assert (joined["CallSid"], joined["ParticipantLabel"]) == (person.call_sid, name)
        assert joined["Coaching"] == str(name == "coach").lower()
        if name == "agent":
            assert await hears_music(legs[0]), "who waits alone hears the music of the house"
    agent, customer, coach = legs
    for leg, frequency in zip(legs, (500, 800, 1100), strict=True):
        await leg.play(tones.sine(frequency, 1.0), loops=0)
    assert (await told(scene, "participant-speech-start"))["CallSid"] in people
    assert await parts(agent, 800, 1100), "the coached hears both"
    assert await parts(coach, 500, 800), "the coach hears both"
    assert await stranger(customer, 1100, 500), "the customer hears nothing of the coach"
    (listed,) = await scene.do(room.participants.list, coaching=True)
    assert (listed.label, listed.call_sid_to_coach) == ("coach", people[0])
    by_label = room.participants("coach")
    with pytest.raises(TwilioRestException) as refused:
        await scene.do(by_label.update, call_sid_to_coach=people[2])
    assert refused.value.code == 16028
    changed = await scene.do(by_label.update, call_sid_to_coach=people[1])
    assert changed.call_sid_to_coach == people[1]
    assert (await told(scene, "participant-modify"))["Coaching"] == "true"
    assert await parts(customer, 500, 1100)
    assert await stranger(agent, 1100, 800)
    assert (await scene.do(by_label.update, coaching=False)).coaching is False
    assert await parts(agent, 800, 1100)
    await held_and_announced(scene, room.participants("customer"), customer, agent)
    await announced_to_all(scene, room, legs)
    await scene.do(room.participants("agent").update, end_conference_on_exit=True, beep_on_exit=False)
    assert (await told(scene, "participant-modify"))["EndConferenceOnExit"] == "true"
    agent.hang_up()
    left = [await told(scene, "participant-leave") for _ in legs]
    reasons = {one["CallSid"]: (one["ReasonParticipantLeft"], one["ParticipantCallStatus"]) for one in left}
    assert reasons == {
        people[0]: ("participant_hung_up", "completed"),
        people[1]: ("moderator_ended_conference", "in-progress"),
        people[2]: ("moderator_ended_conference", "in-progress"),
    }
    for leg in legs:
        await over(leg)
    ended = await scene.do(room.fetch)
    assert str(ended.reason_conference_ended) == "participant-with-end-conference-on-exit-left"
    assert ended.call_sid_ending_conference == people[0]


async def held_and_announced(scene: Scene, held: Any, leg: EndpointCall, other: EndpointCall) -> None:
    """On hold with music, then with a file in its place; an announcement goes before both, and then it is back."""
    await scene.do(held.update, hold=True)
    assert await hears_music(leg)
    file = web.Response(body=encoded(tones.sine(1300, 2.0), "wav"), content_type="audio/wav")
    await scene.do(held.update, hold=True, hold_url=scene.program.on("/hold.wav", file))
    assert await hears(leg, 1300)
    spoken = web.Response(body=encoded(tones.sine(1700, 1.0), "wav"), content_type="audio/wav")
    url = scene.program.on("/announcement.wav", spoken)
    await scene.do(held.update, announce_url=url, announce_method="GET")
    assert await hears(leg, 1700)
    assert not tones.tone_present(await other.hear(0.5), 1700) > 0.05
    over = await told(scene, "announcement-end")
    assert (over["AnnounceUrl"], over["ParticipantLabel"]) == (url, "customer")
    assert await hears(leg, 1300)
    await scene.do(held.update, hold=False)
    assert await parts(leg, 500, 1100)


async def announced_to_all(scene: Scene, room: Any, legs: list[EndpointCall]) -> None:
    """All hear what was asked for once; what cannot be had is told."""
    spoken = web.Response(body=encoded(tones.sine(2100, 1.0), "wav"), content_type="audio/wav")
    scene.program.on("/all.wav", spoken)
    document = scene.program.on("/all", twiml("<Play>/all.wav</Play>"))
    await scene.do(room.update, announce_url=document)
    for leg in legs:
        assert await hears(leg, 2100)
    assert "CallSid" not in await told(scene, "announcement-end")
    assert [hit.path for hit in scene.program.hits].count("/all") == 1
    await scene.do(room.update, announce_url=scene.program.on("/none", web.Response(status=404)))
    assert (await told(scene, "announcement-fail"))["ReasonAnnouncementFailed"]


async def test_a_participant_who_does_not_answer_has_left_and_one_who_is_let_go_rings_no_more(
    scene: Scene,
) -> None:
    where = scene.program.on("/events")
    phone, busy = scene.phone("ringing"), scene.phone("busy")
    callbacks = {"conference_status_callback": where, "conference_status_callback_event": "leave end"}
    create = scene.client.conferences("Nobody").participants.create
    first = await scene.do(create, from_=MAIN_NUMBER, to=phone.address, label="one", **callbacks)
    ringing = await phone.rung()
    ringing.ring()
    room = scene.client.conferences(first.conference_sid)
    second = await scene.do(room.participants.create, from_=MAIN_NUMBER, to=busy.address)
    (await busy.rung()).refuse(486, "Busy Here")
    left = await told(scene, "participant-leave")
    assert (left["CallSid"], left["ParticipantCallStatus"]) == (second.call_sid, "busy")
    assert left["ReasonParticipantLeft"] == "participant_add_failed"
    (person,) = await scene.do(room.participants.list)
    assert (person.call_sid, person.status) == (first.call_sid, "ringing")
    assert await scene.do(room.participants("one").delete)
    left = await told(scene, "participant-leave")
    assert left["ReasonParticipantLeft"] == "participant_updated_via_api"
    await over(ringing)
    assert (await told(scene, "conference-end"))["ReasonConferenceEnded"] == "last-participant-kicked"
    assert (await scene.ended(first.call_sid)).status == "canceled"
    with pytest.raises(TwilioRestException) as refused:
        await scene.do(room.participants.create, from_=MAIN_NUMBER, to=phone.address)
    assert refused.value.status == 404
