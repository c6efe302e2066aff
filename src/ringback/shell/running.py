"""Journals of calls that are up, written down as they grow: a server that is killed loses the last 100 ms of them.

a line --(the first of its journal since the last tick)--> changed --80 ms--> one chunk a journal --> the log
the log is large: begun anew with the journals of the calls that are up
a call is up: the log is of now, twice a second, so that the next run knows how long calls lasted
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from ringback.call.journal import Journal
from ringback.store.journal_log import JournalLog, chunk

log = structlog.get_logger("ringback.running")

TICK: Final = 0.08
"""Seconds that lines wait for company: of the promised 100 ms the rest is for the writing."""

BEAT: Final = 0.5
"""Seconds between signs of life: records of calls that a killed server left are to be right to a second."""

LARGE: Final = 16 * 1024 * 1024
"""Bytes of a log that is worth beginning anew: ten seconds of 200 calls a second."""

MOST: Final = 128 * 1024 * 1024
"""Bytes of running journals that are written down: 20,000 calls of two minutes; the log has twice that at most."""

RETRY: Final = 5.0
"""Seconds between trials of a disk that took no more."""


class RunningJournals:
    """Watches the journals of calls that are up. ``journals`` gives all of them."""

    def __init__(self, log: JournalLog, journals: Callable[[], Iterable[Journal]]) -> None:
        self._log = log
        self._journals = journals
        self._changed: list[Journal] = []
        self._timer: asyncio.TimerHandle | None = None
        self._beating: asyncio.TimerHandle | None = None
        self._large = LARGE
        self._not_before = 0.0

    def watch(self, journal: Journal) -> None:
        """Write this one down from now on, until it is closed."""
        journal.changed = self._on_change
        if self._beating is None:
            self._beating = asyncio.get_running_loop().call_later(BEAT, self._beat)

    def _beat(self) -> None:
        self._beating = None
        if next(iter(self._journals()), None) is not None:
            self._log.beat()
            self._beating = asyncio.get_running_loop().call_later(BEAT, self._beat)

    def _on_change(self, journal: Journal) -> None:
        self._changed.append(journal)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)

    def _tick(self) -> None:
        self._timer = None
        changed, self._changed = self._changed, []
        for journal in changed:
            if not journal.is_closed:
                journal.changed = self._on_change
        if self._log.is_failing or self._log.size > self._large:
            self._begin_anew()
        else:
            self._log.append(b"".join([chunk(j.setup.sid, j.take()) for j in changed if not j.is_closed]))

    def _begin_anew(self) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._not_before or self._log.is_waiting:
            return
        self._not_before = now + RETRY
        whole = b"".join([chunk(journal.setup.sid, journal.take(whole=True)) for journal in self._journals()])
        if len(whole) > MOST:
            log.error("journals of running calls are too large to be written", bytes=len(whole))
            whole = b""
        self._large = max(LARGE, 2 * len(whole))
        self._log.begin_anew(whole)

    def close(self, *, keep: bool) -> None:
        """Write what is there; with ``keep`` for the next run, as calls are cut off."""
        if self._timer is not None:
            self._timer.cancel()
            self._tick()
        for timer in (self._timer, self._beating):
            if timer is not None:
                timer.cancel()
        self._log.close(keep=keep)
