"""Offers inside a dialog, both ways: re-INVITE (RFC 3261 section 14), UPDATE (RFC 3311), PRACK (RFC 3262).

    ours:    idle --reinvite, update--> SENT --2xx--> idle    (ACK at once, or OWED if we asked for their offer)
                                        SENT --491--> WAITING --glare timer--> SENT
                                        SENT --422--> SENT    (with a longer session interval)
                                        SENT --1xx, no more for a minute--> CANCEL --487, silence--> idle
    theirs:  idle --re-INVITE, UPDATE, PRACK--> PENDING --accept, refuse, CANCEL--> idle

One offer at a time: theirs gets 491 while ours is SENT, 500 with Retry-After while another of theirs is
PENDING, or their first one (14.2, RFC 3311 section 5.2). Before the dialog is confirmed, only UPDATE and PRACK, and only once the first
offer has its answer. Effects: Reoffered, ReofferWithdrawn, Reanswered, ReofferFailed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ringback.sip.answering import IncomingInvite
from ringback.sip.client_transaction import ACKNOWLEDGING, ClientTransaction
from ringback.sip.effects import (
    Arm,
    Confirmed,
    Disarm,
    Effect,
    Reanswered,
    Reoffered,
    ReofferFailed,
    ReofferWithdrawn,
)
from ringback.sip.errors import PeerError
from ringback.sip.message import Response
from ringback.sip.server_transaction import ServerTransaction
from ringback.sip.timers import GLARE_RETRIES

if TYPE_CHECKING:
    from ringback.sip.dialog import Dialog, Header
    from ringback.sip.flow import Flow
    from ringback.sip.session import InviteSession

_SDP = [("Content-Type", "application/sdp")]


class Reoffers:
    """The offers of one session after its first exchange. As every part of a session, it holds none, but is told it."""

    __slots__ = (
        "_body",
        "_flow",
        "_method",
        "_open",
        "_owed",
        "_own",
        "_pending",
        "_refreshes",
        "_tries",
    )

    def __init__(self) -> None:
        self._open = False  # ours: SENT or WAITING
        self._own: ClientTransaction | None = None
        self._owed: ClientTransaction | None = None
        self._pending: ServerTransaction | None = None
        self._flow: Flow | None = None
        self._body = b""
        self._method = "INVITE"
        self._refreshes = False
        self._tries = 0

    # -- ours ---------------------------------------------------------------------------------------

    def offer(
        self, session: InviteSession, body: bytes, now: float, out: list[Effect], method: str = "INVITE"
    ) -> None:
        """Send a re-INVITE or UPDATE, unless an offer is open or the dialog is too young for it."""
        if session.is_over:
            return
        ready = session.is_confirmed or (method == "UPDATE" and session.is_settled_early)
        if self._is_busy(session) or self._open or not ready:
            out.append(ReofferFailed(session, 491))
            return
        self._refreshes = False
        self._begin(session, method, body, now, out)

    def refresh(self, session: InviteSession, body: bytes, now: float, out: list[Effect]) -> bool:
        """Send a re-INVITE with the SDP that holds, for the session timer; False when an offer is open."""
        if self._is_busy(session) or self._open:
            return False
        self._refreshes = True
        self._begin(session, "INVITE", body, now, out)
        return True

    def _begin(self, session: InviteSession, method: str, body: bytes, now: float, out: list[Effect]) -> None:
        self._open = True
        self._body = body
        self._method = method
        self._tries = 0
        self._send(session, now, out)

    def _send(self, session: InviteSession, now: float, out: list[Effect]) -> None:
        headers: list[Header] = [*session.timer.headers(session)] if session.timer.interval else []
        dialog: Dialog | None = session.early_dialog if session.is_calling else None
        session.start(
            self._method, [*headers, *_SDP] if self._body else headers, self._body, now, out, dialog=dialog
        )

    def sent(self, transaction: ClientTransaction) -> None:
        """Our offer is on its way (also with credentials)."""
        self._own = transaction

    def acknowledge(self, session: InviteSession, body: bytes, now: float, out: list[Effect]) -> None:
        """The ACK of a 2xx, with our answer where that was an offer; it may wait for the resolver.

        It is all that the transaction holds from then on.
        """
        owed, self._owed = self._owed, None
        if owed is None:
            return
        if body:
            session.local_sdp = body
        session.start("ACK", _SDP if body else [], body, now, out, invite=owed)
        if owed.ack is not None:
            owed.settle(ACKNOWLEDGING)

    def on_response(
        self,
        session: InviteSession,
        transaction: ClientTransaction,
        response: Response,
        flow: Flow,
        now: float,
        out: list[Effect],
    ) -> None:
        """A response to a re-INVITE or an UPDATE with an offer of ours."""
        status = response.status
        if status < 200:
            if session.is_over:
                transaction.limit(now, out)
            return
        if transaction is not self._own:
            if status < 300 and transaction.ack is not None:
                out.append(transaction.ack)  # 13.2.2.4
            return
        self._own = None
        if status < 300:
            self._open = False
            session.move(response, flow)
            if self._body:
                session.local_sdp = self._body
            if session.agent.session_expires and not session.is_over:
                session.timer.on_accepted(session, response, now, out)
            if transaction.invite:
                self._owed = transaction
                if session.is_over or self._body:
                    self.acknowledge(session, b"", now, out)
            if not session.is_over and not self._refreshes:
                out.append(Reanswered(session, response.body))
        elif session.is_over or self._retry_after_glare(session, status, now, out):
            return
        elif status == 422 and session.timer.interval and session.timer.raise_to(response):
            self._send(session, now, out)
        else:
            self._open = False
            if self._refreshes:
                session.timer.on_refused(session, response, now, out)
            else:
                out.append(ReofferFailed(session, status))
            session.end_if_gone(status, response, now, out)

    def _retry_after_glare(self, session: InviteSession, status: int, now: float, out: list[Effect]) -> bool:
        """491, or 500 to an UPDATE that crossed theirs (RFC 3311 section 5.3): once more after a while."""
        crossed = status == 491 or (status == 500 and self._method == "UPDATE")
        if not crossed or self._tries >= GLARE_RETRIES:
            return False
        self._tries += 1
        first = 210 if session.role == "uac" else 0  # 14.1: the owner of the Call-ID waits longer
        wait = first + session.agent.random(191 if first else 201)
        out.append(Arm(("glare", session.dialog.local_tag), now + wait / 100))
        return True

    def on_failure(
        self, session: InviteSession, transaction: ClientTransaction, now: float, out: list[Effect]
    ) -> None:
        """Our offer got no answer."""
        if transaction is self._own:
            self._own = None
            self._open = False
            if self._refreshes:
                session.timer.try_later(session, now, out)
            elif not session.is_over:
                out.append(ReofferFailed(session, 408))

    def on_timer(self, session: InviteSession, now: float, out: list[Effect]) -> None:
        """The wait after glare is over."""
        if not self._open or session.is_over:
            return
        if self._is_busy(session):
            self._open = False
            if not self._refreshes:
                out.append(ReofferFailed(session, 491))
        else:
            self._send(session, now, out)

    # -- theirs -------------------------------------------------------------------------------------

    def on_request(
        self,
        session: InviteSession,
        transaction: ServerTransaction,
        flow: Flow | None,
        now: float,
        out: list[Effect],
    ) -> None:
        """A re-INVITE or UPDATE, in order, or a PRACK with an offer."""
        agent = session.agent
        request = transaction.request
        if len(request.contacts) > 1:
            agent.answer(transaction, 400, now, out)
            return
        is_bare = request.method == "UPDATE" and not request.body
        too_early = session.is_unanswered and (request.method == "INVITE" or session.owes_answer)
        if self._pending is not None or (too_early and not is_bare):
            retry = str(agent.random(10))
            agent.answer(transaction, 500, now, out, headers=(("Retry-After", retry),))
            return
        if is_bare:
            session.move(request, flow)
            self._answer(session, transaction, b"", now, out)
            return
        if session.unacknowledged is not None and not session.unacknowledged.offerless:
            self._take_as_ack(session, out)
        if self._own is not None or not self._is_ready(session, request.method) or self._is_busy(session):
            agent.answer(transaction, 491, now, out)
            return
        self._pending = transaction
        self._flow = flow
        transaction.user = session
        if transaction.invite:
            agent.answer(transaction, 100, now, out)
        else:
            transaction.await_user(now, out)
        out.append(Reoffered(session, request, request.body))

    def _is_ready(self, session: InviteSession, method: str) -> bool:
        return session.is_confirmed or (method != "INVITE" and session.is_settled_early)

    def accept(self, session: InviteSession, body: bytes, now: float, out: list[Effect]) -> None:
        """200 with our answer (or offer)."""
        transaction, self._pending = self._pending, None
        if transaction is None:
            return
        try:
            session.move(transaction.request, self._flow)
        except PeerError as error:
            session.agent.answer(transaction, error.status, now, out)
            return
        if self._open and self._own is None:  # our offer that waits after glare is out of date now
            self._open = False
            out.append(Disarm(("glare", session.dialog.local_tag)))
            if not self._refreshes:
                out.append(ReofferFailed(session, 491))
        if transaction.invite:
            IncomingInvite(transaction).accept(session, (), body, "application/sdp", now, out)
        else:
            session.local_sdp = body
            self._answer(session, transaction, body, now, out)

    def refuse(
        self,
        session: InviteSession,
        status: int,
        now: float,
        out: list[Effect],
        headers: Iterable[Header] = (),
    ) -> None:
        """Refuse theirs."""
        transaction, self._pending = self._pending, None
        if transaction is not None:
            session.agent.answer(transaction, status, now, out, headers=headers)

    def on_cancel(
        self, session: InviteSession, transaction: ServerTransaction, now: float, out: list[Effect]
    ) -> None:
        """CANCEL of a re-INVITE."""
        if transaction is self._pending:
            self.refuse(session, 487, now, out)
            out.append(ReofferWithdrawn(session))

    def on_answer_in_ack(self, session: InviteSession, body: bytes, out: list[Effect]) -> None:
        """The ACK for our 2xx that carried an offer."""
        out.append(Reanswered(session, body))

    def stop(self, session: InviteSession, now: float, out: list[Effect]) -> None:
        """The session is over: answer what is open."""
        self.refuse(session, 487, now, out)
        if self._own is not None:
            self._own.limit(now, out)
        elif self._open:
            out.append(Disarm(("glare", session.dialog.local_tag)))
        if self._owed is not None:
            self.acknowledge(session, b"", now, out)

    # -- inside -------------------------------------------------------------------------------------

    def _is_busy(self, session: InviteSession) -> bool:
        return (
            self._own is not None
            or self._pending is not None
            or self._owed is not None
            or session.unacknowledged is not None
        )

    def _take_as_ack(self, session: InviteSession, out: list[Effect]) -> None:
        """Who offers anew has got our 2xx: the ACK was lost or overtaken (RFC 5407 3.1.4)."""
        session.drop_answer(out)
        if not session.is_confirmed:
            session.confirm()
            out.append(Confirmed(session, b""))

    def _answer(
        self,
        session: InviteSession,
        transaction: ServerTransaction,
        body: bytes,
        now: float,
        out: list[Effect],
    ) -> None:
        """2xx to an UPDATE, which refreshes the session, or to a PRACK, which does not."""
        headers = session.agent.capabilities
        if transaction.request.method == "UPDATE" and session.agent.session_expires and session.is_confirmed:
            headers = [*headers, *session.timer.agree(session, transaction.request, now, out)]
        session.reply(transaction, 200, None, headers, body, "application/sdp", now, out)
