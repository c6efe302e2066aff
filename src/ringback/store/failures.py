"""What a database error means: try again, or never; and how to say it without showing values."""

from sqlalchemy import Table, UniqueConstraint
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, InternalError, OperationalError

from ringback.store.errors import Conflict, StoreError, Unavailable, UsageError


def is_passing(error: DBAPIError) -> bool:
    """Tell whether the same statement may well succeed later: locked, full, restarted, out of connections."""
    if isinstance(error.orig.__cause__ if error.orig else None, ValueError):
        return False  # asyncpg could not encode a value
    if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError | InternalError):
        return True
    state = getattr(error.orig, "sqlstate", None) or ""
    return state[:2] in ("08", "25", "40", "53", "57", "58")  # PostgreSQL Appendix A: passing classes


def plain_reason(error: BaseException) -> str:
    """Return the error's kind and first line, without statement and values."""
    cause = getattr(error, "orig", None) or error
    lines = str(cause).splitlines()
    return f"{type(cause).__name__}: {lines[0] if lines else ''}"[:200]


def store_error(table: Table, error: DBAPIError) -> StoreError:
    """Return our error for a statement on `table` that failed."""
    if isinstance(error, IntegrityError):
        message = str(error.orig)
        for name, columns in _unique_rules(table):
            wanted = ", ".join(f"{table.name}.{column}" for column in columns)
            if f'"{name}"' in message or message.endswith(f"UNIQUE constraint failed: {wanted}"):
                return Conflict(table.name, columns)
        return UsageError(f"{table.name}: {plain_reason(error)}")
    if is_passing(error):
        return Unavailable(plain_reason(error))
    return UsageError(f"{table.name}: {plain_reason(error)}")


def _unique_rules(table: Table) -> list[tuple[str, tuple[str, ...]]]:
    """Return the names and columns of the table's uniqueness rules, the primary key first."""
    rules = [(str(table.primary_key.name), tuple(column.name for column in table.primary_key.columns))]
    for rule in table.constraints:
        if isinstance(rule, UniqueConstraint):
            rules.append((str(rule.name), tuple(column.name for column in rule.columns)))
    return rules
