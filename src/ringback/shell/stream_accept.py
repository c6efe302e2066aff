"""Accepting streams, so many in a turn of the loop: however many come, the others have their turns."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

AGAIN_AFTER: Final = 1.0  # seconds, when the process has no file descriptors left

Take = Callable[[socket.socket, tuple[Any, ...]], None]
"""Who has what was accepted: a socket that does not block, and its peer's address."""


class Acceptor:
    """Accepts at a socket that listens, until it is closed."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, listener: socket.socket, per_turn: int, take: Take
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._per_turn = per_turn
        self._take = take
        loop.add_reader(listener.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(self._per_turn):
            try:
                sock, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no descriptors or no memory: the backlog holds the peers for a moment
                self._loop.remove_reader(self._listener.fileno())
                self._loop.call_later(AGAIN_AFTER, self._accept_again)
                return
            sock.setblocking(False)
            self._take(sock, address)

    def _accept_again(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Accept nothing more."""
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
