"""Column types which mean the same on SQLite and PostgreSQL, and short names to declare columns with."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    Text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from ringback.store.sids import Secret


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, always UTC: timestamptz on PostgreSQL, ISO text without a zone on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class SecretText(TypeDecorator[str]):
    """Text that comes back as a `Secret`, so that a printed row shows no token or digest."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else Secret(value)


def text(
    name: str, default: str | None = None, *, required: bool = False, index: bool = False
) -> Column[str]:
    """Declare a text column."""
    return Column(name, Text, default=default, nullable=not required, index=index)


def texts(*names: str) -> list[Column[Any]]:
    """Declare nullable text columns."""
    return [text(name) for name in names]


def secret(name: str, *, required: bool = False) -> Column[str]:
    """Declare a column for a token, key or digest that must stay readable to us."""
    return Column(name, SecretText, nullable=not required)


def flag(name: str, default: bool = False) -> Column[bool]:
    """Declare a boolean column."""
    return Column(name, Boolean, default=default, nullable=False)


def number(name: str, default: int | None = None) -> Column[int]:
    """Declare an integer column of 32 bits."""
    return Column(name, Integer, default=default)


def big(name: str) -> Column[int]:
    """Declare an integer column of 64 bits."""
    return Column(name, BigInteger)


def real(name: str) -> Column[float]:
    """Declare a column for a number with a fraction."""
    return Column(name, Double)


def data(name: str, default: dict[str, Any] | None = None) -> Column[Any]:
    """Declare a column that holds a JSON object or list."""
    return Column(name, JSON(none_as_null=True), default=default)


def moment(name: str, *, required: bool = False, index: bool = False) -> Column[datetime]:
    """Declare a column that holds an aware UTC time."""
    return Column(name, UtcDateTime, nullable=not required, index=index)


def blob(name: str) -> Column[bytes]:
    """Declare a column of bytes."""
    return Column(name, LargeBinary)


def parent(name: str, table: str) -> Column[str]:
    """Declare the reference to the row that this one is part of; it goes when that row goes."""
    return Column(name, Text, ForeignKey(f"{table}.sid", ondelete="CASCADE"), nullable=False, index=True)
