"""What a server finds of the run before, and what it makes of it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from unit.shell.test_shell_call_ends import setup_of

from ringback.call.effects import info
from ringback.call.journal import Journal, decode
from ringback.shell.recovery import close_left_behind, find_left_behind
from ringback.store import Store
from ringback.store.journal_log import JournalLog, chunk
from ringback.store.packing import unpacked

ACCOUNT = "AC" + "1" * 32
BEGAN = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with await Store.open("sqlite://", base_domain="ringback.localhost", node="mine") as opened:
        yield opened


def put(store: Store, sid: str, status: str = "in-progress", **more: Any) -> None:
    row = {"sid": sid, "account_sid": ACCOUNT, "status": status, "date_created": BEGAN, "node": store.node}
    start = None if status == "queued" else BEGAN
    store.facts.put("calls", {**row, "start_time": start, "dialogs": [{"call_id": sid}], **more})


class Stack:
    """Notes who is hung up."""

    def __init__(self) -> None:
        self.hung_up: list[str] = []
        self.agent: Any = SimpleNamespace(restore=self._restore)

    def _restore(self, dialog: dict[str, Any]) -> Any:
        return SimpleNamespace(hangup=lambda now, headers: self.hung_up.append(dialog["call_id"]))

    def carry_out(self, _: Any) -> None:
        """Sent."""


def left_log(folder: Path, journal: Journal, alive_at: datetime) -> JournalLog:
    """The log of a run that was last alive at this moment, with a journal."""
    first = JournalLog(folder)
    first.append(chunk("CA1", journal.take()))
    first.close(keep=True)
    os.utime(folder / "1.log", (alive_at.timestamp(),) * 2)
    return JournalLog(folder)


async def test_a_call_lasted_until_its_server_was_last_alive(store: Store, tmp_path: Path) -> None:
    for sid, status in (("CA1", "in-progress"), ("CA2", "ringing"), ("CA3", "queued")):
        put(store, sid, status)
    journal = Journal(setup_of())
    journal.note(1.5, info("call", "hello"))
    log = left_log(tmp_path, journal, BEGAN + timedelta(seconds=61.7))
    stack: Any = Stack()
    await close_left_behind(store, stack, await find_left_behind(store), log)
    rows = (await store.page("calls", order="sid")).rows
    assert [row["status"] for row in rows] == ["completed", "failed", "failed"]
    assert {row["end_time"] for row in rows} == {BEGAN + timedelta(seconds=61)}
    assert [row["duration"] for row in rows] == ["61", None, None]
    assert stack.hung_up == ["CA1", "CA2", "CA3"]
    kept = await store.fetch("journals", "CA1") or {}
    assert next(line.note.text for line in decode(unpacked(kept["body"])).lines if line.note) == "hello"
    assert list(tmp_path.iterdir()) == []


async def test_without_a_sign_of_life_a_call_lasted_until_now(store: Store) -> None:
    put(store, "CA1")
    stack: Any = Stack()
    await close_left_behind(store, stack, await find_left_behind(store))
    row = await store.fetch("calls", "CA1") or {}
    assert abs((row["end_time"] - datetime.now(UTC)).total_seconds()) < 60


async def test_a_clock_that_was_stepped_back_makes_no_call_end_before_it_began(
    store: Store, tmp_path: Path
) -> None:
    put(store, "CA1")
    log = left_log(tmp_path, Journal(setup_of()), BEGAN - timedelta(hours=1))
    stack: Any = Stack()
    await close_left_behind(store, stack, await find_left_behind(store), log)
    row = await store.fetch("calls", "CA1") or {}
    assert (row["end_time"], row["duration"]) == (BEGAN, "0")


async def test_calls_that_come_while_the_last_run_is_tidied_up_are_none_of_it(store: Store) -> None:
    put(store, "CA1")
    left = await find_left_behind(store)
    put(store, "CA2")
    store.facts.put("conferences", {"sid": "CF2", "account_sid": ACCOUNT, "status": "in-progress"})
    stack: Any = Stack()
    await close_left_behind(store, stack, left)
    assert (await store.fetch("calls", "CA2") or {})["status"] == "in-progress"
    assert (await store.fetch("conferences", "CF2") or {})["status"] == "in-progress"
    assert stack.hung_up == ["CA1"]


@pytest.mark.parametrize(("is_alone", "closed"), [(True, ["CA1", "CA2", "CA3"]), (False, ["CA1"])])
async def test_where_others_use_the_database_their_calls_are_let_be(
    store: Store, monkeypatch: pytest.MonkeyPatch, is_alone: bool, closed: list[str]
) -> None:
    for sid, node in (("CA1", "mine"), ("CA2", "other"), ("CA3", None)):
        put(store, sid, node=node)
        store.facts.put(
            "conferences",
            {"sid": f"CF{sid[2:]}", "account_sid": ACCOUNT, "status": "in-progress", "node": node},
        )

    async def told() -> bool:
        return is_alone

    monkeypatch.setattr(store, "is_alone", told)
    stack: Any = Stack()
    left = await find_left_behind(store)
    await close_left_behind(store, stack, left)
    assert stack.hung_up == closed
    rows = (await store.page("calls", where={"status": "completed"}, order="sid")).rows
    assert [row["sid"] for row in rows] == closed
    rooms = (await store.page("conferences", where={"status": "completed"}, order="sid")).rows
    assert [room["sid"] for room in rooms] == [f"CF{sid[2:]}" for sid in closed]


async def test_more_calls_than_a_page_has_are_all_found(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.shell.recovery.AT_ONCE", 3)
    for number in range(10):
        put(store, f"CA{number}")
    stack: Any = Stack()
    await close_left_behind(store, stack, await find_left_behind(store))
    assert len(stack.hung_up) == 10
    assert await store.count("calls", {"status": "in-progress"}) == 0


class FullDisk:
    """Takes nothing; who waits for it does so for seconds."""

    def __init__(self) -> None:
        self.is_late = False
        self.waits = 0

    def put(self, _table: str, _row: dict[str, Any]) -> bool:
        """It waits."""
        return True

    async def flush(self) -> bool:
        self.waits += 1
        self.is_late = True
        return False


async def test_a_disk_that_takes_nothing_is_waited_for_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.shell.recovery.AT_ONCE", 3)
    for number in range(10):
        put(store, f"CA{number}")
    left = await find_left_behind(store)
    disk = FullDisk()
    monkeypatch.setattr(store, "facts", disk)
    stack: Any = Stack()
    await close_left_behind(store, stack, left, left_log(tmp_path, Journal(setup_of()), BEGAN))
    assert (len(stack.hung_up), disk.waits) == (10, 1)
    assert list(tmp_path.iterdir()), "the next start needs it"
