"""What stays of a call: its record, its journal, its errors. All by the facts writer, nothing waits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import structlog

from ringback.call.effects import Note
from ringback.call.numbers import is_e164
from ringback.shell.live import LiveCall
from ringback.shell.vault import public
from ringback.store import Store, new_sid, written
from ringback.store.limits import JOURNAL_BYTES
from ringback.store.packing import packed

log = structlog.get_logger("ringback.records")

MORE_INFO = "https://www.twilio.com/docs/errors/"
MOMENTS = ("start_time", "end_time")


def moment(seconds: float) -> datetime:
    """A time of the store, to the second as Twilio shows it."""
    return _second(int(seconds))


@lru_cache(maxsize=100)
def _second(seconds: int) -> datetime:
    """A call writes ten times, nearly all of them the second that it is now."""
    return datetime.fromtimestamp(seconds, UTC)


class Records:
    """Writes calls into the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def new_row(self, setup: Any, phone_number_sid: str = "") -> dict[str, Any]:
        """The record of a call at its start."""
        created = moment(setup.started_at)
        if setup.kind != "inbound":
            caller_id = self._store.configuration.caller_id(setup.account_sid, setup.from_)
            phone_number_sid = caller_id["sid"] if caller_id else ""
        return {
            "sid": setup.sid,
            "account_sid": setup.account_sid,
            "parent_call_sid": setup.parent_sid or None,
            "to": setup.to,
            "from": setup.from_,
            "phone_number_sid": phone_number_sid or None,
            "status": "queued" if setup.kind == "api" else "ringing",
            "direction": setup.direction,
            "start_time": None if setup.kind == "api" else created,
            "end_time": None,
            "duration": None,
            "date_created": created,
            "date_updated": created,
            "caller_name": "" if is_e164(setup.from_) else None,
            "api_version": "2010-04-01",
            "node": self._store.node,
        }

    def opened(self, call: LiveCall) -> None:
        """A call exists."""
        call.recorded = self._store.facts.put("calls", call.row)

    def changed(self, call: LiveCall, changes: dict[str, Any], now: float) -> None:
        """Facts of a call changed; times are given in seconds since the epoch."""
        row = {"sid": call.sid, **changes, "date_updated": moment(now)}
        for name in MOMENTS:
            if name in row:
                row[name] = moment(row[name])
        call.row.update(row)
        if not call.recorded:
            # What was refused at first, because too much waited for the disk, is put whole when there is room again.
            call.recorded = self._store.facts.put("calls", call.row)
            return
        if "end_time" in row:
            row["dialogs"] = None  # nobody is to be hung up any more
        self._store.facts.change("calls", call.sid, row)

    def failed(self, call: LiveCall, note: Note) -> None:
        """An error or warning with a code of Twilio's: a Notification of the call."""
        now = datetime.now(UTC)
        self._store.facts.put(
            "notifications",
            {
                "sid": new_sid("NO"),
                "account_sid": call.setup.account_sid,
                "call_sid": call.sid,
                "error_code": str(note.code),
                "log": "0" if note.level == "error" else "1",
                "message_text": note.text,
                "message_date": now,
                "more_info": f"{MORE_INFO}{note.code}",
                "request_url": public(call.setup.page.url),
                "request_method": call.setup.page.method,
            },
        )

    def talking(self, call: LiveCall) -> None:
        """The call's dialog stands: keep it, so that the next run can hang up if this one dies."""
        session = call.leg.session
        if session is not None:
            row = {"sid": call.sid, "dialogs": written([session.record()])}
            self._store.facts.change("calls", call.sid, row)

    def when_kept(self, told: Callable[[], None]) -> None:
        """Call back once everything so far is on disk."""
        self._store.facts.when_kept(told)

    @property
    def are_late(self) -> bool:
        """Somebody gave up waiting for the disk, and it has taken nothing since."""
        return self._store.facts.is_late

    def given_up(self) -> None:
        """An answer goes out before it is on disk; the next need not wait either, until the disk takes rows."""
        self._store.facts.is_late = True

    def closed(self, call: LiveCall) -> None:
        """The call is over, and its record closed: keep its journal."""
        call.actor.journal.is_closed = True
        body = packed(call.actor.journal.encode())
        if len(body) > JOURNAL_BYTES:
            log.warning("a journal is too long to be kept", call=call.sid, bytes=len(body))
        else:
            self._store.facts.put(
                "journals",
                {
                    "call_sid": call.sid,
                    "account_sid": call.setup.account_sid,
                    "version": call.actor.journal.version,
                    "body": body,
                },
            )
