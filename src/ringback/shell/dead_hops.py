"""Hops that failed a moment ago, so that the next call does not wait for them again (RFC 3263 section 4.3).

A hop is dead for a while after silence or a refused connection, and as long as a 503 with Retry-After says; one without is
no more than a 500 (RFC 3261 section 21.5.4). Dead hops are tried last and never left out: when all are dead, waiting is
all that is left.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from ringback.shell.timers import Clock, MonotonicClock
from ringback.sip.effects import HopFailed
from ringback.sip.flow import Hop

DEAD_FOR: Final = 32.0
"""Seconds after a failure: as long as one transaction lives (64*T1), so a server that restarts is soon back."""
LONGEST: Final = 300.0
"""Seconds at most, whatever Retry-After says: a carrier's slip must not take it away for a day."""
HOPS_KEPT: Final = 4_096
"""Remembered at a time; the oldest are forgotten first."""

Key = tuple[str, str, int]


class DeadHops:
    """The memory. ``clock`` gives the time."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or MonotonicClock()
        self._until: OrderedDict[Key, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def failed(self, effect: HopFailed) -> None:
        """Remember a failure. The streams of phones are not remembered: a stream that is gone never comes back."""
        hop = effect.hop
        if hop.connection or (effect.kind == "unavailable" and not effect.retry_after):
            return
        after = min(float(effect.retry_after) or DEAD_FOR, LONGEST)
        key = (hop.transport, hop.host, hop.port)
        self._until[key] = self._clock.now() + after
        self._until.move_to_end(key)
        if len(self._until) > HOPS_KEPT:
            self._until.popitem(last=False)

    def is_dead(self, hop: Hop) -> bool:
        """Whether it failed a moment ago."""
        key = (hop.transport, hop.host, hop.port)
        until = self._until.get(key)
        if until is None:
            return False
        if until <= self._clock.now():
            del self._until[key]
            return False
        return True

    def ordered(self, hops: Iterable[Hop]) -> list[Hop]:
        """The same hops, those that failed a moment ago last."""
        found = list(hops)
        if self._until:
            found.sort(key=self.is_dead)
        return found
