"""What a server does at its start about calls that it left behind when it was killed.

Each call that was up is hung up in every dialog that was written down, so that no phone sits in a dead
call, and its record is closed: completed if it had been answered, else failed, with the reason as a Notification. It lasted
until the server was last known to be alive. Its timeline is what the server had written down of it, up to 100 ms before its end.
Conferences that were up end with their last participant's call.

Several servers may use one database. What is open in it is a left-over if this server left it, or if no other server is there;
what nobody comes back for is closed when no call can have lasted so long.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog

from ringback.call.effects import error
from ringback.call.errors import JournalError
from ringback.call.journal import cut_off, decode
from ringback.shell.sip_stack import SipStack
from ringback.sip.errors import SipError
from ringback.store import Store, new_sid
from ringback.store.journal_log import JournalLog
from ringback.store.packing import packed

log = structlog.get_logger("ringback.recovery")

UNFINISHED = ["queued", "ringing", "in-progress"]
RUNNING = ["init", "in-progress"]
AT_ONCE = 500
"""Calls or conferences of one page; more pages follow."""
REASON = "the server stopped while the call was up; it was ended at the next start"
NOBODY_CAME_BACK = "the server that had the call stopped, and did not come back"
GIVEN_UP_AFTER: Final = timedelta(hours=48)
"""A call may last for 24 hours, and be given as many once more while it is up."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """What the last run left open."""

    calls: list[Row]
    conferences: list[Row]


async def find_left_behind(store: Store) -> LeftBehind:
    """To be called before a call can come in: what is open then is of no call of this run."""
    whose = {} if await store.is_alone() else {"node": store.node}
    calls = await _all(store, "calls", {"status": UNFINISHED, "end_time": None, **whose})
    return LeftBehind(calls, await _all(store, "conferences", {"status": RUNNING, **whose}))


async def _all(store: Store, table: str, where: dict[str, Any], before: datetime | None = None) -> list[Row]:
    rows: list[Row] = []
    ranges = [] if before is None else [("date_created", "<", before)]
    has_more = True
    while has_more:
        page = await store.page(
            table, where=where, ranges=ranges, order="date_created", limit=AT_ONCE, offset=len(rows)
        )
        rows += page.rows
        has_more = page.has_more
    return rows


async def close_left_behind(
    store: Store, stack: SipStack, left: LeftBehind, left_log: JournalLog | None = None
) -> None:
    """Hang up and close what the last run left."""
    journals, last_alive = {}, None
    if left_log is not None:
        journals, last_alive = await asyncio.to_thread(left_log.left), left_log.last_alive()
    ended = datetime.fromtimestamp(min(last_alive or time.time(), time.time()), UTC)
    for first in range(0, len(left.calls), AT_ONCE):
        for row in left.calls[first : first + AT_ONCE]:
            for dialog in row["dialogs"] or []:
                _hang_up(stack, row["sid"], dialog)
            _close(store, row, ended, REASON)
            _keep_timeline(store, row, journals.get(row["sid"], b""), ended)
        if not store.facts.is_late:
            await store.facts.flush()
    _end_conferences(store, left.conferences, ended.replace(microsecond=0))
    if store.facts.is_late or not await store.facts.flush():
        log.error("calls of the last run cannot be closed now: the database does not take rows")
    elif left_log is not None:
        left_log.forget()
    if left.calls:
        log.warning("closed calls that the last run left", count=len(left.calls))


async def close_forsaken(store: Store) -> None:
    """Close what other servers left open, when it cannot be up any more."""
    before = datetime.now(UTC) - GIVEN_UP_AFTER
    calls = await _all(store, "calls", {"status": UNFINISHED, "end_time": None}, before)
    others = [row for row in calls if row["node"] != store.node]
    for row in others:
        _close(store, row, row["date_updated"], NOBODY_CAME_BACK)
    rooms = await _all(store, "conferences", {"status": RUNNING}, before)
    _end_conferences(store, [row for row in rooms if row["node"] != store.node], None)
    if others:
        log.warning("closed calls that nobody came back for", count=len(others))


def _end_conferences(store: Store, rows: Iterable[Row], ended: datetime | None) -> None:
    """Every call that was in them is over."""
    for row in rows:
        changes = {
            "status": "completed",
            "reason_conference_ended": "last-participant-left",
            "date_updated": ended or row["date_updated"],
        }
        store.facts.put("conferences", {"sid": row["sid"], **changes})


def _hang_up(stack: SipStack, call_sid: str, dialog: dict[str, Any]) -> None:
    now = time.monotonic()
    try:
        session = stack.agent.restore(dialog)
    except (SipError, KeyError, TypeError, ValueError) as problem:
        log.error("a dialog of the last run cannot be restored", call=call_sid, problem=repr(problem))
        return
    stack.carry_out(session.hangup(now, headers=(("Reason", 'Q.850;cause=41;text="Temporary failure"'),)))


def _keep_timeline(store: Store, row: Row, lines: bytes, ended: datetime) -> None:
    if not lines:
        return
    try:
        journal = cut_off(lines, ended.timestamp(), error("call", REASON, 12400))
        version = decode(journal).version
    except JournalError as problem:
        log.error(
            "the journal of a call of the last run cannot be read", call=row["sid"], problem=str(problem)
        )
        return
    keys = {"call_sid": row["sid"], "account_sid": row["account_sid"]}
    store.facts.put("journals", {**keys, "version": version, "body": packed(journal)})


def _close(store: Store, row: Row, ended: datetime, reason: str) -> None:
    answered = row["status"] == "in-progress"
    began = row["start_time"] or row["date_created"]
    ended = max(ended.replace(microsecond=0), began)
    seconds = int((ended - began).total_seconds()) if answered else None
    now = datetime.now(UTC).replace(microsecond=0)
    changes = {
        "status": "completed" if answered else "failed",
        "end_time": ended,
        "duration": None if seconds is None else str(seconds),
        "date_updated": now,
        "dialogs": None,
    }
    store.facts.put("calls", {"sid": row["sid"], **changes})
    store.facts.put(
        "notifications",
        {
            "sid": new_sid("NO"),
            "account_sid": row["account_sid"],
            "call_sid": row["sid"],
            "error_code": "12400",
            "log": "0",
            "message_text": reason,
            "message_date": now,
        },
    )
