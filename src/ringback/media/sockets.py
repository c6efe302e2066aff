"""Pairs of UDP sockets: RTP on an even port, RTCP on the next (RFC 3550 section 11)."""

from __future__ import annotations

import errno
import ipaddress
import random
import socket
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Generic, NamedTuple, TypeVar

from ringback.media.errors import PortsExhausted, UsageError

_NONBLOCK: Final[int] = getattr(socket, "SOCK_NONBLOCK", 0)  # one system call less, where the system has it
_EXPEDITED: Final = 0xB8  # DSCP EF for telephony, RFC 4594 section 4.1
_SO_MEMINFO: Final = 55  # the socket module has no name for it; nine numbers, SK_MEMINFO_DROPS the last


Socket = TypeVar("Socket")
"""A socket, or the descriptor of one."""


class Pair(NamedTuple, Generic[Socket]):
    """Two bound sockets that do not block."""

    host: str
    port: int
    rtp: Socket
    rtcp: Socket


class PortPairs(Generic[Socket]):
    """The ports of a pump. They are given out in turn, so that a late packet of a call that just ended hits
    a port that nobody listens on.

    `bind_both` gives the sockets of a host's port and the next, None when one of the two is in use.
    """

    def __init__(
        self, rtp_ports: tuple[int, int], bind_both: Callable[[str, int], tuple[Socket, Socket] | None]
    ) -> None:
        first, last = rtp_ports
        first += first % 2
        if not 0 < first < last <= 65535:
            raise UsageError(f"no pair of ports from {rtp_ports[0]} to {rtp_ports[1]}")
        self._bind_both = bind_both
        self._first = first
        self._count = (last - first + 1) // 2
        self._next = random.randrange(self._count)
        self._taken: set[tuple[str, int]] = set()
        self._lock = threading.Lock()

    def bind(self, host: str) -> Pair[Socket]:
        """The next free pair on the IP literal `host`; raises PortsExhausted."""
        literal = canonical(host)
        with self._lock:
            for step in range(self._count):
                index = (self._next + step) % self._count
                port = self._first + 2 * index
                if (literal, port) in self._taken:
                    continue
                sockets = self._bind_both(literal, port)
                if sockets is not None:
                    self._next = (index + 1) % self._count
                    self._taken.add((literal, port))
                    return Pair(literal, port, *sockets)
        raise PortsExhausted(f"{self._count} pairs of ports, all taken")

    def release(self, host: str, port: int) -> None:
        """The pair's sockets are closed."""
        with self._lock:
            self._taken.discard((host, port))


@lru_cache(maxsize=1_000)
def canonical(host: str) -> str:
    """An IP literal as the kernel writes it; raises UsageError for anything else."""
    try:
        return ipaddress.ip_address(host).compressed
    except ValueError as error:
        raise UsageError(f"{host!r} is no IP address") from error


def bind_both(host: str, port: int) -> tuple[socket.socket, socket.socket] | None:
    """Python's sockets for `PortPairs`."""
    rtp = _udp(host, port)
    if rtp is None:
        return None
    rtcp = _udp(host, port + 1)
    if rtcp is None:
        rtp.close()
        return None
    return rtp, rtcp


def _udp(host: str, port: int) -> socket.socket | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    udp = socket.socket(family, socket.SOCK_DGRAM | _NONBLOCK)
    try:
        if not _NONBLOCK:
            udp.setblocking(False)
        if family == socket.AF_INET6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _expedite(udp, family)
        udp.bind((host, port))
    except OSError as error:
        udp.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            return None
        if error.errno == errno.EADDRNOTAVAIL:
            raise UsageError(f"{host} is no address of this machine") from error
        raise
    return udp


def discarded(udp: socket.socket) -> int:
    """How many datagrams for it the kernel threw away, 0 where it does not tell (SO_MEMINFO, sock_diag(7))."""
    try:
        numbers = udp.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36)
    except OSError:
        return 0
    return int.from_bytes(numbers[32:36], sys.byteorder)


def _expedite(udp: socket.socket, family: int) -> None:
    """Priority on the way."""
    try:
        if family == socket.AF_INET6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _EXPEDITED)
        else:
            udp.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _EXPEDITED)
    except OSError:
        return  # a kernel that forbids it still carries the packets
