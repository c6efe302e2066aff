"""Batches of facts in a SQLite file: a thread with a connection of its own, and statements prepared once.

    loop    save(batch) --SimpleQueue--> thread: BEGIN IMMEDIATE, an executemany for each table and set of columns,
            future <--call_soon_threadsafe--     COMMIT

The SQL is SQLAlchemy's (`ringback.store.statements`), written once for each table and set of columns; values are
checked and turned into what SQLite stores in one step. Through SQLAlchemy the same rows took six times the work.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from queue import SimpleQueue
from sys import intern
from threading import Thread
from typing import Any

from sqlalchemy import JSON, Column, Insert, Table, Text, Update
from sqlalchemy.dialects import sqlite

from ringback.store.columns import UtcDateTime
from ringback.store.errors import Unavailable, UsageError
from ringback.store.facts import Batch, Rejected
from ringback.store.failures import plain_reason
from ringback.store.rows import Row, check_of, default_of, key_of, written
from ringback.store.statements import ROW_KEY, delete_row, put_row
from ringback.store.tables import metadata

_UNACCEPTABLE = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    UsageError,
    ValueError,
    OverflowError,
)
"""What a row does that the database would never take; all else of SQLite's may pass: locked, full, gone."""

_HARMLESS = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL})
"""Errors after which the connection is as good as before."""

_DATES = ("date_created", "date_updated")

_DIALECT = sqlite.dialect(paramstyle="qmark")

Parameters = Sequence[Any]


class Prepared:
    """A statement's text, and how its parameters are made of a row."""

    __slots__ = ("_checks", "_lacking", "_made", "_pick", "_texts", "sql")

    def __init__(self, statement: Insert | Update, table: Table, columns: tuple[str, ...]) -> None:
        keys = sorted({*columns, *_DATES}) if isinstance(statement, Insert) else None
        compiled = statement.compile(dialect=_DIALECT, column_keys=keys)
        # SQLAlchemy's names are a kind of str of its own, with which dictionaries are slow.
        names = [
            intern(str(key_of(table) if name == ROW_KEY else name)) for name in compiled.positiontup or ()
        ]
        self.sql = str(compiled)
        given = [name for name in names if name in columns]
        self._pick: Callable[[Row], tuple[Any, ...]] = itemgetter(*given, given[0])
        self._lacking = [
            (place, None if name in _DATES else default_of(table.columns[name]), name in _DATES)
            for place, name in enumerate(names)
            if name not in columns
        ]
        texts = [place for place, name in enumerate(names) if isinstance(table.columns[name].type, Text)]
        self._texts: Callable[[list[Any]], tuple[Any, ...]] = itemgetter(*texts, texts[0])
        self._checks = [(place, check_of(table.columns[names[place]])) for place in texts]
        self._made = [
            (place, _made_of(table.columns[name]))
            for place, name in enumerate(names)
            if name in columns and place not in texts
        ]

    def values(self, given: Row, now: str) -> list[Any]:
        """Return the parameters for a row; dates that it lacks are `now`. Raises UsageError for a value of the wrong kind.

        Text is looked at as a whole first: what is plain ASCII needs no further check.
        """
        row = [*self._pick(given)]
        del row[-1]  # is there twice, because of one column alone there would be no tuple
        for place, default, is_date in self._lacking:
            row.insert(place, now if is_date else default)
        try:
            text = "".join(filter(None, self._texts(row)))
            plain = text.isascii() and "\x00" not in text
        except TypeError:
            plain = False
        if not plain:
            for place, check in self._checks:
                if row[place] is not None:
                    row[place] = check(row[place])
        for place, made_of in self._made:
            value = row[place]
            if value is not None:
                row[place] = made_of(value)
        return row


class FileSaver:
    """Saves batches in the writer's thread, one at a time with the store's other writes."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        lock: asyncio.Lock,
        now: Callable[[], datetime],
        saved: Callable[[Batch], None],
    ) -> None:
        self.writing = Writing(connect)
        self._lock = lock
        self._now = now
        self._saved = saved
        self._jobs: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = SimpleQueue()
        self._thread: Thread | None = None

    async def __call__(self, batch: Batch) -> Rejected:
        """Commit the batch without the rows that are unacceptable; return those, and why.

        Raises Unavailable when the database does not work now.
        """
        now = self._now()
        async with self._lock:
            rejected: Rejected = await self.run(lambda: self.writing.save(batch, now))
        self._saved(batch)
        return rejected

    async def run(self, work: Callable[[], Any]) -> Any:
        """Do something in the thread."""
        if self._thread is None:
            self._thread = Thread(target=self._work, name="facts", daemon=True)
            self._thread.start()
        done = asyncio.get_running_loop().create_future()
        self._jobs.put((work, done))
        return await done

    async def close(self) -> None:
        """Let the thread end what it does, and let go of its connection."""
        if self._thread is not None:
            await self.run(self.writing.close)
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, done = job
            result = error = None
            try:
                result = work()
            except Exception as problem:  # noqa: BLE001 - it is the caller's
                error = problem
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                done.get_loop().call_soon_threadsafe(_settle, done, result, error)


def _settle(done: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)


class Writing:
    """The connection, and what is done on it. Belongs to one thread.

    After an error of which SQLite does not say that it is harmless a new connection is made.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._connection: sqlite3.Connection | None = None

    def save(self, batch: Batch, now: datetime) -> Rejected:
        """Commit the batch without the rows that are unacceptable; return those. Raises Unavailable."""
        try:
            try:
                self._commit(batch, now)
            except _UNACCEPTABLE:
                self._roll_back()
                return self._commit_one_by_one(batch, now)
        except sqlite3.Error as error:
            self._recover(error)
            raise Unavailable(plain_reason(error)) from error
        return []

    def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def connection(self) -> sqlite3.Connection:
        """Return the connection, a new one if there is none."""
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _begin(self) -> sqlite3.Connection:
        connection = self.connection()
        connection.execute("BEGIN IMMEDIATE")
        return connection

    def _commit(self, batch: Batch, now: datetime) -> None:
        statements = _statements(batch, now)
        connection = self._begin()
        for sql, rows in statements:
            connection.executemany(sql, rows)
        connection.execute("COMMIT")

    def _commit_one_by_one(self, batch: Batch, now: datetime) -> Rejected:
        """An unacceptable row fails alone: SQLite takes back its statement, not the transaction."""
        rejected = []
        connection = self._begin()
        for key, fact in batch.items():
            try:
                for sql, rows in _statements({key: fact}, now):
                    connection.executemany(sql, rows)
            except _UNACCEPTABLE as error:
                rejected.append((key, plain_reason(error)))
        connection.execute("COMMIT")
        return rejected

    def _roll_back(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _recover(self, error: sqlite3.Error) -> None:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest says more exactly what it is
        try:
            self._roll_back()
        except sqlite3.Error:
            code = 0
        if code not in _HARMLESS:
            self.close()


def _statements(batch: Batch, now: datetime) -> list[tuple[str, list[Parameters]]]:
    """Return deletions first, then one statement for each table and set of columns."""
    text = _moment(now)
    deletions: dict[str, list[Parameters]] = {}
    puts: dict[str, list[Parameters]] = {}
    for (table_name, key), fact in batch.items():
        if fact.wipe:
            deletions.setdefault(_deletion(table_name), []).append((key,))
        if fact.values is not None:
            put = _put(table_name, tuple(fact.values))
            row = put.values(fact.values, text)
            rows = puts.get(put.sql)
            if rows is None:
                puts[put.sql] = [row]
            else:
                rows.append(row)
    return [*deletions.items(), *puts.items()]


@lru_cache(maxsize=64)
def _deletion(table_name: str) -> str:
    return str(delete_row(table_name).compile(dialect=_DIALECT))


@lru_cache(maxsize=1024)
def _put(table_name: str, columns: tuple[str, ...]) -> Prepared:
    """Return the statement for rows with these columns, in whatever order."""
    table = metadata.tables[table_name]
    unknown = [name for name in columns if name not in table.columns]
    if unknown:
        raise UsageError(f"{table_name} has no column {unknown[0]!r}")
    return Prepared(put_row("sqlite", table_name, tuple(sorted(columns))), table, columns)


def _made_of(column: Column[Any]) -> Callable[[Any], Any]:
    """Return what makes of a value what SQLAlchemy's column types store, checked."""
    check = check_of(column)
    match column.type:
        case UtcDateTime():
            # Nearly all are the second that it is now.
            return lru_cache(maxsize=256)(lambda value: _moment(check(value)))
        case JSON():
            return lambda value: (value if type(value) is bytes else written(check(value))).decode()
    return check


def _moment(utc: datetime) -> str:
    """Return a moment as the column type `UtcDateTime` stores it."""
    return utc.replace(tzinfo=None).isoformat(" ", "microseconds")
