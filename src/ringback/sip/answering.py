"""An INVITE that came, first or later in the dialog, until its ACK (RFC 3261 section 13.3).

    RINGING --every minute--> 1xx again     RINGING --accept--> UNACKNOWLEDGED --T1, 2*T1 .. T2--> 2xx again
    RINGING --refuse, Expires--> gone       UNACKNOWLEDGED --ACK--> gone      --64*T1--> no ACK: the session ends
    RINGING --accept, while SDP is in an unacknowledged 1xx--> HELD --PRACK--> UNACKNOWLEDGED

The 2xx is repeated here, over every transport, and not by the transaction. Timers ``ringing``, ``expires`` and
``answer``; effects Send, Arm, Disarm. Reliable provisional answers: reliable.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ringback.sip.dialog import Header
from ringback.sip.effects import Arm, Disarm, Effect, Send
from ringback.sip.message import Response
from ringback.sip.reliable import EXTENSION, Provisional, ReliableAnswers
from ringback.sip.server_transaction import ServerTransaction
from ringback.sip.timers import RINGING_REFRESH, SOON

if TYPE_CHECKING:
    from ringback.sip.session import InviteSession

Held = tuple[Iterable[Header], bytes, str]


class IncomingInvite:
    """One INVITE of theirs. ``offerless``: its ACK brings the answer to the offer in our 2xx.

    ``prefers`` and ``requires`` tell whether provisional answers may, or must, be reliable.
    """

    __slots__ = (
        "_deadline",
        "_expires",
        "_held",
        "_interval",
        "_is_refused",
        "_is_ringing",
        "offerless",
        "prefers",
        "reliable",
        "requires",
        "seq",
        "transaction",
    )

    def __init__(self, transaction: ServerTransaction) -> None:
        self.transaction = transaction
        self.seq = transaction.request.cseq.number
        self.offerless = not transaction.request.body
        self.prefers = False
        self.requires = False
        self.reliable: ReliableAnswers | None = None
        self._held: Held | None = None
        self._is_refused = False
        self._is_ringing = False
        self._expires = False
        self._interval = 0.0
        self._deadline = 0.0

    def watch(self, session: InviteSession, now: float, out: list[Effect]) -> None:
        """Read what the first INVITE says of its answers: 100rel, and how long it may ring (Expires)."""
        request = self.transaction.request
        if session.agent.is_reliable:
            self.requires = EXTENSION in request.tokens("Require")
            self.prefers = self.requires or EXTENSION in request.tokens("Supported")
        expires = request.expires if request.has("Expires") else None
        if expires is not None:
            self._expires = True
            out.append(Arm(("expires", session.dialog.local_tag), now + expires))

    @property
    def is_held(self) -> bool:
        """Whether our 2xx waits for a PRACK."""
        return self._held is not None

    @property
    def awaits_prack(self) -> bool:
        """Whether the PRACK of an answer before our refusal may still come."""
        return self._is_refused and self.reliable is not None and self.reliable.is_waiting

    @property
    def is_settled(self) -> bool:
        """Whether offer and answer are exchanged before the 2xx, so that UPDATE may follow."""
        return self.reliable is not None and self.reliable.settled

    def ring(
        self,
        session: InviteSession,
        status: int,
        headers: Iterable[Header],
        body: bytes,
        content_type: str,
        now: float,
        out: list[Effect],
    ) -> None:
        """Answer provisionally: reliably when the caller asks for it, or can take it and there is early media."""
        if status > 100 and (self.requires or (self.prefers and body) or self.reliable is not None):
            if self.reliable is None:
                if self.offerless and not body:
                    return  # RFC 3261 13.2.1: the first reliable answer would have to make an offer
                self.reliable = ReliableAnswers(session.agent)
            self.reliable.send(
                session, self, Provisional(status, tuple(headers), body, content_type), now, out
            )
        else:
            session.reply(self.transaction, status, None, headers, body, content_type, now, out)
        if status > 100:
            self._is_ringing = True
            out.append(Arm(("ringing", session.dialog.local_tag), now + RINGING_REFRESH))

    def ring_again(self, session: InviteSession, now: float, out: list[Effect]) -> None:
        """Repeat the last provisional answer, so that no proxy gives the call up (13.3.1.1)."""
        transaction = self.transaction
        if self.reliable is not None:
            if not self.reliable.is_waiting:
                again = Provisional(180, (), b"", "")  # with a number of its own
                self.reliable.send(session, self, again, now, out)
        else:
            out.append(Send(transaction.hop, transaction.last, transaction.key))
        out.append(Arm(("ringing", session.dialog.local_tag), now + RINGING_REFRESH))

    def refuse(
        self,
        session: InviteSession,
        status: int,
        reason: str | None,
        headers: Iterable[Header],
        now: float,
        out: list[Effect],
    ) -> Response:
        """Answer 300..699."""
        self._held = None
        self._stop_ringing(session, out)
        if self.reliable is not None:
            self._is_refused = True
            self.reliable.wait(session, now, out)
        return session.reply(self.transaction, status, reason, headers, b"", "", now, out)

    def accept(
        self,
        session: InviteSession,
        headers: Iterable[Header],
        body: bytes,
        content_type: str,
        now: float,
        out: list[Effect],
    ) -> None:
        """Answer 200, to be repeated until the ACK; after the PRACK if SDP is still on its way."""
        if self.reliable is not None:
            if self.reliable.holds_the_answer:
                self._held = (headers, body, content_type)
                return
            if self.reliable.has_sent_sdp:
                body = b""  # it was agreed on for good
        self._stop_ringing(session, out)
        if body:
            session.local_sdp = body
        headers = (*headers, *session.agent.capabilities)
        if session.agent.session_expires:
            headers = (*headers, *session.timer.agree(session, self.transaction.request, now, out))
        session.reply(self.transaction, 200, None, headers, body, content_type, now, out)
        timers = session.agent.timers
        self._interval = timers.t1
        self._deadline = now + timers.timeout
        session.unacknowledged = self
        out.append(Arm(("answer", session.dialog.local_tag), now + timers.t1))

    def on_prack(
        self, session: InviteSession, transaction: ServerTransaction, now: float, out: list[Effect]
    ) -> None:
        """A PRACK: let the next answer out."""
        if self.reliable is None:
            session.agent.answer(transaction, 481, now, out)
        elif self.reliable.on_prack(session, self, transaction, now, out) and self._held is not None:
            held, self._held = self._held, None
            self.accept(session, *held, now, out)

    def repeat_provisional(self, session: InviteSession, now: float, out: list[Effect]) -> bool:
        """Timer ``reliable``; False when the caller never acknowledged."""
        return self.reliable is None or self.reliable.repeat(session, self, now, out)

    def repeat(self, session: InviteSession, now: float, out: list[Effect]) -> bool:
        """Send the 2xx again; False when 64*T1 have passed without an ACK."""
        if now + SOON >= self._deadline:
            return False
        transaction = self.transaction
        out.append(Send(transaction.hop, transaction.last, transaction.key))
        self._interval = min(2 * self._interval, session.agent.timers.t2)
        out.append(Arm(("answer", session.dialog.local_tag), min(now + self._interval, self._deadline)))
        return True

    def _stop_ringing(self, session: InviteSession, out: list[Effect]) -> None:
        tag = session.dialog.local_tag
        if self.reliable is not None:
            self.reliable.stop(session, out)
        if self._is_ringing:
            self._is_ringing = False
            out.append(Disarm(("ringing", tag)))
        if self._expires:
            self._expires = False
            out.append(Disarm(("expires", tag)))
