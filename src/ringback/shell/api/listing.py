"""One page of rows: from the store, or from rows that are in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ringback.rest.filters import Range
from ringback.rest.paging import Cursor, Page, PageRequest
from ringback.store import Store

from .control import Row

_ORDER: Final = {False: ("-date_created", "-sid"), True: ("date_created", "sid")}  # newest first; backward


class Slice:
    """The rows of a page, newest first, and the cursors of its neighbours; `page` renders them."""

    __slots__ = ("more", "rows")

    def __init__(self, rows: list[Row], *, more: bool) -> None:
        self.rows = rows
        self.more = more

    def page(self, items: list[dict[str, object]]) -> Page:
        """The page, its rows rendered."""
        if not self.rows:
            return Page(items)
        first, last = self.rows[0], self.rows[-1]
        return Page(
            items,
            previous=Cursor(str(first["sid"]), first["date_created"], backward=True),
            following=Cursor(str(last["sid"]), last["date_created"]),
            more=self.more,
        )


async def stored_slice(
    store: Store, table: str, where: Mapping[str, Any], ranges: Iterable[Range], request: PageRequest
) -> Slice:
    """The rows of a page in the store, which orders by date and SID."""
    cursor = request.cursor
    between: list[tuple[str, str, Any]] = [(column, op, value) for column, op, value in ranges]
    if cursor is not None:
        between.append(("date_created", ">=" if cursor.backward else "<=", cursor.moment))
    backward = cursor is not None and cursor.backward
    rows: list[Row] = []
    offset, more = request.offset, True
    while more and len(rows) <= request.size:
        found = await store.page(
            table,
            where=where,
            ranges=between,
            order=_ORDER[backward],
            limit=request.size + 1,
            offset=offset,
        )
        offset, more = offset + len(found.rows), found.has_more and bool(found.rows)
        rows += [row for row in found.rows if cursor is None or _beyond(row, cursor)]
    return _cut(rows, request)


def memory_slice(rows: Iterable[Row], request: PageRequest) -> Slice:
    """The rows of a page, of rows in any order that have `sid` and `date_created`."""
    cursor = request.cursor
    backward = cursor is not None and cursor.backward
    ordered = sorted(rows, key=lambda row: (row["date_created"], row["sid"]), reverse=not backward)
    wanted = [row for row in ordered if cursor is None or _beyond(row, cursor)]
    return _cut(wanted[request.offset :], request)


def _beyond(row: Row, cursor: Cursor) -> bool:
    place = (row["date_created"], row["sid"])
    mark = (cursor.moment, cursor.sid)
    return place > mark if cursor.backward else place < mark


def _cut(rows: list[Row], request: PageRequest) -> Slice:
    """One page of rows that may be more; a backward page was read oldest first, and more follows it."""
    if request.cursor is not None and request.cursor.backward:
        return Slice(rows[: request.size][::-1], more=True)
    return Slice(rows[: request.size], more=len(rows) > request.size)
