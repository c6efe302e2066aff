"""Conferences of the shell: rooms by name, their mixers, who is listened to, and what is written down."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ringback.call.effects import LeaveConference, Notify, Tell
from ringback.call.events import Complete
from ringback.media import tones
from ringback.shell.conferences import NOBODY, Conferences
from ringback.shell.speakers import Speakers

ACCOUNT = "AC" + "0" * 32


class Scene:
    """Calls that are rows, a pump that writes down what it is told."""

    def __init__(self) -> None:
        self.mixed: list[tuple[Any, ...]] = []
        self.closed: list[int] = []
        self.rows: list[dict[str, Any]] = []
        self.told: list[Tell] = []
        self.delivered: list[tuple[str, Any]] = []
        self.notified: list[dict[str, str]] = []
        self.taps: dict[int, Any] = {}
        self.live: dict[str, Any] = {}
        mixers = iter(range(100, 200))
        pump: Any = SimpleNamespace(
            open_mixer=lambda: next(mixers),
            close_mixer=self.closed.append,
            mix=lambda mixer, port, **how: self.mixed.append((port, how["heard_by"])),
            unmix=lambda mixer, port: self.mixed.append((port, None)),
            play_mixer=lambda mixer, play, audio: None,
        )
        calls: Any = SimpleNamespace(
            get=self.live.get,
            tell=lambda sender, told: self.tell(told),
            deliver=lambda call, event: self.delivered.append((call.sid, event)),
            sound=SimpleNamespace(tap=self._tap, untap=self.taps.pop),
        )
        store: Any = SimpleNamespace(facts=SimpleNamespace(put=self._put), node="n1")
        self.conferences = Conferences(pump, calls, store, self._notify)

    def _notify(self, call: Any, account: str, notify: Notify) -> None:
        self.notified.append(dict(notify.params))

    def _put(self, table: str, row: dict[str, Any]) -> bool:
        assert table == "conferences"
        self.rows.append(row)
        return True

    def _tap(self, call: Any, track: str, listener: Any) -> int:
        self.taps[call.port.id] = listener
        return int(call.port.id)

    def tell(self, told: Tell) -> None:
        self.told.append(told)

    def call(self, number: int) -> Any:
        sid = f"CA{number}"
        actor = SimpleNamespace(call=SimpleNamespace(answered_at=None))
        self.live[sid] = SimpleNamespace(
            sid=sid,
            setup=SimpleNamespace(account_sid=ACCOUNT),
            conference_sid="",
            port=SimpleNamespace(id=number),
            row={"status": "ringing"},
            actor=actor,
        )
        return self.live[sid]

    def join(self, number: int, name: str = "room", **changes: Any) -> Any:
        call = self.call(number)
        self.conferences.join(call, name, options(number, **changes))
        return call


def options(number: int, **changes: Any) -> dict[str, Any]:
    values = {
        "conference_sid": f"CF{number}",
        "max_participants": 10,
        "label": "",
        "coach": "",
        "wait_url": None,
        "wait_method": "POST",
        "region": "us1",
        "muted": False,
        "start_on_enter": True,
        "end_on_exit": False,
        "beep": "false",
        "status_callback": "",
        "status_callback_method": "POST",
        "status_callback_events": [],
    }
    return values | changes


def test_nothing_is_done_in_a_conference_that_ended_meanwhile() -> None:
    """Of several changes by one request, the first may have its only member leave."""
    scene = Scene()
    call = scene.join(1)
    conference = scene.conferences.get("CF1")
    assert conference is not None
    scene.conferences.leave(call)
    written = len(scene.rows)
    scene.conferences.act(conference, conference.on_announce("http://x.test", "POST", "", 1.0))
    assert len(scene.rows) == written


def test_a_member_that_comes_back_at_once_gets_a_new_room() -> None:
    scene = Scene()
    call = scene.join(1)

    def tell(told: Tell) -> None:
        if told.subject == "conference-ended":
            scene.conferences.join(call, "room", options(2))

    scene.tell = tell  # type: ignore[method-assign]
    first = scene.conferences.get("CF1")
    assert first is not None
    scene.conferences.act(first, first.on_end(0.0))
    ended = scene.conferences.row("CF1")
    assert ended is not None
    assert (ended["status"], ended["reason_conference_ended"]) == ("completed", "conference-ended-via-api")
    assert scene.conferences.get("CF1") is None
    room = scene.conferences.get("CF2")
    assert room is not None
    assert (list(room.members), call.conference_sid) == (["CA1"], "CF2")
    assert scene.closed == [100]


def test_every_change_of_a_conference_is_written_down_once() -> None:
    scene = Scene()
    one, two = scene.join(1), scene.join(2)
    scene.conferences.leave(two, LeaveConference("CF1", "participant_hung_up", "completed"))
    scene.conferences.leave(one)
    assert {row["sid"] for row in scene.rows} == {"CF1"}
    statuses = [row["status"] for row in scene.rows]
    assert [statuses[0], statuses[-1]] == ["init", "completed"]
    assert "in-progress" in statuses
    last = scene.rows[-1]
    assert (last["reason_conference_ended"], last["call_sid_ending_conference"]) == (
        "last-participant-left",
        "CA1",
    )
    assert all(one != other for one, other in zip(scene.rows, scene.rows[1:], strict=False))
    assert {**(scene.conferences.row("CF1") or {}), "node": "n1"} == last


def test_a_coach_is_heard_at_the_port_of_the_coached_and_by_nobody_once_that_is_gone() -> None:
    scene = Scene()
    scene.join(1)
    two, three = scene.join(2), scene.join(3, coach="CA2")
    assert (3, 2) in scene.mixed
    room = scene.conferences.get("CF1")
    assert room is not None
    scene.conferences.leave(two)
    del scene.live["CA2"]
    scene.conferences.act(room, room.on_mute(three.sid, True, 0.0))
    assert scene.mixed[-1] == (3, NOBODY)


def test_who_is_called_in_leaves_with_the_status_of_its_call() -> None:
    scene = Scene()
    called = {"status_callback": "http://x.test", "status_callback_events": ["leave"]}
    room = scene.conferences.named(ACCOUNT, "room")
    call = scene.call(1)
    scene.conferences.invite(room, call, options(1, **called))
    assert scene.rows[-1]["status"] == "init"
    call.row["status"] = "busy"
    scene.conferences.leave(call)
    assert scene.notified[-1]["ParticipantCallStatus"] == "busy"
    assert scene.rows[-1]["status"] == "completed"


def test_who_is_called_in_and_given_something_else_to_do_is_expected_no_more() -> None:
    scene = Scene()
    scene.join(1)
    room = scene.conferences.named(ACCOUNT, "room")
    call = scene.call(2)
    scene.conferences.invite(room, call, options(2))
    scene.conferences.expect_no_more(call)
    assert (room.expected, call.conference_sid) == ({}, "")
    scene.conferences.expect_no_more(call)


def test_the_call_of_who_is_still_called_in_ends_with_the_conference() -> None:
    scene = Scene()
    scene.join(1)
    room = scene.conferences.named(ACCOUNT, "room")
    scene.conferences.invite(room, scene.call(2), options(2))
    scene.conferences.act(room, room.on_end(0.0))
    assert scene.delivered == [("CA2", Complete("canceled", "taken out of the conference"))]


def test_a_room_that_nobody_was_called_into_leaves_nothing() -> None:
    scene = Scene()
    room = scene.conferences.named(ACCOUNT, "room")
    scene.conferences.drop_unused(room)
    assert (scene.closed, scene.rows, scene.conferences.row(room.sid)) == ([100], [], None)
    used = scene.join(1)
    room = scene.conferences.named(ACCOUNT, "room")
    scene.conferences.drop_unused(room)
    assert scene.conferences.get(used.conference_sid) is room


def test_a_room_that_was_made_for_somebody_who_is_refused_leaves_nothing() -> None:
    scene = Scene()
    call = scene.join(1, coach="CA9")
    assert [told.subject for told in scene.told] == ["refused"]
    assert (scene.closed, scene.rows, call.conference_sid) == ([100], [], "")
    assert scene.conferences.row("CF1") is None


async def test_speech_is_told_by_the_sound_of_a_member_until_it_leaves() -> None:
    scene = Scene()
    wanted = {"status_callback": "http://x.test", "status_callback_events": ["speaker"]}
    call = scene.join(1, **wanted)
    loud = tones.sine(400, 0.02)
    for _ in range(10):
        scene.taps[1](loud, 0)
    assert [told["StatusCallbackEvent"] for told in scene.notified] == ["participant-speech-start"]
    scene.conferences.leave(call)
    assert scene.taps == {}


def test_calls_that_nobody_wants_to_hear_of_are_not_listened_to() -> None:
    scene = Scene()
    scene.join(1)
    assert scene.taps == {}


async def test_a_far_end_that_sends_nothing_more_has_ended_to_speak() -> None:
    told: list[bool] = []
    listeners: list[Any] = []
    sound: Any = SimpleNamespace(tap=lambda call, track, hear: listeners.append(hear) or 1, untap=print)
    speakers = Speakers(sound, lambda call, speaks: told.append(speaks))
    call: Any = SimpleNamespace(sid="CA1")
    speakers.listen(call)
    speakers.listen(call)
    (hear,) = listeners
    for _ in range(10):
        hear(tones.sine(400, 0.02), 0)
    ear = speakers._ears["CA1"]
    assert ear.timer is not None
    ear._voice._loud_at -= 2.0
    ear.timer.cancel()
    ear._look()
    assert told == [True, False]
    assert ear.timer is None
