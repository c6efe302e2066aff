"""Conference requests read into values."""

from __future__ import annotations

import pytest

from ringback.rest.errors import RestError
from ringback.rest.forms import Form
from ringback.rest.participants import (
    read_conference_update,
    read_participant,
    read_participant_update,
)
from ringback.rest.resources import conferences
from ringback.twiml import schema


def test_anything_but_true_is_false_and_absent_is_none() -> None:
    update = read_participant_update(Form([("Muted", "True"), ("Hold", "perhaps")]))
    assert (update.muted, update.hold, update.coaching) == (True, False, None)


def test_urls_methods_and_sids_are_checked() -> None:
    update = read_participant_update(Form([("HoldUrl", "https://example.com/h"), ("HoldMethod", "get")]))
    assert (update.hold_url, update.hold_method) == ("https://example.com/h", "GET")
    for pairs in ([("AnnounceUrl", "x")], [("WaitMethod", "PUT")], [("CallSidToCoach", "CF1")]):
        with pytest.raises(RestError):
            read_participant_update(Form(pairs))


def test_a_conference_can_only_be_completed() -> None:
    assert read_conference_update(Form([("Status", "completed")])).status == "completed"
    with pytest.raises(RestError):
        read_conference_update(Form([("Status", "init")]))


def test_an_empty_wait_url_is_silence_and_none_is_music() -> None:
    assert read_participant_update(Form([("WaitUrl", "")])).wait_url == ""
    assert read_participant_update(Form([("Muted", "true")])).wait_url is None
    assert read_participant(Form([*CALL, ("WaitUrl", "")])).wait_url == ""
    assert read_participant(Form(CALL)).wait_url is None


CALL = [("To", "sip:agent@example.com"), ("From", "+15005550006")]


def test_coaching_needs_somebody_to_coach() -> None:
    whom = ("CallSidToCoach", "CA" + "0" * 32)
    assert read_participant_update(Form([whom])).call_sid_to_coach == whom[1]
    assert read_participant_update(Form([("Coaching", "false"), whom])).call_sid_to_coach is None
    assert read_participant(Form([*CALL, ("Coaching", "true"), whom])).call_sid_to_coach == whom[1]
    for read, form in ((read_participant_update, []), (read_participant, CALL)):
        with pytest.raises(RestError, match="CallSidToCoach is required"):
            read(Form([*form, ("Coaching", "true")]))


def test_a_participant_has_the_defaults_of_the_reference() -> None:
    given = read_participant(Form(CALL))
    assert (given.beep, given.start_conference_on_enter, given.end_conference_on_exit) == (
        "true",
        True,
        False,
    )
    assert (given.early_media, given.max_participants, given.call.timeout) == (True, 250, 60)
    assert given.conference_status_callback_events == ("start", "end")
    assert given.call.status_callback_events == ("completed",)


def test_what_does_not_happen_to_the_call_of_a_participant_is_warned_of() -> None:
    ignored = [
        ("CallReason", "offer"),
        ("CallToken", "tok"),
        ("ClientNotificationUrl", "https://example.com/"),
    ]
    given = read_participant(Form([*CALL, *ignored, ("StatusCallbackEvent", "lunch")]))
    assert [code for code, _ in given.call.warnings] == [20001, 20001, 20001, 21626]


@pytest.mark.parametrize(
    ("name", "value"),
    [("Record", "true"), ("ConferenceRecord", "record-from-start"), ("MachineDetection", "Enable")],
)
def test_what_this_server_does_not_do_is_refused(name: str, value: str) -> None:
    with pytest.raises(RestError, match=f"{name} is not supported by this server"):
        read_participant(Form([*CALL, (name, value)]))


def test_events_may_be_repeated_or_stand_in_one_text() -> None:
    events = [("ConferenceStatusCallbackEvent", "join leave"), ("ConferenceStatusCallbackEvent", "end")]
    progress = [("StatusCallbackEvent", "initiated ringing"), ("StatusCallbackEvent", "completed")]
    given = read_participant(Form([*CALL, *events, *progress]))
    assert given.conference_status_callback_events == ("end", "join", "leave")
    assert given.call.status_callback_events == ("initiated", "ringing", "completed")


def test_regions_are_those_of_twiml() -> None:
    assert conferences.REGIONS == schema.REGIONS
