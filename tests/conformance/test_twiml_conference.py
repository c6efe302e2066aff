"""Dial to a Conference (TwiML semantics, "Conference")."""

from __future__ import annotations

import pytest
from unit.twiml.driver import Leg, World

from ringback.call import conference as room
from ringback.call import effects as fx
from ringback.call.events import Fetched, Redirect

DONE = "http://app.test/done"
EVENTS = "http://app.test/conference"
HANGUP = "<Response><Hangup/></Response>"


def join(world: World, attributes: str = "", dial: str = 'action="/done"') -> Leg:
    world.pages[DONE] = HANGUP
    call = world.inbound(f"<Dial {dial}><Conference {attributes}>Room 1</Conference></Dial>")
    world.run(0.5)
    return call


def heard(world: World) -> dict[str, tuple[bool, bool]]:
    """Of each call in the mixer: whether it is muted, and whether it is deaf."""
    found: dict[str, tuple[bool, bool]] = {}
    for effect in world.mixer:
        if isinstance(effect, room.Mix):
            found[effect.call_sid] = (effect.muted, effect.deaf)
        elif isinstance(effect, room.Unmix | room.Hold):
            found.pop(effect.call_sid, None)
    return found


def action(world: World, call: Leg) -> dict[str, str]:
    (request,) = [r for r in world.requests if r.url == DONE and r["CallSid"] == call.sid]
    return request.params


def test_twiml_conference_of_three_with_one_muted() -> None:
    world = World()
    one = join(world)
    assert heard(world) == {one.sid: (True, True)}
    two, three = join(world, 'muted="true"'), join(world)
    assert heard(world) == {one.sid: (False, False), two.sid: (True, False), three.sid: (False, False)}
    two.hang_up()
    assert set(heard(world)) == {one.sid, three.sid}
    three.hang_up()
    one.hang_up()
    world.run(1)
    world.assert_over()
    assert isinstance(world.mixer[-1], room.Close)


def test_twiml_conference_waits_for_who_may_start_it() -> None:
    world = World()
    one, two = (join(world, 'startConferenceOnEnter="false"') for _ in range(2))
    assert set(heard(world).values()) == {(True, True)}
    three = join(world)
    assert heard(world) == {leg.sid: (False, False) for leg in (one, two, three)}
    world.end()


def test_twiml_conference_action_has_answered_and_no_child() -> None:
    world = World()
    one, two = join(world), join(world, 'endConferenceOnExit="true"')
    two.hang_up()
    world.run(1)
    assert action(world, one)["DialCallStatus"] == "answered"
    assert action(world, two)["DialCallStatus"] == "answered"
    for call in (one, two):
        names = {name for name in action(world, call) if name.startswith("Dial")}
        assert names == {"DialCallStatus"}
    world.assert_over()


def test_twiml_conference_hangup_on_star() -> None:
    world = World()
    one = join(world, dial='hangupOnStar="true" action="/done"')
    two = join(world)
    two.press("*")
    assert two.sid in heard(world)
    one.press("*")
    world.run(0.5)
    assert action(world, one)["DialCallStatus"] == "answered"
    assert one.over
    world.end()


def test_twiml_conference_time_limit_counts_from_the_joining() -> None:
    world = World()
    one = join(world, dial='timeLimit="5" action="/done"')
    two = join(world)
    world.run(4)
    assert set(heard(world)) == {one.sid, two.sid}
    world.run(2)
    assert set(heard(world)) == {two.sid}
    assert action(world, one)["DialCallStatus"] == "answered"
    assert one.over
    world.end()


def test_twiml_conference_redirected_by_rest_leaves() -> None:
    world = World()
    one, two = join(world), join(world)
    one.redirect(twiml="<Response><Say>out</Say></Response>")
    assert one.said == ["out"]
    assert set(heard(world)) == {two.sid}
    world.end()


def test_twiml_conference_redirect_in_the_moment_of_joining_leaves_no_ghost() -> None:
    world = World()
    call = world.inbound("<Dial><Conference>Room 1</Conference></Dial>")
    fetch = call.all(fx.Fetch)[0]
    document = ["Response", {}, [["Dial", {}, [["Conference", {}, ["Room 1"]]]]]]
    other = ["Response", {}, [["Pause", {"length": "9"}, []]]]
    world.at_once(
        (call, Fetched(fetch.token, fetch.url, 200, document, 0, "")), (call, Redirect("", "POST", other))
    )
    assert heard(world) == {}
    assert call.conference is None
    world.end()


def test_twiml_conference_that_is_full_fails() -> None:
    world = World()
    for _ in range(2):
        join(world, 'maxParticipants="2"')
    late = join(world, 'maxParticipants="2"')
    world.run(1)
    assert late.codes("error") == [16020]
    assert action(world, late)["DialCallStatus"] == "failed"
    world.end()


def test_twiml_conference_label_is_unique_and_falls_to_the_next_verb() -> None:
    world = World()
    join(world, 'participantLabel="boss"')
    late = world.inbound(
        '<Dial><Conference participantLabel="boss">Room 1</Conference></Dial><Say>taken</Say>'
    )
    world.run(0.5)
    assert late.codes("error") == [16025]
    assert late.said == ["taken"]
    world.end()


def test_twiml_conference_kick_goes_on_behind_the_dial() -> None:
    world = World()
    one, two = join(world), join(world)
    (conference,) = world.conferences.values()
    world.conduct(conference, conference.on_kick(one.sid, 0.0))
    world.run(1)
    assert action(world, one)["DialCallStatus"] == "answered"
    assert set(heard(world)) == {two.sid}
    world.end()


def test_twiml_conference_callbacks_are_the_first_members() -> None:
    world = World()
    one = join(world, f'statusCallback="{EVENTS}" statusCallbackEvent="start end join leave mute"')
    two = join(world, 'statusCallback="http://other.test/" statusCallbackEvent="join"')
    (conference,) = world.conferences.values()
    world.conduct(conference, conference.on_mute(two.sid, True, 0.0))
    two.hang_up()
    one.hang_up()
    world.run(1)
    events = world.told(EVENTS)
    assert [event["StatusCallbackEvent"] for event in events] == [
        "participant-join",
        "participant-join",
        "conference-start",
        "participant-mute",
        "participant-leave",
        "participant-leave",
        "conference-end",
    ]
    assert [event["SequenceNumber"] for event in events] == [str(n) for n in range(7)]
    assert {event["FriendlyName"] for event in events} == {"Room 1"}
    assert events[3]["Muted"] == "true"
    assert events[-1]["ReasonConferenceEnded"] == "last-participant-left"
    assert world.told("http://other.test/") == []
    world.assert_over()


def test_twiml_conference_with_the_same_name_later_is_a_new_one() -> None:
    world = World()
    sids = []
    for _ in range(2):
        call = join(world)
        sids += list(world.conferences)
        call.hang_up()
        world.run(1)
    assert len(set(sids)) == 2
    world.assert_over()


def test_twiml_conference_needs_a_name() -> None:
    world = World()
    call = world.inbound("<Dial><Conference/></Dial>")
    world.run(3)
    assert call.codes("error") == [13215]
    world.assert_over()


# -- hold

MUSIC = "http://app.test/music"


def holding(music: str | int, dial: str = 'action="/done"') -> tuple[World, Leg, room.Conference]:
    """One of two members is put on hold."""
    world = World({MUSIC: music})
    one, two = join(world, dial=dial), join(world)
    (conference,) = world.conferences.values()
    world.conduct(conference, conference.on_hold(one.sid, True, MUSIC, "GET", 0.0))
    assert set(heard(world)) == {two.sid}
    return world, one, conference


def unhold(world: World, one: Leg, conference: room.Conference) -> None:
    world.conduct(conference, conference.on_hold(one.sid, False, "", "GET", 0.0))
    assert one.sid in heard(world)
    assert not one.playing


def test_twiml_conference_hold_runs_its_document_again_and_again() -> None:
    world, one, conference = holding("<Response><Say>Wait</Say></Response>")
    world.run(2.5)
    assert one.said == ["Wait"] * 3
    asked = world.asked(MUSIC)
    assert [(request.method, request["ConferenceSid"]) for request in asked] == [("GET", conference.sid)] * 3
    unhold(world, one, conference)
    world.run(3)
    assert len(world.asked(MUSIC)) == 3
    one.hang_up()
    assert action(world, one)["DialCallStatus"] == "answered"
    world.end()


@pytest.mark.parametrize(
    ("music", "codes"),
    [(404, [11200]), ("<Response><Dial>1</Dial></Response>", [13238]), ("<Response/>", [])],
)
def test_twiml_conference_hold_without_sound_is_silent(music: str | int, codes: list[int]) -> None:
    world, one, conference = holding(music)
    world.run(5)
    assert (one.said, one.codes("error")) == ([], codes)
    assert len(world.asked(MUSIC)) <= 6
    unhold(world, one, conference)
    world.end()


@pytest.mark.parametrize("how", ["star", "limit", "kick", "end", "redirect"])
def test_twiml_conference_hold_ends_with_the_dial(how: str) -> None:
    world, one, conference = holding(
        "<Response><Say>Wait</Say></Response>", 'action="/done" hangupOnStar="true" timeLimit="20"'
    )
    world.run(0.5)
    if how == "star":
        one.press("1*")
    elif how == "limit":
        world.run(20)
    elif how == "kick":
        world.conduct(conference, conference.on_kick(one.sid, 0.0))
    elif how == "end":
        world.conduct(conference, conference.on_end(0.0))
    else:
        one.redirect(twiml="<Response><Hangup/></Response>")
    world.run(1)
    assert one.over
    assert one.sid not in heard(world)
    world.end()


def test_twiml_conference_hold_that_ends_with_the_dial_leaves_the_call_in_its_document() -> None:
    world = World({MUSIC: "<Response><Say>Wait</Say></Response>"})
    one = world.inbound('<Dial><Conference>Room 1</Conference></Dial><Pause length="9"/>')
    world.run(0.5)
    (conference,) = world.conferences.values()
    world.conduct(conference, conference.on_hold(one.sid, True, MUSIC, "GET", 0.0))
    world.run(0.5)
    assert one.actor.call.place is None
    world.conduct(conference, conference.on_kick(one.sid, 0.0))
    assert one.actor.call.place is not None
    assert one.actor.call.place.verb == 2
    one.hang_up()
    world.end()


MUSIC_OF_THE_HOUSE = ["tone", "hold"]


def test_twiml_conference_hold_without_url_is_music_and_another_url_replaces_it() -> None:
    world = World({MUSIC: "<Response><Say>Wait</Say></Response>"})
    one, _ = join(world), join(world)
    (conference,) = world.conferences.values()
    world.conduct(conference, conference.on_hold(one.sid, True, "", "GET", 0.0))
    assert one.played[-1] == MUSIC_OF_THE_HOUSE
    world.conduct(conference, conference.on_hold(one.sid, True, MUSIC, "GET", 0.0))
    world.run(0.5)
    assert one.played[-1] == ["say", ["Wait"], "man", ""]
    world.conduct(conference, conference.on_hold(one.sid, True, MUSIC + "2", "GET", 0.0))
    assert not one.playing
    unhold(world, one, conference)
    world.end()


# -- before the start

WAIT = "http://app.test/wait"


def test_twiml_conference_waits_with_music_until_it_starts() -> None:
    world = World()
    one = join(world)
    assert one.playing and one.played == [MUSIC_OF_THE_HOUSE]
    two = join(world)
    assert not one.playing and two.played == []
    assert heard(world) == {one.sid: (False, False), two.sid: (False, False)}
    world.end()


def test_twiml_conference_wait_url_runs_once_and_then_is_silent() -> None:
    world = World({WAIT: "<Response><Say>Soon</Say></Response>"})
    one = join(world, f'waitUrl="{WAIT}"')
    world.run(5)
    assert (one.said, one.played[-1]) == (["Soon"], ["silence", 1.0])
    assert [(r.method, r["ConferenceSid"][:2]) for r in world.asked(WAIT)] == [("POST", "CF")]
    join(world)
    assert not one.playing
    world.end()


def test_twiml_conference_wait_url_loops_by_redirect() -> None:
    world = World({WAIT: "<Response><Say>Soon</Say><Redirect/></Response>"})
    one = join(world, 'waitUrl="/wait" waitMethod="GET"')
    world.run(4)
    assert len(one.said) > 2
    assert {request.method for request in world.asked(WAIT)} >= {"GET"}
    world.end()


def test_twiml_conference_empty_wait_url_is_silence() -> None:
    world = World()
    one = join(world, 'waitUrl=""')
    assert one.played == []
    world.end()


@pytest.mark.parametrize("answer", [404, "<Response><Dial>1</Dial></Response>"])
def test_twiml_conference_whose_wait_url_fails_is_not_established(answer: str | int) -> None:
    world = World({WAIT: answer})
    one = join(world, f'waitUrl="{WAIT}"')
    world.run(1)
    assert action(world, one)["DialCallStatus"] == "failed"
    assert heard(world) == {}
    assert one.over
    world.end()


# -- coaching and announcements

ANNOUNCED = "http://app.test/announcement"


def test_twiml_conference_coach_is_heard_by_one_alone() -> None:
    world = World()
    one, _ = join(world), join(world)
    three = join(world, f'coach="{one.sid}"')
    (mix,) = [m for m in world.mixer if isinstance(m, room.Mix) and m.call_sid == three.sid]
    assert mix == room.Mix(three.sid, False, False, one.sid)
    world.end()


def test_twiml_conference_coach_of_nobody_fails_with_13240() -> None:
    world = World()
    join(world)
    late = join(world, f'coach="CA{"9" * 32}"')
    world.run(1)
    assert late.codes("error") == [13240]
    assert action(world, late)["DialCallStatus"] == "failed"
    world.end()


def announcing(answer: str | int, *, to: int | None = None) -> tuple[World, list[Leg], room.Conference]:
    world = World({ANNOUNCED: answer})
    legs = [join(world, f'statusCallback="{EVENTS}" statusCallbackEvent="announcement"') for _ in range(3)]
    (conference,) = world.conferences.values()
    sid = "" if to is None else legs[to].sid
    world.conduct(conference, conference.on_announce(ANNOUNCED, "POST", sid, 0.0))
    return world, legs, conference


def test_twiml_conference_announcement_is_asked_for_once_and_heard_by_all() -> None:
    world, legs, conference = announcing("<Response><Say>Hear</Say></Response>")
    world.run(0.5)
    assert [leg.said for leg in legs] == [["Hear"]] * 3
    assert set(heard(world)) == {leg.sid for leg in legs}
    assert world.told(EVENTS) == []
    world.run(1)
    (told,) = world.told(EVENTS)
    assert (told["StatusCallbackEvent"], told["AnnounceUrl"]) == ("announcement-end", ANNOUNCED)
    assert [(r.method, r["ConferenceSid"]) for r in world.asked(ANNOUNCED)] == [("POST", conference.sid)]
    world.end()


def test_twiml_conference_announcement_to_one_on_hold_goes_before_its_music() -> None:
    world, legs, conference = announcing("<Response><Say>Hear</Say></Response>", to=1)
    world.conduct(conference, conference.on_hold(legs[1].sid, True, "", "GET", 0.0))
    world.run(0.5)
    assert [leg.said for leg in legs] == [[], ["Hear"], []]
    world.run(1)
    assert legs[1].played[-1] == MUSIC_OF_THE_HOUSE
    (told,) = world.told(EVENTS)
    assert told["CallSid"] == legs[1].sid
    world.end()


@pytest.mark.parametrize("answer", [404, "<Response><Dial>1</Dial></Response>"])
def test_twiml_conference_announcement_that_fails_is_told(answer: str | int) -> None:
    world, legs, _ = announcing(answer)
    world.run(2)
    (told,) = world.told(EVENTS)
    assert told["StatusCallbackEvent"] == "announcement-fail"
    assert told["ReasonAnnouncementFailed"]
    assert set(heard(world)) == {leg.sid for leg in legs}
    world.end()


def test_twiml_conference_new_announcement_takes_the_place_of_the_one_before() -> None:
    world, legs, conference = announcing("<Response><Say>Hear</Say></Response>", to=0)
    world.run(0.5)
    world.pages["http://app.test/other"] = "<Response><Say>Other</Say></Response>"
    other = conference.on_announce("http://app.test/other", "POST", legs[0].sid, 0.0)
    world.conduct(conference, other)
    world.run(2)
    assert legs[0].said == ["Hear", "Other"]
    assert [told["AnnounceUrl"] for told in world.told(EVENTS)] == [ANNOUNCED, "http://app.test/other"]
    world.end()


def test_twiml_conference_hang_up_in_an_announcement_ends_it() -> None:
    world, legs, _ = announcing("<Response><Say>Hear</Say></Response>", to=0)
    world.run(0.5)
    legs[0].hang_up()
    (told,) = world.told(EVENTS)
    assert (told["StatusCallbackEvent"], told.params.get("CallSid")) == ("announcement-end", None)
    world.end()
