"""Rows on their way in: only known columns, only values that every database takes, dates filled in."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import msgspec
from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Integer, LargeBinary, Table, Text
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from ringback.store.columns import SecretText, UtcDateTime
from ringback.store.errors import UsageError
from ringback.store.limits import JOURNAL_BYTES
from ringback.store.sids import Secret, new_sid
from ringback.store.tables import SID_PREFIXES, metadata

Row = dict[str, Any]
"""One row as stored: Twilio's field names, aware UTC datetimes."""

_encode = msgspec.json.Encoder().encode


def table_named(name: str) -> Table:
    """Return the table of that name, or raise UsageError."""
    table = metadata.tables.get(name)
    if table is None or name == "installation":
        raise UsageError(f"no such table: {name}")
    return table


def key_of(table: Table) -> str:
    """Return the name of the table's only primary key column."""
    name: str = next(iter(table.primary_key.columns)).name
    return name


def checked(table: Table, row: Mapping[str, Any]) -> Row:
    """Return a copy of `row` with its values checked and cleaned; raise UsageError on what cannot be stored."""
    checks = _CHECKS[table.name]
    clean: Row = {}
    for name, value in row.items():
        check = checks.get(name)
        if check is None:
            raise UsageError(f"{table.name} has no column {name!r}")
        try:
            clean[name] = None if value is None else check(value)
        except UsageError as error:
            raise UsageError(f"{table.name}.{name}: {error}") from None
    return clean


def completed(table: Table, row: Mapping[str, Any], now: datetime) -> Row:
    """Return the whole new row: checked, with sid, dates and the columns' defaults."""
    full = {name: _fresh(default) for name, default in _DEFAULTS[table.name].items()}
    given = checked(table, row)
    full.update(given)
    prefix = SID_PREFIXES.get(table.name)
    if prefix is not None and full["sid"] is None:
        full["sid"] = new_sid(prefix)
    if table.name == "accounts":
        full["account_sid"] = full["sid"]
    full["date_created"] = full["date_created"] or now
    full["date_updated"] = full["date_updated"] or now
    missing = [column.name for column in table.columns if not column.nullable and full[column.name] is None]
    if missing:
        raise UsageError(f"{table.name} needs {', '.join(missing)}")
    return full


def changed(table: Table, changes: Mapping[str, Any], now: datetime) -> Row:
    """Return the values to set for an update: checked, `date_updated` set, the key and account left alone."""
    values = checked(table, changes)
    if key_of(table) in values or values.get("account_sid", "") is None:
        raise UsageError(f"{table.name}: the key of a row does not change")
    for name, value in values.items():
        if value is None and not table.columns[name].nullable:
            raise UsageError(f"{table.name}.{name} cannot be empty")
    values.setdefault("date_updated", now)
    return values


def _fresh(default: Any) -> Any:
    """Return the default itself, or a copy when it could be changed in place."""
    return dict(default) if isinstance(default, dict) else default


def _refusal(wanted: str, value: Any) -> UsageError:
    return UsageError(f"takes {wanted}, not this {type(value).__name__}")


def _text(value: Any) -> Any:
    """Take text, or a whole number for it; drop what PostgreSQL or UTF-8 cannot hold."""
    if isinstance(value, str):
        if value.isascii() and "\x00" not in value:
            return value
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise _refusal("text", value)


def _host(value: Any) -> Any:
    """Take a host name in lower case, without a final dot (RFC 4343: case does not count)."""
    if isinstance(value, str) and value.isascii():
        return value.rstrip(".").lower()
    raise _refusal("a host name", value)


def _secret(value: Any) -> Any:
    if isinstance(value, str) and value.isascii():
        return Secret(value)
    raise _refusal("a secret", value)


def _flag(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    raise _refusal("a boolean", value)


def _within(bits: int) -> Callable[[Any], Any]:
    """Return the check for integers of that many bits."""
    most = 2 ** (bits - 1)

    def check(value: Any) -> Any:
        if type(value) is int and -most <= value < most:
            return value
        raise _refusal(f"an integer of {bits} bits", value)

    return check


def _real(value: Any) -> Any:
    """Take a finite number: PostgreSQL would store NaN, SQLite makes it NULL."""
    if type(value) is float and isfinite(value):
        return value
    if type(value) is int and isfinite(value):
        return float(value)
    raise _refusal("a number", value)


def _moment(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value if value.tzinfo is UTC else value.astimezone(UTC)
    raise _refusal("a moment with its time zone", value)


def _blob(value: Any) -> Any:
    if isinstance(value, bytes) and len(value) <= JOURNAL_BYTES:
        return value
    raise _refusal(f"at most {JOURNAL_BYTES} bytes", value)


def written(value: dict[str, Any] | list[Any]) -> bytes:
    """Return a value of a JSON column as text: a row that waits may have it so, which is less to keep and to look through."""
    try:
        return _encode(value)
    except (UnicodeEncodeError, TypeError):  # as in ringback.call.journal
        return json.dumps(value).encode()


def _data(value: Any) -> Any:
    if isinstance(value, bytes):
        return json.loads(value)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, dict | list):
        return value
    raise _refusal("an object or a list", value)


def check_of(column: Column[Any]) -> Callable[[Any], Any]:
    """Return the check for a column's values: it gives the value cleaned, or raises UsageError."""
    if column.name == "domain_name":
        return _host
    match column.type:
        case SecretText():
            return _secret
        case UtcDateTime():
            return _moment
        case Boolean():
            return _flag
        case BigInteger():
            return _within(64)
        case Integer():
            return _within(32)
        case Double():
            return _real
        case JSON():
            return _data
        case LargeBinary():
            return _blob
        case Text():
            return _text
    raise TypeError(f"no check for {column!r}")


_CHECKS: dict[str, dict[str, Callable[[Any], Any]]] = {
    table.name: {column.name: check_of(column) for column in table.columns}
    for table in metadata.tables.values()
}


def default_of(column: Column[Any]) -> Any:
    """Return the value of a column that a new row does not give."""
    return column.default.arg if isinstance(column.default, ScalarElementColumnDefault) else None


_DEFAULTS: dict[str, dict[str, Any]] = {
    table.name: {column.name: default_of(column) for column in table.columns}
    for table in metadata.tables.values()
}
