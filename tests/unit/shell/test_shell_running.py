"""Journals of calls that are up, as they are handed to the log."""

from __future__ import annotations

from typing import Any

import pytest
from unit.shell.test_shell_call_ends import setup_of

from ringback.call.effects import info
from ringback.call.journal import Journal, cut_off, decode
from ringback.shell import running as module
from ringback.shell.running import RunningJournals
from ringback.store.journal_log import chunk

WHY = info("call", "the server stopped")


class Log:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.given: list[bytes] = []
        self.anew: list[bytes] = []
        self.is_failing = self.is_waiting = False
        self.kept: bool | None = None

    @property
    def size(self) -> int:
        return sum(len(each) for each in self.given)

    def append(self, chunks: bytes) -> None:
        self.given.append(chunks)

    def begin_anew(self, chunks: bytes) -> None:
        self.anew.append(chunks)
        self.given = [chunks]
        self.is_failing = False

    def close(self, *, keep: bool) -> None:
        self.kept = keep


def watched(count: int = 1) -> tuple[RunningJournals, Log, list[Journal]]:
    log, journals = Log(), [Journal(setup_of()) for _ in range(count)]
    given: Any = log
    running = RunningJournals(given, lambda: journals)
    for journal in journals:
        running.watch(journal)
    return running, log, journals


def say(journal: Journal, text: str) -> None:
    journal.note(len(journal) + 1.0, info("call", text))


async def test_lines_are_appended_as_they_come() -> None:
    running, log, (journal,) = watched()
    say(journal, "one")
    say(journal, "two")
    assert log.given == []
    running._tick()
    say(journal, "three")
    running._tick()
    first, second = log.given
    sid = journal.setup.sid
    assert second == chunk(sid, b'["note",3.0,"call","three","info",0]\n')
    lines = first.partition(b"\n")[2] + second.partition(b"\n")[2]
    record = decode(cut_off(lines, journal.setup.started_at + 9.5, WHY))
    assert [(line.elapsed, line.note.text) for line in record.lines if line.note] == [
        (1.0, "one"),
        (2.0, "two"),
        (3.0, "three"),
        (9.5, WHY.text),
    ]
    assert (record.setup, record.missing, record.truncated) == (journal.setup, 0, False)
    running.close(keep=True)
    assert log.kept


async def test_a_tick_comes_by_itself_and_only_for_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK", 0)
    running, log, (journal,) = watched()
    say(journal, "one")
    assert running._timer is not None
    while not log.given:
        await module.asyncio.sleep(0)
    assert running._timer is None


async def test_a_journal_that_is_closed_is_appended_no_more() -> None:
    running, log, (one, two) = watched(2)
    say(one, "one")
    say(two, "two")
    one.is_closed = True
    running._tick()
    assert [each.count(b"note") for each in log.given] == [1]
    say(one, "again")
    assert running._timer is None


async def test_a_log_that_failed_is_begun_anew_with_whole_journals_at_times() -> None:
    running, log, (one, two) = watched(2)
    say(one, "one")
    running._tick()
    log.is_failing = True
    say(two, "two")
    running._tick()
    (whole,) = log.anew
    assert (whole.count(b'"one"'), whole.count(b'"two"'), whole.count(b"setup")) == (1, 1, 2)
    log.is_failing = True
    say(one, "three")
    running._tick()
    assert len(log.anew) == 1  # not before RETRY seconds have passed
    running._not_before = 0.0
    log.is_waiting = True
    say(one, "four")
    running._tick()
    assert len(log.anew) == 1
    log.is_waiting = False
    say(one, "five")
    running._tick()
    assert all(text in log.anew[1] for text in (b"three", b"four", b"five"))


async def test_a_large_log_is_begun_anew_and_journals_that_are_too_large_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LARGE", 10)
    running, log, (journal,) = watched()
    running._large = 10
    for text in ("one", "two"):
        say(journal, text)
        running._tick()
    assert b"one" in log.anew[0]
    assert running._large == 2 * len(log.anew[0])
    monkeypatch.setattr(module, "MOST", 10)
    log.is_failing, running._not_before = True, 0.0
    say(journal, "three")
    running._tick()
    assert log.anew[1] == b""
