"""Which calls are up, and which were a moment ago."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final

from ringback.call.errors import Overload
from ringback.shell.live import LiveCall

RECENT: Final = 1_000
"""Finished calls that REST still reads from memory, until the writer has them on disk."""


class CallTable:
    """Calls by their SIDs, ``most`` at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._live: dict[str, LiveCall] = {}
        self._recent: dict[str, dict[str, Any]] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[LiveCall]:
        """Those that are up at this moment, whatever becomes of them meanwhile."""
        return iter(list(self._live.values()))

    def get(self, sid: str) -> LiveCall | None:
        """The live call of this SID."""
        return self._live.get(sid)

    def row(self, sid: str) -> dict[str, Any] | None:
        """The record of a call that is live, or was a moment ago."""
        call = self._live.get(sid)
        return call.row if call is not None else self._recent.get(sid)

    async def until_over(self, sid: str) -> None:
        """Wait until this call, and every leg that it dialed, has ended and is written down."""
        while family := [call for call in self if sid in (call.sid, call.setup.parent_sid)]:
            await family[0].until_over()

    async def until_idle(self) -> None:
        """Wait until no call is up."""
        await self._idle.wait()

    # -- for what opens and ends them ------------------------------------------------------------------------

    def _check_room(self) -> None:
        """Raises Overload where no more may be up."""
        if len(self._live) >= self._most:
            raise Overload(
                f"{len(self._live)} legs are up, the most by --max-calls, RTP ports and open files"
            )

    def _enter(self, call: LiveCall) -> None:
        self._live[call.sid] = call
        self._idle.clear()

    def _take_out(self, sid: str) -> bool:
        """Whether it was up."""
        return self._live.pop(sid, None) is not None

    def _ended(self, call: LiveCall) -> None:
        """All is done for a call that was taken out: tell those who wait."""
        self._recent[call.sid] = call.row
        if len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]
        call.is_over = True
        if call.over is not None:
            call.over.set()
        if not self._live:
            self._idle.set()
