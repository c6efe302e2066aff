"""How much is taken of a peer that sends more than any telephone would: a token bucket."""

from __future__ import annotations


class Allowance:
    """``most`` at once, and ``rate`` a second after that. Times are monotonic seconds."""

    __slots__ = ("_at", "_left", "_most", "_rate")

    def __init__(self, most: float, rate: float) -> None:
        self._left = self._most = most
        self._rate = rate
        self._at = 0.0

    def take(self, count: int, now: float) -> bool:
        """Whether there was room for so many."""
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < count:
            return False
        self._left -= count
        return True
