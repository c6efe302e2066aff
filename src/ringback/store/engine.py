"""The database connection: SQLite (WAL, a thread of its own) or PostgreSQL, and migration to our schema.

Write transactions on SQLite begin with BEGIN IMMEDIATE, so that two writers wait for each other
instead of failing half-way; readers see the last commit and never wait.
"""

import os
import sqlite3
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import URL, Connection, event, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from ringback.store.errors import SchemaTooNew, UsageError
from ringback.store.limits import READERS, SQLITE_BUSY

MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x52696E67
"""Key of PostgreSQL's advisory lock that lets one node at a time migrate ("Ring")."""


def database_url(url: str) -> URL:
    """Return the URL with the asynchronous driver: `sqlite:///file`, `postgresql://...` or a bare path."""
    if "://" not in url:
        return URL.create("sqlite+aiosqlite", database=url)
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise UsageError("the database URL cannot be read") from error
    match parsed.get_backend_name():
        case "sqlite":
            return parsed.set(drivername="sqlite+aiosqlite", database=parsed.database or ":memory:")
        case "postgresql" | "postgres":
            return parsed.set(drivername="postgresql+asyncpg")
        case other:
            raise UsageError(f"no support for databases of kind {other!r}")


def open_engine(url: str) -> AsyncEngine:
    """Return an engine for the URL; a new SQLite file is made readable by its owner alone."""
    parsed = database_url(url)
    if parsed.get_backend_name() == "postgresql":
        try:
            return create_async_engine(parsed, hide_parameters=True, pool_pre_ping=True)
        except ModuleNotFoundError as error:
            raise UsageError("PostgreSQL needs its driver: pip install 'ringback[postgres]'") from error
    in_memory = parsed.database == ":memory:"
    if not in_memory:
        _private_file(Path(parsed.database or ""))
    engine = create_async_engine(
        parsed,
        hide_parameters=True,  # a failed statement's message would show tokens and digests
        poolclass=AsyncAdaptedQueuePool,
        pool_size=1 if in_memory else READERS,
        max_overflow=0 if in_memory else READERS,
        connect_args={"timeout": SQLITE_BUSY},
    )
    event.listen(engine.sync_engine, "connect", _configure_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def file_of(engine: AsyncEngine) -> str | None:
    """Return the path of the engine's SQLite file; None where a file is not all there is."""
    path = engine.url.database
    return path if engine.dialect.name == "sqlite" and path not in (None, "", ":memory:") else None


def connect_writer(path: str) -> sqlite3.Connection:
    """Return a connection for the writer of facts: it sends BEGIN itself, and keeps its statements prepared."""
    connection = sqlite3.connect(path, timeout=SQLITE_BUSY, check_same_thread=False, cached_statements=512)
    try:
        _configure_sqlite(connection, None)
    except BaseException:
        connection.close()
        raise
    return connection


async def migrate(engine: AsyncEngine) -> None:
    """Bring the schema up to date; raise SchemaTooNew when a newer Ringback was here."""
    async with engine.execution_options(ringback_writes=True).begin() as connection:
        await connection.run_sync(_upgrade)


def alembic_config(connection: Connection) -> Config:
    """Return Alembic's settings for the packaged migrations and an open connection."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    config = alembic_config(connection)
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        head = ScriptDirectory.from_config(config).get_current_head()
        raise SchemaTooNew(f"the database is newer than this version (which knows {head})") from error


def _private_file(path: Path) -> None:
    """Create the file with mode 0600 before SQLite would; its -wal and -shm files take the mode over."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we send BEGIN ourselves
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(
            "PRAGMA synchronous=FULL"
        )  # a commit survives a power cut; the group commit pays for it
        cursor.execute("PRAGMA foreign_keys=ON")
    finally:
        cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("ringback_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
