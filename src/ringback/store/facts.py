"""The facts writer: what calls tell about themselves reaches the disk without any call waiting for it.

    put/remove --> pending (one entry a row, later values over earlier) --> one task --> one transaction
                        ^                                                        |
                        +--------------- back, when the disk refuses ------------+

`put` never waits and judges nothing but names; values are judged when they are saved, once for all changes of a row
that came together. The first row that waits sets the clock: 50 ms later all are committed, up to 2,000 at a time.
Who waits for the disk (`when_kept`, `flush`) hurries that; where many do, commits begin up to 40 ms apart, so that one
serves all that wait (`ringback.store.pace`). A database that is locked, full or gone is tried again, 0.1 s to 5 s apart; newer
values of a row join the waiting ones. When 100,000 rows wait, further rows are refused and counted; journals and what
else explains a call make room for the records of calls from half of that on.
All methods belong to the event loop's thread.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import structlog
from sqlalchemy import LargeBinary

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
from ringback.store.pace import Pace
from ringback.store.rows import Row, key_of
from ringback.store.sids import new_sid
from ringback.store.tables import FACTS, SID_PREFIXES, metadata

log = structlog.get_logger("ringback.store")

RowKey = tuple[str, str]
"""Table name and primary key."""

_KEYS = {name: key_of(metadata.tables[name]) for name in FACTS}

_BLOBS = {
    name: [column.name for column in metadata.tables[name].columns if isinstance(column.type, LargeBinary)]
    for name in FACTS
}
"""The columns whose values are large enough to be counted."""

_RECORDS = frozenset({"calls", "conferences", "registrations"})
"""Tables that may use the whole queue."""


class Fact:
    """What is to be done with one row: `wipe` deletes what is stored, then `values` are put if there are any."""

    __slots__ = ("sequence", "size", "values", "wipe")

    def __init__(self, values: Row | None, wipe: bool, sequence: int, size: int) -> None:
        self.values = values
        self.wipe = wipe
        self.sequence = sequence
        self.size = size

    def then(self, later: "Fact") -> "Fact":
        """Return this fact followed by a later one, in this one's place."""
        if later.wipe or self.values is None or later.values is None:
            return Fact(later.values, self.wipe or later.wipe, self.sequence, later.size)
        return Fact(self.values | later.values, self.wipe, self.sequence, self.size + later.size)


Batch = dict[RowKey, Fact]
Rejected = list[tuple[RowKey, str]]
"""Rows that the database will never take, and why."""
Save = Callable[[Batch], Awaitable[Rejected]]
"""Commits a batch; raises Unavailable."""


class Health(NamedTuple):
    """How the writer is doing."""

    pending: int  # rows waiting
    refused: int  # rows that were not taken because too many wait
    rejected: int  # rows that the database will never take
    failing: str  # why the last commit failed; empty when all is well


class Facts:
    """The queue and its one task; the store starts and closes it."""

    def __init__(
        self,
        save: Save,
        *,
        rows: int = PENDING_ROWS,
        retry_first: float = RETRY_FIRST,
        pace: Pace | None = None,
    ) -> None:
        self._save = save
        self._most_rows = rows
        self._retry_first = retry_first
        self._pace = pace or Pace()
        self._pending: Batch = {}
        self._bytes = 0
        self._sequence = 0
        self._saving = False
        self._refused = 0
        self._refusing = False
        self._rejected = 0
        self._failing = ""
        self.is_late = False
        """Somebody gave up waiting, and nothing was committed since: who is in a hurry need not wait."""
        self._waiters: list[tuple[int, Callable[[], None]]] = []
        self._due = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._not_before = 0.0
        self._closed = False
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Start the writer's task."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name="facts writer")

    def put(self, table_name: str, row: Mapping[str, Any]) -> bool:
        """Store `row`, or these columns of it, soon; False when too much is waiting already.

        A row with all required columns is inserted or changes the stored one; one that lacks some of them
        (say `account_sid`) only changes a stored one. A row with a value that no database would take is left out when
        it is to be saved, and logged. Raises UsageError for a table of the configuration, and without a key.
        """
        key_name = _KEYS.get(table_name)
        if key_name is None:
            raise _not_a_fact(table_name)
        values = dict(row)
        key = values.get(key_name)
        if key is None:
            if table_name not in SID_PREFIXES:
                raise UsageError(f"{table_name} needs {key_name}")
            key = values[key_name] = new_sid(SID_PREFIXES[table_name])
        for date in ("date_created", "date_updated"):
            if values.get(date, date) is None:
                del values[date]  # the writer's to fill in
        blobs = _BLOBS[table_name]
        size = sum([len(values.get(name) or b"") for name in blobs]) if blobs else 0
        return self._add((table_name, key), values, False, size)

    def change(self, table_name: str, key: str, row: Row) -> bool:
        """As `put`, for columns that are known to be there, the key among them, and neither a blob nor an empty date.

        The row belongs to the writer from now on. What is known of it need not be asked, for each change of each call.
        """
        return self._add((table_name, key), row, False, 0)

    def remove(self, table_name: str, key: str) -> bool:
        """Delete a row soon; False when too much is waiting already."""
        if table_name not in FACTS:
            raise _not_a_fact(table_name)
        return self._add((table_name, key), None, True, 0)

    def when_kept(self, told: Callable[[], None]) -> None:
        """Call back, in a later turn of the loop, once everything put so far is committed."""
        if not self._pending and not self._saving:
            self._loop.call_soon(told)
            return
        self._waiters.append((self._sequence, told))
        if not self._saving:
            self._wake_in(0.0)

    async def flush(self, within: float = FLUSH_WITHIN) -> bool:
        """Wait until everything put so far is committed; False when `within` seconds did not suffice."""
        if not self._pending and not self._saving:
            return True
        done: asyncio.Future[bool] = self._loop.create_future()

        def settle(saved: bool) -> None:
            if not done.done():
                done.set_result(saved)

        told = partial(settle, True)
        late = self._loop.call_later(within, settle, False)
        self.when_kept(told)
        try:
            saved = await done
        finally:
            late.cancel()
            self._waiters = [waiter for waiter in self._waiters if waiter[1] is not told]
        self.is_late = self.is_late or not saved
        return saved

    async def close(self, within: float = CLOSE_WITHIN) -> None:
        """Save what is pending, for `within` seconds at most, and end the task."""
        task, self._task = self._task, None
        if task is None:
            return
        self._closed = True
        self._not_before = 0.0
        self._due.set()
        await asyncio.wait({task}, timeout=within)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        self._disarm()
        if self._pending:
            log.error("facts_lost", rows=len(self._pending), reason=self._failing)

    @property
    def health(self) -> Health:
        """How many rows wait, were refused or rejected, and what fails."""
        return Health(len(self._pending), self._refused, self._rejected, self._failing)

    def _add(self, key: RowKey, values: Row | None, wipe: bool, size: int) -> bool:
        if self._closed:
            raise UsageError("the store is closed")
        pending = self._pending
        old = pending.get(key)
        if old is None and len(pending) >= (self._most_rows if key[0] in _RECORDS else self._most_rows // 2):
            return self._refuse()
        if size and self._bytes + size > PENDING_BYTES:
            return self._refuse()
        self._sequence += 1
        self._bytes += size
        if old is None:
            if not pending:
                self._wake_in(GATHER_FOR)
            pending[key] = Fact(values, wipe, self._sequence, size)
        elif values is not None and old.values is not None:
            old.values.update(values)  # the usual case, four times a call: more columns of a row that waits
            old.size += size
        else:
            pending[key] = both = old.then(Fact(values, wipe, self._sequence, size))
            self._bytes += both.size - old.size - size
        return True

    def _refuse(self) -> bool:
        self._refused += 1
        if not self._refusing:
            self._refusing = True
            log.error("facts_refused", waiting=len(self._pending), reason=self._failing)
        return False

    # --- when to commit ---------------------------------------------------------------------------

    def _wake_in(self, seconds: float) -> None:
        """Let the task begin in so many seconds, unless it will earlier; never before it may."""
        now = self._loop.time()
        at = max(now + seconds, self._not_before)
        if at <= now:
            self._due.set()
            return
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._due.set)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _run(self) -> None:
        delay = self._retry_first
        while not self._closed or self._pending:
            await self._due.wait()
            self._due.clear()
            self._disarm()
            if self._loop.time() < self._not_before:
                self._wake_in(0.0)
                continue
            if not self._pending:
                continue
            self._not_before = self._pace.next_after(self._loop.time(), len(self._waiters))
            batch = self._take()
            self._saving = True
            try:
                rejected = await self._save(batch)
            except Unavailable as problem:
                self._give_back(batch)
                self._report_failure(str(problem))
                self._not_before = self._loop.time() + (self._retry_first if self._closed else delay)
                delay = min(2 * delay, RETRY_MOST)
            except BaseException as error:
                self._give_back(batch)
                if not isinstance(error, Exception):
                    raise
                if not self._failing:
                    log.error("facts_writer_failed", exc_info=error)  # our own mistake; no row is lost by it
                self._report_failure(repr(error))
                self._not_before = self._loop.time() + RETRY_MOST
            else:
                delay = self._retry_first
                self._report_success(rejected)
            finally:
                self._saving = False
            self._tell_waiters()
            if self._closed:
                self._not_before = 0.0 if not self._failing else self._not_before
                self._wake_in(0.0)
            elif self._pending and (self._failing or self._waiters or self._timer is None):
                self._wake_in(0.0)

    def _take(self) -> Batch:
        """Take the oldest rows."""
        if len(self._pending) <= BATCH_ROWS:
            batch, self._pending, self._bytes = self._pending, {}, 0
            return batch
        batch = {key: self._pending.pop(key) for key in list(self._pending)[:BATCH_ROWS]}
        self._bytes -= sum(fact.size for fact in batch.values())
        return batch

    def _give_back(self, batch: Batch) -> None:
        """Put a batch back to the front, below what came for the same rows in the meantime."""
        newer = self._pending
        merged = {key: fact.then(newer.pop(key)) if key in newer else fact for key, fact in batch.items()}
        self._pending = merged | newer
        self._bytes = sum(fact.size for fact in self._pending.values())

    # --- who is told ------------------------------------------------------------------------------

    def _tell_waiters(self) -> None:
        if not self._waiters:
            return
        oldest = next(iter(self._pending.values())).sequence if self._pending else self._sequence + 1
        waiting = []
        for target, told in self._waiters:
            if target < oldest:
                self._loop.call_soon(told)
            else:
                waiting.append((target, told))
        self._waiters = waiting

    def _report_failure(self, reason: str) -> None:
        if not self._failing:
            log.error("facts_not_saved", reason=reason, waiting=len(self._pending))
        self._failing = reason

    def _report_success(self, rejected: Rejected) -> None:
        self.is_late = False
        if self._failing:
            log.info("facts_saved_again", waiting=len(self._pending), refused=self._refused)
            self._failing = ""
        self._refusing = False
        self._rejected += len(rejected)
        for (table, key), why in rejected[:10]:
            log.error("fact_rejected", table=table, key=key, reason=why)


def _not_a_fact(table_name: str) -> UsageError:
    return UsageError(f"{table_name} is not a table of facts; insert, update or delete its rows")
