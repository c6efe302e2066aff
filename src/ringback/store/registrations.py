"""The registrar's bindings on disk, so that phones can be called at once after a restart.

A phone may be registered with several servers of one database, with one contact: each keeps a row of its own.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import ceil
from typing import Any, Final, TypeVar

from sqlalchemy import and_, delete, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.sip.binding import Binding, Change
from ringback.sip.errors import SipSyntaxError
from ringback.sip.flow import Hop
from ringback.sip.limits import MAX_REMEMBERED_TEXT
from ringback.sip.uri import Uri
from ringback.store.facts import Facts
from ringback.store.limits import ADOPTED_AT_ONCE
from ringback.store.repository import Written
from ringback.store.rows import Row
from ringback.store.sids import derived_sid
from ringback.store.tables import registrations

REMEMBERED_KEYS: Final = 4_096
"""Keys of rows, at 1 kB at most: phones come back, and a key takes a fortieth of all that a REGISTER does."""

FORSAKEN_AFTER: Final = timedelta(days=1)
"""A server that is there deletes what expired within a minute, or as soon as the disk takes rows."""

T = TypeVar("T")
Read = Callable[[Callable[[AsyncConnection], Awaitable[Any]]], Awaitable[Any]]
Write = Callable[[Callable[[AsyncConnection], Awaitable[Written]]], Awaitable[Written]]


class Registrations:
    """Those of the server ``node``: written through the facts writer, so that a REGISTER never waits; read once at the start.

    Of a binding that was renewed only what is new is written, a third of the work; but all of it where the database
    ``is_shared`` with other servers, who delete the rows of one that they take for dead.
    """

    def __init__(self, facts: Facts, read: Read, write: Write, node: str, *, is_shared: bool = False) -> None:
        self._facts = facts
        self._read = read
        self._write = write
        self._node = node
        self._is_shared = is_shared

    def record(self, change: Change, *, account_sid: str, domain_sid: str) -> bool:
        """Take over what a REGISTER changed; False when too much waits for the disk."""
        if change.kind == "removed":
            return self.forget(change.binding)
        binding, before = change.binding, change.before
        key = self._key(binding)
        if (
            before is not None
            and before.stored_for == domain_sid
            and not self._is_shared
            and binding.renews(before)
        ):
            row = _renewal(key, binding)
        else:
            row = self._row(key, binding, account_sid, domain_sid)
        is_taken = self._facts.change("registrations", key, row)
        if is_taken:
            binding.stored_for = domain_sid
        return is_taken

    def forget(self, binding: Binding) -> bool:
        """Delete a binding that expired or was lost; False when too much waits for the disk."""
        return self._facts.remove("registrations", self._key(binding))

    async def load(self, now: float, *, of_all: bool = True) -> list[Binding]:
        """Return the bindings that are alive at `now` (seconds of the wall clock), and delete the others.

        They are this server's and those that say no server's; with `of_all` everybody's. All are this one's from then on.
        What others should have deleted a day ago they will not: they did not come back.
        """
        moment = datetime.fromtimestamp(now, UTC)
        columns = registrations.columns
        wanted = [true() if of_all else or_(columns.node == self._node, columns.node.is_(None))]
        is_over = and_(columns.expires_at <= moment, *wanted)
        is_forsaken = columns.expires_at <= moment - FORSAKEN_AFTER
        await self._facts.flush()

        async def clear(connection: AsyncConnection) -> Written:
            await connection.execute(delete(registrations).where(or_(is_over, is_forsaken)))
            return []

        async def read(connection: AsyncConnection) -> list[Row]:
            query = select(registrations).where(*wanted).order_by(columns.date_created, columns.sid)
            return [dict(row) for row in (await connection.execute(query)).mappings()]

        await self._write(clear)
        found = []
        for row in await self._read(read):
            binding = _binding(row)
            if binding is not None:
                found.append(binding)
                self._adopt(row, binding)
                if len(found) % ADOPTED_AT_ONCE == 0:
                    await self._facts.flush()
        return found

    def _adopt(self, row: Row, binding: Binding) -> None:
        """A row of ours is as it is known; one that was another's, or of a version before, becomes ours."""
        key = self._key(binding)
        if row["sid"] == key:
            binding.stored_for = row["domain_sid"] or ""
        else:
            self._facts.remove("registrations", row["sid"])
            own = self._row(key, binding, row["account_sid"], row["domain_sid"])
            self._facts.put("registrations", {**own, "date_created": row["date_created"]})

    def _key(self, binding: Binding) -> str:
        """A device may have several flows with one contact (RFC 5626 section 6): its instance and reg-id tell them apart."""
        contact = binding.contact_text
        derived = _sid_remembered if len(contact) <= MAX_REMEMBERED_TEXT else _sid
        return derived(self._node, binding.aor, contact, binding.instance, binding.reg_id)

    def _row(self, key: str, binding: Binding, account_sid: str, domain_sid: str) -> Row:
        return {
            "sid": key,
            "account_sid": account_sid,
            "domain_sid": domain_sid,
            "aor": binding.aor,
            "contact": binding.contact_text,
            "received": binding.received.parts(),
            "expires_at": _second(ceil(binding.expires_at)),
            "call_id": binding.call_id,
            "cseq": binding.cseq,
            "user_agent": binding.user_agent,
            "path": list(binding.path),
            "instance": binding.instance,
            "reg_id": binding.reg_id,
            "q": binding.q,
            "node": self._node,
        }


def _renewal(key: str, binding: Binding) -> Row:
    return {
        "sid": key,
        "expires_at": _second(ceil(binding.expires_at)),
        "call_id": binding.call_id,
        "cseq": binding.cseq,
    }


def _sid(*parts: str) -> str:
    return derived_sid("RG", *parts)


_sid_remembered: Final = lru_cache(maxsize=REMEMBERED_KEYS)(_sid)


@lru_cache(maxsize=256)
def _second(seconds: int) -> datetime:
    """On a busy server many expire in one second, which is then written once."""
    return datetime.fromtimestamp(seconds, UTC)


def _binding(row: Row) -> Binding | None:
    """Return the binding of a row; None when this version cannot read it."""
    try:
        transport, host, port, connection, server_name, local = row["received"]
        contact = Uri.parse(row["contact"])
    except (SipSyntaxError, ValueError, TypeError):
        return None
    return Binding(
        row["aor"],
        contact,
        Hop(transport, host, port, connection, server_name, None if local is None else (local[0], local[1])),
        row["expires_at"].timestamp(),
        row["call_id"] or "",
        row["cseq"] or 0,
        row["user_agent"] or "",
        tuple(row["path"] or ()),
        row["instance"] or "",
        row["reg_id"] or "",
        1.0 if row["q"] is None else row["q"],
    )
