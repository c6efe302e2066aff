"""What a leg has to do with transfers: REFERs of its far end, and ours to it (RFC 3515).

theirs:  Referred --Transfer--> (the call decides) --> answer --> notify ... final
ours:    refer --(once the dialog stands)--> ReferAnswered --> ReferProgress ... is_final
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ringback.call import events
from ringback.call.leg_effects import Happened, LegEffect, Transfer, Wire
from ringback.call.limits import MAX_REFERRED_BY
from ringback.sip import effects as sip
from ringback.sip.errors import PeerError, SipSyntaxError
from ringback.sip.headers import NameAddr, parse_name_addr
from ringback.sip.replaces import match_dialog, parse_replaces

if TYPE_CHECKING:
    from ringback.call.leg import Leg
    from ringback.sip.message import Request
    from ringback.sip.session import InviteSession
    from ringback.sip.uri import Uri


class Asked:
    """What a leg asked its far end to call: its tokens by the numbers of our REFERs, and what waits for the dialog."""

    __slots__ = ("last", "tokens", "waiting")

    def __init__(self) -> None:
        self.tokens: dict[int, str] = {}
        self.last = ""  # whose number changes when it is sent again with credentials
        self.waiting: tuple[str, str] | None = None

    def token(self, number: int) -> str:
        """Whose REFER has this number."""
        return self.tokens.get(number, self.last)


class Transfers:
    """The transfers of one leg, which keeps what is ``asked``, but not this: it would hold itself for ever."""

    __slots__ = ("_asked", "_leg")

    def __init__(self, leg: Leg, asked: Asked) -> None:
        self._leg = leg
        self._asked = asked

    def on(self, effect: sip.Referred | sip.ReferAnswered | sip.ReferProgress, now: float) -> list[LegEffect]:
        """What the agent says of a REFER."""
        leg = self._leg
        match effect:
            case sip.Referred(session, request, refer_to, number):
                target = request.raw("Refer-To")[0].strip()
                out: list[LegEffect] = [Wire(leg, False, f"REFER to {target}")]
                try:
                    other = _replaced(refer_to.uri, session.agent.sessions)
                except PeerError as problem:
                    return out + self.answer(number, problem.status, now)
                owner = None if other is None else leg.of(other.owner)
                return [*out, Transfer(leg, number, target, owner, _referred_by(request))]
            case sip.ReferAnswered(_, number, status):
                token = self._asked.token(number)
                return [
                    Wire(leg, False, f"{status} (REFER)"),
                    Happened(leg, events.ReferAnswered(token, status)),
                ]
            case sip.ReferProgress(_, number, status, reason, is_final):
                event = events.ReferProgress(self._asked.token(number), status, is_final)
                return [Wire(leg, False, f"NOTIFY {status} {reason}".strip()), Happened(leg, event)]

    def answer(self, number: int, status: int, now: float) -> list[LegEffect]:
        """202 to a REFER of theirs, or a refusal."""
        session = self._leg.session
        if session is None:
            return []
        if status < 300:
            return [Wire(self._leg, True, "202 Accepted (REFER)"), *session.accept_referral(number, now)]
        return [Wire(self._leg, True, f"{status} (REFER)"), *session.refuse_referral(number, status, now)]

    def notify(self, number: int, status: int, now: float) -> list[LegEffect]:
        """Tell what a REFER of theirs has met."""
        session = self._leg.session
        if session is None:
            return []
        return [Wire(self._leg, True, f"NOTIFY {status}"), *session.refer_progress(number, status, now)]

    def refer(self, token: str, target: str, now: float) -> list[LegEffect]:
        """Ask the far end to call ``target``; once its ACK has come, if it was answered just now."""
        leg = self._leg
        session = leg.session
        if session is None or session.is_over:
            return [Happened(leg, events.ReferAnswered(token, 0))]
        if not session.is_confirmed:
            self._asked.waiting = (token, target)
            return []
        number, given = session.refer(f"<{target}>", now)
        if not number:
            return [Happened(leg, events.ReferAnswered(token, 0))]
        self._asked.tokens[number] = self._asked.last = token
        return [Wire(leg, True, f"REFER to {target}"), *given]

    def on_confirmed(self, now: float) -> list[LegEffect]:
        """The dialog stands: send what waits for it."""
        waiting, self._asked.waiting = self._asked.waiting, None
        return [] if waiting is None else self.refer(*waiting, now)


def _replaced(refer_to: Uri, sessions: Mapping[str, InviteSession]) -> InviteSession | None:
    """The session that a Refer-To wants replaced (RFC 3891); None if it is none of ours.

    Raises PeerError where only an early one is meant, as the INVITE that it asks for would be answered (section 3).
    """
    value = next((value for name, value in refer_to.headers if name.lower() == "replaces"), "")
    try:
        wanted = parse_replaces(value)
    except SipSyntaxError:
        return None
    session = match_dialog(wanted, sessions)
    if session is not None and wanted.early_only and not (session.is_calling or session.is_incoming):
        raise PeerError(486, "Busy Here")
    return session


def _referred_by(request: Request) -> str:
    """Who transfers, for whom it is connected with (RFC 3892 section 2.2); "" if it does not say, or not well.

    A ``cid`` is left out: the part of the body that it names stays here.
    """
    value = request.get("Referred-By") or ""
    if len(value) > MAX_REFERRED_BY:
        return ""
    try:
        who = parse_name_addr(value)
    except SipSyntaxError:
        return ""
    return str(NameAddr(who.display, who.uri))
