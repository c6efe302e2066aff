"""Where a call can go to and come from: telephone numbers, SIP addresses, clients, applications."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, NamedTuple
from urllib.parse import unquote

from .errors import (
    INVALID_FROM,
    INVALID_TO,
    SIP_HEADER_NAME,
    SIP_HEADER_VALUE,
    SIP_HEADERS_TOO_LONG,
    invalid,
)
from .limits import MAX_SIP_HEADERS, MAX_SIP_URI
from .phone_numbers import to_e164
from .sid import is_sid


class EndpointKind(Enum):
    """What an endpoint is."""

    NUMBER = "number"
    SIP = "sip"
    CLIENT = "client"
    APPLICATION = "app"


class Endpoint(NamedTuple):
    """`address` is E.164, a SIP URI with its scheme, ``client:name`` or ``app:AP...``."""

    kind: EndpointKind
    address: str


_SIP: Final = re.compile(
    r"(?P<scheme>sips?):(?P<user>[^\s@;?<>]+)@(?P<host>[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])"
    r"(?P<port>:[0-9]{1,5})?"
    r"(?P<params>(;[^\s;?<>]+)*)(\?(?P<headers>[^\s<>]*))?\Z",
    re.IGNORECASE,
)
_CLIENT: Final = re.compile(r"client:([A-Za-z0-9_\-.@+%*]{1,255})(\?\S*)?\Z")
_CALLER: Final = re.compile(
    r"[A-Za-z0-9+\-_.]{1,255}\Z"
)  # <Sip> page: "alphanumerics, + - _ . and no spaces"
_CALLER_URI: Final = re.compile(r"(?:sips?:)?[A-Za-z0-9+\-_.%*!~'()]{1,200}@[A-Za-z0-9.\-\[\]:]{1,253}\Z")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+\Z")  # RFC 3261 section 25.1, token
_PLAIN_HEADERS: Final = frozenset(
    {"user-to-user", "remote-party-id", "p-preferred-identity", "p-called-party-id"}
)


def parse_to(text: str) -> Endpoint:
    """Whom to call. Raises RestError: 21211, and 21227 to 21229 for the headers of a SIP address."""
    lowered = text.lower()
    if lowered.startswith(("sip:", "sips:")):
        return _sip(text)
    if lowered.startswith("client:"):
        if _CLIENT.match(text) is None:
            raise invalid(f"{_quoted(text)} is not a valid client", INVALID_TO)
        return Endpoint(EndpointKind.CLIENT, text)
    if lowered.startswith("app:"):
        if not is_sid(text[4:].partition("?")[0], "AP"):
            raise invalid(f"{_quoted(text)} is not a valid application", INVALID_TO)
        return Endpoint(EndpointKind.APPLICATION, text)
    number = to_e164(text)
    if number is None:
        raise invalid(
            f"The phone number you are attempting to call, {_quoted(text)}, is not valid.", INVALID_TO
        )
    return Endpoint(EndpointKind.NUMBER, number)


def parse_from(text: str, to: Endpoint) -> str:
    """Who calls: a number when a number is called, else also a name, a client or a SIP address.

    Returns E.164 for numbers. Raises RestError 21212.
    """
    number = to_e164(text)
    if number is not None:
        return number
    if to.kind is not EndpointKind.NUMBER and (
        _CALLER.match(text) or _CALLER_URI.match(text) or _CLIENT.match(text)
    ):
        return text
    raise invalid(f"The source phone number provided, {_quoted(text)}, is not valid.", INVALID_FROM)


def _sip(text: str) -> Endpoint:
    address, mark, headers = text.partition("?")
    if len(headers) > MAX_SIP_HEADERS:
        raise invalid("Headers portion of SIP URI must be fewer than 1024 characters", SIP_HEADERS_TOO_LONG)
    if len(address) > MAX_SIP_URI or _SIP.match(address) is None or _port_of(address) > 65535:
        raise invalid(f"{_quoted(text)} is not a valid SIP address", INVALID_TO)
    for header in headers.split("&") if mark else ():
        _check_header(header)
    return Endpoint(EndpointKind.SIP, text)


def _port_of(address: str) -> int:
    match = _SIP.match(address)
    return int(match["port"][1:]) if match and match["port"] else 0


def _check_header(header: str) -> None:
    """One ``name=value``: only X- headers and a few others go out (21228), no line breaks (21229)."""
    name, _, value = header.partition("=")
    lowered = unquote(name).lower()
    if _HEADER_NAME.match(lowered) is None or not (lowered.startswith("x-") or lowered in _PLAIN_HEADERS):
        raise invalid("Invalid SIP header: the name is not allowed", SIP_HEADER_NAME)
    if any(letter < " " or letter == "\x7f" for letter in unquote(value)):
        raise invalid("Invalid SIP header: illegal characters in the value", SIP_HEADER_VALUE)


def _quoted(text: str) -> str:
    return text if len(text) <= 64 else f"{text[:61]}..."
