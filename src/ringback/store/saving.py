"""Batches of facts on an engine of SQLAlchemy: one transaction, one executemany for each table and set of columns.

PostgreSQL and SQLite in memory are written so; SQLite in a file by `ringback.store.sqlite_writer`.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Executable
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.ext.asyncio import AsyncEngine

from ringback.store.errors import Unavailable, UsageError
from ringback.store.facts import Batch, Rejected
from ringback.store.failures import is_passing, plain_reason
from ringback.store.rows import checked, key_of, table_named
from ringback.store.statements import ROW_KEY, delete_row, is_whole, put_row

Params = list[dict[str, Any]]

_UNACCEPTABLE = (SQLAlchemyError, ValueError, UsageError)
"""What a row does that no database would take."""


class EngineSaver:
    """Saves batches on the engine, one at a time with the store's other writes."""

    def __init__(
        self,
        engine: AsyncEngine,
        lock: asyncio.Lock,
        now: Callable[[], datetime],
        saved: Callable[[Batch], None],
    ) -> None:
        self._engine = engine
        self._lock = lock
        self._now = now
        self._saved = saved

    async def close(self) -> None:
        """Nothing: the engine is the store's."""

    async def __call__(self, batch: Batch) -> Rejected:
        """Commit the batch; if one of its rows is unacceptable, commit the others one by one.

        Returns the unacceptable rows and why. Raises Unavailable when the database does not work now.
        """
        try:
            await self._commit(batch)
        except Unavailable:
            raise
        except _UNACCEPTABLE:
            return await self._one_by_one(batch)
        self._saved(batch)
        return []

    async def _one_by_one(self, batch: Batch) -> Rejected:
        rejected = []
        for key, fact in batch.items():
            try:
                await self._commit({key: fact})
            except Unavailable:
                raise
            except _UNACCEPTABLE as error:
                rejected.append((key, plain_reason(error)))
            else:
                self._saved({key: fact})
        return rejected

    async def _commit(self, batch: Batch) -> None:
        statements = list(_statements(self._engine.dialect.name, batch, self._now()))
        try:
            async with self._lock, self._engine.begin() as connection:
                for statement, params in statements:
                    await connection.execute(statement, params)
        except DBAPIError as error:
            if is_passing(error):
                raise Unavailable(plain_reason(error)) from error
            raise
        except StatementError:
            raise
        except (OSError, TimeoutError, SQLAlchemyError) as error:  # no connection to be had
            raise Unavailable(plain_reason(error)) from error


def _statements(dialect: str, batch: Batch, now: datetime) -> list[tuple[Executable, Params]]:
    """Return deletions first, then one statement for each table and set of columns."""
    dates = {"date_created": now, "date_updated": now}
    deletions: dict[str, Params] = {}
    puts: dict[tuple[str, tuple[str, ...]], Params] = {}
    for (table_name, key), fact in batch.items():
        if fact.wipe:
            deletions.setdefault(table_name, []).append({ROW_KEY: key})
        if fact.values is not None:
            columns = tuple(sorted(fact.values))
            values = dates | checked(table_named(table_name), fact.values)
            puts.setdefault((table_name, columns), []).append(values)
    return [(delete_row(name), params) for name, params in deletions.items()] + [
        (put_row(dialect, name, columns), _named(name, columns, params))
        for (name, columns), params in puts.items()
    ]


def _named(table_name: str, columns: tuple[str, ...], params: Params) -> Params:
    """Return the parameters as the statement names them: a change has its key apart and no date_created."""
    if is_whole(table_name, columns):
        return params
    key = key_of(table_named(table_name))
    return [
        {(ROW_KEY if name == key else name): value for name, value in row.items() if name != "date_created"}
        for row in params
    ]
