"""An INVITE session as one end sees it: from the INVITE to the end of its dialog.

    INCOMING  --answer-->   ANSWERED --ACK-->  CONFIRMED       as callee (UAS)
    CALLING   --2xx-->      CONFIRMED                          as caller (UAC); OWED while we owe the ACK an answer
    any of them  --BYE, CANCEL, refusal, timeout, hangup-->  ENDED

Ended is given exactly once, at once when we hang up; what the protocol still needs (BYE, CANCEL and its races,
the ACK of a 2xx that came too late) goes on behind it, without effects for the user. Effects: Send, Arm, Disarm,
Resolve, Ringing, Established, Confirmed, Redirected, InfoReceived, InfoAnswered, Ended, and those of reoffer.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any

from ringback.sip.answering import IncomingInvite
from ringback.sip.dialog import Dialog, Header
from ringback.sip.dialoguser import DialogUser
from ringback.sip.effects import (
    Confirmed,
    Disarm,
    Effect,
    Ended,
    InfoAnswered,
    InfoReceived,
)
from ringback.sip.message import Request, Response
from ringback.sip.reoffer import Reoffers
from ringback.sip.transactions import ClientTransaction, ServerTransaction

if TYPE_CHECKING:
    from ringback.sip.agent import UserAgent
    from ringback.sip.calling import OutgoingCall
    from ringback.sip.flow import Flow

SDP = "application/sdp"


class SessionState(Enum):
    """Where a session is."""

    INCOMING = "incoming"
    CALLING = "calling"
    ANSWERED = "answered"
    OWED = "owed"
    CONFIRMED = "confirmed"
    ENDED = "ended"


_INCOMING = SessionState.INCOMING
_CALLING = SessionState.CALLING
_ANSWERED = SessionState.ANSWERED
_OWED = SessionState.OWED
_CONFIRMED = SessionState.CONFIRMED
_ENDED = SessionState.ENDED


class InviteSession(DialogUser):
    """One leg of a call. ``owner`` is its user's to set; everything that takes ``now`` returns effects.

    ``local_uri`` and ``remote_uri`` are addresses (From/To), ``flow`` where the peer last answered from;
    ``request`` is the INVITE as it came (callee) or None.
    """

    __slots__ = (
        "_bye_headers",
        "call",
        "invited",
        "owner",
        "reoffers",
        "role",
        "state",
        "unacknowledged",
    )

    def __init__(
        self, agent: UserAgent, role: str, dialog: Dialog, contact: str, sent_by: str, state: SessionState
    ) -> None:
        super().__init__(agent, dialog, contact, sent_by)
        self.role = role
        self.state = state
        self.owner: object = None
        self.call: OutgoingCall | None = None
        self.invited: IncomingInvite | None = None
        self.unacknowledged: IncomingInvite | None = None
        self.reoffers = Reoffers(self)
        self._bye_headers: list[Header] = []

    def __repr__(self) -> str:
        return f"<InviteSession {self.role} {self.state.value} {self.call_id}>"

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        return self.dialog.call_id

    @property
    def local_uri(self) -> str:
        """Our From or To value, with its tag."""
        return self.dialog.local

    @property
    def remote_uri(self) -> str:
        """The peer's From or To value, with its tag once it is known."""
        return self.dialog.remote

    @property
    def request(self) -> Request | None:
        """The INVITE that made this session, when we were called."""
        return None if self.invited is None else self.invited.transaction.request

    @property
    def is_over(self) -> bool:
        """Whether Ended was given."""
        return self.state is _ENDED

    @property
    def is_incoming(self) -> bool:
        """Whether we were called and have not answered yet."""
        return self.state is _INCOMING

    @property
    def is_calling(self) -> bool:
        """Whether we called and nobody has answered yet."""
        return self.state is _CALLING

    @property
    def is_confirmed(self) -> bool:
        """Whether the dialog stands and its first offer is answered."""
        return self.state is _CONFIRMED

    # -- commands of a callee ---------------------------------------------------------------------

    def progress(
        self,
        status: int,
        now: float,
        *,
        body: bytes = b"",
        headers: Iterable[Header] = (),
        content_type: str = SDP,
    ) -> list[Effect]:
        """Answer provisionally (180, 183 with early media); repeated every minute (13.3.1.1)."""
        out: list[Effect] = []
        if self.state is _INCOMING and self.invited is not None:
            self.invited.ring(status, headers, body, content_type, now, out)
        return out

    def answer(
        self, body: bytes, now: float, *, headers: Iterable[Header] = (), content_type: str = SDP
    ) -> list[Effect]:
        """Accept the call: 200, repeated until its ACK comes (13.3.1.4)."""
        out: list[Effect] = []
        if self.state is _INCOMING and self.invited is not None:
            self.state = _ANSWERED
            self.invited.accept(headers, body, content_type, now, out)
        return out

    def reject(
        self, status: int, now: float, *, reason: str | None = None, headers: Iterable[Header] = ()
    ) -> list[Effect]:
        """Refuse the call with 300..699."""
        out: list[Effect] = []
        if self.state is _INCOMING and self.invited is not None:
            response = self.invited.refuse(status, reason, headers, now, out)
            self.end("local", status, response.reason, None, now, out)
            self.forget()
        return out

    # -- commands of both sides -------------------------------------------------------------------

    def hangup(self, now: float, *, headers: Iterable[Header] = ()) -> list[Effect]:
        """End the session as its state needs: 603, CANCEL, or BYE (after the ACK, section 15)."""
        out: list[Effect] = []
        state = self.state
        if state is _INCOMING:
            return self.reject(603, now, headers=headers)
        if state is _CALLING:
            assert self.call is not None
            self.end("cancelled", 487, "Request Terminated", None, now, out)
            self.call.cancel(now, out)
            self.forget()
        elif state is _ANSWERED or self.unacknowledged is not None:
            self._bye_headers = list(headers)
            self.end("local", 200, "OK", None, now, out)
        elif state is _CONFIRMED or state is _OWED:
            if state is _OWED and self.call is not None:
                self.call.acknowledge(b"", now, out)
            self.end("local", 200, "OK", None, now, out)
            self.bye(headers, now, out)
        return out

    def ack(self, body: bytes, now: float) -> list[Effect]:
        """Send the ACK that carries our answer, after an offer in a 2xx (Established, Reanswered)."""
        out: list[Effect] = []
        if self.state is _OWED and self.call is not None:
            self.state = _CONFIRMED
            self.call.acknowledge(body, now, out)
        elif self.state is _CONFIRMED:
            self.reoffers.acknowledge(body, now, out)
        return out

    def reinvite(self, body: bytes, now: float) -> list[Effect]:
        """Offer anew (hold, resume, another address); ``b""`` asks for their offer.

        491 is retried after its wait (14.1). Gives Reanswered or ReofferFailed; at once, with 491, when
        another offer is open.
        """
        out: list[Effect] = []
        self.reoffers.offer(body, now, out)
        return out

    def accept_reoffer(self, body: bytes, now: float) -> list[Effect]:
        """Answer the last Reoffered with 200."""
        out: list[Effect] = []
        self.reoffers.accept(body, now, out)
        return out

    def refuse_reoffer(self, status: int, now: float) -> list[Effect]:
        """Refuse the last Reoffered (488); the session goes on as it was."""
        out: list[Effect] = []
        self.reoffers.refuse(status, now, out)
        return out

    def info(self, body: bytes, content_type: str, now: float) -> list[Effect]:
        """Send an INFO (RFC 6086); InfoAnswered tells what became of it."""
        out: list[Effect] = []
        if self.state is _CONFIRMED:
            self.start("INFO", [("Content-Type", content_type)], body, now, out)
        return out

    # -- from the agent -----------------------------------------------------------------------------

    def on_request(self, transaction: ServerTransaction, flow: Flow, now: float, out: list[Effect]) -> None:
        """A request inside the dialog, neither ACK nor CANCEL, that is no retransmission."""
        request = transaction.request
        dialog = self.dialog
        method = request.method
        number = request.cseq.number
        if self.state is _ENDED and method != "BYE":
            self.agent.answer(transaction, 481, now, out)
        elif number <= dialog.remote_seq:
            self.agent.answer(transaction, 500, now, out, reason="CSeq Out Of Order")  # 12.2.2
        else:
            dialog.remote_seq = number
            if method == "BYE":
                self._on_bye(transaction, now, out)
            elif method == "INVITE" or method == "UPDATE":
                self.reoffers.on_request(transaction, flow, now, out)
            elif method == "INFO":
                self.agent.answer(transaction, 200, now, out)
                out.append(InfoReceived(self, request))
            elif method == "OPTIONS":
                self.agent.answer(transaction, 200, now, out, headers=self.agent.capabilities)
            elif method == "NOTIFY" or method == "PRACK":
                self.agent.answer(transaction, 481, now, out)  # nothing here that it could be about
            else:
                self.agent.refuse_method(transaction, now, out)

    def on_ack(self, request: Request, now: float, out: list[Effect]) -> None:
        """The ACK for a 2xx, or a copy of it."""
        waiting = self.unacknowledged
        if waiting is None or waiting.seq != request.cseq.number:
            return
        self.unacknowledged = None
        out.append(Disarm(("answer", self.dialog.local_tag)))
        if self.state is _ANSWERED:
            self.state = _CONFIRMED
            out.append(Confirmed(self, request.body))
        elif self.state is _ENDED:
            self.bye(self._bye_headers, now, out)
        elif waiting.offerless:
            self.reoffers.on_answer_in_ack(request.body, out)

    def on_cancel(
        self, transaction: ServerTransaction, request: Request, now: float, out: list[Effect]
    ) -> None:
        """CANCEL for an INVITE (or re-INVITE) that has no final answer yet."""
        if self.invited is not None and transaction is self.invited.transaction:
            self.invited.refuse(487, None, (), now, out)
            self.end("cancelled", 487, "Request Terminated", request, now, out)
            self.forget()
        else:
            self.reoffers.on_cancel(transaction, now, out)

    def on_timer(self, name: str, now: float, out: list[Effect]) -> None:
        """Timers ``ringing``, ``answer`` and ``glare``."""
        if name == "answer":
            waiting = self.unacknowledged
            if waiting is not None and not waiting.repeat(now, out):
                self.unacknowledged = None
                self.end("no-ack", 408, "No ACK", None, now, out)
                self.bye(self._bye_headers, now, out)
        elif name == "ringing":
            if self.state is _INCOMING and self.invited is not None:
                self.invited.ring_again(now, out)
        else:
            self.reoffers.on_timer(now, out)

    def on_response(
        self, transaction: ClientTransaction, response: Response, flow: Flow, now: float, out: list[Effect]
    ) -> None:
        """A response to a request inside the dialog."""
        status = response.status
        method = transaction.request.method
        if (status == 401 or status == 407) and self.retry(transaction, response, now, out):
            return
        if method == "BYE":
            self.forget()
        elif method == "INVITE":
            self.reoffers.on_response(transaction, response, flow, now, out)
        elif method == "INFO" and self.state is not _ENDED:
            out.append(InfoAnswered(self, status))
            self.end_if_gone(status, response, now, out)

    def on_failure(self, transaction: ClientTransaction, kind: str, now: float, out: list[Effect]) -> None:
        """No answer to a request inside the dialog: it is gone (12.2.1.2)."""
        method = transaction.request.method
        if method == "BYE":
            self.forget()
            return
        if self.state is _ENDED:
            return
        if method == "INFO":
            out.append(InfoAnswered(self, 408))
        else:
            self.reoffers.on_failure(transaction, out)
        self.break_off(kind, 408 if kind == "timeout" else 503, None, now, out)

    def on_sent(self, transaction: ClientTransaction) -> None:
        """A request inside the dialog went out."""
        if transaction.invite:
            self.reoffers.sent(transaction)

    def on_unroutable(self, now: float, out: list[Effect]) -> None:
        """The first route has no address."""
        self.end("unreachable", 503, "Service Unavailable", None, now, out)
        self.drop_answer(out)
        self.forget()

    # -- for the parts of a session ------------------------------------------------------------------

    def end(
        self,
        cause: str,
        status: int,
        reason: str,
        message: Request | Response | None,
        now: float,
        out: list[Effect],
    ) -> None:
        """Give Ended, once."""
        if self.state is _ENDED:
            return
        self.state = _ENDED
        self.reoffers.stop(now, out)
        out.append(Ended(self, cause, status, reason, message))

    def forget(self) -> None:
        """No request inside the dialog is expected any more."""
        self.agent.forget(self)

    def break_off(
        self, cause: str, status: int, message: Response | None, now: float, out: list[Effect]
    ) -> None:
        """End a dialog whose far end seems lost, with a BYE in case it is not."""
        if self.state is not _ENDED:
            self.end(cause, status, "" if message is None else message.reason, message, now, out)
            if self.unacknowledged is None:
                self.bye((), now, out)

    def end_if_gone(self, status: int, response: Response, now: float, out: list[Effect]) -> None:
        """481 and 408 inside a dialog end it (12.2.1.2)."""
        if status == 408:
            self.break_off("timeout", 408, response, now, out)
        elif status == 481 and self.state is not _ENDED:
            self.end("rejected", 481, response.reason, response, now, out)
            self.drop_answer(out)
            self.forget()

    def bye(self, headers: Iterable[Header], now: float, out: list[Effect]) -> None:
        """Send BYE."""
        self.start("BYE", list(headers), b"", now, out)

    def confirm(self) -> None:
        """The dialog stands."""
        self.state = _CONFIRMED

    def owe(self) -> None:
        """Their 2xx was an offer; the ACK waits for our answer."""
        self.state = _OWED

    # -- inside -----------------------------------------------------------------------------------------

    def _on_bye(self, transaction: ServerTransaction, now: float, out: list[Effect]) -> None:
        self.agent.answer(transaction, 200, now, out)
        if self.state is _INCOMING and self.invited is not None:
            self.invited.refuse(487, None, (), now, out)  # 15.1.2
        elif self.state is _CALLING and self.call is not None:
            self.call.cancel(now, out)  # all copies of their 2xx were lost
        self.drop_answer(out)
        self.end("bye", 200, "OK", transaction.request, now, out)
        self.forget()

    def drop_answer(self, out: list[Effect]) -> None:
        if self.unacknowledged is not None:
            self.unacknowledged = None
            out.append(Disarm(("answer", self.dialog.local_tag)))

    # -- moving to another machine --------------------------------------------------------------------

    def record(self) -> dict[str, Any]:
        """The dialog as data fit for JSON, for ``UserAgent.restore``. No credentials are in it."""
        flow = self.flow
        return {
            "role": self.role,
            "contact": self.contact,
            "sent_by": self.sent_by,
            "flow": None if flow is None else [flow.transport, *flow.local, *flow.remote],
            **self.dialog.record(),
        }
