"""What a server does at its start about calls that it left behind when it was killed.

Each call that was up is hung up in every dialog that was written down, so that no phone sits in a dead
call, and its record is closed: completed if it had been answered, else failed, with the reason as a Notification. Its
timeline is what the server had written down of it, up to 100 ms before its end. Conferences that were up end with their last
participant's call.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

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


async def close_left_behind(store: Store, stack: SipStack, left_log: JournalLog | None = None) -> int:
    """Hang up and close what the last run left; how many calls it was."""
    closed = 0
    journals = {} if left_log is None else await asyncio.to_thread(left_log.left)
    while page := (await store.page("calls", where={"status": UNFINISHED}, limit=AT_ONCE)).rows:
        for row in page:
            for dialog in row["dialogs"] or []:
                _hang_up(stack, row["sid"], dialog)
            _close(store, row)
            _keep_timeline(store, row, journals.get(row["sid"], b""))
        closed += len(page)
        if not await store.facts.flush():
            log.error("calls of the last run cannot be closed now: the database does not take rows")
            break
    else:
        if left_log is not None:
            left_log.forget()
        await _end_conferences(store)
    if closed:
        log.warning("closed calls that the last run left", count=closed)
    return closed


async def _end_conferences(store: Store) -> None:
    """Every call of the last run is over, and with them what they were in."""
    now = datetime.now(UTC).replace(microsecond=0)
    while rows := (await store.page("conferences", where={"status": RUNNING}, limit=AT_ONCE)).rows:
        for row in rows:
            changes = {
                "status": "completed",
                "reason_conference_ended": "last-participant-left",
                "date_updated": now,
            }
            store.facts.put("conferences", {"sid": row["sid"], **changes})
        if not await store.facts.flush():
            log.error("conferences of the last run cannot be closed now: the database does not take rows")
            return


def _hang_up(stack: SipStack, call_sid: str, dialog: dict[str, Any]) -> None:
    now = time.monotonic()
    try:
        session = stack.agent.restore(dialog)
    except (SipError, KeyError, TypeError, ValueError) as problem:
        log.error("a dialog of the last run cannot be restored", call=call_sid, problem=repr(problem))
        return
    stack.carry_out(session.hangup(now, headers=(("Reason", 'Q.850;cause=41;text="Temporary failure"'),)))


def _keep_timeline(store: Store, row: dict[str, Any], lines: bytes) -> None:
    if not lines:
        return
    try:
        journal = cut_off(lines, time.time(), error("call", REASON, 12400))
        version = decode(journal).version
    except JournalError as problem:
        log.error(
            "the journal of a call of the last run cannot be read", call=row["sid"], problem=str(problem)
        )
        return
    keys = {"call_sid": row["sid"], "account_sid": row["account_sid"]}
    store.facts.put("journals", {**keys, "version": version, "body": packed(journal)})


def _close(store: Store, row: dict[str, Any]) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    answered = row["status"] == "in-progress"
    seconds = int((now - row["start_time"]).total_seconds()) if answered else None
    changes = {
        "status": "completed" if answered else "failed",
        "end_time": now,
        "duration": None if seconds is None else str(max(0, seconds)),
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
            "message_text": REASON,
            "message_date": now,
        },
    )
