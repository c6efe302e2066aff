"""Messages out of a stream, RFC 3261 section 18.3, with keep-alives of RFC 5626 section 3.5.1.

    START --double CRLF--> KeepAlive(PING)   answer with one CRLF
    START --single CRLF--> KeepAlive(PONG)   also what some peers put in front of a message
    START --anything else--> HEAD --empty line--> BODY --Content-Length bytes--> START
    HEAD, BODY --limit passed, no or two or unreadable Content-Length--> LOST

A stream is lost when nobody can tell where the next message begins. A message that is wrong but well framed is
given as Malformed, and the stream goes on.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from ringback.sip.errors import SipSyntaxError
from ringback.sip.limits import MAX_BODY, MAX_HEAD
from ringback.sip.message import Request, Response, parse_head


class KeepAlive(Enum):
    """What a peer sends to keep the stream open."""

    PING = b"\r\n\r\n"
    PONG = b"\r\n"


PONG: Final = b"\r\n"
"""The answer to KeepAlive.PING."""


class Malformed(NamedTuple):
    """A message that was framed well and is wrong; `error.message` may be refused with `error.status`."""

    error: SipSyntaxError


Item = Request | Response | KeepAlive | Malformed


class StreamParser:
    """Cuts one TCP or TLS stream into messages. Holds at most one header block and one body.

    `failure` is set once the stream is lost; then every `feed` raises it.
    """

    __slots__ = ("_buffer", "_pending", "_scanned", "_wanted", "failure")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0  # bytes of the buffer that hold no end of the header fields
        self._pending: Request | Response | SipSyntaxError | None = None  # a head that waits for its body
        self._wanted = 0
        self.failure: SipSyntaxError | None = None

    @property
    def is_idle(self) -> bool:
        """Whether the stream stands between messages."""
        return not self._buffer and self._pending is None

    def feed(self, data: bytes) -> list[Item]:
        """The messages that `data` completes, in order.

        Raises SipSyntaxError when the stream is lost and no message came before; after earlier messages they are
        returned, `failure` is set, and the next `feed` raises. Either way: answer `failure.message` if it is a
        request, and close.
        """
        items: list[Item] = []
        if self.failure is None:
            self._buffer += data
            try:
                while (item := self._next()) is not None:
                    items.append(item)
            except SipSyntaxError as error:
                self.failure = error
                self._buffer.clear()
                self._pending = None
        if self.failure is not None and not items:
            raise self.failure
        return items

    def _next(self) -> Item | None:
        if self._pending is None:
            keep_alive = self._keep_alive()
            if keep_alive is not None:
                return keep_alive
            if not self._read_head():
                return None
        return self._read_body()

    def _keep_alive(self) -> KeepAlive | None:
        buffer = self._buffer
        if not buffer.startswith(b"\r\n"):
            return None
        if buffer.startswith(b"\r\n\r\n"):
            del buffer[:4]
            return KeepAlive.PING
        if len(buffer) == 3 and buffer.endswith(b"\r"):
            return None  # three quarters of a ping
        del buffer[:2]
        return KeepAlive.PONG

    def _read_head(self) -> bool:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", max(self._scanned - 3, 0), MAX_HEAD + 4)
        if end < 0:
            if len(buffer) > MAX_HEAD:
                raise SipSyntaxError("Message Too Large", 513)
            self._scanned = len(buffer)
            return False
        head = bytes(buffer[:end])
        del buffer[: end + 4]
        self._scanned = 0
        message: Request | Response | None
        try:
            message = parse_head(head)
            self._pending = message
        except SipSyntaxError as error:
            message = error.message
            if message is None:
                raise
            self._pending = error
        self._wanted = _framed_length(message)
        return True

    def _read_body(self) -> Item | None:
        wanted = self._wanted
        buffer = self._buffer
        if len(buffer) < wanted:
            return None
        body = bytes(buffer[:wanted])
        del buffer[:wanted]
        pending = self._pending
        self._pending = None
        if isinstance(pending, SipSyntaxError):
            return Malformed(pending)
        assert pending is not None  # `_read_head` has set it
        pending.body = body
        return pending


def _framed_length(message: Request | Response) -> int:
    """The length of the body; a stream cannot do without it (RFC 3261 section 20.14)."""
    values = message.raw("Content-Length")
    try:
        length = message.content_length
    except SipSyntaxError as error:
        error.message = message
        raise
    if length is None or len(values) != 1:
        raise SipSyntaxError("One Content-Length is needed", 400, message)
    if length > MAX_BODY:
        raise SipSyntaxError("Message Too Large", 513, message)
    return length
