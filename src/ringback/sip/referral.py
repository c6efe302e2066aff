"""Transfers: REFER inside a dialog, both ways (RFC 3515), with what RFC 4488 and RFC 6665 add.

    theirs:  REFER --Referred--> ASKED --accept_referral--> 202, NOTIFY 100 --refer_progress--> NOTIFY ... final
                                 ASKED --refuse_referral, silence--> 603        SUBSCRIBE --> NOTIFY of the last
    ours:    refer --> SENT --2xx, ReferAnswered--> FOLLOWED --NOTIFY--> ReferProgress ... is_final
                       SENT --refusal, ReferAnswered--> gone

A referral's number is the CSeq of its REFER, the ``id`` of its events (section 2.4.6). Timer ``refer``; effects Arm,
Disarm, Referred, ReferAnswered, ReferProgress.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ringback.sip.client_transaction import ClientTransaction
from ringback.sip.dialog import Header
from ringback.sip.effects import Arm, Disarm, Effect, ReferAnswered, ReferProgress, Referred
from ringback.sip.errors import SipSyntaxError
from ringback.sip.headers import parse_name_addr, parse_params
from ringback.sip.limits import MAX_REFER_TO, MAX_REFERRALS, MAX_SIPFRAG
from ringback.sip.message import Request, Response
from ringback.sip.reasons import reason_phrase
from ringback.sip.server_transaction import ServerTransaction
from ringback.sip.timers import REFERRAL_LIFE, REFERRAL_PATIENCE

if TYPE_CHECKING:
    from ringback.sip.session import InviteSession

SIPFRAG: Final = "message/sipfrag;version=2.0"
_STATUS_LINE: Final = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: ([^\r\n]{0,128}))?", re.IGNORECASE)


class TheirReferral:
    """One REFER of theirs. ``silent``: they want no NOTIFY (RFC 4488)."""

    __slots__ = ("asked", "ends_at", "is_over", "line", "silent")

    def __init__(self, asked: ServerTransaction, silent: bool) -> None:
        self.asked: ServerTransaction | None = asked
        self.silent = silent
        self.is_over = False
        self.line = "SIP/2.0 100 Trying"
        self.ends_at = 0.0


def event_of(request: Request) -> tuple[str, int | None]:
    """The event package of a NOTIFY or SUBSCRIBE, and the number in its id; ("", None) when it is unreadable."""
    package, semicolon, rest = (request.get("Event") or "").partition(";")
    try:
        given = parse_params(semicolon + rest).get("id")
    except SipSyntaxError:
        return "", None
    if given is not None and not (given.isascii() and given.isdigit() and len(given) <= 10):
        return "", None
    return package.strip(" \t").lower(), None if given is None else int(given)


class Referrals:
    """The referrals of one session."""

    __slots__ = ("_first", "_ours", "_theirs")

    def __init__(self) -> None:
        self._theirs: dict[int, TheirReferral] = {}
        self._first: int | None = None  # of theirs, whose id may be left out
        self._ours: dict[int, bool] = {}  # number -> whether it was accepted

    # -- theirs -------------------------------------------------------------------------------------

    def on_refer(
        self, session: InviteSession, transaction: ServerTransaction, now: float, out: list[Effect]
    ) -> None:
        """A REFER in order."""
        request = transaction.request
        agent = session.agent
        values = request.raw("Refer-To")
        problem = 0
        if len(values) != 1 or len(values[0]) > MAX_REFER_TO:
            problem = 400  # section 2.4.1: exactly one
        else:
            try:
                refer_to = parse_name_addr(values[0])
            except SipSyntaxError:
                problem = 400
        if not problem and sum(not each.is_over for each in self._theirs.values()) >= MAX_REFERRALS:
            problem = 480
        if not problem and not session.is_confirmed:
            problem = 603
        if problem:
            agent.answer(transaction, problem, now, out)
            return
        number = request.cseq.number
        silent = (request.get("Refer-Sub") or "").strip().lower() == "false"
        self._theirs = {key: each for key, each in self._theirs.items() if not each.is_over}
        self._theirs[number] = TheirReferral(transaction, silent)
        if self._first is None:
            self._first = number
        out.append(Arm(("refer", session.dialog.local_tag), now + REFERRAL_PATIENCE))
        transaction.await_user(now, out)
        out.append(Referred(session, request, refer_to, number))

    def accept(self, session: InviteSession, number: int, now: float, out: list[Effect]) -> None:
        """202, and the first NOTIFY at once (section 2.4.4)."""
        referral = self._theirs.get(number)
        if referral is None or referral.asked is None:
            return
        asked, referral.asked = referral.asked, None
        headers: list[Header] = [("Refer-Sub", "false")] if referral.silent else []
        self._stop_waiting(session, out)
        session.reply(asked, 202, None, headers, b"", "", now, out)
        referral.ends_at = now + REFERRAL_LIFE
        referral.is_over = referral.silent
        self._notify(session, number, referral, now, out)

    def refuse(self, session: InviteSession, number: int, status: int, now: float, out: list[Effect]) -> None:
        """Refuse it; the call goes on."""
        referral = self._theirs.get(number)
        if referral is not None and referral.asked is not None:
            del self._theirs[number]
            self._stop_waiting(session, out)
            session.agent.answer(referral.asked, status, now, out)

    def progress(
        self,
        session: InviteSession,
        number: int,
        status: int,
        reason: str | None,
        now: float,
        out: list[Effect],
    ) -> None:
        """Tell what the call that they asked for has met; a final status ends the referral."""
        referral = self._theirs.get(number)
        if referral is None or referral.asked is not None or referral.is_over:
            return
        referral.line = f"SIP/2.0 {status} {reason_phrase(status) if reason is None else reason}"
        final = status >= 200
        self._notify(session, number, referral, now, out, "noresource" if final else "")
        referral.is_over = final

    def _notify(
        self,
        session: InviteSession,
        number: int,
        referral: TheirReferral,
        now: float,
        out: list[Effect],
        ended: str = "",
    ) -> None:
        if referral.silent:
            return
        event = "refer" if number == self._first else f"refer;id={number}"
        left = max(round(referral.ends_at - now), 0)
        state = f"terminated;reason={ended}" if ended else f"active;expires={left}"
        headers = [("Event", event), ("Subscription-State", state), ("Content-Type", SIPFRAG)]
        session.start("NOTIFY", headers, f"{referral.line}\r\n".encode(), now, out)

    def on_notified(self, transaction: ClientTransaction, response: Response) -> None:
        """The answer to a NOTIFY of ours; who refuses one for good hears no more of that referral (RFC 6665 section 4.2.2)."""
        if response.status >= 300 and not response.has("Retry-After"):
            number = event_of(transaction.request)[1] or self._first or 0
            if number in self._theirs:
                self._theirs[number].is_over = True

    def on_subscribe(
        self, session: InviteSession, transaction: ServerTransaction, now: float, out: list[Effect]
    ) -> None:
        """A SUBSCRIBE in the dialog: it prolongs or ends a referral of theirs (section 2.4.4), nothing else."""
        package, number = event_of(transaction.request)
        if package != "refer":
            session.agent.answer(transaction, 489, now, out, headers=(("Allow-Events", "refer"),))
            return
        number = self._first if number is None else number
        referral = None if number is None else self._theirs.get(number)
        if number is None or referral is None or referral.is_over or referral.asked is not None:
            session.agent.answer(transaction, 481, now, out)
            return
        wanted = transaction.request.expires
        granted = REFERRAL_LIFE if wanted is None else min(wanted, REFERRAL_LIFE)
        referral.ends_at = now + granted
        session.reply(transaction, 200, None, (("Expires", str(granted)),), b"", "", now, out)
        referral.is_over = not granted
        self._notify(session, number, referral, now, out, "" if granted else "timeout")

    def on_timer(self, session: InviteSession, now: float, out: list[Effect]) -> None:
        """Nobody decided."""
        for number in [key for key, each in self._theirs.items() if each.asked is not None]:
            self.refuse(session, number, 603, now, out)

    def _stop_waiting(self, session: InviteSession, out: list[Effect]) -> None:
        if not any(each.asked is not None for each in self._theirs.values()):
            out.append(Disarm(("refer", session.dialog.local_tag)))

    # -- ours ---------------------------------------------------------------------------------------

    def sent(self, number: int) -> None:
        """A REFER of ours goes out."""
        self._ours[number] = False

    @property
    def has_room(self) -> bool:
        """Whether another one may be sent."""
        return len(self._ours) < MAX_REFERRALS

    def on_response(
        self, session: InviteSession, transaction: ClientTransaction, response: Response, out: list[Effect]
    ) -> None:
        """The final answer to a REFER of ours."""
        number = transaction.request.cseq.number
        if number in self._ours:
            self._answered(session, number, response.status, response.get("Refer-Sub") or "", out)

    def on_failure(self, session: InviteSession, transaction: ClientTransaction, out: list[Effect]) -> None:
        """No answer to a REFER of ours."""
        number = transaction.request.cseq.number
        if number in self._ours:
            self._answered(session, number, 408, "", out)

    def retried(self, before: int, after: int) -> None:
        """Our REFER was sent again with credentials, and so has another number."""
        if before in self._ours:
            self._ours[after] = self._ours.pop(before)

    def _answered(
        self, session: InviteSession, number: int, status: int, refer_sub: str, out: list[Effect]
    ) -> None:
        self._ours[number] = True
        if status >= 300 or refer_sub.strip().lower() == "false":
            del self._ours[number]
        out.append(ReferAnswered(session, number, status))

    def on_notify(
        self, session: InviteSession, transaction: ServerTransaction, now: float, out: list[Effect]
    ) -> None:
        """A NOTIFY in the dialog, perhaps before the 2xx to our REFER (section 2.4.4)."""
        request = transaction.request
        package, number = event_of(request)
        if package and package != "refer":
            session.agent.answer(transaction, 489, now, out, headers=(("Allow-Events", "refer"),))
            return
        if number is None:
            number = next(iter(self._ours), None)
        if not package or number not in self._ours or number is None:
            session.agent.answer(transaction, 481, now, out)
            return
        if len(request.body) > MAX_SIPFRAG or (request.body and request.content_type != "message/sipfrag"):
            session.agent.answer(transaction, 415, now, out, headers=(("Accept", "message/sipfrag"),))
            return
        session.agent.answer(transaction, 200, now, out)
        state = (request.get("Subscription-State") or "").partition(";")[0]
        over = state.strip(" \t").lower() == "terminated"
        found = _STATUS_LINE.match(request.body.decode("utf-8", "replace").lstrip())
        status, reason = (int(found[1]), found[2] or "") if found else (0, "")
        over = over or status >= 200
        if over:
            del self._ours[number]
        if found or over:
            out.append(ReferProgress(session, number, status, reason, over))
