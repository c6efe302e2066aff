"""The conference machine."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.call.conference import (
    BY_API,
    Beep,
    Close,
    Conference,
    Dismiss,
    Hold,
    Listen,
    Mix,
    Unmix,
)
from ringback.call.effects import Notify, Tell
from ringback.call.limits import MAX_ANNOUNCEMENTS

NOW = 1_700_000_000.0


def options(**changes: Any) -> dict[str, Any]:
    values = {
        "muted": False,
        "beep": "false",
        "start_on_enter": True,
        "end_on_exit": False,
        "max_participants": 250,
        "label": "",
        "coach": "",
        "wait_url": None,
        "wait_method": "POST",
        "status_callback": "",
        "status_callback_method": "POST",
        "status_callback_events": [],
        "conference_sid": "CF1",
    }
    return values | changes


def room(*members: dict[str, Any]) -> Conference:
    conference = Conference("CF1", "AC1", "room", NOW)
    for number, changes in enumerate(members, start=1):
        conference.on_join(f"CA{number}", options(**changes), NOW)
    return conference


def hear(call_sid: str, what: str, url: str = "", method: str = "") -> Tell:
    return Tell(call_sid, "hear", {"what": what, "url": url, "method": method})


def told(effects: list[Any]) -> list[dict[str, str]]:
    return [dict(effect.params) for effect in effects if isinstance(effect, Notify)]


def listening(*events: str) -> dict[str, Any]:
    return {"status_callback": "http://x.test", "status_callback_events": list(events)}


def test_the_first_member_waits_deaf_and_muted_with_music() -> None:
    conference = room()
    assert conference.on_join("CA1", options(), NOW) == [
        Tell("CA1", "joined", {}),
        Mix("CA1", True, True),
        hear("CA1", "wait"),
    ]
    assert conference.status == "init"


def test_the_second_member_starts_it_for_all() -> None:
    conference = room({"muted": True})
    given = conference.on_join("CA2", options(), NOW)
    assert given == [
        Tell("CA2", "joined", {}),
        Mix("CA1", True, False),
        hear("CA1", "room"),
        Mix("CA2", False, False),
    ]
    assert conference.status == "in-progress"


def test_nobody_starts_it_who_may_not() -> None:
    conference = room({"start_on_enter": False}, {"start_on_enter": False})
    assert conference.status == "init"
    conference.on_join("CA3", options(), NOW)
    assert conference.status == "in-progress"


@pytest.mark.parametrize(
    ("beep", "enter", "leave"),
    [("true", 1, 1), ("false", 0, 0), ("onEnter", 1, 0), ("onExit", 0, 1)],
)
def test_beeps(beep: str, enter: int, leave: int) -> None:
    conference = room({}, {})
    assert conference.on_join("CA3", options(beep=beep), NOW).count(Beep()) == enter
    assert conference.on_leave("CA3", NOW).count(Beep()) == leave


def test_the_last_member_closes_it() -> None:
    conference = room({}, {})
    assert conference.on_leave("CA1", NOW) == [Unmix("CA1")]
    assert conference.on_leave("CA2", NOW) == [Unmix("CA2"), Close("last-participant-left")]
    assert conference.status == "completed"
    assert conference.members == {}
    assert conference.on_leave("CA2", NOW) == []


def test_a_member_that_ends_it_on_exit() -> None:
    conference = room({}, {"end_on_exit": True}, {})
    assert conference.on_leave("CA2", NOW) == [
        Unmix("CA2"),
        *(Unmix("CA1"), Tell("CA1", "conference-ended", {})),
        *(Unmix("CA3"), Tell("CA3", "conference-ended", {})),
        Close("participant-with-end-conference-on-exit-left"),
    ]
    assert conference.ended_by == "CA2"


def test_end_on_exit_means_nothing_before_the_start() -> None:
    conference = room({"start_on_enter": False, "end_on_exit": True}, {"start_on_enter": False})
    assert conference.on_leave("CA1", NOW) == [Unmix("CA1")]
    assert conference.status == "init"


def test_mute_and_unmute() -> None:
    conference = room({}, {})
    assert conference.on_mute("CA1", True, NOW) == [Mix("CA1", True, False)]
    assert conference.on_mute("CA1", True, NOW) == []
    assert conference.on_mute("CA1", False, NOW) == [Mix("CA1", False, False)]
    assert conference.on_mute("CA9", True, NOW) == []


def test_kick_and_end_over_rest() -> None:
    conference = room({}, {}, {})
    assert conference.on_kick("CA1", NOW) == [Unmix("CA1"), Tell("CA1", "removed", {})]
    assert conference.on_kick("CA1", NOW) == []
    assert conference.on_end(NOW)[-1] == Close("conference-ended-via-api")
    assert conference.on_end(NOW) == []


def test_who_was_kicked_ends_it_as_kicked() -> None:
    conference = room({}, {"end_on_exit": True})
    conference.on_kick("CA2", NOW)
    assert conference.reason == "participant-with-end-conference-on-exit-kicked"
    conference = room({}, {})
    conference.on_kick("CA1", NOW)
    conference.on_kick("CA2", NOW)
    assert conference.reason == "last-participant-kicked"


def test_everybody_leaves_before_the_end() -> None:
    wanted = {"status_callback": "http://x.test", "status_callback_events": ["leave", "end"]}
    conference = room(wanted, {"label": "boss", "end_on_exit": True}, {})
    params = told(conference.on_leave("CA2", NOW))
    assert [p.get("CallSid") for p in params] == ["CA2", "CA1", "CA3", None]
    assert [p["StatusCallbackEvent"] for p in params] == [*["participant-leave"] * 3, "conference-end"]
    assert params[-1]["CallSidEndingConference"] == "CA2"
    assert params[-1]["ParticipantLabelEndingConference"] == "boss"
    assert params[-1]["Reason"] == "A participant with EndConferenceOnExit=true left"
    left = [(p["ReasonParticipantLeft"], p["ParticipantCallStatus"]) for p in params[:-1]]
    assert left == [
        ("participant_hung_up", "completed"),
        ("moderator_ended_conference", "in-progress"),
        ("moderator_ended_conference", "in-progress"),
    ]


def test_full_and_labels() -> None:
    conference = room({"label": "boss"}, {})
    (full,) = conference.on_join("CA3", options(max_participants=2), NOW)
    assert isinstance(full, Tell)
    assert (full.subject, full.data["code"]) == ("refused", 16020)
    (taken,) = conference.on_join("CA3", options(label="boss"), NOW)
    assert isinstance(taken, Tell)
    assert taken.data["code"] == 16025
    assert list(conference.members) == ["CA1", "CA2"]


def test_callbacks_are_the_first_members_and_of_wanted_events_only() -> None:
    wanted = {"status_callback": "http://x.test", "status_callback_events": ["leave", "end"], "label": "boss"}
    conference = room(wanted, {"status_callback": "http://y.test", "status_callback_events": ["join"]})
    given = [*conference.on_leave("CA1", NOW), *conference.on_leave("CA2", NOW)]
    assert {effect.url for effect in given if isinstance(effect, Notify)} == {"http://x.test"}
    params = told(given)
    assert [p["StatusCallbackEvent"] for p in params] == [
        "participant-leave",
        "participant-leave",
        "conference-end",
    ]
    assert [p["SequenceNumber"] for p in params] == ["0", "1", "2"]
    assert params[0]["ParticipantLabel"] == "boss"
    assert params[0]["Timestamp"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    assert params[2]["CallSidEndingConference"] == "CA2"
    assert "CallSid" not in params[2]


# -- what a member hears beside the room


def test_what_to_wait_with_is_asked_for_and_silence_is_as_well() -> None:
    conference = room()
    given = conference.on_join("CA1", options(wait_url="http://w.test", start_on_enter=False), NOW)
    assert given[-1] == hear("CA1", "wait", "http://w.test", "POST")
    silent = conference.on_join("CA2", options(wait_url="", start_on_enter=False), NOW)
    assert silent[-1] == hear("CA2", "room")
    changes = {"wait_url": "http://v.test", "wait_method": "GET"}
    assert conference.on_modify("CA2", changes, NOW) == [
        Mix("CA2", True, True),
        hear("CA2", "wait", "http://v.test", "GET"),
    ]
    assert hear("CA2", "room") in conference.on_join("CA3", options(), NOW)
    assert [effect for effect in conference.on_modify("CA1", changes, NOW) if isinstance(effect, Tell)] == []


def test_a_member_on_hold_is_out_of_the_mixer_until_it_is_taken_back() -> None:
    conference = room({"muted": True, **listening("hold")}, {})
    held, notify, heard = conference.on_hold("CA1", True, "http://h", "GET", NOW)
    (params,) = told([notify])
    assert (params["StatusCallbackEvent"], params["Hold"]) == ("participant-hold", "true")
    assert (held, heard) == (Hold("CA1"), hear("CA1", "hold", "http://h", "GET"))
    assert conference.on_hold("CA1", True, "", "GET", NOW) == []
    assert Hold("CA1") in conference.on_mute("CA1", False, NOW)
    back, notify, heard = conference.on_hold("CA1", False, "", "GET", NOW)
    assert told([notify])[0]["StatusCallbackEvent"] == "participant-unhold"
    assert (back, heard) == (Mix("CA1", False, False), hear("CA1", "room"))
    assert conference.on_hold("CA9", True, "", "GET", NOW) == []


def test_a_second_hold_with_another_url_replaces_what_is_heard_and_is_no_new_hold() -> None:
    conference = room(listening("hold"), {})
    conference.on_hold("CA1", True, "", "GET", NOW)
    given = conference.on_hold("CA1", True, "http://other", "POST", NOW)
    assert given == [Hold("CA1"), hear("CA1", "hold", "http://other", "POST")]


def test_who_waited_before_its_hold_waits_on_after_it() -> None:
    conference = room({})
    conference.on_hold("CA1", True, "", "GET", NOW)
    assert conference.on_hold("CA1", False, "", "GET", NOW) == [Mix("CA1", True, True), hear("CA1", "wait")]


# -- coaching and other changes


def test_a_coach_hears_all_and_is_heard_by_one() -> None:
    conference = room({}, {})
    assert Mix("CA3", False, False, "CA2") in conference.on_join("CA3", options(coach="CA2"), NOW)
    assert conference.on_modify("CA3", {"coaches": "CA1"}, NOW) == [Mix("CA3", False, False, "CA1")]
    assert conference.on_modify("CA3", {"coaches": "CA1"}, NOW) == []
    assert conference.on_modify("CA3", {"coaches": ""}, NOW) == [Mix("CA3", False, False)]


def test_nobody_coaches_who_is_not_there() -> None:
    conference = room({}, {})
    (refused,) = conference.on_join("CA3", options(coach="CA9"), NOW)
    assert isinstance(refused, Tell)
    assert (refused.subject, refused.data["code"]) == ("refused", 13240)


def test_a_coach_stays_with_who_takes_the_place_of_the_coached() -> None:
    conference = room({}, {}, {"coach": "CA1"})
    given = conference.on_join("CA4", options(replaces="CA1"), NOW)
    assert Mix("CA3", False, False, "CA4") in given


def test_changes_are_told_once_and_only_where_something_has_changed() -> None:
    conference = room({**listening("modify"), "beep": "true"}, {})
    changes = {"end_on_exit": True, "beeps_on_exit": False, "coaches": "CA2"}
    (params,) = told(conference.on_modify("CA1", changes, NOW))
    assert params["StatusCallbackEvent"] == "participant-modify"
    assert (params["EndConferenceOnExit"], params["Coaching"]) == ("true", "true")
    assert conference.on_modify("CA1", changes, NOW) == []
    assert Beep() not in conference.on_leave("CA1", NOW)
    assert conference.reason == "participant-with-end-conference-on-exit-left"
    assert conference.on_modify("CA9", {"end_on_exit": True}, NOW) == []


def test_labels_that_are_none() -> None:
    for label in ("a/b", "a%2Fb", "CA" + "0" * 32, "x" * 129):
        (refused,) = room().on_join("CA1", options(label=label), NOW)
        assert isinstance(refused, Tell)
        assert refused.data["code"] == 16023


# -- who speaks


def test_speech_is_told_of_who_is_heard_where_it_is_wanted() -> None:
    conference = room()
    given = conference.on_join("CA1", options(**listening("speaker")), NOW)
    assert Listen("CA1") in given
    (start,) = told(conference.on_speech("CA1", True, NOW))
    (stop,) = told(conference.on_speech("CA1", False, NOW))
    assert start["StatusCallbackEvent"] == "participant-speech-start"
    assert (stop["StatusCallbackEvent"], stop["CallSid"]) == ("participant-speech-stop", "CA1")
    conference.on_mute("CA1", True, NOW)
    assert conference.on_speech("CA1", True, NOW) == conference.on_speech("CA9", True, NOW) == []
    assert conference.on_speech("CA1", False, NOW) == [], "no end of what nobody was told of"
    assert Listen("CA1") not in room().on_join("CA1", options(**listening("start")), NOW)


# -- announcements


def announced(call_sid: str, number: int = 1, **more: Any) -> Tell:
    return Tell(call_sid, "announce", {"number": number, "url": "http://a", "method": "POST", **more})


def heard(conference: Conference, call_sid: str, failure: str = "", number: int = 1) -> list[Any]:
    return conference.on_told(call_sid, "announced", {"number": number, "failure": failure}, NOW)


def test_an_announcement_is_asked_for_once_and_heard_by_all_who_are_not_on_hold() -> None:
    conference = room(listening("announcement"), {}, {})
    conference.on_hold("CA3", True, "", "GET", NOW)
    assert conference.on_announce("http://a", "POST", "", NOW) == [announced("CA1")]
    answer = {"url": "http://a", "document": ["Response", {}, []]}
    given = conference.on_told("CA1", "announcement", {"number": 1, "answer": answer}, NOW)
    assert given == [announced("CA2", answer=answer)]
    assert heard(conference, "CA1") == []
    (params,) = told(heard(conference, "CA2"))
    assert (params["StatusCallbackEvent"], params["AnnounceUrl"]) == ("announcement-end", "http://a")
    assert "CallSid" not in params
    assert heard(conference, "CA2") == []


def test_an_announcement_to_one_member_is_told_with_it() -> None:
    conference = room(listening("announcement"), {})
    assert conference.on_announce("http://a", "POST", "CA2", NOW) == [announced("CA2")]
    (params,) = told(heard(conference, "CA2"))
    assert (params["StatusCallbackEvent"], params["CallSid"]) == ("announcement-end", "CA2")


def test_an_announcement_that_cannot_be_had_fails_and_is_not_asked_for_again() -> None:
    conference = room(listening("announcement"), {})
    conference.on_announce("http://a", "POST", "", NOW)
    (params,) = told(heard(conference, "CA1", "HTTP 404"))
    assert params["StatusCallbackEvent"] == "announcement-fail"
    assert params["ReasonAnnouncementFailed"] == "HTTP 404"


def test_the_next_asks_for_an_announcement_when_the_first_has_left_and_nobody_when_all_have() -> None:
    conference = room(listening("announcement"), {}, {})
    conference.on_announce("http://a", "POST", "", NOW)
    assert announced("CA2") in conference.on_leave("CA1", NOW)
    assert announced("CA3") in conference.on_leave("CA2", NOW)
    (params,) = told(conference.on_end(NOW))
    assert params["StatusCallbackEvent"] == "announcement-end"


def test_announcements_have_a_bound() -> None:
    conference = room(listening("announcement"), {})
    for _ in range(MAX_ANNOUNCEMENTS):
        assert conference.may_announce
        conference.on_announce("http://a", "POST", "", NOW)
    assert not conference.may_announce
    (params,) = told(conference.on_announce("http://a", "POST", "", NOW))
    assert params["StatusCallbackEvent"] == "announcement-fail"


# -- who is called to come in


def test_who_is_called_in_is_a_participant_with_its_own_settings_until_it_joins() -> None:
    conference = room({})
    conference.on_invite("CA2", options(label="two", coach="CA1"), NOW)
    assert [member.call_sid for member in conference.participants] == ["CA1", "CA2"]
    assert conference.refusal(options(label="two")) is not None
    assert conference.refusal(options(max_participants=2)) is not None
    assert conference.on_mute("CA2", True, NOW) == []
    assert Mix("CA2", True, False, "CA1") in conference.on_join("CA2", options(), NOW + 1)
    assert (conference.members["CA2"].label, conference.expected) == ("two", {})


def test_who_could_not_be_called_in_has_left_and_the_last_one_ends_it() -> None:
    conference = Conference("CF1", "AC1", "room", NOW)
    conference.on_invite("CA1", options(**listening("leave", "end")), NOW)
    leave, end = told(conference.on_failed("CA1", "busy", NOW))
    assert leave["ReasonParticipantLeft"] == "participant_add_failed"
    assert leave["ParticipantCallStatus"] == "busy"
    assert (end["StatusCallbackEvent"], conference.status) == ("conference-end", "completed")


def test_a_conference_waits_for_who_is_still_called_in() -> None:
    conference = room({})
    conference.on_invite("CA2", options(), NOW)
    conference.on_leave("CA1", NOW)
    assert conference.status == "init"
    assert conference.on_kick("CA2", NOW) == [Unmix("CA2"), Close("last-participant-kicked"), Dismiss("CA2")]


def test_the_end_of_a_conference_calls_nobody_any_more() -> None:
    conference = room({}, {})
    conference.on_invite("CA3", options(), NOW)
    assert Dismiss("CA3") in conference.on_end(NOW)
    assert conference.participants == []


def test_sound_before_the_answer_is_heard_by_the_others_if_they_are_to() -> None:
    conference = room({}, {})
    conference.on_invite("CA3", options(early_media=True), NOW)
    conference.on_invite("CA4", options(early_media=False), NOW)
    assert conference.on_told("CA3", "early-media", {}, NOW) == [Mix("CA3", False, True)]
    assert conference.on_told("CA4", "early-media", {}, NOW) == []
    assert conference.on_told("CA9", "early-media", {}, NOW) == []


def test_sound_before_the_answer_is_heard_as_the_participant_will_be() -> None:
    conference = room({}, {})
    conference.on_invite("CA3", options(muted=True), NOW)
    conference.on_invite("CA4", options(coach="CA1"), NOW)
    assert conference.on_told("CA3", "early-media", {}, NOW) == [Mix("CA3", True, True)]
    assert conference.on_told("CA4", "early-media", {}, NOW) == [Mix("CA4", False, True, "CA1")]
    assert conference.on_mute("CA3", False, NOW) == [Mix("CA3", False, True)]
    assert conference.on_modify("CA4", {"coaches": "CA2"}, NOW) == [Mix("CA4", False, True, "CA2")]
    assert Mix("CA3", False, False) in conference.on_join("CA3", options(), NOW)


def test_who_was_redirected_has_left_by_the_api() -> None:
    conference = room(listening("leave"), {})
    (params,) = told(conference.on_leave("CA2", NOW, BY_API, "in-progress"))
    assert params["ReasonParticipantLeft"] == "participant_updated_via_api"
    assert params["ParticipantCallStatus"] == "in-progress"
