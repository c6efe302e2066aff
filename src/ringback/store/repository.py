"""SQL for single rows and pages of any resource table; no caching, no locks."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Select, Table, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.store.errors import UsageError
from ringback.store.limits import PAGE_ROWS
from ringback.store.rows import Row, checked, key_of
from ringback.store.tables import calls, conferences, metadata

Range = tuple[str, str, Any]
"""Column, one of < <= > >=, value."""


Written = list[tuple[Table, str, Row | None]]
"""What a transaction changed: table, key, and the row as it is now, None when it is gone."""


class Page(NamedTuple):
    """Rows of a page, and whether more follow."""

    rows: list[Row]
    has_more: bool


async def fetch(connection: AsyncConnection, table: Table, key: str, account_sid: str | None) -> Row | None:
    """Return one row, None if there is none (of this account)."""
    query = select(table).where(*_own(table, key, account_sid))
    found = (await connection.execute(query)).mappings().first()
    return None if found is None else dict(found)


async def change(
    connection: AsyncConnection, table: Table, key: str, account_sid: str | None, values: Row
) -> Row | None:
    """Update one row and return it as it is now."""
    result = await connection.execute(update(table).where(*_own(table, key, account_sid)).values(values))
    if not result.rowcount:
        return None
    return await fetch(connection, table, key, None)


async def remove(connection: AsyncConnection, table: Table, key: str) -> list[tuple[str, str]]:
    """Delete a row and all that is part of it; give the deleted tables and keys, parts first."""
    deleted = []
    for part, column in PARTS.get(table.name, ()):
        query = select(part.columns[key_of(part)]).where(part.columns[column] == key)
        for part_key in (await connection.execute(query)).scalars().all():
            deleted += await remove(connection, part, part_key)
    await connection.execute(delete(table).where(table.columns[key_of(table)] == key))
    return [*deleted, (table.name, key)]


async def older(
    connection: AsyncConnection, table: Table, before: datetime, account_sid: str | None, at_most: int
) -> list[str]:
    """Return the keys of the oldest rows from before a moment, but of none of what is up."""
    key, created = table.columns[key_of(table)], table.columns.date_created
    wanted = [created < before, *_OVER.get(table.name, [])]
    if account_sid is not None:
        wanted.append(table.columns.account_sid == account_sid)
    query = select(key).where(*wanted).order_by(created).limit(at_most)
    return list((await connection.execute(query)).scalars())


async def remove_all(connection: AsyncConnection, table: Table, keys: Sequence[str]) -> None:
    """Delete rows of facts with all that is part of them."""
    for part, column in PARTS.get(table.name, ()):
        await connection.execute(delete(part).where(part.columns[column].in_(keys)))
    await connection.execute(delete(table).where(table.columns[key_of(table)].in_(keys)))


async def page(
    connection: AsyncConnection,
    table: Table,
    *,
    where: Mapping[str, Any],
    ranges: Iterable[Range],
    order: Sequence[str],
    limit: int,
    offset: int,
) -> Page:
    """Return up to `limit` rows from `offset` on that match everything, in order; see `Store.page`."""
    limit = max(0, min(limit, PAGE_ROWS))
    query = select(table).where(*conditions(table, where, ranges))
    query = _ordered(query, table, order).limit(limit + 1).offset(max(0, min(offset, 2**63 - 1)))
    rows = [dict(row) for row in (await connection.execute(query)).mappings()]
    return Page(rows[:limit], len(rows) > limit)


async def count(connection: AsyncConnection, table: Table, where: Mapping[str, Any]) -> int:
    """Return how many rows match."""
    query = select(func.count()).select_from(table).where(*conditions(table, where, ()))
    return int((await connection.execute(query)).scalar_one())


def conditions(table: Table, where: Mapping[str, Any], ranges: Iterable[Range]) -> list[ColumnElement[bool]]:
    """Return the conditions: equal, NULL for None, one of a list; then the ranges."""
    wanted: list[ColumnElement[bool]] = []
    for name, value in where.items():
        column = _column(table, name)
        if isinstance(value, list | tuple | set | frozenset):
            wanted.append(column.in_([_value(table, name, item) for item in value]))
        else:
            wanted.append(column.is_(None) if value is None else column == _value(table, name, value))
    ranges = list(ranges)
    # No call starts before it is made, and by that date there is an index.
    ranges += [
        ("date_created", sign, moment)
        for name, sign, moment in ranges
        if name == "start_time" and "<" in sign
    ]
    for name, operator, value in ranges:
        column = _column(table, name)
        value = _value(table, name, value)
        match operator:
            case "<":
                wanted.append(column < value)
            case "<=":
                wanted.append(column <= value)
            case ">":
                wanted.append(column > value)
            case ">=":
                wanted.append(column >= value)
            case _:
                raise UsageError(f"no such comparison: {operator!r}")
    return wanted


def _ordered(query: Select[Any], table: Table, order: Sequence[str]) -> Select[Any]:
    """Order by the named columns, `-` before a name for downwards, then by key so that pages never overlap."""
    key = key_of(table)
    for name in [*order, key]:
        column = _column(table, name.removeprefix("-"))
        query = query.order_by(column.desc() if name.startswith("-") else column.asc())
    return query


def _column(table: Table, name: str) -> Column[Any]:
    column = table.columns.get(name)
    if column is None:
        raise UsageError(f"{table.name} has no column {name!r}")
    return column


def _value(table: Table, name: str, value: Any) -> Any:
    return checked(table, {name: value})[name]


def _own(table: Table, key: str, account_sid: str | None) -> list[ColumnElement[bool]]:
    """Return the conditions for a row by key, of this account unless None."""
    where: dict[str, Any] = {key_of(table): key}
    if account_sid is not None:
        where["account_sid"] = account_sid
    return conditions(table, where, ())


def _parts() -> dict[str, list[tuple[Table, str]]]:
    """Return which tables' rows are part of which: by foreign keys, and where a rule cannot say it."""
    parts: dict[str, list[tuple[Table, str]]] = {}
    for table in metadata.sorted_tables:
        for foreign in table.foreign_keys:
            parts.setdefault(foreign.column.table.name, []).append((table, foreign.parent.name))
    mappings = metadata.tables["sip_domain_mappings"]
    for lists in ("sip_credential_lists", "sip_ip_access_control_lists"):
        parts.setdefault(lists, []).append((mappings, "list_sid"))
    for name in ("call_events", "notifications", "journals"):
        parts.setdefault("calls", []).append((metadata.tables[name], "call_sid"))
    return parts


PARTS = _parts()
"""Table name to the tables, with the column, whose rows go when its row goes."""

_OVER: dict[str, list[ColumnElement[bool]]] = {
    "calls": [calls.columns.end_time.is_not(None)],
    "conferences": [conferences.columns.status == "completed"],
}
"""What holds of rows that are of nothing that is up."""
