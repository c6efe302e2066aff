"""The media stream machine."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

from ringback.call.effects import Notify
from ringback.call.stream import CloseSocket, MediaStream, SendText

NOW = 1_700_000_000.0


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
