"""The actor, its journal and its replay."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from msgspec.structs import replace

from ringback import __version__
from ringback.call import effects as fx
from ringback.call import events as ev
from ringback.call.actor import CallActor
from ringback.call.errors import JournalError, ScriptStalled
from ringback.call.journal import Journal, cut_off, decode, event_from, plain
from ringback.call.limits import MAX_EFFECTS_A_STEP, MAX_JOURNAL_ENTRIES, MAX_NOTE_LENGTH
from ringback.call.outcome import dial_status, failure_rank, status_of
from ringback.call.replay import replay
from ringback.call.script import Call, Completed, Interrupted, LegGone, Redirected, Script, pause, wait_for
from ringback.call.setup import CallSetup, Page, StatusCallback

SETUP = CallSetup("inbound", "CA1", "AC1", "ab", 1000.0, "inbound", "+1415", "+1416")
GONE = ev.LegEnded("bye", 200, "OK", {"X-A": "1"}, "call-id")


def echo(call: Call) -> Script[None]:
    """Notes the time of each event; ends with the leg."""
    try:
        while True:
            event = yield None
            yield fx.info("test", f"{type(event).__name__} at {call.now}")
    except Interrupted as interrupt:
        yield fx.info("test", f"{type(interrupt).__name__} at {call.now}")


def test_effects_between_two_waits_come_together() -> None:
    def script(call: Call) -> Script[None]:
        yield fx.Answer()
        yield fx.Arm("t", 5)
        event = yield None
        yield fx.Play("p", ["silence", 1], 1)
        assert event == ev.Digit("1")

    actor = CallActor(SETUP, script)
    assert actor.start() == [fx.Answer(), fx.Arm("t", 5)]
    assert actor.deliver(ev.Digit("1"), 1.0) == [fx.Play("p", ["silence", 1], 1), fx.Finish()]
    assert actor.finished
    assert actor.deliver(ev.Digit("2"), 2.0) == []
    assert len(actor.journal) == 2


def test_script_that_never_waits_is_stalled() -> None:
    def script(call: Call) -> Script[None]:
        yield None
        while True:
            yield fx.StopPlay()

    actor = CallActor(SETUP, script)
    actor.start()
    with pytest.raises(ScriptStalled):
        actor.deliver(ev.Digit("1"), 1.0)


def test_script_may_give_as_many_effects_as_the_limit() -> None:
    def script(call: Call) -> Script[None]:
        for _ in range(MAX_EFFECTS_A_STEP):
            yield fx.StopPlay()
        yield None

    assert len(CallActor(SETUP, script).start()) == MAX_EFFECTS_A_STEP


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (GONE, LegGone),
        (ev.Redirect("http://a.test", "POST", None), Redirected),
        (ev.Complete("completed", "x"), Completed),
        (ev.Fired("call-limit"), Completed),
    ],
)
def test_events_that_interrupt_are_thrown(event: ev.Event, kind: type[Interrupted]) -> None:
    caught: list[Interrupted] = []

    def script(call: Call) -> Script[None]:
        try:
            yield None
        except Interrupted as interrupt:
            caught.append(interrupt)
        yield None

    actor = CallActor(SETUP, script)
    actor.start()
    assert actor.deliver(event, 1.0) == []
    assert [type(each) for each in caught] == [kind]


def test_nothing_interrupts_after_the_leg_ended() -> None:
    def script(call: Call) -> Script[None]:
        with suppress(LegGone):
            yield None
        for _ in range(3):
            yield None  # raises if anything is thrown here

    actor = CallActor(SETUP, script)
    actor.start()
    actor.deliver(GONE, 1.0)
    assert actor.deliver(GONE, 1.5) == []
    for event in (ev.Complete("completed", "x"), ev.Redirect("u", "POST", None), ev.Fired("call-limit")):
        assert not actor.finished
        actor.deliver(event, 2.0)
    assert actor.finished
    assert len(actor.journal) == 5  # the second LegEnded never was


def test_leg_that_ended_before_the_start_is_seen_by_the_script_and_by_its_replay() -> None:
    def script(call: Call) -> Script[None]:
        yield fx.info("test", f"ended: {call.ended}")

    actor = CallActor(SETUP, script)
    assert actor.deliver(GONE, 0.1) == []
    assert actor.start() == [fx.info("test", f"ended: {GONE}"), fx.Finish()]
    assert replay(decode(actor.journal.encode()), script).difference is None


def test_pause_and_wait_for_pass_over_what_is_not_theirs() -> None:
    def script(call: Call) -> Script[None]:
        yield from pause(call, 3)
        fetched = yield from wait_for("fetch-9", ev.Fetched)
        yield fx.info("test", fetched.url)

    actor = CallActor(SETUP, script)
    assert actor.start() == [fx.Arm("pause-1", 3)]
    for event in (ev.Digit("1"), ev.Fired("pause-2"), ev.Played("pause-1", False), ev.Fired("pause-1")):
        assert actor.deliver(event, 3.0) == []
    assert actor.deliver(ev.Played("fetch-9", False), 4.0) == []
    assert actor.deliver(ev.Fetched("fetch-9", "u", 200, None, 0, ""), 4.0)[0] == fx.info("test", "u")


def test_times_of_a_script_are_those_of_the_journal() -> None:
    actor = CallActor(SETUP, echo)
    actor.start()
    actor.deliver(ev.Digit("1"), 1.23456789012)
    actor.deliver(GONE, 2.0000004999)
    assert actor.call.now == 1002.0
    assert replay(decode(actor.journal.encode()), echo).difference is None


def test_names_and_sids_are_new_and_the_same_at_each_replay() -> None:
    first, second, other = Call(SETUP), Call(SETUP), Call(replace(SETUP, seed="cd"))
    sids = [first.new_sid("CA"), first.new_sid("CA"), first.new_sid("MZ")]
    assert len({sid[2:] for sid in sids}) == 3
    assert all(len(sid) == 34 for sid in sids)
    assert second.new_sid("CA") == sids[0]
    assert other.new_sid("CA") != sids[0]
    assert first.token("play") != first.token("play")


# -- the journal ----------------------------------------------------------------------------------------------


def recorded() -> bytes:
    actor = CallActor(SETUP, echo)
    actor.start()
    actor.deliver(ev.Told("CA2", "ended", {"headers": {"X-ü": "\u2028"}, "duration": 1}), 1.0)
    actor.journal.note(1.5, fx.info("sip", "→ 180 Ringing"))
    actor.deliver(
        ev.Fetched("fetch-1", "u", 200, ["Response", {"a": "b"}, ["x", ["Say", {}, ["y"]]]], 0, ""), 2.0
    )
    actor.deliver(GONE, 3.0)
    return actor.journal.encode()


def test_journal_is_read_as_it_was_written() -> None:
    record = decode(recorded())
    assert record.version == __version__
    assert record.setup == SETUP
    assert [line.kind for line in record.lines] == ["start", "event", "note", "event", "event"]
    assert record.lines[-1].event == GONE
    assert record.lines[2].note == fx.info("sip", "→ 180 Ringing")
    found = replay(record, echo)
    assert (found.difference, found.events, found.actor.finished) == (None, 3, True)


def test_a_journal_whose_end_is_cut_off_says_how_much_is_missing() -> None:
    data = recorded()
    head = data.index(b"\n") + 1
    whole = decode(data)
    assert (whole.missing, decode(data.rstrip(b"\n"))) == (0, whole)
    for size in range(head, len(data) - 1):
        record = decode(data[:size])
        assert record.missing == len(whole.lines) - len(record.lines) > 0
        assert record.lines == whole.lines[: len(record.lines)]
    with pytest.raises(JournalError, match="1 lines more"):
        decode(data + b'["start",0.0,[]]\n')


def with_line(data: bytes, line: bytes) -> bytes:
    """A journal of one line more."""
    return data.replace(b'"lines":5', b'"lines":6') + line + b"\n"


class Secret(str):
    """Text of a kind of its own, as the store gives it."""


@pytest.mark.parametrize("odd", ["caf\udce9", Secret("bob")])
def test_text_that_is_unusual_survives_the_journal(odd: str) -> None:
    journal = Journal(SETUP)
    journal.started([fx.Spawn(SETUP), fx.Tell("CA2", "ended", {"headers": {"X": odd}})])
    journal.append(1.0, ev.Told("CA2", odd, {}), [fx.Arm("a", 14400.0)])
    record = decode(journal.encode())
    assert record.setup == SETUP
    spawned, told = record.lines[0].effects
    assert CallSetup.from_plain(spawned[1]) == SETUP
    assert told == ["Tell", "CA2", "ended", {"headers": {"X": odd}}]
    assert record.lines[1].event == ev.Told("CA2", odd, {})


def test_setup_with_everything_survives() -> None:
    setup = CallSetup(
        **{**SETUP.plain(), "page": Page("u", document=["Response", {}, []])}
        | {"status_callback": StatusCallback("s", "GET", ("ringing",)), "targets": ({"uri": "x"},)}
    )
    assert CallSetup.from_plain(json.loads(json.dumps(setup.plain()))) == setup


def test_every_event_survives_the_journal() -> None:
    samples: list[ev.Event] = [
        ev.LegRinging(183, True),
        ev.LegAnswered("id", {"X-A": "b"}),
        GONE,
        ev.LegReferred(3, "<sip:a@b>", "CA3", "CA4"),
        ev.ReferAnswered("refer-1", 202),
        ev.ReferProgress("refer-1", 180, False),
        ev.Digit("#"),
        ev.Played("play-1", False),
        ev.PlayFailed("play-1", 11200, "no"),
        ev.Heard(5.0),
        ev.Fetched("fetch-1", "u", 200, None, 11200, "no"),
        ev.Planned("plan-1", {"targets": [{"hop": ["UDP", "h", 1, 0, "", None]}]}),
        ev.Fired("t"),
        ev.Redirect("u", "GET", None),
        ev.Complete("canceled", "x"),
        ev.Told("CA2", "ready", {}),
    ]
    assert {type(sample) for sample in samples} == set(ev.EVENT_TYPES)
    for sample in samples:
        assert event_from(json.loads(json.dumps(plain(sample)))) == sample


def test_replay_finds_the_first_difference() -> None:
    changed = recorded().replace(b"Told at", b"Sold at")
    difference = replay(decode(changed), echo).difference
    assert difference is not None
    assert difference.line == 3
    assert difference.recorded[0][2].startswith("Sold")
    assert difference.replayed[0][2].startswith("Told")


def test_journal_of_another_version_is_not_replayed() -> None:
    other = recorded().replace(f'"ringback":"{__version__}"'.encode(), b'"ringback":"9.9.9"')
    with pytest.raises(JournalError, match=r"9\.9\.9"):
        replay(decode(other), echo)


def test_journal_is_bounded_and_says_so() -> None:
    journal = Journal(SETUP)
    for _ in range(MAX_JOURNAL_ENTRIES + 1):
        journal.note(0.0, fx.info("x", "y"))
    assert len(journal) == MAX_JOURNAL_ENTRIES
    record = decode(journal.encode())
    assert record.truncated
    with pytest.raises(JournalError, match="cut short"):
        replay(record, echo)


def test_notes_are_bounded() -> None:
    journal = Journal(SETUP)
    journal.note(0.0, fx.info("x", "y" * (MAX_NOTE_LENGTH + 5)))
    (line,) = decode(journal.encode()).lines
    assert line.note is not None
    assert len(line.note.text) == MAX_NOTE_LENGTH + 1


def test_a_journal_can_be_read_while_it_goes_on() -> None:
    journal = Journal(SETUP)
    for number in range(20):
        journal.note(number, fx.info("x", str(number)))
        lines = decode(journal.encode()).lines
        assert [line.note and line.note.text for line in lines] == [str(n) for n in range(number + 1)]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: b"\xff\xfe",
        lambda data: b"[]\n" + data,
        lambda data: data.replace(b'"Told"', b'"Sold"'),
        lambda data: data.replace(b'["start",', b'["begin",'),
        lambda data: with_line(data, b'["event",1.0,["Digit"],[]]'),
        lambda data: with_line(data, b'["event",1.0,7,[]]'),
        lambda data: with_line(data, b"{}"),
        lambda data: data.replace(b'"seed"', b'"soil"'),
    ],
)
def test_damaged_journals_are_journal_errors(change: object) -> None:
    assert callable(change)
    with pytest.raises(JournalError):
        decode(change(recorded()))


# -- outcomes -----------------------------------------------------------------------------------------------------


def test_journal_of_a_call_that_was_cut_off_is_whole_up_to_there() -> None:
    journal = Journal(SETUP)
    told: list[Journal] = []
    journal.changed = told.append
    for number in range(20):
        journal.note(number, fx.info("call", f"line {number}"))
    assert told == [journal]
    taken = journal.take()
    assert taken == journal.take(whole=True) == journal.encode()
    journal.note(20, fx.info("call", "line 20"))
    assert journal.take() == b'["note",20.0,"call","line 20","info",0]\n'
    assert journal.take() == b""
    record = decode(cut_off(taken + b'["note",20.0,"ca', SETUP.started_at + 30, fx.info("call", "cut")))
    assert [line.note.text for line in record.lines if line.note][-2:] == ["line 19", "cut"]
    assert (len(record.lines), record.lines[-1].elapsed, record.missing) == (21, 30.0, 0)


@pytest.mark.parametrize(
    "lines", [b"", b"[1]\n", b'["note",1.0]\n', b"{}\n", b'{"setup":{"started_at":"x"}}\n', b"\xff\n"]
)
def test_what_is_no_journal_cannot_be_cut_off(lines: bytes) -> None:
    with pytest.raises(JournalError):
        cut_off(lines, 1.0, fx.info("call", "cut"))


@pytest.mark.parametrize(
    ("cause", "status", "answered", "outgoing", "word"),
    [
        ("bye", 200, True, True, "completed"),
        ("no-ack", 408, True, False, "completed"),
        ("rejected", 486, False, True, "busy"),
        ("rejected", 600, False, True, "busy"),
        ("rejected", 480, False, True, "no-answer"),
        ("rejected", 487, False, True, "no-answer"),
        ("rejected", 404, False, True, "failed"),
        ("rejected", 603, False, True, "failed"),
        ("timeout", 408, False, True, "no-answer"),
        ("unreachable", 503, False, True, "failed"),
        ("redirected", 302, False, True, "failed"),
        ("error", 488, False, True, "failed"),
        ("cancelled", 487, False, False, "no-answer"),
        ("local", 480, False, False, "no-answer"),
        ("local", 488, False, False, "failed"),
        ("unreachable", 503, False, False, "failed"),
    ],
)
def test_status_of(cause: str, status: int, answered: bool, outgoing: bool, word: str) -> None:
    ended = ev.LegEnded(cause, status, "", {}, "")
    assert status_of(ended, answered=answered, outgoing=outgoing) == word


def test_dial_status_of_many() -> None:
    assert dial_status(["failed", "busy", "completed"]) == "completed"
    assert dial_status(["failed", "canceled", "busy", "no-answer"]) == "no-answer"
    assert dial_status(["failed", "canceled"]) == "canceled"
    assert dial_status([]) == "failed"


def test_failure_rank_prefers_what_a_person_did() -> None:
    met = [("timeout", 408), ("rejected", 404), ("rejected", 480), ("rejected", 486), ("rejected", 603)]
    assert sorted(met, key=lambda each: failure_rank(*each)) == [
        ("rejected", 603),
        ("rejected", 486),
        ("rejected", 480),
        ("rejected", 404),
        ("timeout", 408),
    ]
