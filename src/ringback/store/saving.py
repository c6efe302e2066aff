"""Batches of facts as SQL: one transaction, one executemany for each table and set of columns."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Engine, Executable, bindparam, delete, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.ext.asyncio import AsyncEngine

from ringback.store.errors import Unavailable
from ringback.store.facts import Batch, RowKey
from ringback.store.failures import is_passing, plain_reason
from ringback.store.rows import key_of, table_named
from ringback.store.tables import metadata

Params = list[dict[str, Any]]


class BatchSaver:
    """Saves batches on the engine, one at a time with the store's other writes."""

    def __init__(
        self,
        engine: AsyncEngine,
        lock: asyncio.Lock,
        now: Callable[[], datetime],
        saved: Callable[[Batch], None],
        writer: Engine | None = None,
    ) -> None:
        self._engine = engine
        self._lock = lock
        self._now = now
        self._saved = saved
        self.writer = writer
        self._thread = ThreadPoolExecutor(1, "facts") if writer is not None else None

    async def close(self) -> None:
        """Let the thread end what it does, and let go of its connection."""
        if self._thread is not None and self.writer is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self.writer.dispose)
            self._thread.shutdown(wait=False)

    async def __call__(self, batch: Batch) -> list[tuple[RowKey, str]]:
        """Commit the batch; if one of its rows is unacceptable, commit the others one by one.

        Returns the unacceptable rows and why. Raises Unavailable when the database does not work now.
        """
        try:
            await self._commit(batch)
        except Unavailable:
            raise
        except (SQLAlchemyError, ValueError):
            return await self._one_by_one(batch)
        self._saved(batch)
        return []

    async def _one_by_one(self, batch: Batch) -> list[tuple[RowKey, str]]:
        rejected = []
        for key, fact in batch.items():
            try:
                await self._commit({key: fact})
            except Unavailable:
                raise
            except (SQLAlchemyError, ValueError) as error:
                rejected.append((key, plain_reason(error)))
            else:
                self._saved({key: fact})
        return rejected

    async def _execute(self, statements: list[tuple[Executable, Params]]) -> None:
        if self.writer is not None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, _execute_all, self.writer, statements)
            return
        async with self._engine.begin() as connection:
            for statement, params in statements:
                await connection.execute(statement, params)

    async def _commit(self, batch: Batch) -> None:
        statements = list(_statements(self._engine.dialect.name, batch, self._now()))
        try:
            async with self._lock:
                await self._execute(statements)
        except DBAPIError as error:
            if is_passing(error):
                raise Unavailable(plain_reason(error)) from error
            raise
        except StatementError:
            raise
        except (OSError, TimeoutError, SQLAlchemyError) as error:  # no connection to be had
            raise Unavailable(plain_reason(error)) from error


def _execute_all(writer: Engine, statements: list[tuple[Executable, Params]]) -> None:
    with writer.begin() as connection:
        for statement, params in statements:
            connection.execute(statement, params)


def _statements(dialect: str, batch: Batch, now: datetime) -> list[tuple[Executable, Params]]:
    """Return deletions first, then one statement for each table and set of columns."""
    dates = {"date_created": now, "date_updated": now}
    deletions: dict[str, Params] = {}
    puts: dict[tuple[str, tuple[str, ...]], Params] = {}
    for (table_name, key), fact in batch.items():
        if fact.wipe:
            deletions.setdefault(table_name, []).append({"row_key": key})
        if fact.values is not None:
            columns = tuple(sorted(fact.values))
            puts.setdefault((table_name, columns), []).append({**dates, **fact.values})
    return [(_delete(name), params) for name, params in deletions.items()] + [
        (_put(dialect, name, columns), _named(name, columns, params))
        for (name, columns), params in puts.items()
    ]


def _named(table_name: str, columns: tuple[str, ...], params: Params) -> Params:
    """Return the parameters as the statement names them: a change has its key apart and no date_created."""
    if _is_whole(table_name, columns):
        return params
    key = key_of(table_named(table_name))
    return [
        {("row_key" if name == key else name): value for name, value in row.items() if name != "date_created"}
        for row in params
    ]


@lru_cache(maxsize=64)
def _delete(table_name: str) -> Executable:
    table = table_named(table_name)
    return delete(table).where(table.columns[key_of(table)] == bindparam("row_key"))


@lru_cache(maxsize=512)
def _put(dialect: str, table_name: str, columns: tuple[str, ...]) -> Executable:
    """Return INSERT ... ON CONFLICT DO UPDATE for whole rows, UPDATE for changes of stored ones."""
    table = table_named(table_name)
    key = key_of(table)
    if not _is_whole(table_name, columns):
        values: dict[str, Any] = {
            name: bindparam(name) for name in {*columns, "date_updated"} - {key, "date_created"}
        }
        return update(table).where(table.columns[key] == bindparam("row_key")).values(values)
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    names = {*columns, "date_updated"} - {key}
    return insert.on_conflict_do_update(
        index_elements=[key], set_={name: insert.excluded[name] for name in names}
    )


@lru_cache(maxsize=512)
def _is_whole(table_name: str, columns: tuple[str, ...]) -> bool:
    """Tell whether a row with these columns can be inserted."""
    return _REQUIRED[table_name].issubset(columns)


_REQUIRED = {
    table.name: frozenset(
        column.name
        for column in table.columns
        if not column.nullable
        and column.default is None
        and column.name not in ("date_created", "date_updated")
    )
    for table in metadata.tables.values()
}
