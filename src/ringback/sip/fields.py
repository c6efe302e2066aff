"""What SIP requests and responses share: header fields in order, typed ones, and a body (RFC 3261 section 7).

A typed field is read when it is first asked for, and kept; `parse` (message.py) reads those that a user agent acts
on at once, so that they never raise later.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Self, cast

from ringback.sip.errors import SipSyntaxError, UsageError
from ringback.sip.headers import (
    KNOWN_NAMES,
    LIST_FIELDS,
    SPELLINGS,
    CSeq,
    NameAddr,
    Via,
    canonical_name,
    delta_seconds,
    parse_cseq,
    parse_name_addr,
    parse_name_addrs,
    parse_vias,
    split_list,
)
from ringback.sip.limits import MAX_CALL_ID, MAX_LIST_VALUES

if TYPE_CHECKING:
    from ringback.sip.message import Request, Response

# RFC 3261 section 8.1.1; Max-Forwards is left out because RFC 2543 did not know it (RFC 4475 section 3.4.1).
_MANDATORY: Final = ("To", "From", "Call-ID", "CSeq", "Via")
_SINGLE: Final = frozenset(
    ("To", "From", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type", "Expires")
)

_NONE: Final[frozenset[str]] = frozenset()
Header = tuple[str, str]


class Message:
    """What requests and responses share: header fields in order, and a body.

    `headers` is a list of (canonical name, value); names that are not known keep the peer's spelling. Change it
    only through `add`, `set`, `prepend` and `remove`, because the typed fields are remembered. `encoding` is what
    the head was written in: "utf-8", or "latin-1" from old peers (kept so that replies give their bytes back).
    """

    __slots__ = ("_typed", "body", "encoding", "headers")

    def __init__(self, headers: Iterable[Header] = (), body: bytes = b"") -> None:
        known = SPELLINGS.get  # every message comes by here: a call for each field would cost as much again
        self.headers: list[Header] = [(known(name) or canonical_name(name), value) for name, value in headers]
        self.body = body
        self.encoding = "utf-8"
        self._typed: dict[str, Any] = {}

    # -- fields as text

    def get(self, name: str) -> str | None:
        """The first value of a field, as it came; None when it is not there."""
        wanted = SPELLINGS.get(name) or canonical_name(name)
        if wanted in KNOWN_NAMES:
            for kept, value in self.headers:
                if kept == wanted:
                    return value
            return None
        wanted = wanted.lower()
        for kept, value in self.headers:
            if kept.lower() == wanted:
                return value
        return None

    def has(self, name: str) -> bool:
        """Whether there is a field of this name, in its canonical spelling."""
        for header in self.headers:  # noqa: SIM110 - three times as fast when compiled
            if header[0] == name:
                return True
        return False

    def raw(self, name: str) -> list[str]:
        """Every value of a field, line by line, as they came."""
        wanted = SPELLINGS.get(name) or canonical_name(name)
        if wanted in KNOWN_NAMES:
            return [value for kept, value in self.headers if kept == wanted]
        wanted = wanted.lower()
        return [value for kept, value in self.headers if kept.lower() == wanted]

    def all(self, name: str) -> list[str]:
        """Every value of a field; those of list fields are split at their commas, empty ones left out."""
        values = self.raw(name)
        if values and canonical_name(name) in LIST_FIELDS:
            return [each for value in values for each in split_list(value) if each]
        return values

    def tokens(self, name: str) -> frozenset[str]:
        """The values of Supported, Require, Allow and their like, in lower case; what is no token is kept as it is.

        Never raises: a 2xx with such a field must still be acknowledged.
        """
        if name in KNOWN_NAMES and not self.has(name):
            return _NONE
        found = [each.strip(" \t") for value in self.raw(name) for each in value.split(",", MAX_LIST_VALUES)]
        return frozenset([each.lower() for each in found if each])

    def add(self, name: str, value: str) -> None:
        """Append a field."""
        name = canonical_name(name)
        self._typed.pop(name, None)
        self.headers.append((name, value))

    def prepend(self, name: str, value: str) -> None:
        """Put a field in front of all others (Via, Route, Record-Route)."""
        name = canonical_name(name)
        self._typed.pop(name, None)
        self.headers.insert(0, (name, value))

    def remove(self, name: str) -> None:
        """Take every field of this name away."""
        name = canonical_name(name)
        self._typed.pop(name, None)
        lower = name.lower()
        self.headers = [header for header in self.headers if header[0].lower() != lower]

    def set(self, name: str, value: str) -> None:
        """Put `value` in the place of the first field of this name, take the others away; append when new."""
        name = canonical_name(name)
        self._typed.pop(name, None)
        lower = name.lower()
        at = next((i for i, header in enumerate(self.headers) if header[0].lower() == lower), None)
        if at is None:
            self.headers.append((name, value))
            return
        rest = [header for header in self.headers[at + 1 :] if header[0].lower() != lower]
        self.headers[at:] = [(name, value), *rest]

    # -- typed fields, read once

    def _required(self, name: str) -> str:
        for kept, value in self.headers:
            if kept == name:
                return value
        raise SipSyntaxError(f"Missing {name}")

    @property
    def via(self) -> Via:
        """The topmost Via. Raises SipSyntaxError when there is none."""
        vias = self.vias
        if not vias:
            raise SipSyntaxError("Missing Via")
        return vias[0]

    @property
    def vias(self) -> tuple[Via, ...]:
        """All Via values, topmost first."""
        try:
            value: tuple[Via, ...] = self._typed["Via"]
        except KeyError:
            value = self._typed["Via"] = parse_vias(self.raw("Via"))
        return value

    def _name_addr(self, name: str) -> NameAddr:
        try:
            value: NameAddr = self._typed[name]
        except KeyError:
            value = self._typed[name] = parse_name_addr(self._required(name))
        return value

    @property
    def from_(self) -> NameAddr:
        """From. Raises SipSyntaxError when it is missing."""
        return self._name_addr("From")

    @property
    def to(self) -> NameAddr:
        """To. Raises SipSyntaxError when it is missing."""
        return self._name_addr("To")

    @property
    def call_id(self) -> str:
        """Call-ID. Raises SipSyntaxError when it is missing."""
        try:
            value: str = self._typed["Call-ID"]
        except KeyError:
            value = self._typed["Call-ID"] = check_call_id(self._required("Call-ID"))
        return value

    @property
    def cseq(self) -> CSeq:
        """CSeq. Raises SipSyntaxError when it is missing."""
        try:
            value: CSeq = self._typed["CSeq"]
        except KeyError:
            value = self._typed["CSeq"] = parse_cseq(self._required("CSeq"))
        return value

    def _name_addrs(self, name: str) -> tuple[NameAddr, ...]:
        try:
            value: tuple[NameAddr, ...] = self._typed[name]
        except KeyError:
            value = self._typed[name] = parse_name_addrs(self.raw(name))
        return value

    @property
    def contacts(self) -> tuple[NameAddr, ...]:
        """All contacts; none for the "*" of a REGISTER, which `is_wildcard` tells."""
        try:
            value: tuple[NameAddr, ...] = self._typed["Contact"]
        except KeyError:
            value = self._typed["Contact"] = check_contacts(self.raw("Contact"))
        return value

    @property
    def is_wildcard(self) -> bool:
        """Whether the only Contact is "*", RFC 3261 section 10.2.2."""
        return self.raw("Contact") == ["*"]

    @property
    def routes(self) -> tuple[NameAddr, ...]:
        """The Route set, first hop first."""
        return self._name_addrs("Route")

    @property
    def record_routes(self) -> tuple[NameAddr, ...]:
        """The Record-Route values, topmost first."""
        return self._name_addrs("Record-Route")

    def _number(self, name: str) -> int | None:
        try:
            number: int | None = self._typed[name]
        except KeyError:
            value = self.get(name)
            number = self._typed[name] = None if value is None else check_number(value, name)
        return number

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards, at most 255 (RFC 3261 section 20.22); None when absent."""
        value = self._number("Max-Forwards")
        return None if value is None else min(value, 255)

    @property
    def expires(self) -> int | None:
        """Expires in seconds; malformed counts as 3600 (RFC 3261 section 10.2.1.1); None when absent."""
        value = self.get("Expires")
        return None if value is None else delta_seconds(value, 3600)

    @property
    def content_length(self) -> int | None:
        """Content-Length in bytes; None when absent. Raises SipSyntaxError when it is not a number."""
        return self._number("Content-Length")

    @property
    def content_type(self) -> str:
        """The media type alone, in lower case ("application/sdp"); "" when there is none."""
        value = self.get("Content-Type")
        return "" if value is None else value.partition(";")[0].strip(" \t").lower()

    # -- as a whole

    def validate(self) -> None:
        """Check that the mandatory fields are there, and those that may stand only once do.

        RFC 3261 section 8.1.1. Raises SipSyntaxError with this message in it: answer a request with its
        status, drop a response.
        """
        seen: set[str] = set()
        for header in self.headers:
            name = header[0]
            if name in _SINGLE:
                if name in seen:
                    raise SipSyntaxError("Header field given twice", message=cast("Request | Response", self))
                seen.add(name)
        for name in _MANDATORY:
            if name not in seen and (name != "Via" or not self.vias):
                raise SipSyntaxError(f"Missing {name}", message=cast("Request | Response", self))

    def start_line(self) -> str:
        """The first line, without its line end."""
        raise NotImplementedError

    def render(self) -> bytes:
        """The bytes on the wire, Content-Length always right. Raises UsageError for a line end in a field."""
        lines = [self.start_line()]
        for name, value in self.headers:
            if name != "Content-Length":
                lines.append(f"{name}: {value}")
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        text = "\r\n".join(lines)
        breaks = len(lines) + 1
        if text.count("\n") != breaks or text.count("\r") != breaks:
            raise UsageError("a line end inside a header field")
        try:
            head = text.encode(self.encoding)
        except UnicodeEncodeError:
            head = text.encode("utf-8", "replace")
        return head + self.body

    def _copy_into(self, other: Self) -> Self:
        other.headers = list(self.headers)
        other.encoding = self.encoding
        other._typed = dict(self._typed)
        return other


def check_call_id(value: str) -> str:
    if not 0 < len(value) <= MAX_CALL_ID or not value.isascii() or not value.isprintable() or " " in value:
        raise SipSyntaxError("Malformed Call-ID")
    return value


def check_contacts(values: list[str]) -> tuple[NameAddr, ...]:
    if len(values) == 1 and "," not in values[0]:
        return () if values[0] == "*" else (parse_name_addr(values[0]),)
    return parse_name_addrs(values)


def check_number(value: str, name: str) -> int:
    if len(value) < 10 and value.isascii() and value.isdigit():
        return int(value)
    number = delta_seconds(value, -1)
    if number < 0:
        raise SipSyntaxError(f"Malformed {name}")
    return number
