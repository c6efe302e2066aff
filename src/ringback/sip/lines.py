"""Header lines as they come: plain ones are read here, and those that come again are remembered, whole.

Of a message's ten lines six were seen before: those that every message of a phone has, and those of the request that it
belongs to. A line that is folded, holds control characters or is no UTF-8 is not plain: `message.py` reads it with care.
"""

from __future__ import annotations

from typing import Any, Final

from ringback.sip.errors import SipSyntaxError
from ringback.sip.header_names import SPELLINGS, canonical_name
from ringback.sip.headers import (
    NameAddr,
    delta_seconds,
    parse_cseq,
    parse_name_addr,
    parse_name_addrs,
    parse_via,
    parse_vias,
)
from ringback.sip.limits import MAX_CALL_ID, MAX_REMEMBERED_TEXT, REMEMBERED_LINES

FROM: Final = 1
TO: Final = 2
CALL_ID: Final = 4
CSEQ: Final = 8
VIA: Final = 16
MAX_FORWARDS: Final = 32
CONTENT_LENGTH: Final = 64
CONTENT_TYPE: Final = 128
EXPIRES: Final = 256
CONTACT: Final = 512
ROUTE: Final = 1024
RECORD_ROUTE: Final = 2048

SINGLE: Final = FROM | TO | CALL_ID | CSEQ | MAX_FORWARDS | CONTENT_LENGTH | CONTENT_TYPE | EXPIRES
"""Fields that stand once at most."""
MANDATORY: Final = TO | FROM | CALL_ID | CSEQ | VIA
"""RFC 3261 section 8.1.1; Max-Forwards is left out because RFC 2543 did not know it (RFC 4475 section 3.4.1)."""

FIELDS: Final[dict[str, int]] = {
    "From": FROM,
    "To": TO,
    "Call-ID": CALL_ID,
    "CSeq": CSEQ,
    "Via": VIA,
    "Max-Forwards": MAX_FORWARDS,
    "Content-Length": CONTENT_LENGTH,
    "Content-Type": CONTENT_TYPE,
    "Expires": EXPIRES,
    "Contact": CONTACT,
    "Route": ROUTE,
    "Record-Route": RECORD_ROUTE,
}
"""Fields that every message has or that a user agent acts on, each a bit."""

_NEW_EACH_TIME: Final = frozenset(("Via", "Call-ID", "Authorization", "Proxy-Authorization"))
"""What hardly comes twice is not worth a place."""
_CONTROLS: Final = bytes([0x3F if (at < 0x20 and at != 9) or at == 0x7F else at for at in range(256)])
"""A table for bytes.translate: nothing changes where there are no control characters."""


class Line:
    """A header line that was read: shared by all messages that have it."""

    __slots__ = ("field", "header", "typed")

    def __init__(self, header: tuple[str, ...], field: int, typed: Any) -> None:
        self.header = header
        """Its canonical name, and its value. Compiled, a tuple of a known length is made anew wherever it is kept."""
        self.field = field
        """Its bit of FIELDS; 0 for all others."""
        self.typed = typed
        """What `read_value` made of its value."""


def read_value(field: int, value: str) -> Any:
    """The typed value of a line, for a field of which anything is read at once. Raises SipSyntaxError."""
    if field & (FROM | TO):
        return parse_name_addr(value)
    if field == VIA:
        return parse_vias([value]) if "," in value else (parse_via(value),)
    if field == CALL_ID:
        return check_call_id(value)
    if field == CSEQ:
        return parse_cseq(value)
    if field == CONTACT:
        return check_contacts([value])
    if field & (MAX_FORWARDS | CONTENT_LENGTH):
        return check_number(value, "Max-Forwards" if field == MAX_FORWARDS else "Content-Length")
    if field & (ROUTE | RECORD_ROUTE):
        return parse_name_addrs([value])
    return None


def is_plain(text: bytes) -> bool:
    """Whether a line is not empty, holds no control characters but tabs, and does not continue the one before."""
    if not text or text.translate(_CONTROLS) != text:
        return False
    first = text[0]
    return first != 0x20 and first != 0x09


class KnownLines:
    """The lines of the last messages, in two generations: what is not asked for while one fills is forgotten."""

    __slots__ = ("_most", "_old", "_young")

    def __init__(self, most: int = REMEMBERED_LINES) -> None:
        self._most = most
        self._young: dict[bytes, Line] = {}
        self._old: dict[bytes, Line] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def read(self, text: bytes) -> Line | None:
        """A line, known or read now; None when it is not plain. Raises SipSyntaxError."""
        line = self._young.get(text)
        if line is None:
            line = self._old.get(text)
            if line is None:
                line = _read(text)
                if line is None or line.header[0] in _NEW_EACH_TIME or len(text) > MAX_REMEMBERED_TEXT:
                    return line
            if len(self._young) >= self._most:
                self._old = self._young
                self._young = {}
            self._young[text] = line
        return line


def _read(text: bytes) -> Line | None:
    if not is_plain(text):
        return None
    try:
        name, colon, value = text.decode().partition(":")
    except UnicodeDecodeError:
        return None
    if not colon:
        return None
    kept = SPELLINGS.get(name) or canonical_name(name)
    value = value.strip(" \t")
    field = FIELDS.get(kept, 0)
    return Line((kept, value), field, read_value(field, value) if field else None)


def check_call_id(value: str) -> str:
    """The value of a Call-ID. Raises SipSyntaxError."""
    if not 0 < len(value) <= MAX_CALL_ID or not value.isascii() or not value.isprintable() or " " in value:
        raise SipSyntaxError("Malformed Call-ID")
    return value


def check_contacts(values: list[str]) -> tuple[NameAddr, ...]:
    """All contacts, none for a single "*". Raises SipSyntaxError."""
    if len(values) == 1 and "," not in values[0]:
        return () if values[0] == "*" else (parse_name_addr(values[0]),)
    return parse_name_addrs(values)


def check_number(value: str, name: str) -> int:
    """A number such as Content-Length. Raises SipSyntaxError."""
    if len(value) < 10 and value.isascii() and value.isdigit():
        return int(value)
    number = delta_seconds(value, -1)
    if number < 0:
        raise SipSyntaxError(f"Malformed {name}")
    return number
