"""Where a message came from, and where one is to go."""

from __future__ import annotations

from typing import NamedTuple


class Hop(NamedTuple):
    """The next hop of a message: an IP literal, never a name (RFC 3263 is the resolver's work).

    `connection` names an open stream to use again when it still is open (0: none; open one or reuse one to the
    same address); `server_name` is the name that the peer's TLS certificate must carry ("" = do not verify);
    `local` is the UDP socket to send from (None: any of that family).
    """

    transport: str
    host: str
    port: int
    connection: int = 0
    server_name: str = ""
    local: tuple[str, int] | None = None


class Flow(NamedTuple):
    """The path on which a message arrived: transport "UDP", "TCP" or "TLS", both ends, and the stream.

    `connection` is the number that the transport gave to the stream, never used twice; 0 for UDP.
    """

    transport: str
    local: tuple[str, int]
    remote: tuple[str, int]
    connection: int = 0

    def hop(self) -> Hop:
        """The way back: the same socket to the same address, or the same stream (RFC 3261 section 18.2.2)."""
        if self.connection:
            return Hop(self.transport, self.remote[0], self.remote[1], self.connection)
        return Hop(self.transport, self.remote[0], self.remote[1], 0, "", self.local)
