"""How soon one commit may follow another: at once where few wait for the disk, spread where many do.

A commit costs about as much whether it serves one call or five. While at most 25 a second wait for one, each may have its own, and
nobody waits for longer than the disk takes; from 50 a second on commits begin 40 ms apart, and one serves all that wait.
"""

from __future__ import annotations

from math import exp

from ringback.store.limits import COMMITS_APART, SPREAD_FROM, SPREAD_WHOLLY

REMEMBERED = 1.0
"""Seconds over which those who wait are counted."""


class Pace:
    """Counts who waits. ``apart`` is how far commits are spread at most, in seconds."""

    __slots__ = ("_apart", "_counted_at", "rate")

    def __init__(self, apart: float = COMMITS_APART) -> None:
        self._apart = apart
        self._counted_at = 0.0
        self.rate = 0.0
        """Who waited for a commit, a second."""

    def next_after(self, now: float, waiting: int) -> float:
        """A commit begins ``now`` that so many wait for: when the next one may begin."""
        self.rate = self.rate * exp((self._counted_at - now) / REMEMBERED) + waiting / REMEMBERED
        self._counted_at = now
        share = (self.rate - SPREAD_FROM) / (SPREAD_WHOLLY - SPREAD_FROM)
        return now + self._apart * min(1.0, max(0.0, share))
