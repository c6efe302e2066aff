"""The store: durable rows, the configuration in memory, and the facts writer, behind one object.

    REST, console --insert/update/delete--> database --> configuration --> subscribers
    call path     --configuration.*  (memory, never waits)
    call path     --facts.put        (memory, never waits) --> facts writer --> database --> subscribers

A write that has begun is finished even when its caller is cancelled, so that memory and disk agree.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import structlog
from sqlalchemy import Table, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ringback.store import repository
from ringback.store.configuration import Configuration
from ringback.store.engine import connect_writer, file_of, migrate, open_engine
from ringback.store.errors import Unavailable, UsageError
from ringback.store.facts import Batch, Facts
from ringback.store.failures import plain_reason, store_error
from ringback.store.limits import CALLBACKS
from ringback.store.nodes import Nodes
from ringback.store.registrations import Registrations
from ringback.store.repository import Page, Range, Written
from ringback.store.rows import Row, changed, completed, key_of, table_named
from ringback.store.saving import EngineSaver
from ringback.store.sqlite_writer import FileSaver
from ringback.store.tables import CONFIGURATION, FACTS, installation, metadata

log = structlog.get_logger("ringback.store")

DEFAULT_REALM = "sip.twilio.com"
"""Realm of digest challenges, as Twilio's: HA1s moved from there stay valid."""

_BY_ACCOUNT = frozenset({"calls", "conferences"})
"""Tables of facts whose only index by date is one by account, too."""

T = TypeVar("T")
Changed = Callable[[str, str], None]
"""Told the table and the key of every row that was written or deleted."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What is fixed at the first start."""

    realm: str
    nonce_key: bytes = field(repr=False)
    session_key: bytes = field(repr=False)


class Store:
    """Made by `Store.open`; belongs to the event loop that opened it."""

    def __init__(self, engine: AsyncEngine, configuration: Configuration, node: str) -> None:
        self._engine = engine
        self.node = node
        """Which server this is, among those of one database: its rows of calls, conferences and registrations say so."""
        self._writes = engine.execution_options(ringback_writes=True)
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._callbacks: list[Changed] = []
        self.configuration = configuration
        self._saver: EngineSaver | FileSaver
        file = file_of(engine)
        if file is None:
            self._saver = EngineSaver(self._writes, self._lock, _now, self._saved)
        else:
            self._saver = FileSaver(partial(connect_writer, file), self._lock, _now, self._saved)
        self.facts = Facts(self._saver)
        several = engine.dialect.name == "postgresql"
        self.registrations = Registrations(self.facts, self._read, self._write, node, is_shared=several)
        self.installation = Installation(DEFAULT_REALM, b"", b"")
        self._nodes = Nodes(engine, self._read_again, self.reload) if several else None

    @classmethod
    async def open(cls, url: str, *, base_domain: str, realm: str = DEFAULT_REALM, node: str = "") -> "Store":
        """Open the database, bring its schema up to date and load the configuration.

        `url`: `sqlite:///file`, a bare file path, `sqlite://` (memory) or `postgresql://...`. `realm` counts
        at the first start only. `node` says which server this is. Raises Unavailable, SchemaTooNew, UsageError.
        """
        try:
            engine = open_engine(url)
        except OSError as error:
            raise Unavailable(plain_reason(error)) from error
        store = cls(engine, Configuration(base_domain), node)
        try:
            await migrate(engine)
            await store._first_start(realm)
            await store.reload()
        except (DBAPIError, OSError) as error:
            await engine.dispose()
            raise Unavailable(plain_reason(error)) from error
        except BaseException:
            await engine.dispose()
            raise
        store.facts.start()
        if store._nodes is not None:
            store._nodes.start()
        return store

    async def is_alone(self) -> bool:
        """Whether no other server uses this database now, so that whatever is open in it is a left-over. False in doubt."""
        return self._nodes is None or await self._nodes.are_alone()

    async def close(self) -> None:
        """Save what is pending, finish running writes and let go of the database."""
        if self._nodes is not None:
            await self._nodes.close()
        await self.facts.close()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._saver.close()
        await self._engine.dispose()

    async def __aenter__(self) -> "Store":
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    # --- rows -------------------------------------------------------------------------------------

    async def insert(self, table_name: str, row: Mapping[str, Any]) -> Row:
        """Store a new row and return it whole: sid, dates and defaults filled in. Raises Conflict."""
        return (await self.insert_all([(table_name, row)]))[0]

    async def insert_all(self, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Row]:
        """Store new rows of several tables, all or none; their order is that of their date_created."""
        now, made = _now(), []
        for position, (table_name, given) in enumerate(rows):
            table = table_named(table_name)
            made.append((table, completed(table, given, now + timedelta(microseconds=position))))

        async def work(connection: AsyncConnection) -> Written:
            for table, row in made:
                await _execute(connection, table, insert(table), row)
            return [(table, row[key_of(table)], row) for table, row in made]

        await self._write(work)
        return [dict(row) for _, row in made]

    async def fetch(self, table_name: str, key: str, account_sid: str | None = None) -> Row | None:
        """Return a row by its key, None if there is none; with `account_sid` only if it is that account's."""
        table = await self._readable(table_name)
        return await self._read(lambda connection: repository.fetch(connection, table, key, account_sid))

    async def update(
        self, table_name: str, key: str, account_sid: str | None, changes: Mapping[str, Any]
    ) -> Row | None:
        """Change a row and return it as it is now; None if there is none (of this account). Raises Conflict."""
        table = await self._readable(table_name)
        values = changed(table, changes, _now())

        async def work(connection: AsyncConnection) -> Written:
            try:
                row = await repository.change(connection, table, key, account_sid, values)
            except DBAPIError as error:
                raise store_error(table, error) from error
            return [] if row is None else [(table, key, row)]

        written = await self._write(work)
        return dict(written[0][2] or {}) if written else None

    async def delete(self, table_name: str, key: str, account_sid: str | None = None) -> bool:
        """Delete a row with everything that is part of it; False if there is none (of this account)."""
        table = await self._readable(table_name)

        async def work(connection: AsyncConnection) -> Written:
            if await repository.fetch(connection, table, key, account_sid) is None:
                return []
            gone = await repository.remove(connection, table, key)
            return [(metadata.tables[name], gone_key, None) for name, gone_key in gone]

        return bool(await self._write(work))

    async def remove_older(self, table_name: str, before: datetime, at_most: int) -> AsyncIterator[int]:
        """Delete the rows of facts from before a moment, of what is over, with their parts.

        Gives after each transaction how many it was, `at_most` of one account. They are looked for outside of it, because
        nothing else is written meanwhile, and that takes seconds where there are a thousand accounts.
        """
        table = await self._readable(table_name)
        accounts = (
            [row["sid"] for row in self.configuration.accounts()] if table_name in _BY_ACCOUNT else [None]
        )
        for account in accounts:
            count = at_most
            while count == at_most:
                count = await self._remove_older(table, before, account, at_most)
                if count:
                    yield count

    async def _remove_older(self, table: Table, before: datetime, account: str | None, at_most: int) -> int:
        keys = await self._read(
            lambda connection: repository.older(connection, table, before, account, at_most)
        )

        async def work(connection: AsyncConnection) -> Written:
            await repository.remove_all(connection, table, keys)
            return []

        if keys:
            await self._write(work)
        return len(keys)

    async def page(
        self,
        table_name: str,
        *,
        where: Mapping[str, Any] | None = None,
        ranges: Iterable[Range] = (),
        order: str | Sequence[str] = "-date_created",
        limit: int = 50,
        offset: int = 0,
    ) -> Page:
        """Return rows and whether more follow.

        `where` holds equal values (None for empty, a list for one of several), `ranges` comparisons such as
        `("start_time", ">=", moment)`, `order` column names, `-` before one for downwards. At most 1,000 rows.
        """
        table = await self._readable(table_name)
        by = [order] if isinstance(order, str) else list(order)
        wanted, between = where or {}, list(ranges)
        return await self._read(
            lambda connection: repository.page(
                connection, table, where=wanted, ranges=between, order=by, limit=limit, offset=offset
            )
        )

    async def count(self, table_name: str, where: Mapping[str, Any] | None = None) -> int:
        """Return how many rows match, as in `page`."""
        table = await self._readable(table_name)
        return await self._read(lambda connection: repository.count(connection, table, where or {}))

    # --- changes and settings ---------------------------------------------------------------------

    def on_change(self, callback: Changed) -> Callable[[], None]:
        """Call `callback(table, key)` after each write is durable and visible; returns what ends it.

        It runs on the loop and must not block; what it raises is reported and stops nothing.
        """
        if len(self._callbacks) >= CALLBACKS:
            raise UsageError("too many subscribers")
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback) if callback in self._callbacks else None

    async def set_default_domain(self, domain_sid: str) -> None:
        """Make this the domain of requests to the server's own address."""

        async def work(connection: AsyncConnection) -> Written:
            await connection.execute(update(installation).values(default_domain_sid=domain_sid))
            return [(installation, domain_sid, None)]

        await self._write(work)

    async def reload(self) -> None:
        """Read the whole configuration again, for changes that another node has made."""
        async with self._lock:
            async with self._engine.begin() as connection:
                row = (await connection.execute(select(installation))).mappings().one()
                for name in CONFIGURATION:
                    table = metadata.tables[name]
                    query = select(table).order_by(table.columns.date_created, table.columns.sid)
                    self.configuration.load(
                        name, [dict(r) for r in (await connection.execute(query)).mappings()]
                    )
            self.configuration.default_domain_sid = row["default_domain_sid"]
        self.installation = Installation(row["realm"], row["nonce_key"], row["session_key"])

    # --- inside -----------------------------------------------------------------------------------

    async def _first_start(self, realm: str) -> None:
        """Write the installation's row unless it is there, or another node is first."""
        row = {
            "id": 1,
            "realm": realm,
            "nonce_key": secrets.token_bytes(32),
            "session_key": secrets.token_bytes(32),
            "date_created": _now(),
        }
        with suppress(IntegrityError):
            async with self._writes.begin() as connection:
                if (await connection.execute(select(installation.columns.id))).first() is None:
                    await connection.execute(insert(installation).values(row))

    async def _readable(self, table_name: str) -> Table:
        """Return the table; facts that wait for the disk are brought there first, so that one reads one's writes."""
        table = table_named(table_name)
        if table_name in FACTS:
            await self.facts.flush()
        return table

    async def _read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        try:
            async with self._engine.connect() as connection:
                return await work(connection)
        except (SQLAlchemyError, OSError) as error:
            raise Unavailable(plain_reason(error)) from error

    async def _write(self, work: Callable[[AsyncConnection], Awaitable[Written]]) -> Written:
        """Run `work` in a transaction, then bring the configuration up to date and tell the subscribers."""
        return await self._to_its_end(self._transact(work))

    async def _transact(self, work: Callable[[AsyncConnection], Awaitable[Written]]) -> Written:
        async with self._lock:
            try:
                async with self._writes.begin() as connection:
                    written = await work(connection)
                    if self._nodes is not None:
                        keys = [(table.name, key) for table, key, _ in written if table.name not in FACTS]
                        await self._nodes.announce(connection, keys)
            except (SQLAlchemyError, OSError) as error:
                raise Unavailable(plain_reason(error)) from error
            for table, key, row in written:
                self._take_over(table, key, row)
        self._tell([(table.name, key) for table, key, _ in written])
        return written

    def _take_over(self, table: Table, key: str, row: Row | None) -> None:
        """Bring the configuration up to date with one row as it is now."""
        if table is installation:
            self.configuration.default_domain_sid = key
        elif table.name in FACTS:
            return
        elif row is None:
            self.configuration.drop(table.name, key)
        else:
            self.configuration.put(table.name, row)

    async def _read_again(self, keys: Sequence[tuple[str, str]]) -> None:
        """Take over rows that another node has changed."""
        known = [(metadata.tables[name], key) for name, key in keys if name in metadata.tables]

        async def work(connection: AsyncConnection) -> Written:
            return [
                (
                    table,
                    key,
                    None if table is installation else await repository.fetch(connection, table, key, None),
                )
                for table, key in known
            ]

        async with self._lock:
            for table, key, row in await self._read(work):
                self._take_over(table, key, row)
        self._tell([(table.name, key) for table, key in known])

    async def _to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in a task of the store's, which goes on when the caller is cancelled."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # the caller may be gone; looked at, it is not reported as forgotten

    def _saved(self, batch: Batch) -> None:
        self._tell(list(batch))

    def _tell(self, keys: list[tuple[str, str]]) -> None:
        for callback in tuple(self._callbacks):
            try:
                for table_name, key in keys:
                    callback(table_name, key)
            except Exception:  # the guard around somebody else's code
                log.exception("change_not_handled", callback=getattr(callback, "__qualname__", "?"))


async def _execute(connection: AsyncConnection, table: Table, statement: Any, row: Row) -> None:
    try:
        await connection.execute(statement, row)
    except DBAPIError as error:
        raise store_error(table, error) from error


def _now() -> datetime:
    return datetime.now(UTC)
