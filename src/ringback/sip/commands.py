"""What the user of a session sees of it and may tell it; session.py has what the peer makes of it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any

from ringback.sip.dialog import Dialog, Header
from ringback.sip.dialoguser import DialogUser
from ringback.sip.effects import Effect
from ringback.sip.headers import NameAddr
from ringback.sip.message import Request, Response
from ringback.sip.referral import Referrals
from ringback.sip.refresh import SessionTimer
from ringback.sip.reoffer import Reoffers

if TYPE_CHECKING:
    from ringback.sip.agent import UserAgent
    from ringback.sip.answering import IncomingInvite
    from ringback.sip.calling import OutgoingCall
    from ringback.sip.session import InviteSession

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


class SessionCommands(DialogUser):
    """One leg of a call. ``owner`` is its user's to set; everything that takes ``now`` returns effects.

    ``local_uri`` and ``remote_uri`` are addresses (From/To), ``flow`` where the peer last answered from;
    ``request`` is the INVITE as it came (callee) or None; ``local_sdp`` what we last agreed to.
    """

    __slots__ = (
        "_bye_headers",
        "_referrals",
        "_reoffers",
        "call",
        "invited",
        "local_sdp",
        "owner",
        "role",
        "state",
        "timer",
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
        self.local_sdp = b""
        self.timer = SessionTimer(agent.min_se)
        self._reoffers: Reoffers | None = None
        self._referrals: Referrals | None = None
        self._bye_headers: list[Header] = []

    @property
    def _whole(self) -> InviteSession:
        """Itself, as what it always is."""
        raise NotImplementedError

    # -- what it is -------------------------------------------------------------------------------

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

    @property
    def needs_early_offer(self) -> bool:
        """Whether our first provisional answer must make the offer: theirs made none, and 100rel is required."""
        invited = self.invited
        return invited is not None and invited.requires and invited.offerless and not invited.is_settled

    @property
    def is_unanswered(self) -> bool:
        """Whether their first INVITE has no final response yet."""
        return self.invited is not None and not self.invited.transaction.answered

    @property
    def owes_answer(self) -> bool:
        """Whether their first INVITE made an offer that has no answer yet."""
        invited = self.invited
        return invited is not None and not (invited.offerless or invited.is_settled)

    @property
    def is_settled_early(self) -> bool:
        """Whether offer and answer are exchanged before the call is answered (100rel): UPDATE may follow."""
        if self.state is _CALLING:
            early = self._early
            return early is not None and early.owed is None and bool(early.remote_sdp)
        return self.invited is not None and self.invited.is_settled and self.state is not _ENDED

    @property
    def early_dialog(self) -> Dialog | None:
        """The early dialog of who answered our INVITE last, and reliably."""
        return None if self._early is None else self._early.dialog

    @property
    def early_tag(self) -> str:
        """The tag of who answered our INVITE provisionally last; "" before."""
        call = self.call
        return "" if call is None else call.ringing_tag

    @property
    def _early(self) -> Any:
        call = self.call
        return None if call is None or call.early is None else call.early.last

    @property
    def reoffers(self) -> Reoffers:
        """Offers after the first."""
        if self._reoffers is None:
            self._reoffers = Reoffers()
        return self._reoffers

    @property
    def referrals(self) -> Referrals:
        """Transfers asked for in this dialog."""
        if self._referrals is None:
            self._referrals = Referrals()
        return self._referrals

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
            self.invited.ring(self._whole, status, headers, body, content_type, now, out)
        return out

    def answer(
        self, body: bytes, now: float, *, headers: Iterable[Header] = (), content_type: str = SDP
    ) -> list[Effect]:
        """Accept the call: 200, repeated until its ACK comes (13.3.1.4).

        The body is left out where a reliable provisional answer has brought it; the 200 waits for its PRACK.
        """
        out: list[Effect] = []
        if self.state is _INCOMING and self.invited is not None:
            self.state = _ANSWERED
            self.invited.accept(self._whole, headers, body, content_type, now, out)
        return out

    def reject(
        self, status: int, now: float, *, reason: str | None = None, headers: Iterable[Header] = ()
    ) -> list[Effect]:
        """Refuse the call with 300..699."""
        out: list[Effect] = []
        if self.state is _INCOMING and self.invited is not None:
            response = self.invited.refuse(self._whole, status, reason, headers, now, out)
            self.end("local", status, response.reason, None, now, out)
            self.forget()
        return out

    # -- commands of both sides -------------------------------------------------------------------

    def hangup(self, now: float, *, headers: Iterable[Header] = ()) -> list[Effect]:
        """End the session as its state needs: 603, CANCEL, or BYE (after the ACK, section 15).

        ``headers`` (Reason, say) go into whichever it is.
        """
        out: list[Effect] = []
        state = self.state
        if state is _INCOMING:
            return self.reject(603, now, headers=headers)
        if state is _CALLING:
            assert self.call is not None
            self.end("cancelled", 487, "Request Terminated", None, now, out)
            self.call.cancel(headers, now, out)
            self.forget()
        elif state is _ANSWERED and self.invited is not None and self.invited.is_held:
            self.invited.refuse(self._whole, 603, None, headers, now, out)
            self.end("local", 603, "Decline", None, now, out)
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
        """Send our answer to their offer: in the ACK (Established, Reanswered), or in a PRACK (Ringing)."""
        out: list[Effect] = []
        if self.state is _OWED and self.call is not None:
            self.state = _CONFIRMED
            self.local_sdp = body
            self.call.acknowledge(body, now, out)
        elif self.state is _CONFIRMED:
            self.reoffers.acknowledge(self._whole, body, now, out)
        elif self.state is _CALLING and self.call is not None and self.call.early is not None:
            self.local_sdp = body
            self.call.early.answer(body, now, out)
        return out

    def reinvite(self, body: bytes, now: float) -> list[Effect]:
        """Offer anew (hold, resume, another address); ``b""`` asks for their offer.

        491 is retried after its wait (14.1). Gives Reanswered or ReofferFailed; at once, with 491, when
        another offer is open.
        """
        out: list[Effect] = []
        self.reoffers.offer(self._whole, body, now, out)
        return out

    def update(self, body: bytes, now: float) -> list[Effect]:
        """Offer anew by UPDATE (RFC 3311), also before the call is answered once ``is_settled_early``.

        Gives what ``reinvite`` gives; nothing without a body, which only tells our Contact and refreshes the session.
        """
        out: list[Effect] = []
        if body:
            self.reoffers.offer(self._whole, body, now, out, "UPDATE")
        elif self.state is _CONFIRMED:
            headers = self.timer.headers(self._whole) if self.timer.interval else []
            self.start("UPDATE", headers, body, now, out)
        return out

    def accept_reoffer(self, body: bytes, now: float) -> list[Effect]:
        """Answer the last Reoffered with 200."""
        out: list[Effect] = []
        self.reoffers.accept(self._whole, body, now, out)
        return out

    def refuse_reoffer(self, status: int, now: float, *, headers: Iterable[Header] = ()) -> list[Effect]:
        """Refuse the last Reoffered (488, with a Warning); the session goes on as it was."""
        out: list[Effect] = []
        self.reoffers.refuse(self._whole, status, now, out, headers)
        return out

    def info(self, body: bytes, content_type: str, now: float) -> list[Effect]:
        """Send an INFO (RFC 6086); InfoAnswered tells what became of it."""
        out: list[Effect] = []
        if self.state is _CONFIRMED:
            self.start("INFO", [("Content-Type", content_type)], body, now, out)
        return out

    # -- transfers --------------------------------------------------------------------------------

    def refer(
        self, refer_to: NameAddr | str, now: float, *, headers: Iterable[Header] = ()
    ) -> tuple[int, list[Effect]]:
        """Ask the peer to call somebody (RFC 3515): the referral's number, 0 if it cannot be sent now.

        ReferAnswered follows, and ReferProgress until one is final. The dialog stays as it is.
        """
        out: list[Effect] = []
        if self.state is not _CONFIRMED or not self.referrals.has_room:
            return 0, out
        number = self.dialog.local_seq + 1
        self.referrals.sent(number)
        referred_by = self.dialog.local.partition(";tag=")[0]
        fields = [("Refer-To", str(refer_to)), ("Referred-By", referred_by), *headers]
        self.start("REFER", fields, b"", now, out)
        return number, out

    def accept_referral(self, referral: int, now: float) -> list[Effect]:
        """Agree to a Referred: 202, and NOTIFY "100 Trying"."""
        out: list[Effect] = []
        self.referrals.accept(self._whole, referral, now, out)
        return out

    def refuse_referral(self, referral: int, status: int, now: float) -> list[Effect]:
        """Refuse a Referred (603); the call goes on."""
        out: list[Effect] = []
        self.referrals.refuse(self._whole, referral, status, now, out)
        return out

    def refer_progress(
        self, referral: int, status: int, now: float, *, reason: str | None = None
    ) -> list[Effect]:
        """Tell who referred us what the new call has met, also after the BYE; a final status is the last."""
        out: list[Effect] = []
        self.referrals.progress(self._whole, referral, status, reason, now, out)
        return out

    # -- given by session.py ------------------------------------------------------------------------

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
        raise NotImplementedError

    def bye(self, headers: Iterable[Header], now: float, out: list[Effect]) -> None:
        """Send BYE."""
        raise NotImplementedError

    def forget(self) -> None:
        """No request inside the dialog is expected any more, but a PRACK; transactions that go on hold nothing of the session."""
        if self.invited is not None and self.invited.awaits_prack:
            return
        self.agent.forget(self._whole)
        if self.invited is not None:
            self.invited.transaction.forget_request()
        if self.call is not None:
            self.call.leave()
            self.call = None

    # -- moving to another machine --------------------------------------------------------------------

    def record(self) -> dict[str, Any]:
        """The dialog as data fit for JSON, for ``UserAgent.restore``. No credentials are in it."""
        flow = self.flow
        return {
            "role": self.role,
            "contact": self.contact,
            "sent_by": self.sent_by,
            "flow": None if flow is None else [flow.transport, *flow.local, *flow.remote],
            "timer": self.timer.record,
            "sdp": self.local_sdp.decode("utf-8", "replace"),
            **self.dialog.record(),
        }
