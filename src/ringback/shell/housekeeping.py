"""What is old goes, so that the disk is not filled for ever: records of calls and conferences, and before them what explains calls.

Each hour, a hundred rows at a time, so that calls which wait for the disk hardly wait for longer. The place of deleted rows is
used again; files do not become smaller.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import structlog

from ringback.shell.recovery import close_forsaken
from ringback.shell.steady import steady_time
from ringback.store import Store, StoreError

log = structlog.get_logger("ringback.housekeeping")

FIRST: Final = 60.0
"""Seconds from the start to the first look: phones come back before."""
EVERY: Final = 3_600.0
AT_ONCE: Final = 100
"""Rows of one transaction: 10 to 40 ms of the disk with journals of 3 to 20 kB."""
BETWEEN: Final = 0.05
"""Seconds between transactions: nearly 2,000 rows a second are more than a server writes for long."""


class Kept(NamedTuple):
    """For how many days; 0 is for ever."""

    records: float = 400.0
    """Calls and conferences: Twilio keeps calls for 13 months."""
    timelines: float = 30.0
    """Journals and notifications, which take most of the room: as long as Twilio keeps the events of a call (Voice Insights)."""

    def of_tables(self) -> dict[str, float]:
        """Days by table, those that go first before the others."""
        days = {"journals": self.timelines, "notifications": self.timelines}
        days |= {"calls": self.records, "conferences": self.records}
        return {table: kept for table, kept in days.items() if kept > 0}


async def keep_house(store: Store, kept: Kept) -> None:
    """Remove what is old, and close what nobody comes back for, as long as the server runs."""
    await asyncio.sleep(FIRST)
    while True:
        try:
            await close_forsaken(store)
            await remove_old(store, kept, steady_time())
        except StoreError as problem:
            log.warning("what is old stays for now", reason=str(problem))
        await asyncio.sleep(EVERY)


async def remove_old(store: Store, kept: Kept, now: float) -> dict[str, int]:
    """Remove what is old ``now``, by a clock that is not stepped; how many rows of which table."""
    removed = {}
    for table, days in kept.of_tables().items():
        before = datetime.fromtimestamp(now, UTC) - timedelta(days=days)
        count = removed[table] = await _remove(store, table, before)
        if count:
            log.info(
                "old rows removed", table=table, count=count, before=before.isoformat(timespec="seconds")
            )
    return removed


async def _remove(store: Store, table: str, before: datetime) -> int:
    total = 0
    async for count in store.remove_older(table, before, AT_ONCE):
        total += count
        await asyncio.sleep(BETWEEN)
    return total
