"""Why a request was sent: the Reason header field of CANCEL and BYE (RFC 3326), and of responses (RFC 6432)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ringback.sip.errors import SipSyntaxError
from ringback.sip.headers import parse_params, quoted, unquote
from ringback.sip.limits import MAX_REASON_TEXT, MAX_REASONS

if TYPE_CHECKING:
    from ringback.sip.fields import Message

Header = tuple[str, str]


class Reason(NamedTuple):
    """One reason: ``protocol`` is "SIP" (``cause`` is a status) or "Q.850" (an ITU cause), or another's name."""

    protocol: str
    cause: int | None
    text: str = ""

    @property
    def header(self) -> Header:
        """The field as it is sent."""
        value = self.protocol
        if self.cause is not None:
            value += f";cause={self.cause}"
        if self.text:
            value += f";text={quoted(self.text)}"
        return "Reason", value


COMPLETED_ELSEWHERE: Final = Reason("SIP", 200, "Call completed elsewhere")
"""For the branches of a fork that lost: their phones count no missed call (RFC 3326 section 3.1)."""

SESSION_EXPIRED: Final = Reason("SIP", 408, "Session expired")


def reasons_of(message: Message) -> tuple[Reason, ...]:
    """The reasons that a message gives, one a protocol; what cannot be read is passed over."""
    if not message.has("Reason"):
        return ()
    found: dict[str, Reason] = {}
    try:
        values = message.all("Reason")
    except SipSyntaxError:
        return ()
    for value in values[:MAX_REASONS]:
        reason = _parse(value)
        if reason is not None:
            found.setdefault(reason.protocol.upper(), reason)
    return tuple(found.values())


def _parse(value: str) -> Reason | None:
    protocol, semicolon, rest = value.partition(";")
    protocol = protocol.strip(" \t")
    try:
        params = parse_params(semicolon + rest)
    except SipSyntaxError:
        return None
    if not protocol or len(protocol) > MAX_REASON_TEXT:
        return None
    cause = params.get("cause") or ""
    known = cause.isascii() and cause.isdigit() and len(cause) <= 4
    return Reason(
        protocol, int(cause) if known else None, unquote(params.get("text") or "")[:MAX_REASON_TEXT]
    )
