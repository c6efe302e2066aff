"""An INVITE session as one end sees it: from the INVITE to the end of its dialog.

    INCOMING  --answer-->   ANSWERED --ACK-->  CONFIRMED       as callee (UAS)
    CALLING   --2xx-->      CONFIRMED                          as caller (UAC); OWED while we owe the ACK an answer
    any of them  --BYE, CANCEL, refusal, timeout, hangup-->  ENDED

Ended is given exactly once, at once when we hang up; what the protocol still needs (BYE, CANCEL and its races,
the ACK of a 2xx that came too late) goes on behind it, without effects for the user. Effects: Send, Arm, Disarm,
Resolve, Ringing, Established, Confirmed, Redirected, InfoReceived, InfoAnswered, Ended, and those of the parts:
answering.py and calling.py (the first INVITE), reliable.py, reoffer.py, refresh.py, referral.py. The commands are in
commands.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ringback.sip.client_transaction import ClientTransaction
from ringback.sip.commands import SessionCommands, SessionState
from ringback.sip.dialog import Header
from ringback.sip.effects import Confirmed, Disarm, Effect, Ended, InfoAnswered, InfoReceived
from ringback.sip.message import Request, Response
from ringback.sip.reason import reasons_of
from ringback.sip.server_transaction import ServerTransaction

if TYPE_CHECKING:
    from ringback.sip.flow import Flow

__all__ = ["InviteSession", "SessionState"]

_INCOMING = SessionState.INCOMING
_CALLING = SessionState.CALLING
_ANSWERED = SessionState.ANSWERED
_OWED = SessionState.OWED
_CONFIRMED = SessionState.CONFIRMED
_ENDED = SessionState.ENDED


class InviteSession(SessionCommands):
    """A session with its events; see SessionCommands for what it is and can be told."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<InviteSession {self.role} {self.state.value} {self.call_id}>"

    @property
    def _whole(self) -> InviteSession:
        return self

    # -- from the agent -----------------------------------------------------------------------------

    def on_request(self, transaction: ServerTransaction, flow: Flow, now: float, out: list[Effect]) -> None:
        """A request inside the dialog, neither ACK nor CANCEL, that is no retransmission."""
        request = transaction.request
        method = request.method
        if self.state is _ENDED and method != "BYE":
            self._on_late_request(transaction, method, now, out)
        elif not self._is_in_order(request):
            self.agent.answer(transaction, 500, now, out, reason="CSeq Out Of Order")  # 12.2.2
        else:
            self.heard = flow
            if method == "BYE":
                self._on_bye(transaction, now, out)
            elif method == "INVITE" or method == "UPDATE":
                self.reoffers.on_request(self, transaction, flow, now, out)
            elif method == "INFO":
                self._on_info(transaction, now, out)
            elif method == "OPTIONS":
                self.agent.answer(transaction, 200, now, out, headers=self.agent.capabilities)
            else:
                self._on_other_request(transaction, method, now, out)

    def _on_late_request(
        self, transaction: ServerTransaction, method: str, now: float, out: list[Effect]
    ) -> None:
        """All is over, but a reliable answer before our refusal may still be acknowledged (RFC 3262 section 3)."""
        if method == "PRACK" and self.invited is not None:
            is_all = self.invited.awaits_prack  # else a BYE is still to come, or under way
            self.invited.on_prack(self, transaction, now, out)
            if is_all:
                self.forget()
        else:
            self.agent.answer(transaction, 481, now, out)

    def _is_in_order(self, request: Request) -> bool:
        """Count their requests: of who still rings, in a dialog of its own (12.2.2)."""
        number = request.cseq.number
        if self.state is _CALLING and self.call is not None:
            return self.call.is_in_order(request.from_.tag or "", number)
        if number <= self.dialog.remote_seq:
            return False
        self.dialog.remote_seq = number
        return True

    def move(self, message: Request | Response, flow: Flow | None) -> None:
        """A target refresh; of who still rings, for its early dialog (RFC 3311 section 5.1). Raises PeerError."""
        if self.state is _CALLING:
            tag = message.from_.tag if isinstance(message, Request) else message.to.tag
            early = None if self.call is None else self.call.early_dialog(tag or "")
            if early is not None:
                early.retarget(message)
        elif flow is not None:
            self.refresh(message, flow)

    def _on_info(self, transaction: ServerTransaction, now: float, out: list[Effect]) -> None:
        request = transaction.request
        refusal = self.agent.admission.info(request)
        if refusal is None:
            self.agent.answer(transaction, 200, now, out)
            out.append(InfoReceived(self, request))
        else:
            self.agent.answer(transaction, refusal[0], now, out, headers=refusal[2])

    def _on_other_request(
        self, transaction: ServerTransaction, method: str, now: float, out: list[Effect]
    ) -> None:
        agent = self.agent
        if method == "PRACK" and self.invited is not None:
            self.invited.on_prack(self, transaction, now, out)
        elif method == "REFER" and agent.takes_referrals:
            self.referrals.on_refer(self, transaction, now, out)
        elif method == "NOTIFY":
            self.referrals.on_notify(self, transaction, now, out)
        elif method == "SUBSCRIBE":
            self.referrals.on_subscribe(self, transaction, now, out)
        elif method == "PRACK":
            agent.answer(transaction, 481, now, out)  # we are the caller
        else:
            agent.refuse_method(transaction, now, out)

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
            self.reoffers.on_answer_in_ack(self, request.body, out)

    def on_cancel(
        self, transaction: ServerTransaction, request: Request, now: float, out: list[Effect]
    ) -> None:
        """CANCEL for an INVITE (or re-INVITE) that has no final answer yet."""
        if self.invited is not None and transaction is self.invited.transaction:
            self.invited.refuse(self, 487, None, (), now, out)
            self.end("cancelled", 487, "Request Terminated", request, now, out)
            self.forget()
        else:
            self.reoffers.on_cancel(self, transaction, now, out)

    def on_timer(self, name: str, now: float, out: list[Effect]) -> None:
        """Timers of the session and its parts."""
        if name == "answer":
            waiting = self.unacknowledged
            if waiting is not None and not waiting.repeat(self, now, out):
                self.unacknowledged = None
                self.end("no-ack", 408, "No ACK", None, now, out)
                self.bye(self._bye_headers, now, out)
        elif name == "ringing":
            if self.state is _INCOMING and self.invited is not None:
                self.invited.ring_again(self, now, out)
        elif name == "refresh":
            self.timer.on_timer(self, now, out)
        elif name == "reliable" and self.state is _ENDED:
            if self.invited is not None and self.invited.reliable is not None:
                self.invited.reliable.give_up()
            self.forget()
        elif name == "reliable":
            if self.invited is not None and not self.invited.repeat_provisional(self, now, out):
                self._give_up(504, "No PRACK", now, out)  # RFC 3262 section 3
        elif name == "expires":
            self._on_expired(now, out)
        elif name == "refer":
            self.referrals.on_timer(self, now, out)
        else:
            self.reoffers.on_timer(self, now, out)

    def _on_expired(self, now: float, out: list[Effect]) -> None:
        """The time that the INVITE's Expires gave is over (13.2.1, 13.3.1)."""
        if self.state is _INCOMING:
            self._give_up(487, "Request Terminated", now, out)
        elif self.state is _CALLING and self.call is not None:
            self.end("timeout", 408, "Request Timeout", None, now, out)
            self.call.cancel((), now, out)
            self.forget()

    def _give_up(self, status: int, reason: str, now: float, out: list[Effect]) -> None:
        """Refuse an INVITE that nobody waits for any more."""
        if self.invited is not None and not self.invited.transaction.answered:
            self.invited.refuse(self, status, None, (), now, out)
            self.end("timeout", status, reason, None, now, out)
            self.forget()

    def on_response(
        self, transaction: ClientTransaction, response: Response, flow: Flow, now: float, out: list[Effect]
    ) -> None:
        """A response to a request inside the dialog."""
        status = response.status
        method = transaction.request.method
        if (
            (status == 401 or status == 407)
            and (self.state is not _ENDED or method == "BYE")
            and self._retry(transaction, response, now, out)
        ):
            return
        if method == "BYE":
            self.forget()
        elif method == "INVITE":
            self.reoffers.on_response(self, transaction, response, flow, now, out)
        elif method == "UPDATE":
            self._on_update_response(transaction, response, flow, now, out)
        elif method == "REFER" and self.state is not _ENDED:
            self.referrals.on_response(self, transaction, response, out)
            self.end_if_gone(status, response, now, out)
        elif method == "NOTIFY":
            self.referrals.on_notified(transaction, response)
        elif method == "INFO" and self.state is not _ENDED:
            out.append(InfoAnswered(self, status))
            self.end_if_gone(status, response, now, out)

    def _on_update_response(
        self, transaction: ClientTransaction, response: Response, flow: Flow, now: float, out: list[Effect]
    ) -> None:
        if transaction.request.body:
            self.reoffers.on_response(self, transaction, response, flow, now, out)
        elif self.state is _CONFIRMED and response.status >= 200:
            if response.status < 300:
                self.refresh(response, flow)
                if self.agent.session_expires:
                    self.timer.on_accepted(self, response, now, out)
            else:
                self.timer.on_refused(self, response, now, out)
                self.end_if_gone(response.status, response, now, out)

    def _retry(
        self, transaction: ClientTransaction, response: Response, now: float, out: list[Effect]
    ) -> bool:
        number, tag = transaction.request.cseq.number, transaction.request.to.tag or ""
        early = self.call.early_dialog(tag) if self.call is not None and self.state is _CALLING else None
        if not self.retry(transaction, response, now, out, dialog=early):
            return False
        if transaction.request.method == "REFER":
            self.referrals.retried(number, self.dialog.local_seq)
        return True

    def on_failure(self, transaction: ClientTransaction, kind: str, now: float, out: list[Effect]) -> None:
        """No answer to a request inside the dialog: elsewhere, or it is gone (12.2.1.2)."""
        if transaction.cancelled:  # a re-INVITE that nobody answered, nor its CANCEL (9.1): the call goes on
            self.reoffers.on_failure(self, transaction, now, out)
            return
        method, number = transaction.request.method, transaction.request.cseq.number
        if (self.state is _CONFIRMED or method == "BYE") and self.goes_on(transaction, kind, now, out):
            if method == "REFER":
                self.referrals.retried(number, self.dialog.local_seq)
            return
        if method == "BYE":
            self.forget()
            return
        if self.state is _ENDED or method == "PRACK":  # a callee that gets no PRACK refuses the INVITE itself
            return
        if method == "INFO":
            out.append(InfoAnswered(self, 408))
        elif method == "REFER":
            self.referrals.on_failure(self, transaction, out)
        else:
            self.reoffers.on_failure(self, transaction, now, out)
        if self.state is _CONFIRMED:
            self.break_off(kind, 408 if kind == "timeout" else 503, None, now, out)

    def on_sent(self, transaction: ClientTransaction) -> None:
        """A request inside the dialog went out."""
        if transaction.invite or (transaction.request.method == "UPDATE" and transaction.request.body):
            self.reoffers.sent(transaction)

    def on_unroutable(self, now: float, out: list[Effect]) -> None:
        """The first route has no address."""
        self._close(now, out)
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
        if self._reoffers is not None:
            self._reoffers.stop(self, now, out)
        self.timer.stop(self, out)
        if self.call is not None:
            self.call.stop(out)
        if self._referrals is not None:
            self._referrals.on_timer(self, now, out)
        reasons = () if message is None else reasons_of(message)
        out.append(Ended(self, cause, status, reason, message, reasons))

    def break_off(
        self,
        cause: str,
        status: int,
        message: Response | None,
        now: float,
        out: list[Effect],
        *,
        headers: Iterable[Header] = (),
    ) -> None:
        """End a dialog whose far end seems lost, with a BYE in case it is not; an early one has none (section 15)."""
        if self.state is not _ENDED:
            was_early = self._close(now, out)
            self.end(cause, status, "" if message is None else message.reason, message, now, out)
            if was_early:
                self.forget()
            elif self.unacknowledged is None:
                self.bye(headers, now, out)

    def end_if_gone(self, status: int, response: Response, now: float, out: list[Effect]) -> None:
        """481 and 408 inside a dialog end it (12.2.1.2)."""
        if status == 408:
            self.break_off("timeout", 408, response, now, out)
        elif status == 481 and self.state is not _ENDED:
            self._close(now, out)
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
        self._close(now, out)
        self.drop_answer(out)
        self.end("bye", 200, "OK", transaction.request, now, out)
        self.forget()

    def _close(self, now: float, out: list[Effect]) -> bool:
        """Refuse their INVITE that has no final answer (15.1.2), withdraw ours; False where none is open."""
        if self.invited is not None and not self.invited.transaction.answered:
            self.invited.refuse(self, 487, None, (), now, out)
        elif self.state is _CALLING and self.call is not None:
            self.call.cancel((), now, out)  # before a BYE: all copies of their 2xx were lost
        else:
            return False
        return True

    def drop_answer(self, out: list[Effect]) -> None:
        if self.unacknowledged is not None:
            self.unacknowledged = None
            out.append(Disarm(("answer", self.dialog.local_tag)))
