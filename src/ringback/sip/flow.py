"""Where a message came from, and where one is to go. Slotted classes, because every message has both."""

from __future__ import annotations

from typing import Any


class Hop:
    """The next hop of a message: an IP literal, never a name (RFC 3263 is the resolver's work). Immutable.

    `connection` names an open stream to use again when it still is open (0: none; open one or reuse one to the
    same address); `server_name` is the name that the peer's TLS certificate must carry ("" = do not verify);
    `local` is the UDP socket to send from (None: any of that family).
    """

    __slots__ = ("connection", "host", "local", "port", "server_name", "transport")

    def __init__(
        self,
        transport: str,
        host: str,
        port: int,
        connection: int = 0,
        server_name: str = "",
        local: tuple[str, int] | None = None,
    ) -> None:
        self.transport = transport
        self.host = host
        self.port = port
        self.connection = connection
        self.server_name = server_name
        self.local = local

    def parts(self) -> list[Any]:
        """What it is made of, in the order of its making: for JSON and the like."""
        return [self.transport, self.host, self.port, self.connection, self.server_name, self.local]

    def replace(self, **changes: Any) -> Hop:
        """The same with some parts changed."""
        names = ("transport", "host", "port", "connection", "server_name", "local")
        return Hop(**{**dict(zip(names, self.parts(), strict=True)), **changes})

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Hop) and self.parts() == other.parts())

    def __hash__(self) -> int:
        return hash((self.transport, self.host, self.port, self.connection))

    def __repr__(self) -> str:
        return f"Hop({', '.join([repr(part) for part in self.parts()])})"


class Flow:
    """The path on which a message arrived: transport "UDP", "TCP" or "TLS", both ends, and the stream. Immutable.

    `connection` is the number that the transport gave to the stream, never used twice; 0 for UDP.
    """

    __slots__ = ("_hop", "connection", "local", "remote", "transport")

    def __init__(
        self, transport: str, local: tuple[str, int], remote: tuple[str, int], connection: int = 0
    ) -> None:
        self.transport = transport
        self.local = local
        self.remote = remote
        self.connection = connection
        self._hop: Hop | None = None

    def hop(self) -> Hop:
        """The way back: the same socket to the same address, or the same stream (RFC 3261 section 18.2.2)."""
        hop = self._hop
        if hop is None:
            host, port = self.remote
            local = None if self.connection else self.local
            hop = self._hop = Hop(self.transport, host, port, self.connection, "", local)
        return hop

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Flow)
            and self.transport == other.transport
            and self.remote == other.remote
            and self.local == other.local
            and self.connection == other.connection
        )

    def __hash__(self) -> int:
        return hash((self.transport, self.remote, self.connection))

    def __repr__(self) -> str:
        return f"Flow({self.transport!r}, {self.local!r}, {self.remote!r}, {self.connection})"
