"""Header lines as they come: plain ones are read here, and those that come again are remembered, whole.

Of a message's ten lines six were seen before: those that every message of a phone has, and those of the request that it
belongs to. Of a Via, and of a From or a To with a tag, all but the branch or the tag was seen before.
A line that is folded, holds control characters or is no UTF-8 is not plain: `message.py` reads it with care.
"""

from __future__ import annotations

from typing import Any, Final, cast

from ringback.sip.errors import SipSyntaxError
from ringback.sip.header_names import SPELLINGS, canonical_name
from ringback.sip.headers import (
    NameAddr,
    Params,
    Via,
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
"""What hardly comes twice is not worth a place, nor worth looking for where it is written as most do."""
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


class _Around:
    """A Via, or a From or To with a tag, that was read; what it gives with another branch or tag. Its value begins at `start`."""

    __slots__ = ("address", "field", "name", "start", "via")

    def __init__(self, name: str, field: int, start: int, via: Via | None, address: NameAddr | None) -> None:
        self.name = name
        self.field = field
        self.start = start
        self.via = via
        self.address = address

    def typed(self, new: str) -> Any:
        """What `read_value` would make of it."""
        via, address = self.via, self.address
        if via is not None:
            params: Params = {"branch": new}
            if len(via.params) > 1:
                params = {**via.params, "branch": new}
            return (Via(via.transport, via.host, via.port, params, via.sent_by),)
        assert address is not None
        return NameAddr(address.display, address.uri, {"tag": new})


def _around(line: Line, text: str, new: str) -> _Around | None:
    """What is to be remembered of a line; None where something is unusual."""
    start = len(text) - len(line.header[1])
    field = line.field
    if field == VIA:
        vias = cast(tuple[Via, ...], line.typed)
        if len(vias) == 1 and vias[0].branch == new:
            return _Around(line.header[0], field, start, vias[0], None)
    elif field & (FROM | TO):
        address = cast(NameAddr, line.typed)
        if address.tag == new and len(address.params) == 1:
            return _Around(line.header[0], field, start, None, address)
    return None


class KnownLines:
    """The lines of the last messages, in two generations: what is not asked for while one fills is forgotten."""

    __slots__ = ("_around", "_most", "_old", "_young")

    def __init__(self, most: int = REMEMBERED_LINES) -> None:
        self._most = most
        self._young: dict[bytes, Line] = {}
        self._old: dict[bytes, Line] = {}
        self._around: dict[str, _Around] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def read(self, text: bytes) -> Line | None:
        """A line, known or read now; None when it is not plain. Raises SipSyntaxError."""
        if _is_new(text):
            return self._read_around(text)
        line = self._young.get(text)
        if line is None:
            line = self._old.get(text)
            if line is None:
                line = self._read_around(text)
                if line is None or line.header[0] in _NEW_EACH_TIME or len(text) > MAX_REMEMBERED_TEXT:
                    return line
            if len(self._young) >= self._most:
                self._old = self._young
                self._young = {}
            self._young[text] = line
        return line

    def _read_around(self, text: bytes) -> Line | None:
        """A line that is not known, but for its branch or its tag perhaps."""
        first = text[0] if text else 0
        if first == 0x56 or first == 0x76:  # V, v
            mark = ";branch="
        elif first == 0x46 or first == 0x66 or first == 0x54 or first == 0x74:  # F, f, T, t
            mark = ">;tag="
        elif text.startswith(b"Call-ID: "):
            return _read_call_id(text)
        else:
            return _read(text)
        if len(text) > MAX_REMEMBERED_TEXT:
            return _read(text)
        try:
            whole = text.decode()
        except UnicodeDecodeError:
            return None
        before, found, new = whole.rpartition(mark)
        if not found:
            return _read(text)
        if ";" in new:
            if '"' in whole:
                return _read(text)  # in quotes the mark would be none
            new, _, rest = new.partition(";")
            before = f"{before}\r\n{rest}"  # which is in no line
        if not new.isascii() or not (new.isalnum() or new.replace("-", "").replace(".", "").isalnum()):
            return _read(text)
        around = self._around.get(before)
        if around is not None:
            return Line((around.name, whole[around.start :]), around.field, around.typed(new))
        line = _read(text)
        if line is not None and whole.endswith(line.header[1]):
            around = _around(line, whole, new)
            if around is not None:
                if len(self._around) >= self._most:
                    self._around.clear()
                self._around[before] = around
        return line


def _is_new(text: bytes) -> bool:
    """Whether nobody need look for a line among the known ones: a Via, a Call-ID or credentials, as most write them."""
    first = text[0] if text else 0
    if first == 0x56:  # V
        return text.startswith(b"Via: ")
    if first == 0x43:  # C
        return len(text) > 1 and text[1] == 0x61  # Call-ID
    return (first == 0x50 or first == 0x41) and text.startswith(
        (b"Proxy-Authorization: ", b"Authorization: ")
    )


def _read_call_id(text: bytes) -> Line | None:
    """As `_read`, without looking for control characters twice."""
    try:
        value = text[9:].decode()
    except UnicodeDecodeError:
        return None
    return Line(("Call-ID", value), CALL_ID, check_call_id(value))


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
