"""Our addresses: as a peer is told them in Via and Contact, and ports that serve UDP and TCP alike."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from ringback.sip.headers import NameAddr
from ringback.sip.uri import Uri, bracketed

CONTACTS_KEPT: Final = 1_000
"""Our addresses that are remembered as they are written: one a socket, more only for those who name users."""


def sent_by(host: str, port: int) -> str:
    """The host and port of a Via."""
    return f"{bracketed(host)}:{port}"


@lru_cache(maxsize=CONTACTS_KEPT)
def contact(host: str, port: int, transport: str, user: str = "") -> str:
    """Our Contact towards a peer, in angle brackets."""
    params: dict[str, str | None] = {} if transport == "UDP" else {"transport": transport.lower()}
    return str(NameAddr("", Uri(user=user, host=host, port=port, params=params)))


TRIES = 20
"""Ports that are tried: one in ten of the system's may be somebody's TCP connection on a busy machine."""


def udp_port(host: str) -> int:
    """A port that is free for UDP."""
    with socket.socket(_family(host), socket.SOCK_DGRAM) as one:
        one.bind((host, 0))
        return int(one.getsockname()[1])


def shared_port(host: str, propose: Callable[[str], int] = udp_port) -> int:
    """A port that is free for both UDP and TCP, as SIP wants it. Raises OSError when there is none."""
    for _ in range(TRIES):
        port = propose(host)
        with socket.socket(_family(host), socket.SOCK_STREAM) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                other.bind((host, port))
            except OSError:
                continue
            return port
    raise OSError(f"no port of {host} is free for both UDP and TCP")


def _family(host: str) -> int:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
