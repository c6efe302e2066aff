"""Errors of SIP, and whose fault they are.

SipError
|-- PeerError(status, reason)     the peer broke the protocol: this is what to answer
|   `-- SipSyntaxError            the one type that a parser raises
|-- UsageError                    the caller in this program asked for something impossible
`-- Overload                      refuse for now: 503 with Retry-After
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.sip.message import Request, Response


class SipError(Exception):
    """Root of the tree; nobody raises it itself."""


class PeerError(SipError):
    """The peer broke the protocol; `status` and `reason` are the answer that it deserves."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


class SipSyntaxError(PeerError):
    """What was received is not SIP.

    `message` is the request or response as far as it could be read (its header fields are all there, the one
    at fault too), so that a request can be refused with `message.reply(status, reason)`; None where not even
    the start line and the header fields could be told apart: then there is nothing to answer to.
    """

    def __init__(self, reason: str, status: int = 400, message: Request | Response | None = None) -> None:
        super().__init__(status, reason)
        self.message = message


class UsageError(SipError):
    """This program asked for something that cannot be put on the wire."""


class Overload(SipError):
    """Refused for now; `retry_after` in seconds goes into the Retry-After header field of a 503."""

    def __init__(self, reason: str, retry_after: int) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
