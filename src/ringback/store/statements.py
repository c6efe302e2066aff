"""Facts as SQL: one statement for each table and set of columns, the same for both databases."""

from functools import lru_cache
from typing import Any

from sqlalchemy import Delete, Insert, Update, bindparam, delete, update
from sqlalchemy.dialects import postgresql, sqlite

from ringback.store.rows import key_of, table_named
from ringback.store.tables import metadata

ROW_KEY = "row_key"
"""The parameter that names the row to change or delete."""


@lru_cache(maxsize=64)
def delete_row(table_name: str) -> Delete:
    """Return DELETE of the row with this key."""
    table = table_named(table_name)
    return delete(table).where(table.columns[key_of(table)] == bindparam(ROW_KEY))


@lru_cache(maxsize=512)
def put_row(dialect: str, table_name: str, columns: tuple[str, ...]) -> Insert | Update:
    """Return INSERT ... ON CONFLICT DO UPDATE for whole rows, UPDATE for changes of stored ones.

    `date_updated` is set in any case, `date_created` by inserts, whether they are among the columns or not.
    """
    table = table_named(table_name)
    key = key_of(table)
    if not is_whole(table_name, columns):
        values: dict[str, Any] = {
            name: bindparam(name) for name in sorted({*columns, "date_updated"} - {key, "date_created"})
        }
        return update(table).where(table.columns[key] == bindparam(ROW_KEY)).values(values)
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    names = sorted({*columns, "date_updated"} - {key})
    return insert.on_conflict_do_update(
        index_elements=[key], set_={name: insert.excluded[name] for name in names}
    )


@lru_cache(maxsize=512)
def is_whole(table_name: str, columns: tuple[str, ...]) -> bool:
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
