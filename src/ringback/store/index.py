"""A table of the configuration in memory, and indexes that stay right with every row put or dropped."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from ringback.store.rows import Row

Key = Callable[[Mapping[str, Any]], Hashable]
"""Gives the value to index a row by; None keeps the row out of the index."""


class Index:
    """Rows of one table by something other than their sid, in order of creation."""

    __slots__ = ("_groups", "_key")

    def __init__(self, key: Key) -> None:
        self._key = key
        self._groups: dict[Hashable, dict[str, Row]] = {}

    def all(self, key: Hashable) -> list[Row]:
        """Return the rows with that key, oldest first."""
        return list(self._groups.get(key, _NOTHING).values())

    def first(self, key: Hashable) -> Row | None:
        """Return the oldest row with that key."""
        for row in self._groups.get(key, _NOTHING).values():
            return row
        return None

    def put(self, row: Row) -> None:
        key = self._key(row)
        if key is not None:
            self._groups.setdefault(key, {})[row["sid"]] = row

    def drop(self, row: Row) -> None:
        key = self._key(row)
        group = self._groups.get(key)
        if group is not None:
            group.pop(row["sid"], None)
            if not group:
                del self._groups[key]


_NOTHING: dict[str, Row] = {}


class MemoryTable:
    """All rows of one table by sid. Rows are replaced, never changed in place, so a handed-out row stays as it was."""

    __slots__ = ("indexes", "rows", "version")

    def __init__(self, **keys: Key) -> None:
        self.rows: dict[str, Row] = {}
        self.indexes = {name: Index(key) for name, key in keys.items()}
        self.version = 0

    def load(self, rows: Iterable[Row]) -> None:
        """Replace everything; `rows` come oldest first."""
        self.rows = {}
        for index in self.indexes.values():
            index._groups.clear()
        for row in rows:
            self.put(row)
        self.version += 1

    def put(self, row: Row) -> None:
        """Store a row, new or changed; a changed row keeps its place when its keys stay."""
        old = self.rows.get(row["sid"])
        for index in self.indexes.values():
            if old is not None and index._key(old) != index._key(row):
                index.drop(old)
            index.put(row)
        self.rows[row["sid"]] = row
        self.version += 1

    def drop(self, sid: str) -> None:
        """Forget a row."""
        row = self.rows.pop(sid, None)
        if row is not None:
            for index in self.indexes.values():
                index.drop(row)
            self.version += 1

    def __getitem__(self, name: str) -> Index:
        return self.indexes[name]
