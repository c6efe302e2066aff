"""Which dialog an INVITE is to take the place of: the Replaces header field, RFC 3891."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from ringback.sip.errors import PeerError, SipSyntaxError
from ringback.sip.headers import parse_params
from ringback.sip.limits import MAX_CALL_ID
from ringback.sip.message import Request

if TYPE_CHECKING:
    from ringback.sip.session import InviteSession

EXTENSION = "replaces"


class Replaces(NamedTuple):
    """A dialog as its far end names it: ``to_tag`` is ours, ``from_tag`` the peer's."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    def __str__(self) -> str:
        early = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"


def parse_replaces(value: str) -> Replaces:
    """Read the field. Raises SipSyntaxError."""
    call_id, semicolon, rest = value.partition(";")
    params = parse_params(semicolon + rest)
    to_tag, from_tag = params.get("to-tag"), params.get("from-tag")
    call_id = call_id.strip(" \t")
    if not call_id or len(call_id) > MAX_CALL_ID or not to_tag or not from_tag:
        raise SipSyntaxError("Malformed Replaces")
    return Replaces(call_id, to_tag, from_tag, "early-only" in params)


def match_dialog(wanted: Replaces, sessions: Mapping[str, InviteSession]) -> InviteSession | None:
    """The session whose dialog this is, early ones by the tag that the far end rings with; ``sessions`` are by our tag."""
    session = sessions.get(wanted.to_tag)
    if session is None or session.call_id != wanted.call_id or session.is_over:
        return None
    remote = session.dialog.remote_tag or session.early_tag
    if remote != wanted.from_tag and not (wanted.from_tag == "0" and not remote):
        return None
    return session


def find_replaced(request: Request, sessions: Mapping[str, InviteSession]) -> InviteSession | None:
    """The session that an INVITE replaces; None when it has no Replaces. ``sessions`` are by our tag.

    Raises PeerError as RFC 3891 section 3 has it: 400 for more than one, 481 without a match, or for an early dialog
    that the peer began, 486 for a confirmed one when only an early one is meant.
    """
    values = request.raw("Replaces")
    if not values:
        return None
    if len(values) > 1:
        raise PeerError(400, "One Replaces Only")
    wanted = parse_replaces(values[0])
    session = match_dialog(wanted, sessions)
    if session is None or session.is_incoming:
        raise PeerError(481, "Call/Transaction Does Not Exist")
    if wanted.early_only and not session.is_calling:
        raise PeerError(486, "Busy Here")
    return session
