"""What SIP requests and responses share: header fields in order, typed ones, and a body (RFC 3261 section 7).

A typed field is read when it is first asked for, and kept; `parse` (message.py) reads those that a user agent acts
on at once, so that they never raise later.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Self, cast

from ringback.sip.errors import SipSyntaxError, UsageError
from ringback.sip.header_names import KNOWN_NAMES, LIST_FIELDS, SPELLINGS, canonical_name
from ringback.sip.headers import (
    CSeq,
    NameAddr,
    Via,
    delta_seconds,
    parse_cseq,
    parse_name_addr,
    parse_name_addrs,
    parse_vias,
    split_list,
)
from ringback.sip.limits import MAX_LIST_VALUES
from ringback.sip.lines import (
    CALL_ID,
    CONTACT,
    CONTENT_LENGTH,
    CSEQ,
    FIELDS,
    FROM,
    MANDATORY,
    MAX_FORWARDS,
    RECORD_ROUTE,
    ROUTE,
    SINGLE,
    TO,
    VIA,
    Line,
    check_call_id,
    check_contacts,
    check_number,
)

if TYPE_CHECKING:
    from ringback.sip.message import Request, Response

_NONE: Final[frozenset[str]] = frozenset()
_MANDATORY: Final = tuple([name for name, field in FIELDS.items() if field & MANDATORY])
_NO_BODY: Final = "Content-Length: 0\r\n\r\n"
_UNREAD: Final = -1
_ABSENT: Final = -2
Header = tuple[str, str]
Kept = tuple[str, ...]
"""A Header whose tuple is handed on as it is: compiled, one of a known length is taken apart and made anew."""


class Message:
    """What requests and responses share: header fields in order, and a body.

    `headers` is a list of (canonical name, value); names that are not known keep the peer's spelling. Change it
    only through `add`, `set`, `prepend` and `remove`, because the typed fields are remembered. `encoding` is what
    the head was written in: "utf-8", or "latin-1" from old peers (kept so that replies give their bytes back).
    """

    __slots__ = (
        "_call_id",
        "_contacts",
        "_content_length",
        "_cseq",
        "_from",
        "_is_valid",
        "_max_forwards",
        "_record_routes",
        "_routes",
        "_to",
        "_vias",
        "body",
        "encoding",
        "headers",
    )

    def __init__(self, headers: Iterable[Header] = (), body: bytes = b"") -> None:
        self.headers: list[Header] = []
        self.body = body
        self.encoding = "utf-8"
        self._is_valid = False  # as far as it is known
        self._vias: tuple[Via, ...] | None = None
        self._from: NameAddr | None = None
        self._to: NameAddr | None = None
        self._call_id: str | None = None
        self._cseq: CSeq | None = None
        self._contacts: tuple[NameAddr, ...] | None = None
        self._routes: tuple[NameAddr, ...] | None = None
        self._record_routes: tuple[NameAddr, ...] | None = None
        self._max_forwards = _UNREAD
        self._content_length = _UNREAD
        self.append(headers)

    def append(self, headers: Iterable[Header]) -> None:
        """Append fields that nobody has read yet."""
        kept = self.headers
        for name, value in headers:
            kept.append((SPELLINGS.get(name) or canonical_name(name), value))

    # -- as it is read

    def take(self, lines: list[Line]) -> bool:
        """Keep lines that were read, of a message that has none yet; False: fields must be looked at together."""
        seen = 0
        is_valid = True
        headers = self._kept()
        for line in lines:
            headers.append(line.header)
            field = line.field
            if not field:
                continue
            if seen & field:
                if field & SINGLE:
                    is_valid = False
                    continue  # the first counts
                return False
            seen |= field
            self._keep(field, line.typed)
        self._is_valid = is_valid and seen & MANDATORY == MANDATORY and bool(self._vias)
        return True

    def _kept(self) -> list[Kept]:
        return cast("list[Kept]", self.headers)

    def _keep(self, field: int, typed: Any) -> None:
        if field == FROM:
            self._from = typed
        elif field == TO:
            self._to = typed
        elif field == VIA:
            self._vias = typed
        elif field == CALL_ID:
            self._call_id = typed
        elif field == CSEQ:
            self._cseq = typed
        elif field == CONTACT:
            self._contacts = typed
        elif field == MAX_FORWARDS:
            self._max_forwards = typed
        elif field == CONTENT_LENGTH:
            self._content_length = typed
        elif field == ROUTE:
            self._routes = typed
        elif field == RECORD_ROUTE:
            self._record_routes = typed

    def read(self) -> None:
        """Read what a user agent acts on, field by field, so that nothing raises later. Raises SipSyntaxError."""
        for name, _ in self.headers:
            field = FIELDS.get(name, 0)
            if field == FROM:
                self.from_  # noqa: B018 - a property that reads and keeps
            elif field == TO:
                self.to  # noqa: B018
            elif field == VIA:
                self.vias  # noqa: B018
            elif field == CALL_ID:
                self.call_id  # noqa: B018
            elif field == CSEQ:
                self.cseq  # noqa: B018
            elif field == CONTACT:
                self.contacts  # noqa: B018
            elif field == MAX_FORWARDS:
                self.max_forwards  # noqa: B018
            elif field == CONTENT_LENGTH:
                self.content_length  # noqa: B018
            elif field == ROUTE:
                self.routes  # noqa: B018
            elif field == RECORD_ROUTE:
                self.record_routes  # noqa: B018

    def _forget(self, name: str) -> None:
        """Read a field anew when it is next asked for: it changes."""
        self._is_valid = False
        field = FIELDS.get(name, 0)
        if field & (MAX_FORWARDS | CONTENT_LENGTH):
            self._keep(field, _UNREAD)
        elif field:
            self._keep(field, None)

    # -- fields as text

    def get(self, name: str) -> str | None:
        """The first value of a field, as it came; None when it is not there."""
        wanted = SPELLINGS.get(name) or canonical_name(name)
        if wanted in KNOWN_NAMES:
            for header in self._kept():
                if header[0] == wanted:
                    return header[1]
            return None
        wanted = wanted.lower()
        for kept, value in self.headers:
            if kept.lower() == wanted:
                return value
        return None

    def has(self, name: str) -> bool:
        """Whether there is a field of this name, in its canonical spelling."""
        for header in self._kept():  # noqa: SIM110 - three times as fast when compiled
            if header[0] == name:
                return True
        return False

    def raw(self, name: str) -> list[str]:
        """Every value of a field, line by line, as they came."""
        wanted = SPELLINGS.get(name) or canonical_name(name)
        if wanted in KNOWN_NAMES:
            return [header[1] for header in self._kept() if header[0] == wanted]
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
        self._forget(name)
        self.headers.append((name, value))

    def prepend(self, name: str, value: str) -> None:
        """Put a field in front of all others (Via, Route, Record-Route)."""
        name = canonical_name(name)
        self._forget(name)
        self.headers.insert(0, (name, value))

    def remove(self, name: str) -> None:
        """Take every field of this name away."""
        name = canonical_name(name)
        self._forget(name)
        lower = name.lower()
        self.headers = [header for header in self.headers if header[0].lower() != lower]

    def set(self, name: str, value: str) -> None:
        """Put `value` in the place of the first field of this name, take the others away; append when new."""
        name = canonical_name(name)
        self._forget(name)
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
        value = self._vias
        if value is None:
            value = self._vias = parse_vias(self.raw("Via"))
        return value

    @property
    def from_(self) -> NameAddr:
        """From. Raises SipSyntaxError when it is missing."""
        value = self._from
        if value is None:
            value = self._from = parse_name_addr(self._required("From"))
        return value

    @property
    def to(self) -> NameAddr:
        """To. Raises SipSyntaxError when it is missing."""
        value = self._to
        if value is None:
            value = self._to = parse_name_addr(self._required("To"))
        return value

    @property
    def call_id(self) -> str:
        """Call-ID. Raises SipSyntaxError when it is missing."""
        value = self._call_id
        if value is None:
            value = self._call_id = check_call_id(self._required("Call-ID"))
        return value

    @property
    def cseq(self) -> CSeq:
        """CSeq. Raises SipSyntaxError when it is missing."""
        value = self._cseq
        if value is None:
            value = self._cseq = parse_cseq(self._required("CSeq"))
        return value

    @property
    def contacts(self) -> tuple[NameAddr, ...]:
        """All contacts; none for the "*" of a REGISTER, which `is_wildcard` tells."""
        value = self._contacts
        if value is None:
            value = self._contacts = check_contacts(self.raw("Contact"))
        return value

    @property
    def is_wildcard(self) -> bool:
        """Whether the only Contact is "*", RFC 3261 section 10.2.2."""
        return not self.contacts and self.raw("Contact") == ["*"]

    @property
    def routes(self) -> tuple[NameAddr, ...]:
        """The Route set, first hop first."""
        value = self._routes
        if value is None:
            value = self._routes = parse_name_addrs(self.raw("Route"))
        return value

    @property
    def record_routes(self) -> tuple[NameAddr, ...]:
        """The Record-Route values, topmost first."""
        value = self._record_routes
        if value is None:
            value = self._record_routes = parse_name_addrs(self.raw("Record-Route"))
        return value

    def _number(self, name: str) -> int:
        value = self.get(name)
        return _ABSENT if value is None else check_number(value, name)

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards, at most 255 (RFC 3261 section 20.22); None when absent."""
        if self._max_forwards == _UNREAD:
            self._max_forwards = self._number("Max-Forwards")
        return None if self._max_forwards == _ABSENT else min(self._max_forwards, 255)

    @property
    def content_length(self) -> int | None:
        """Content-Length in bytes; None when absent. Raises SipSyntaxError when it is not a number."""
        if self._content_length == _UNREAD:
            self._content_length = self._number("Content-Length")
        return None if self._content_length == _ABSENT else self._content_length

    @property
    def expires(self) -> int | None:
        """Expires in seconds; malformed counts as 3600 (RFC 3261 section 10.2.1.1); None when absent."""
        value = self.get("Expires")
        return None if value is None else delta_seconds(value, 3600)

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
        if self._is_valid:
            return
        seen = 0
        for header in self.headers:
            field = FIELDS.get(header[0], 0)
            if seen & field & SINGLE:
                raise SipSyntaxError("Header field given twice", message=cast("Request | Response", self))
            seen |= field
        for name in _MANDATORY:
            if not seen & FIELDS[name] or (name == "Via" and not self.vias):
                raise SipSyntaxError(f"Missing {name}", message=cast("Request | Response", self))
        self._is_valid = True

    def start_line(self) -> str:
        """The first line, without its line end."""
        raise NotImplementedError

    def render(self) -> bytes:
        """The bytes on the wire, Content-Length always right. Raises UsageError for a line end in a field."""
        return written(self.start_line(), self.headers, self.body, self.encoding)

    def _copy_into(self, other: Self) -> Self:
        other.headers = list(self.headers)
        other.encoding = self.encoding
        other._vias, other._from, other._to = self._vias, self._from, self._to
        other._call_id, other._cseq, other._contacts = self._call_id, self._cseq, self._contacts
        other._routes, other._record_routes = self._routes, self._record_routes
        other._max_forwards, other._content_length = self._max_forwards, self._content_length
        return other


def written(start_line: str, headers: list[Header], body: bytes, encoding: str) -> bytes:
    """A message's bytes, with the right Content-Length. Raises UsageError for a line end in a field."""
    lines = [start_line]
    for header in cast("list[Kept]", headers):
        name = header[0]
        if name != "Content-Length":
            lines.append(f"{name}: {header[1]}")
    whole = "".join(lines)
    if "\n" in whole or "\r" in whole:
        raise UsageError("a line end inside a header field")
    lines.append(f"Content-Length: {len(body)}\r\n\r\n" if body else _NO_BODY)
    text = "\r\n".join(lines)
    try:
        head = text.encode() if encoding == "utf-8" else text.encode(encoding)
    except UnicodeEncodeError:
        head = text.encode("utf-8", "replace")
    return head + body if body else head
