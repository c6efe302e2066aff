"""What the shell holds of a call that is up: its actor, its leg, its sound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ringback.call.actor import CallActor
from ringback.call.leg import Leg
from ringback.call.setup import CallSetup
from ringback.media.pump import Port


@dataclass(slots=True, eq=False)
class LiveCall:
    """One call. ``started`` is of the monotonic clock; ``row`` is its record as last written."""

    sid: str = field(init=False)
    setup: CallSetup
    actor: CallActor
    started: float
    row: dict[str, Any]
    port: Port
    leg: Leg
    spare: Port | None = None
    """Of the other address family, while a far end of either may answer."""
    bridged: LiveCall | None = None
    conference_sid: str = ""
    playing: str = ""
    """The token of the clip that plays or is being fetched."""
    play_ids: dict[int, str] = field(default_factory=dict)
    stream_sids: list[str] = field(default_factory=list)
    timers: list[str] = field(default_factory=list)
    """The tokens of those that are armed: a handful, for which a set would take eight times the memory."""
    callbacks: asyncio.Queue[Any] | None = None
    held: list[Callable[[], None]] | None = None
    """Commands that wait until this call's answer is written down and out; None when nothing waits."""
    recorded: bool = False
    """Whether the queue of the store has taken the record as a whole; if not, there is nothing to change."""
    is_silent: bool = False
    """Nothing was heard of the far end for some seconds, though it may send."""
    quality: Any = None
    is_over: bool = False
    over: asyncio.Event | None = None
    """Of those who wait for the end; most calls have none."""

    async def until_over(self) -> None:
        """Wait until the call has ended and is written down."""
        if not self.is_over:
            self.over = self.over or asyncio.Event()
            await self.over.wait()

    def __post_init__(self) -> None:
        self.sid = self.setup.sid
