"""Several nodes on one PostgreSQL: each tells the others which rows of the configuration it changed.

    write --NOTIFY inside its transaction--> PostgreSQL --after the commit--> every node's listener --> row read again

A lost listener is opened again, 0.1 s to 5 s apart, and then everything is read again, since what was said in the
meantime is gone. SQLite has one node, and needs none of this.

A listening node holds a shared lock of the database: who is the only one with it has the database for itself.
"""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ringback.store.failures import plain_reason
from ringback.store.limits import (
    ALONE_WITHIN,
    BACK_WITHIN,
    LISTENER_PROBE,
    NOTICE_KEYS,
    NOTICES,
    RETRY_FIRST,
    RETRY_MOST,
)

log = structlog.get_logger("ringback.store")

CHANNEL = "ringback_configuration"
PRESENCE = 0x52696E68
"""Key of PostgreSQL's advisory lock that every listening node shares; a migration has the number below."""
ALONE = """
    SELECT pg_postmaster_start_time() < now() - make_interval(secs => :back_within) AND NOT EXISTS (
        SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
        WHERE datname = current_database() AND locktype = 'advisory' AND objid = :key AND pid != :own
    )
"""
Key = tuple[str, str]
"""Table and primary key of a changed row."""


class Nodes:
    """Announces this node's changes and hears of the others'."""

    def __init__(
        self,
        engine: AsyncEngine,
        read_again: Callable[[Sequence[Key]], Awaitable[None]],
        read_everything: Callable[[], Awaitable[None]],
    ) -> None:
        self._engine = engine
        self._read_again = read_again
        self._read_everything = read_everything
        self._name = secrets.token_hex(8)
        self._notices: asyncio.Queue[list[Key] | None] = asyncio.Queue(NOTICES)
        self._missed = False
        self._task: asyncio.Task[None] | None = None
        self._pid = 0
        self.listening = asyncio.Event()

    def start(self) -> None:
        """Start to listen."""
        self._task = asyncio.create_task(self._run(), name="configuration listener")

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def are_alone(self) -> bool:
        """Whether no other node listens. False while this one does not, because then nobody can tell."""
        try:
            async with asyncio.timeout(ALONE_WITHIN):
                await self.listening.wait()
                async with self._engine.connect() as connection:
                    asked = {"key": PRESENCE, "own": self._pid, "back_within": BACK_WITHIN}
                    return bool((await connection.execute(text(ALONE), asked)).scalar_one())
        except (SQLAlchemyError, OSError, TimeoutError):
            return False

    async def announce(self, connection: AsyncConnection, keys: Sequence[Key]) -> None:
        """Tell the other nodes when this transaction commits; nothing is told when it does not."""
        for start in range(0, len(keys), NOTICE_KEYS):
            payload = json.dumps([self._name, keys[start : start + NOTICE_KEYS]])
            await connection.execute(
                text("SELECT pg_notify(:channel, :payload)"), {"channel": CHANNEL, "payload": payload}
            )

    async def _run(self) -> None:
        delay = RETRY_FIRST
        while True:
            try:
                async with self._engine.connect() as connection:
                    await self._listen(connection)
            except Exception as error:  # noqa: BLE001 - the driver's own are of many kinds, and it is to go on
                log.warning("configuration_listener_lost", reason=plain_reason(error))
                delay = min(2 * delay, RETRY_MOST) if not self.listening.is_set() else RETRY_FIRST
            self.listening.clear()
            await asyncio.sleep(delay)

    async def _listen(self, connection: AsyncConnection) -> None:
        """Listen until the connection is lost; raise what then happens."""
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None  # of a connection that is open
        await driver.execute("SELECT pg_advisory_lock_shared($1)", PRESENCE)
        self._pid = driver.get_server_pid()
        await driver.add_listener(CHANNEL, self._hear)
        driver.add_termination_listener(self._lose)
        try:
            await self._read_everything()  # only now: nothing can change unheard after it
            self.listening.set()
            while not driver.is_closed():
                await self._attend(driver)
            raise OSError("the connection was closed")
        finally:
            await connection.invalidate()

    async def _attend(self, driver: object) -> None:
        """Handle one notice; when none comes for a while, see whether the server is still there."""
        try:
            async with asyncio.timeout(LISTENER_PROBE):
                keys = await self._notices.get()
        except TimeoutError:
            async with asyncio.timeout(LISTENER_PROBE):
                await driver.execute("SELECT 1")  # type: ignore[attr-defined]
            return
        if self._missed:
            self._missed = False
            await self._read_everything()
        elif keys is not None:
            await self._read_again(keys)

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        try:
            name, keys = json.loads(payload)
            heard = [(str(table), str(key)) for table, key in keys]
        except (ValueError, TypeError):
            log.warning("configuration_notice_unreadable")
            return
        if name != self._name:
            self._put(heard)

    def _lose(self, _connection: object) -> None:
        self._put(None)

    def _put(self, keys: list[Key] | None) -> None:
        with suppress(asyncio.QueueFull):
            self._notices.put_nowait(keys)
            return
        self._missed = True
