"""Datagrams of one UDP socket that does not block, as Python's socket gives them: the twin of `_core_datagrams.pxi`.

A name or a wrong address never gets here: `send` is given IP literals.
"""

from __future__ import annotations

import errno
import socket
from typing import Any, Final, Protocol

LARGEST: Final = 65_535
"""Bytes of a datagram."""

AT_ONCE: Final = 16
"""Datagrams that are received at once, at most."""

Source = tuple[Any, ...]
"""Host and port. Compiled code makes a tuple of a known length anew wherever it keeps it, and this one is a key."""


class Datagrams(Protocol):
    """What is received and sent through one socket, which stays its owner's."""

    def receive(self, most: int) -> list[tuple[bytes, Source]]:
        """The next datagrams and their sources, `most` or AT_ONCE at most; fewer: no more are there.

        Raises OSError: of an earlier `send`, perhaps.
        """
        ...

    def send(self, data: bytes, host: str, port: int) -> int:
        """Send to an IP literal: 0, or the number of the error."""
        ...

    def close(self) -> None:
        """Nothing is received or sent any more."""
        ...


class PureDatagrams:
    """Through Python's socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray(LARGEST)
        self._view = memoryview(self._buffer)

    def receive(self, most: int) -> list[tuple[bytes, Source]]:
        """The next datagrams and their sources, `most` or AT_ONCE at most; fewer: no more are there. Raises OSError."""
        received: list[tuple[bytes, Source]] = []
        while len(received) < min(most, AT_ONCE):
            try:
                size, address = self._sock.recvfrom_into(self._buffer)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                if received:
                    break
                raise
            received.append((bytes(self._view[:size]), address[:2]))
        return received

    def send(self, data: bytes, host: str, port: int) -> int:
        """Send to an IP literal: 0, or the number of the error."""
        try:
            self._sock.sendto(data, (host, port))
        except OSError as error:
            return error.errno or errno.EIO
        except OverflowError:
            return errno.EINVAL  # no port
        return 0

    def close(self) -> None:
        """The socket is closed by its owner."""
