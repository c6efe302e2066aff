"""What SIP requests and responses share: header fields, read for what they mean, and a body (RFC 3261 section 7).

A typed field is read when it is first asked for, and kept; `parse` (message.py) reads those that a user agent acts
on at once, so that they never raise later.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Self, cast

from ringback.sip.errors import SipSyntaxError
from ringback.sip.headers import (
    CSeq,
    NameAddr,
    Via,
    delta_seconds,
    parse_cseq,
    parse_name_addr,
    parse_name_addrs,
    parse_vias,
)
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
from ringback.sip.text_fields import Header, TextFields, written

if TYPE_CHECKING:
    from ringback.sip.message import Request, Response

_MANDATORY: Final = tuple([name for name, field in FIELDS.items() if field & MANDATORY])
_UNREAD: Final = -1
_ABSENT: Final = -2


class Message(TextFields):
    """What requests and responses share: typed header fields, remembered until they are changed, and a body.

    `encoding` is what the head was written in: "utf-8", or "latin-1" from old peers (kept so that replies give their
    bytes back).
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
    )

    def __init__(self, headers: Iterable[Header] = (), body: bytes = b"") -> None:
        super().__init__()
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
