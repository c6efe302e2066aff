"""The facts writer: what calls tell about themselves reaches the disk without any call waiting for it.

    put/remove --> pending (one entry a row, later values over earlier) --> one task --> one transaction
                        ^                                                        |
                        +--------------- back, when the disk refuses ------------+

`put` never waits. The task gathers for 50 ms, or starts at once when somebody flushes, and commits up to
2,000 rows together. A database that is locked, full or gone is tried again, 0.1 s to 5 s apart; newer
values of a row join the waiting ones. When 100,000 rows wait, further rows are refused and counted.
All methods belong to the event loop's thread.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import structlog

from ringback.store.errors import Unavailable, UsageError
from ringback.store.limits import (
    BATCH_ROWS,
    CLOSE_WITHIN,
    FLUSH_WITHIN,
    GATHER_FOR,
    PENDING_BYTES,
    PENDING_ROWS,
    RETRY_FIRST,
    RETRY_MOST,
)
from ringback.store.rows import Row, checked, key_of, table_named
from ringback.store.sids import new_sid
from ringback.store.tables import FACTS, SID_PREFIXES

log = structlog.get_logger("ringback.store")

RowKey = tuple[str, str]
"""Table name and primary key."""


class Fact:
    """What is to be done with one row: `wipe` deletes what is stored, then `values` are put if there are any."""

    __slots__ = ("sequence", "size", "values", "wipe")

    def __init__(self, values: Row | None, *, wipe: bool, sequence: int) -> None:
        self.values = values
        self.wipe = wipe
        self.sequence = sequence
        self.size = _size(values)

    def then(self, later: "Fact") -> "Fact":
        """Return this fact followed by a later one, in this one's place."""
        if later.wipe or self.values is None or later.values is None:
            return Fact(later.values, wipe=self.wipe or later.wipe, sequence=self.sequence)
        return Fact(self.values | later.values, wipe=self.wipe, sequence=self.sequence)


Batch = dict[RowKey, Fact]
Save = Callable[[Batch], Awaitable[list[tuple[RowKey, str]]]]
"""Commits a batch; gives the rows that the database will never take, with why; raises Unavailable."""


class Health(NamedTuple):
    """How the writer is doing."""

    pending: int  # rows waiting
    refused: int  # rows that were not taken because too many wait
    rejected: int  # rows that the database will never take
    failing: str  # why the last commit failed; empty when all is well


class Facts:
    """The queue and its one task; the store starts and closes it."""

    def __init__(self, save: Save, *, rows: int = PENDING_ROWS, retry_first: float = RETRY_FIRST) -> None:
        self._save = save
        self._most_rows = rows
        self._retry_first = retry_first
        self._pending: Batch = {}
        self._bytes = 0
        self._sequence = 0
        self._saving = False
        self._refused = 0
        self._rejected = 0
        self._failing = ""
        self.is_late = False
        """Somebody gave up waiting, and nothing was committed since: who is in a hurry need not wait."""
        self._waiters: list[tuple[int, Callable[[], None]]] = []
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._hurry = asyncio.Event()
        self._closed = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the writer's task."""
        self._task = asyncio.create_task(self._run(), name="facts writer")

    def put(self, table_name: str, row: Mapping[str, Any]) -> bool:
        """Store `row`, or these columns of it, soon; False when too much is waiting already.

        A row with all required columns is inserted or changes the stored one; one that lacks some of them
        (say `account_sid`) only changes a stored one. Raises UsageError for what no database would take.
        """
        table = _fact_table(table_name)
        values = checked(table, row)
        for date in ("date_created", "date_updated"):
            if date in values and values[date] is None:
                del values[date]  # the writer's to fill in
        key = values.get(key_of(table))
        if key is None:
            if table_name not in SID_PREFIXES:
                raise UsageError(f"{table_name} needs {key_of(table)}")
            key = values[key_of(table)] = new_sid(SID_PREFIXES[table_name])
        return self._add((table_name, key), values, wipe=False)

    def remove(self, table_name: str, key: str) -> bool:
        """Delete a row soon; False when too much is waiting already."""
        _fact_table(table_name)
        return self._add((table_name, key), None, wipe=True)

    async def flush(self, within: float = FLUSH_WITHIN) -> bool:
        """Wait until everything put so far is committed; False when `within` seconds did not suffice."""
        if not self._pending and not self._saving:
            return True
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.when_kept(lambda: None if done.done() else done.set_result(None))
        try:
            async with asyncio.timeout(within):
                await done
        except TimeoutError:
            self.is_late = True
            return False
        return True

    def when_kept(self, told: Callable[[], None]) -> None:
        """Call back, in a later turn of the loop, once everything put so far is committed."""
        if not self._pending and not self._saving:
            asyncio.get_running_loop().call_soon(told)
            return
        self._waiters.append((self._sequence, told))
        self._urgent.set()

    async def close(self, within: float = CLOSE_WITHIN) -> None:
        """Save what is pending, for `within` seconds at most, and end the task."""
        task, self._task = self._task, None
        if task is None:
            return
        self._closed = True
        self._hurry.set()
        self._urgent.set()
        self._wake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await asyncio.wait({task})
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        if self._pending:
            log.error("facts_lost", rows=len(self._pending), reason=self._failing)

    @property
    def health(self) -> Health:
        """How many rows wait, were refused or rejected, and what fails."""
        return Health(len(self._pending), self._refused, self._rejected, self._failing)

    def _add(self, key: RowKey, values: Row | None, *, wipe: bool) -> bool:
        if self._closed:
            raise UsageError("the store is closed")
        old = self._pending.get(key)
        self._sequence += 1
        if old is not None and values is not None and old.values is not None and not wipe:
            # The usual case, four times a call: more columns of a row that waits.
            size = _size(values)
            old.values.update(values)
            old.size += size
            self._bytes += size
            return True
        fact = Fact(values, wipe=wipe, sequence=self._sequence)
        if old is None and (len(self._pending) >= self._most_rows or self._bytes + fact.size > PENDING_BYTES):
            if not self._refused:
                log.error("facts_refused", waiting=len(self._pending), reason=self._failing)
            self._refused += 1
            return False
        if old is not None:
            self._bytes -= old.size
            fact = old.then(fact)
        self._pending[key] = fact
        self._bytes += fact.size
        self._wake.set()
        return True

    async def _run(self) -> None:
        delay = self._retry_first
        while True:
            await self._wake.wait()
            if not self._pending and self._closed:
                return
            await _within(self._urgent, GATHER_FOR)
            self._urgent.clear()
            batch = self._take()
            self._saving = True
            try:
                rejected = await self._save(batch)
            except Unavailable as error:
                self._give_back(batch)
                self._report_failure(str(error))
                await _within(self._hurry, delay)
                self._hurry.clear()
                delay = min(2 * delay, RETRY_MOST)
            except asyncio.CancelledError:
                self._give_back(batch)
                raise
            else:
                delay = self._retry_first
                self._report_success(rejected)
            finally:
                self._saving = False
            self._tell_waiters()

    def _take(self) -> Batch:
        """Take the oldest rows; wake stays set as long as there is more, or when closing."""
        keys = list(self._pending)[:BATCH_ROWS] if len(self._pending) > BATCH_ROWS else list(self._pending)
        batch = {key: self._pending.pop(key) for key in keys}
        self._bytes -= sum(fact.size for fact in batch.values())
        if not self._pending and not self._closed:
            self._wake.clear()
        return batch

    def _give_back(self, batch: Batch) -> None:
        """Put a batch back to the front, below what came for the same rows in the meantime."""
        newer = self._pending
        merged = {key: fact.then(newer.pop(key)) if key in newer else fact for key, fact in batch.items()}
        self._pending = merged | newer
        self._bytes = sum(fact.size for fact in self._pending.values())
        self._wake.set()

    def _tell_waiters(self) -> None:
        oldest = next(iter(self._pending.values())).sequence if self._pending else self._sequence + 1
        waiting = []
        for target, told in self._waiters:
            if target < oldest:
                asyncio.get_running_loop().call_soon(told)
            else:
                waiting.append((target, told))
        self._waiters = waiting
        if waiting:
            self._urgent.set()

    def _report_failure(self, reason: str) -> None:
        if not self._failing:
            log.error("facts_not_saved", reason=reason, waiting=len(self._pending))
        self._failing = reason

    def _report_success(self, rejected: list[tuple[RowKey, str]]) -> None:
        self.is_late = False
        if self._failing:
            log.info("facts_saved_again", waiting=len(self._pending), refused=self._refused)
            self._failing = ""
        self._rejected += len(rejected)
        for (table, key), why in rejected[:10]:
            log.error("fact_rejected", table=table, key=key, reason=why)


async def _within(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, but not for longer than `seconds`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _fact_table(name: str) -> Any:
    """Return the table, or raise UsageError when it is part of the configuration."""
    if name not in FACTS:
        raise UsageError(f"{name} is not a table of facts; insert, update or delete its rows")
    return table_named(name)


def _size(values: Row | None) -> int:
    size = 0
    if values:
        for value in values.values():
            if type(value) is bytes:
                size += len(value)
    return size
