"""Datagrams that were received and not yet read, the urgent ones first.

The kernel's buffer is emptied at once, because what waits there waits in the order of arrival and is lost in the
order of arrival: a flood would push out the BYE of a call that is up. Here three queues wait, each with a bound:

    1. from vouched sources: answers, and requests inside dialogs
    2. from vouched sources: the rest (new calls, registrations)
    3. from strangers
"""

from __future__ import annotations

import re
from collections import deque
from typing import Final

from .guard import VOUCHED, Guard, Source

MAX_VOUCHED: Final = 8_192
"""Datagrams in each of the first two queues: some three seconds of work; beyond, the answer would be too late."""
MAX_STRANGERS: Final = 512
"""Some 150 ms of work: whoever waits longer has sent it again."""
MAX_BYTES: Final = 16 * 1024 * 1024
"""Of each queue: what 8,192 ordinary messages have, or 256 of the largest."""

_TO_TAG: Final = re.compile(rb"\n(?:to|t)[ \t]*:[^\r\n]*;[ \t]*tag[ \t]*=", re.IGNORECASE)
_ALWAYS_FIRST: Final = (b"SIP/2.0 ", b"ACK ", b"BYE ", b"CANCEL ")
_HEAD: Final = 2_048
"""Bytes in which To is looked for; where it comes later, the request waits a little longer."""


Received = tuple[bytes, Source, float]
"""A datagram, where it came from, and when, in seconds of the clock that the guard is told."""


class _Queue:
    __slots__ = ("bytes", "items", "most")

    def __init__(self, most: int) -> None:
        self.items: deque[Received] = deque()
        self.most = most
        self.bytes = 0

    def put(self, received: Received) -> bool:
        size = len(received[0])
        if len(self.items) >= self.most or self.bytes + size > MAX_BYTES:
            return False
        self.items.append(received)
        self.bytes += size
        return True

    def take(self) -> Received:
        received = self.items.popleft()
        self.bytes -= len(received[0])
        return received


class Inbox:
    """What one socket received. ``put`` asks the guard."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._dialogs = _Queue(MAX_VOUCHED)
        self._vouched = _Queue(MAX_VOUCHED)
        self._strangers = _Queue(MAX_STRANGERS)

    def __len__(self) -> int:
        return len(self._dialogs.items) + len(self._vouched.items) + len(self._strangers.items)

    def put(self, received: Received) -> bool:
        """Keep a datagram; False when it is dropped."""
        whose = self._guard.admit(received[1], received[2])
        if whose == VOUCHED:
            queue = self._dialogs if is_of_dialog(received[0]) else self._vouched
        elif whose:
            queue = self._strangers
        else:
            return False
        if queue.put(received):
            return True
        self._guard.counters.backlog += 1
        return False

    def waited(self, now: float) -> float:
        """Seconds that the oldest new call or registration of a vouched source waits."""
        items = self._vouched.items
        return now - items[0][2] if items else 0.0

    def take(self) -> Received | None:
        """The next to read."""
        if self._dialogs.items:
            return self._dialogs.take()
        if self._vouched.items:
            return self._vouched.take()
        return self._strangers.take() if self._strangers.items else None


def is_of_dialog(data: bytes) -> bool:
    """Whether a datagram looks like an answer, or a request inside a dialog: To has a tag. It is not parsed yet."""
    if data.startswith(b"REGISTER "):
        return False
    return data.startswith(_ALWAYS_FIRST) or _TO_TAG.search(data, 0, _HEAD) is not None
