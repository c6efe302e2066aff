"""Our addresses as a peer is told them: in Via and Contact."""

from __future__ import annotations

from ringback.sip.headers import NameAddr
from ringback.sip.uri import Uri, bracketed


def sent_by(host: str, port: int) -> str:
    """The host and port of a Via."""
    return f"{bracketed(host)}:{port}"


def contact(host: str, port: int, transport: str, user: str = "") -> str:
    """Our Contact towards a peer, in angle brackets."""
    params: dict[str, str | None] = {} if transport == "UDP" else {"transport": transport.lower()}
    return str(NameAddr("", Uri(user=user, host=host, port=port, params=params)))
