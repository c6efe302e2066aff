"""The SIP transports of one server as one object: bytes in and out, whatever carries them. RFC 3261 section 18."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from ringback.sip.errors import SipSyntaxError
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import Request, Response

from .guard import Guard
from .stream_connection import Destination
from .stream_transport import Streams
from .timers import Clock, MonotonicClock
from .tls import ClientContexts
from .transport_limits import Callbacks, Counters, TransportLimits
from .udp_transport import UdpSocket

__all__ = ["LOCAL_NETWORKS", "SipTransports", "TransportLimits"]

DEFAULT_PORTS: Final = {"UDP": 5060, "TCP": 5060, "TLS": 5061}  # RFC 3261 section 18.1.1
WILDCARDS: Final = ("0.0.0.0", "::")
ROUTES_KEPT: Final = 4_096  # destinations whose source address is remembered
ROUTE_AGE: Final = 60.0  # seconds; routes change when a cable is pulled
LOCAL_NETWORKS: Final = (
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
)


class SipTransports:
    """All sockets that carry SIP. To be made in the running loop.

    The callbacks are called in the loop's thread, one message at a time:

    on_message(message, flow)            every message that could be read
    on_garbage(error, flow)              what could not; `error.message` may be refused with `error.status`
    on_closed(connection)                a stream is gone
    on_unreachable(hop, transaction)     a message given to `send` cannot get there (never from within `send`)

    `public_address` is what peers outside of `local_networks` are told to answer to (the address of a NAT with
    forwarded ports); `client_context` gives the TLS context for a server name ("" = do not verify). `guard` judges
    what arrives by its source; without one all are trusted.
    """

    def __init__(
        self,
        on_message: Callable[[Request | Response, Flow], None],
        on_garbage: Callable[[SipSyntaxError, Flow], None],
        on_closed: Callable[[int], None],
        on_unreachable: Callable[[Hop, str], None],
        limits: TransportLimits | None = None,
        *,
        public_address: str | None = None,
        local_networks: Sequence[str] = LOCAL_NETWORKS,
        client_context: Callable[[str], ssl.SSLContext] | None = None,
        clock: Clock | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._callbacks = Callbacks(on_message, on_garbage, on_closed, on_unreachable)
        self._limits = limits or TransportLimits()
        self._clock: Clock = clock or MonotonicClock()
        self._public = ipaddress.ip_address(public_address) if public_address else None
        self._local_networks = [ipaddress.ip_network(network) for network in local_networks]
        self.counters = Counters()
        self._guard = guard
        self._udp: dict[tuple[str, int], UdpSocket] = {}
        self._udp_of_family: dict[int, list[UdpSocket]] = {}
        self._streams = Streams(
            self._loop,
            self._callbacks,
            self._limits,
            self.counters,
            self._clock,
            self._context_for,
            guard,
        )
        self._client_context = client_context
        self._listening: dict[str, list[tuple[str, int]]] = {"TCP": [], "TLS": []}
        self._sources: OrderedDict[str, tuple[float, str]] = OrderedDict()

    # -- opening

    def listen_udp(self, host: str, port: int = 5060) -> tuple[str, int]:
        """Receive at and send from an IP literal and port (0: any). Returns the address. Raises OSError."""
        udp = UdpSocket.bind(
            self._loop, host, port, self._callbacks, self._limits, self.counters, self._guard, self._clock
        )
        self._udp[udp.local] = udp
        self._udp_of_family.setdefault(udp.family, []).append(udp)
        return udp.local

    def listen_tcp(self, host: str, port: int = 5060) -> tuple[str, int]:
        """Accept TCP at an IP literal and port (0: any). Returns the address. Raises OSError."""
        address = self._streams.listen("TCP", host, port)
        self._listening["TCP"].append(address)
        return address

    def listen_tls(self, host: str, port: int, ssl_context: ssl.SSLContext) -> tuple[str, int]:
        """Accept TLS at an IP literal and port (0: any). Returns the address. Raises OSError."""
        address = self._streams.listen("TLS", host, port, ssl_context)
        self._listening["TLS"].append(address)
        return address

    # -- sending

    def send(self, hop: Hop, data: bytes, transaction: str = "") -> None:
        """Send one message; never waits. Failure comes by `on_unreachable(hop, transaction)`."""
        if hop.transport == "UDP":
            udp = self._udp_for(hop)
            if udp is not None:
                udp.send(hop, data, transaction)
                return
        elif hop.transport in DEFAULT_PORTS:
            self._streams.send(hop, data, transaction)
            return
        self.counters.unreachable += 1
        self._loop.call_soon(self._callbacks.on_unreachable, hop, transaction)

    def waited(self) -> float:
        """Seconds that the oldest datagram with new work of a vouched source waits to be read."""
        longest = 0.0
        for udp in self._udp.values():
            longest = max(longest, udp.waited())
        return longest

    def local_address_for(self, hop: Hop) -> tuple[str, int]:
        """Host and port for Via and Contact of what goes to `hop`: where the peer can send to.

        The address that was bound, or for a wildcard the one that the route to the peer leaves from; the public
        address for peers that are not in the local networks. The port is the listener's, also for streams.
        """
        if hop.transport == "UDP":
            udp = self._udp_for(hop)
            bound = udp.local if udp is not None else None
        else:
            bound = self._listener_for(hop)
        host, port = bound or ("0.0.0.0", DEFAULT_PORTS.get(hop.transport, 5060))
        if self._public is not None and self._is_outside(hop.host):
            return str(self._public), port
        if host in WILDCARDS:
            flow = self._streams.flow(hop.connection) if hop.connection else None
            host = flow.local[0] if flow is not None and flow.local[0] else self._source_for(hop.host)
        return host, port

    def flow(self, connection: int) -> Flow | None:
        """The flow of an open stream, None when it is gone."""
        return self._streams.flow(connection)

    def takes_tcp(self, hop: Hop) -> bool:
        """Whether the host and port of a hop have taken a TCP connection of ours."""
        return self._streams.has_opened(Destination("TCP", hop.host, hop.port, ""))

    @property
    def streams(self) -> int:
        """How many TCP and TLS connections are open."""
        return len(self._streams)

    # -- closing

    def stop_listening(self) -> None:
        """Accept no new streams; what is open, and UDP, goes on."""
        self._streams.stop_listening()

    async def close(self, grace: float = 2.0) -> None:
        """Let out what was sent, for `grace` seconds at most, and close everything."""
        await asyncio.gather(self._streams.close(grace), *(_flush(udp, grace) for udp in self._udp.values()))
        for udp in self._udp.values():
            udp.close()
        self._udp.clear()
        self._udp_of_family.clear()

    # -- choosing

    def _context_for(self, server_name: str) -> ssl.SSLContext:
        """Reading the system's authorities takes a while: only for those who use TLS."""
        if self._client_context is None:
            self._client_context = ClientContexts()
        return self._client_context(server_name)

    def _udp_for(self, hop: Hop) -> UdpSocket | None:
        """The socket of a hop; None where it is no IP literal, though a peer's Via or Route says so."""
        family = _family(hop.host)
        if hop.local is not None:
            udp = self._udp.get(hop.local)
            if udp is not None and udp.family == family:
                return udp
        candidates = self._udp_of_family.get(family) if family is not None else None
        if not candidates:
            return None
        if len(candidates) == 1:
            return candidates[0]
        source = self._source_for(hop.host)
        return min(candidates, key=lambda udp: (udp.local[0] != source, udp.local[0] not in WILDCARDS))

    def _listener_for(self, hop: Hop) -> tuple[str, int] | None:
        family = _family(hop.host)
        fitting = [a for a in self._listening.get(hop.transport, []) if _family(a[0]) == family]
        if len(fitting) > 1:
            source = self._source_for(hop.host)
            fitting.sort(key=lambda address: (address[0] != source, address[0] not in WILDCARDS))
        return fitting[0] if fitting else None

    def _is_outside(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        if self._public is None or address.version != self._public.version:
            return False
        return not any(address in network for network in self._local_networks)

    def _source_for(self, host: str) -> str:
        """The address that the system would send from to `host`; no packet is sent to find it out."""
        now = self._clock.now()
        known = self._sources.get(host)
        if known is not None and now - known[0] < ROUTE_AGE:
            return known[1]
        family = _family(host)
        source = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        if family is not None:
            with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
                try:
                    probe.connect((host, 9))
                    source = probe.getsockname()[0]
                except OSError:
                    pass  # no route: the message will not get there either
        self._sources[host] = (now, source)
        self._sources.move_to_end(host)
        if len(self._sources) > ROUTES_KEPT:
            self._sources.popitem(last=False)
        return source


async def _flush(udp: UdpSocket, grace: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(udp.flush(), grace)


@lru_cache(maxsize=ROUTES_KEPT)
def _family(host: str) -> int | None:
    """The address family of an IP literal; None for anything else, which would be looked up, and block."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host.partition("%")[0])
    except (OSError, ValueError):
        return None
    return family
