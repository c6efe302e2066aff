"""What is old goes, with all that is part of it, and nothing that is up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ringback.shell import housekeeping
from ringback.shell.housekeeping import Kept, remove_old
from ringback.shell.recovery import close_forsaken
from ringback.store import Store

ACCOUNT, OTHER = "AC" + "1" * 32, "AC" + "2" * 32
NOW = datetime(2026, 5, 1, tzinfo=UTC)
FACTS = ("calls", "journals", "notifications", "conferences")


@pytest.fixture
async def store(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    monkeypatch.setattr(housekeeping, "BETWEEN", 0.0)
    monkeypatch.setattr(housekeeping, "AT_ONCE", 3)
    async with await Store.open("sqlite://", base_domain="ringback.localhost", node="mine") as opened:
        for sid in (ACCOUNT, OTHER):
            await opened.insert("accounts", {"sid": sid, "auth_token": "t" * 32})
        yield opened


def put(store: Store, number: int, days: float, *, account: str = ACCOUNT, is_over: bool = True) -> None:
    """A call with a journal and a notification, and a conference, from so many days ago."""
    then = NOW - timedelta(days=days)
    sid, about = f"CA{number}", {"account_sid": account, "date_created": then}
    end = then if is_over else None
    store.facts.put("calls", {"sid": sid, **about, "end_time": end})
    store.facts.put("journals", {"call_sid": sid, **about, "body": b"{}"})
    store.facts.put("notifications", {"call_sid": sid, **about})
    status = "completed" if is_over else "in-progress"
    store.facts.put("conferences", {"sid": f"CF{number}", **about, "status": status})


async def left(store: Store) -> dict[str, int]:
    return {table: await store.count(table) for table in FACTS}


async def test_what_explains_a_call_goes_before_its_record(store: Store) -> None:
    for number in range(10):
        put(store, number, 29.9 if number < 4 else 30.1, account=(ACCOUNT, OTHER)[number % 2])
    removed = await remove_old(store, Kept(), NOW.timestamp())
    assert removed == {"journals": 6, "notifications": 6, "calls": 0, "conferences": 0}
    assert await left(store) == {"calls": 10, "journals": 4, "notifications": 4, "conferences": 10}


async def test_records_go_with_their_parts_however_many_they_are(store: Store) -> None:
    for number in range(20):
        put(store, number, 399 if number < 5 else 401, account=(ACCOUNT, OTHER)[number % 2])
    removed = await remove_old(store, Kept(timelines=0), NOW.timestamp())
    assert removed == {"calls": 15, "conferences": 15}
    assert await left(store) == dict.fromkeys(FACTS, 5)


async def test_what_is_up_keeps_its_record(store: Store) -> None:
    put(store, 1, 500, is_over=False)
    put(store, 2, 500)
    await remove_old(store, Kept(records=1), NOW.timestamp())
    assert [row["sid"] for row in (await store.page("calls")).rows] == ["CA1"]
    assert [row["sid"] for row in (await store.page("conferences")).rows] == ["CF1"]


async def test_0_days_keep_all_for_ever(store: Store) -> None:
    put(store, 1, 10_000)
    assert await remove_old(store, Kept(0, 0), NOW.timestamp()) == {}
    assert await left(store) == dict.fromkeys(FACTS, 1)


def row(sid: str, node: str | None, hours: float, **more: Any) -> dict[str, Any]:
    then = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=hours)
    about = {"account_sid": ACCOUNT, "date_created": then, "date_updated": then, "node": node}
    return {"sid": sid, **about, **more}


async def test_what_others_left_open_is_closed_when_it_cannot_be_up_any_more(store: Store) -> None:
    for sid, node, hours in (
        ("CA1", "gone", 49),
        ("CA2", None, 49),
        ("CA3", "gone", 47),
        ("CA4", "mine", 49),
    ):
        store.facts.put("calls", row(sid, node, hours, status="in-progress"))
        store.facts.put("conferences", row(f"CF{sid[2:]}", node, hours, status="in-progress"))
    await close_forsaken(store)
    rows = (await store.page("calls", order="sid")).rows
    assert [row["status"] for row in rows] == ["completed", "completed", "in-progress", "in-progress"]
    assert [row["end_time"] for row in rows] == [rows[0]["date_created"], rows[1]["date_created"], None, None]
    rooms = (await store.page("conferences", order="sid")).rows
    assert [room["status"] for room in rooms] == ["completed", "completed", "in-progress", "in-progress"]
    assert await store.count("notifications") == 2
