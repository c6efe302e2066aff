"""SIP requests and responses: reading, answering and writing them (RFC 3261 section 7).

`parse` reads a datagram. Whatever it returns has typed header fields that never raise, as far as the fields are
there at all: every field that a user agent acts on is read once, at once, and kept. Whether the mandatory ones are
there, once each, is `Message.validate`, apart, so that a request without them can still be answered 400.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, cast

from ringback.sip.errors import SipSyntaxError
from ringback.sip.fields import Message
from ringback.sip.header_names import TOKEN, canonical_name
from ringback.sip.headers import Via, split_list
from ringback.sip.limits import (
    MAX_BODY,
    MAX_HEAD,
    MAX_HEADER_LINES,
    MAX_REMEMBERED_TEXT,
    REMEMBERED_ADDRESSES,
)
from ringback.sip.lines import KnownLines, Line, is_plain
from ringback.sip.reasons import reason_phrase
from ringback.sip.text_fields import Header, Kept, written
from ringback.sip.uri import Uri

__all__ = ["Header", "Message", "Request", "Response", "parse", "parse_head"]

_REQUEST_LINE: Final = re.compile(rf"({TOKEN}++) (\S++) SIP/2\.0", re.IGNORECASE)
_STATUS_LINE: Final = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: (.*+))?", re.IGNORECASE)
_OTHER_VERSION: Final = re.compile(r"SIP/(?!2\.0)[0-9]++\.[0-9]++", re.IGNORECASE)
_LIKE_REQUEST_LINE: Final = re.compile(rf"({TOKEN}++)[ \t]++(.*)[ \t](SIP/\S++)[ \t]*+", re.IGNORECASE)
_DIGITS: Final = {status: str(status) for status in range(100, 700)}
_STATUSES: Final = frozenset(_DIGITS.values())
_METHODS: Final = frozenset("ACK BYE CANCEL INFO INVITE NOTIFY OPTIONS PRACK REFER REGISTER UPDATE".split())
"""Those that need no look at their letters."""
_END: Final = b"\r\n\r\n"
_FOLD: Final = re.compile(r"\r\n[ \t]++")  # RFC 3261 section 7.3.1; white space before it stays, harmless
_CONTROLS: Final = bytes([*range(0x09), *range(0x0A, 0x20), 0x7F])
_BARE_CONTROL: Final = re.compile(rb"(?<!\\)[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

# Methods whose 1xx and 2xx responses make or refresh a dialog (RFC 3261 section 12.1.1, RFC 6665, RFC 3515).
_DIALOG_METHODS: Final = frozenset(("INVITE", "SUBSCRIBE", "REFER", "NOTIFY"))
_COPIED: Final = frozenset(("Via", "From", "To", "Call-ID", "CSeq"))


class Request(Message):
    """A request; `uri` is read from `raw_uri` when it is first asked for."""

    __slots__ = ("_uri", "key", "method", "raw_uri")

    def __init__(
        self, method: str, uri: Uri | str, headers: Iterable[Header] = (), body: bytes = b""
    ) -> None:
        super().__init__(headers, body)
        self.method = method
        self.raw_uri = str(uri)
        self._uri = None if isinstance(uri, str) else uri
        self.key = ""
        """That of its server transaction, once it was asked for (`transactions.server_key`)."""

    @property
    def uri(self) -> Uri:
        """The Request-URI. Raises SipSyntaxError."""
        if self._uri is None:
            self._uri = Uri.parse(self.raw_uri)
        return self._uri

    @uri.setter
    def uri(self, uri: Uri) -> None:
        self._uri = uri
        self.raw_uri = uri.text

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.get('CSeq')} {self.get('Call-ID')}>"

    def start_line(self) -> str:
        return f"{self.method} {self.raw_uri} SIP/2.0"

    def copy(self) -> Request:
        """An independent copy, for instance to be sent again with credentials."""
        other = self._copy_into(Request(self.method, self.raw_uri, (), self.body))
        other._uri = self._uri
        return other

    def stamp_via(self, host: str, port: int) -> None:
        """Write the address that the request really came from into its topmost Via.

        RFC 3261 section 18.2.1 (received when it differs from sent-by) and RFC 3581 section 4 (rport, and then
        received always). Raises SipSyntaxError when there is no readable Via.
        """
        via = self.via
        given = via.params
        if "rport" in given:
            number = str(port)
            if given["rport"] == number and given.get("received") == host:
                return  # done before
            params = {**given, "rport": number, "received": host}
        elif via.host == host and "received" not in given:
            return
        else:
            params = {**given, "received": host}
        stamped = Via(via.transport, via.host, via.port, params, via.sent_by)
        at = 0
        while self.headers[at][0] != "Via":
            at += 1
        value = self.headers[at][1]
        text = str(stamped)
        if "," in value:
            text = ", ".join([text, *split_list(value)[1:]])
        self.headers[at] = ("Via", text)
        self._vias = (stamped, *self.vias[1:])

    def reply(
        self,
        status: int,
        reason: str | None = None,
        *,
        to_tag: str | None = None,
        headers: Iterable[Header] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> Response:
        """A response to this request, RFC 3261 section 8.2.6, also to one that is not quite readable.

        Via, From, To, Call-ID and CSeq are copied as they came; `to_tag` is added when To has no tag yet.
        Record-Route is copied into 101..299 of methods that make dialogs, Timestamp into 100.
        """
        response = Response(status, reason, (), body)
        response.encoding = self.encoding
        response.headers = self._copied(status, to_tag)
        if content_type is not None:
            response.headers.append(("Content-Type", content_type))
        response.append(headers)
        response._vias, response._from, response._cseq = self._vias, self._from, self._cseq
        return response

    def answer(self, status: int, reason: str | None, to_tag: str | None, headers: Iterable[Header]) -> bytes:
        """What `reply` would render, for an answer without a body that nobody reads here; canonical names are given."""
        fields = self._copied(status, to_tag)
        fields.extend(headers)
        return written(_status_line(status, reason), fields, b"", self.encoding)

    def _copied(self, status: int, to_tag: str | None) -> list[Header]:
        """The fields of the request that its answer begins with."""
        also = "Timestamp" if status == 100 else ""
        if 100 < status < 300 and self.method in _DIALOG_METHODS:
            also = "Record-Route"
        copied: list[Kept] = []
        for header in self._kept():
            name = header[0]
            if name in _COPIED:
                if name == "To" and to_tag and not self._has_to_tag():
                    header = (name, f"{header[1]};tag={to_tag}")
                copied.append(header)
            elif name == also:
                copied.append(header)
        return cast("list[Header]", copied)

    def _forget(self, name: str) -> None:
        super()._forget(name)
        self.key = ""

    def _has_to_tag(self) -> bool:
        try:
            return self.to.tag is not None
        except SipSyntaxError:
            return True


class Response(Message):
    """A response; `reason` is RFC 3261's phrase for the status unless it is given."""

    __slots__ = ("reason", "status")

    def __init__(
        self, status: int, reason: str | None = None, headers: Iterable[Header] = (), body: bytes = b""
    ) -> None:
        super().__init__(headers, body)
        self.status = status
        self.reason = reason_phrase(status) if reason is None else reason

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.get('CSeq')} {self.get('Call-ID')}>"

    def start_line(self) -> str:
        return _status_line(self.status, self.reason)


def _status_line(status: int, reason: str | None) -> str:
    return (
        f"SIP/2.0 {_DIGITS.get(status) or str(status)} {reason_phrase(status) if reason is None else reason}"
    )


# -- reading

_KNOWN_LINES: Final = KnownLines()
_KNOWN_STARTS: Final[dict[bytes, tuple[str, Uri]]] = {}
"""First lines of requests, as they came."""


def _read_start_line(line: str) -> Request | Response:
    if line.startswith("SIP/2.0 ") and line[11:12] == " " and (status := line[8:11]) in _STATUSES:
        return Response(int(status), line[12:])
    method, _, rest = line.partition(" ")
    uri, _, version = rest.partition(" ")
    if version == "SIP/2.0" and uri and method in _METHODS and "\t" not in uri:
        return Request(method, uri)
    return _read_odd_start_line(line)


def _read_odd_start_line(line: str) -> Request | Response:
    if line[:4].upper() == "SIP/":
        found = _STATUS_LINE.fullmatch(line)
        if found is None:
            raise SipSyntaxError("Malformed status line")
        return Response(int(found[1]), found[2] or "")
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        like = _LIKE_REQUEST_LINE.fullmatch(line)
        if like is None:
            raise SipSyntaxError("Malformed start line")
        request = Request(like[1], like[2].strip(" \t"))
        if _OTHER_VERSION.fullmatch(like[3]):
            raise SipSyntaxError("Version Not Supported", 505, request)
        raise SipSyntaxError("Malformed start line", 400, request)
    return Request(found[1], found[2])


def _judge_controls(head: bytes) -> None:
    """Control characters are let through where they are escaped in a quoted string, and line ends never."""
    if _BARE_CONTROL.search(head):
        raise SipSyntaxError("Control character in a header field")
    breaks = head.count(b"\r\n")
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks:
        raise SipSyntaxError("Bare line end")


def parse_head(head: bytes) -> Request | Response:
    """Read a start line and header fields (without the empty line); the body stays empty.

    Raises SipSyntaxError, with the message as far as it was read.
    """
    if len(head) > MAX_HEAD:
        raise SipSyntaxError("Message Too Large", 513)
    message = _parse_plain_or_none(head)
    return _parse_with_care(head) if message is None else message


def _parse_plain_or_none(head: bytes) -> Request | Response | None:
    """Read what is written as most write it, without an empty line; None: look at it with care."""
    try:
        return _parse_plain(head)
    except SipSyntaxError:
        return None


def _parse_plain(head: bytes) -> Request | Response | None:
    """Read it line by line; None, or SipSyntaxError: look at it with care."""
    texts = head.split(b"\r\n")
    if len(texts) > MAX_HEADER_LINES:
        return None
    start = texts.pop(0)
    message: Request | Response
    known = _KNOWN_STARTS.get(start)
    if known is not None:
        message = Request(known[0], known[1])
    elif is_plain(start) and start.isascii():
        message = _read_start_line(start.decode())
        if isinstance(message, Request) and len(start) <= MAX_REMEMBERED_TEXT:
            if len(_KNOWN_STARTS) >= REMEMBERED_ADDRESSES:
                _KNOWN_STARTS.clear()
            _KNOWN_STARTS[start] = (message.method, message.uri)
    else:
        return None
    lines: list[Line] = []
    for text in texts:
        line = _KNOWN_LINES.read(text)
        if line is None:
            return None
        lines.append(line)
    if not message.take(lines):
        return None
    _judge_start(message)
    return message


def _parse_with_care(head: bytes) -> Request | Response:
    """Read anything: folded lines, old encodings, and what is wrong, for an answer that says so."""
    if len(head.translate(None, _CONTROLS)) + 2 * head.count(b"\r\n") != len(head):
        _judge_controls(head)
    encoding = "utf-8"
    try:
        text = head.decode()
    except UnicodeDecodeError:
        encoding = "latin-1"
        text = head.decode(encoding)
    lines = _FOLD.sub(" ", text).split("\r\n")
    if len(lines) > MAX_HEADER_LINES:
        raise SipSyntaxError("Too many header fields", 513)
    wrong: SipSyntaxError | None = None
    try:
        message = _read_start_line(lines[0])
    except SipSyntaxError as error:
        if error.message is None:
            raise
        wrong, message = error, error.message
    message.encoding = encoding
    try:
        _read_fields(message, lines)
    except SipSyntaxError as error:
        wrong = wrong or error
    if wrong is not None:
        wrong.message = message
        raise wrong
    return message


def _read_fields(message: Request | Response, lines: list[str]) -> None:
    headers = message.headers
    wrong: SipSyntaxError | None = None
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        try:
            if not colon:
                raise SipSyntaxError("Header field without a colon")
            headers.append((canonical_name(name), value.strip(" \t")))
        except SipSyntaxError as error:
            wrong = wrong or error
    if wrong is not None:
        raise wrong
    message.read()
    _judge_start(message)


def _judge_start(message: Request | Response) -> None:
    """Whether the start line and the header fields agree."""
    if isinstance(message, Request):
        cseq = message._cseq
        if cseq is not None and cseq.method != message.method:
            raise SipSyntaxError("CSeq method mismatch")
        if message.uri.headers:
            raise SipSyntaxError("Headers in Request-URI")


def parse(data: bytes) -> Request | Response:
    """Read one datagram, RFC 3261 section 18.3: bytes beyond Content-Length are dropped, fewer are an error.

    Raises SipSyntaxError; `error.message` is what a request can be refused with.
    """
    message: Request | Response | None = None
    end = len(data) - 4
    if data[-4:] == _END and end <= MAX_HEAD:  # most have no body: no need to look for the end of the head
        message = _parse_plain_or_none(data[:-4])
    if message is None:
        if data[:2] == b"\r\n":
            data = data.lstrip(b"\r\n")
        end = data.find(_END, 0, MAX_HEAD + 4)
        if end < 0:
            if len(data) > MAX_HEAD:
                raise SipSyntaxError("Message Too Large", 513)
            raise SipSyntaxError("No end of the header fields")
        message = parse_head(data[:end])
    length = message.content_length
    available = len(data) - end - 4
    if length is None:
        length = available
    if length > available:
        raise SipSyntaxError("Body shorter than Content-Length", message=message)
    if length > MAX_BODY:
        raise SipSyntaxError("Message Too Large", 513, message)
    if length:
        message.body = data[end + 4 : end + 4 + length]
    return message
