"""Offers inside a dialog, both ways: re-INVITE (RFC 3261 section 14) and UPDATE (RFC 3311).

    ours:    idle --reinvite--> SENT --2xx--> idle            (ACK at once, or OWED if we asked for their offer)
                                SENT --491--> WAITING --glare timer--> SENT
    theirs:  idle --re-INVITE, UPDATE--> PENDING --accept, refuse, CANCEL--> idle

One offer at a time: theirs gets 491 while ours is SENT, 500 with Retry-After while another of theirs is
PENDING (14.2). Effects: Reoffered, ReofferWithdrawn, Reanswered, ReofferFailed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.sip.answering import IncomingInvite
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
from ringback.sip.timers import GLARE_RETRIES
from ringback.sip.transactions import ClientTransaction, ServerTransaction

if TYPE_CHECKING:
    from ringback.sip.flow import Flow
    from ringback.sip.session import InviteSession

_SDP = [("Content-Type", "application/sdp")]


class Reoffers:
    """The offers of one session after its first exchange."""

    __slots__ = ("_body", "_flow", "_open", "_owed", "_own", "_pending", "_session", "_tries")

    def __init__(self, session: InviteSession) -> None:
        self._session = session
        self._open = False  # ours: SENT or WAITING
        self._own: ClientTransaction | None = None
        self._owed: ClientTransaction | None = None
        self._pending: ServerTransaction | None = None
        self._flow: Flow | None = None
        self._body = b""
        self._tries = 0

    # -- ours ---------------------------------------------------------------------------------------

    def offer(self, body: bytes, now: float, out: list[Effect]) -> None:
        """Send a re-INVITE, unless an offer is open."""
        session = self._session
        if session.is_over:
            return
        if self._is_busy() or self._open or not session.is_confirmed:
            out.append(ReofferFailed(session, 491))
            return
        self._open = True
        self._body = body
        self._tries = 0
        session.start("INVITE", _SDP if body else [], body, now, out)

    def sent(self, transaction: ClientTransaction) -> None:
        """Our re-INVITE is on its way (also with credentials)."""
        self._own = transaction

    def acknowledge(self, body: bytes, now: float, out: list[Effect]) -> None:
        """The ACK with our answer to the offer in a 2xx."""
        owed, self._owed = self._owed, None
        if owed is not None:
            self._session.start("ACK", _SDP if body else [], body, now, out, invite=owed)

    def on_response(
        self, transaction: ClientTransaction, response: Response, flow: Flow, now: float, out: list[Effect]
    ) -> None:
        """A response to a re-INVITE of ours."""
        session = self._session
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
            self._on_accepted(transaction, response, flow, now, out)
        elif session.is_over:
            return
        elif status == 491 and self._tries < GLARE_RETRIES:
            self._tries += 1
            first = 210 if session.role == "uac" else 0  # 14.1: the owner of the Call-ID waits longer
            wait = first + session.agent.random(191 if first else 201)
            out.append(Arm(("glare", session.dialog.local_tag), now + wait / 100))
        else:
            self._open = False
            out.append(ReofferFailed(session, status))
            session.end_if_gone(status, response, now, out)

    def _on_accepted(
        self, transaction: ClientTransaction, response: Response, flow: Flow, now: float, out: list[Effect]
    ) -> None:
        session = self._session
        self._open = False
        session.refresh(response, flow)
        if session.is_over or transaction.request.body:
            session.start("ACK", [], b"", now, out, invite=transaction)
        else:
            self._owed = transaction
        if not session.is_over:
            out.append(Reanswered(session, response.body))

    def on_failure(self, transaction: ClientTransaction, out: list[Effect]) -> None:
        """Our re-INVITE got no answer."""
        if transaction is self._own:
            self._own = None
            self._open = False
            if not self._session.is_over:
                out.append(ReofferFailed(self._session, 408))

    def on_timer(self, now: float, out: list[Effect]) -> None:
        """The wait after glare is over."""
        session = self._session
        if not self._open or session.is_over:
            return
        if self._is_busy():
            self._open = False
            out.append(ReofferFailed(session, 491))
        else:
            session.start("INVITE", _SDP if self._body else [], self._body, now, out)

    # -- theirs -------------------------------------------------------------------------------------

    def on_request(self, transaction: ServerTransaction, flow: Flow, now: float, out: list[Effect]) -> None:
        """A re-INVITE or UPDATE, in order."""
        session = self._session
        agent = session.agent
        request = transaction.request
        if len(request.contacts) > 1:
            agent.answer(transaction, 400, now, out)
            return
        if request.method == "UPDATE" and not request.body:
            if not session.is_calling:
                session.refresh(request, flow)
            self._answer_update(transaction, b"", now, out)
            return
        if self._pending is not None or session.is_incoming:
            retry = str(agent.random(10))
            agent.answer(transaction, 500, now, out, headers=(("Retry-After", retry),))
            return
        if session.unacknowledged is not None and not session.unacknowledged.offerless:
            self._take_as_ack(out)
        if self._own is not None or not session.is_confirmed or self._is_busy():
            agent.answer(transaction, 491, now, out)
            return
        self._pending = transaction
        self._flow = flow
        transaction.user = session
        if request.method == "INVITE":
            agent.answer(transaction, 100, now, out)
        out.append(Reoffered(session, request, request.body))

    def accept(self, body: bytes, now: float, out: list[Effect]) -> None:
        """200 with our answer (or offer)."""
        session = self._session
        transaction, self._pending = self._pending, None
        if transaction is None or self._flow is None:
            return
        try:
            session.refresh(transaction.request, self._flow)
        except PeerError as error:
            session.agent.answer(transaction, error.status, now, out)
            return
        if self._open and self._own is None:  # our offer that waits after glare is out of date now
            self._open = False
            out.append(Disarm(("glare", session.dialog.local_tag)))
            out.append(ReofferFailed(session, 491))
        if transaction.invite:
            IncomingInvite(session, transaction).accept((), body, "application/sdp", now, out)
        else:
            self._answer_update(transaction, body, now, out)

    def refuse(self, status: int, now: float, out: list[Effect]) -> None:
        """Refuse theirs."""
        transaction, self._pending = self._pending, None
        if transaction is not None:
            self._session.agent.answer(transaction, status, now, out)

    def on_cancel(self, transaction: ServerTransaction, now: float, out: list[Effect]) -> None:
        """CANCEL of a re-INVITE."""
        if transaction is self._pending:
            self.refuse(487, now, out)
            out.append(ReofferWithdrawn(self._session))

    def on_answer_in_ack(self, body: bytes, out: list[Effect]) -> None:
        """The ACK for our 2xx that carried an offer."""
        out.append(Reanswered(self._session, body))

    def stop(self, now: float, out: list[Effect]) -> None:
        """The session is over: answer what is open."""
        self.refuse(487, now, out)
        if self._own is not None:
            self._own.limit(now, out)
        elif self._open:
            out.append(Disarm(("glare", self._session.dialog.local_tag)))
        if self._owed is not None:
            self.acknowledge(b"", now, out)

    # -- inside -------------------------------------------------------------------------------------

    def _is_busy(self) -> bool:
        return (
            self._own is not None
            or self._pending is not None
            or self._owed is not None
            or self._session.unacknowledged is not None
        )

    def _take_as_ack(self, out: list[Effect]) -> None:
        """Who offers anew has got our 2xx: the ACK was lost or overtaken (RFC 5407 3.1.4)."""
        session = self._session
        session.drop_answer(out)
        if not session.is_confirmed:
            session.confirm()
            out.append(Confirmed(session, b""))

    def _answer_update(
        self, transaction: ServerTransaction, body: bytes, now: float, out: list[Effect]
    ) -> None:
        self._session.reply(
            transaction, 200, None, self._session.agent.capabilities, body, "application/sdp", now, out
        )
