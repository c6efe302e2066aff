"""A peer: somebody else's program in a process of its own, and the events that it tells, waited for with a bound."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

Event = dict[str, Any]

WITHIN = 30.0
"""Seconds that an event may take on a busy machine."""


class Inbox:
    """Events of a peer; any thread puts them in."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._waiting: deque[Event] = deque()
        self._seen: deque[Event] = deque(maxlen=60)
        self._changed = threading.Condition()

    def put(self, event: Event) -> None:
        """An event happened."""
        with self._changed:
            self._waiting.append(event)
            self._seen.append(event)
            self._changed.notify_all()

    def expect(self, kind: str, within: float = WITHIN, **wanted: Any) -> Event:
        """The next event of this kind with these values; it is taken out. AssertionError when none comes."""
        found = self.take(kind, within, **wanted)
        if found is None:
            told = "\n".join(shown(event) for event in self._seen)
            raise AssertionError(f"{self.name}: no {kind} {wanted} within {within:.0f} s. It told:\n{told}")
        return found

    def take(self, kind: str, within: float, **wanted: Any) -> Event | None:
        """As ``expect``, but None when none comes."""

        def fits(event: Event) -> bool:
            return event["event"] == kind and all(event.get(name) == value for name, value in wanted.items())

        until = time.monotonic() + within
        with self._changed:
            while True:
                for event in self._waiting:
                    if fits(event):
                        self._waiting.remove(event)
                        return event
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return None


def shown(event: Event) -> str:
    """An event for people: long texts in their first line."""
    return "  " + " ".join(
        f"{name}={str(value).splitlines()[0][:120] if str(value) else value!r}"
        for name, value in event.items()
    )


class LineReader:
    """Reads the lines that a process prints, in a thread, until the end."""

    def __init__(self, process: subprocess.Popen[Any], on_line: Callable[[str], None]) -> None:
        self._process = process
        self._on_line = on_line
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _lines(self) -> Iterator[str]:
        assert self._process.stdout is not None
        with self._process.stdout as printed:
            for line in printed:
                yield line if isinstance(line, str) else line.decode("utf-8", "replace")

    def _read(self) -> None:
        for line in self._lines():
            self._on_line(line)

    def join(self) -> None:
        """Wait until all was read."""
        self._thread.join(10)


def end(process: subprocess.Popen[Any], within: float = 5.0) -> None:
    """Wait for a process that was asked to end; kill it when it does not."""
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
