"""The conference machine and the media stream machine."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

import pytest

from ringback.call.conference import Beep, Close, Conference, Hold, Mix, Unmix
from ringback.call.effects import Notify, Tell
from ringback.call.stream import CloseSocket, MediaStream, SendText

NOW = 1_700_000_000.0


def options(**changes: Any) -> dict[str, Any]:
    values = {
        "muted": False,
        "beep": "false",
        "start_on_enter": True,
        "end_on_exit": False,
        "max_participants": 250,
        "label": "",
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


def test_the_first_member_waits_deaf_and_muted() -> None:
    conference = room()
    assert conference.on_join("CA1", options(), NOW) == [Tell("CA1", "joined", {}), Mix("CA1", True, True)]
    assert conference.status == "init"


def test_the_second_member_starts_it_for_all() -> None:
    conference = room({"muted": True})
    given = conference.on_join("CA2", options(), NOW)
    assert given == [Tell("CA2", "joined", {}), Mix("CA1", True, False), Mix("CA2", False, False)]
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
    told = [dict(effect.params) for effect in conference.on_leave("CA2", NOW) if isinstance(effect, Notify)]
    assert [p.get("CallSid") for p in told] == ["CA2", "CA1", "CA3", None]
    assert [p["StatusCallbackEvent"] for p in told] == [*["participant-leave"] * 3, "conference-end"]
    assert told[-1]["CallSidEndingConference"] == "CA2"
    assert told[-1]["ParticipantLabelEndingConference"] == "boss"


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
    told = [effect for effect in given if isinstance(effect, Notify)]
    assert {notify.url for notify in told} == {"http://x.test"}
    params = [dict(notify.params) for notify in told]
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


# -- streams ----------------------------------------------------------------------------------------------------


def stream(track: str = "inbound_track") -> MediaStream:
    values = {
        "name": "tap",
        "url": "wss://x.test",
        "track": track,
        "parameters": {"a": "1"},
        "status_callback": "http://x.test/s",
        "status_callback_method": "GET",
    }
    return MediaStream("MZ1", "AC1", "CA1", values)


def texts(effects: list[Any]) -> list[dict[str, Any]]:
    return [json.loads(effect.text) for effect in effects if isinstance(effect, SendText)]


def events(effects: list[Any]) -> list[str]:
    return [dict(effect.params)["StreamEvent"] for effect in effects if isinstance(effect, Notify)]


def test_stream_introduces_itself() -> None:
    opened = stream().on_opened(NOW)
    connected, start = texts(opened)
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start == {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": "MZ1",
        "start": {
            "accountSid": "AC1",
            "streamSid": "MZ1",
            "callSid": "CA1",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"a": "1"},
        },
    }
    assert events(opened) == ["stream-started"]


def test_stream_counts_chunks_by_track_in_strings() -> None:
    both = stream("both_tracks")
    both.on_opened(NOW)
    frames = [
        texts(both.on_frame(track, b"\xff" * 160, ms))[0]
        for track, ms in (("inbound", 0), ("outbound", 0), ("inbound", 20))
    ]
    assert [frame["sequenceNumber"] for frame in frames] == ["2", "3", "4"]
    assert [frame["media"]["chunk"] for frame in frames] == ["1", "1", "2"]
    assert frames[2]["media"]["timestamp"] == "20"
    assert b64decode(frames[0]["media"]["payload"]) == b"\xff" * 160


def test_stream_of_a_far_end_without_sound_is_silence() -> None:
    both = stream("both_tracks")
    assert both.on_clock(1000) == []
    both.on_opened(NOW)
    assert both.on_clock(219) == []
    sent = texts(both.on_clock(240))
    assert [(each["media"]["track"], each["media"]["timestamp"]) for each in sent] == [
        (track, ms) for track in ("inbound", "outbound") for ms in ("0", "20")
    ]
    assert b64decode(sent[0]["media"]["payload"]) == b"\xff" * 160
    # Sound comes back, 30 ms after the end of a frame: what lies between is silence, too.
    given = texts(both.on_frame("inbound", b"\x00" * 160, 110))
    assert [(each["media"]["timestamp"], each["media"]["chunk"]) for each in given] == [
        ("40", "3"),
        ("60", "4"),
        ("80", "5"),
        ("110", "6"),
    ]
    assert both.on_clock(250) == []


def test_stream_keeps_the_order_of_sound_that_comes_too_late() -> None:
    one = stream()
    one.on_opened(NOW)
    one.on_clock(300)
    times = [texts(one.on_frame("inbound", b"", ms))[-1]["media"]["timestamp"] for ms in (60, 80, 300)]
    assert times == ["100", "120", "300"]


def test_stream_leaves_out_what_lies_too_long_ago() -> None:
    one = stream()
    one.on_opened(NOW)
    sent = texts(one.on_clock(10_200))
    assert (len(sent), sent[-1]["media"]["timestamp"]) == (50, "9980")
    one.on_stop(NOW)
    assert one.on_clock(20_000) == []


def test_stream_ignores_sound_before_and_after_and_of_other_tracks() -> None:
    one = stream()
    assert one.on_frame("inbound", b"", 0) == []
    one.on_opened(NOW)
    assert one.on_frame("outbound", b"", 0) == []
    one.on_stop(NOW)
    assert one.on_frame("inbound", b"", 0) == []


def test_stream_stops_once() -> None:
    one = stream()
    one.on_opened(NOW)
    stopped = one.on_stop(NOW)
    assert texts(stopped)[0]["stop"] == {"accountSid": "AC1", "callSid": "CA1"}
    assert CloseSocket() in stopped
    assert events(stopped) == ["stream-stopped"]
    assert one.on_stop(NOW) == one.on_closed("", NOW) == []


def test_stream_that_could_not_connect_is_an_error() -> None:
    one = stream()
    closed = one.on_closed("OSError: refused", NOW)
    assert events(closed) == ["stream-error"]
    assert dict(closed[-1].params)["StreamError"] == "OSError: refused"
    assert texts(closed) == []


def test_stream_stopped_before_it_was_connected_says_nothing_on_the_socket() -> None:
    stopped = stream().on_stop(NOW)
    assert texts(stopped) == []
    assert CloseSocket() in stopped


def test_stream_closed_by_the_far_end() -> None:
    one = stream()
    one.on_opened(NOW)
    assert events(one.on_closed("", NOW)) == ["stream-stopped"]
    assert one.status == "stopped"


def test_a_member_on_hold_is_out_of_the_mixer_until_it_is_taken_back() -> None:
    conference = room({"muted": True, "status_callback": "u", "status_callback_events": ["hold"]}, {})
    held, notify, told = conference.on_hold("CA1", True, "http://h", "GET", NOW)
    assert isinstance(notify, Notify)
    assert dict(notify.params)["StatusCallbackEvent"] == "participant-hold"
    assert dict(notify.params)["Hold"] == "true"
    assert (held, told) == (Hold("CA1"), Tell("CA1", "held", {"url": "http://h", "method": "GET"}))
    assert conference.on_hold("CA1", True, "", "GET", NOW) == []
    assert Hold("CA1") in conference.on_mute("CA1", False, NOW)
    back, notify, told = conference.on_hold("CA1", False, "", "GET", NOW)
    assert (back, told) == (Mix("CA1", False, False), Tell("CA1", "unheld", {}))
    assert conference.on_hold("CA9", True, "", "GET", NOW) == []
