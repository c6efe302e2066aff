"""An INVITE that came, first or later in the dialog, until its ACK (RFC 3261 section 13.3).

    RINGING --every minute--> 1xx again     RINGING --accept--> UNACKNOWLEDGED --T1, 2*T1 .. T2--> 2xx again
    RINGING --refuse--> gone                UNACKNOWLEDGED --ACK--> gone      --64*T1--> no ACK: the session ends

The 2xx is repeated here, over every transport, and not by the transaction. Timers ``ringing`` and ``answer``;
effects Send, Arm, Disarm.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ringback.sip.dialog import Header
from ringback.sip.effects import Arm, Disarm, Effect, Send
from ringback.sip.message import Response
from ringback.sip.timers import RINGING_REFRESH, SOON
from ringback.sip.transactions import ServerTransaction

if TYPE_CHECKING:
    from ringback.sip.session import InviteSession


class IncomingInvite:
    """One INVITE of theirs. ``offerless``: its ACK brings the answer to the offer in our 2xx."""

    __slots__ = ("_deadline", "_interval", "_is_ringing", "_session", "offerless", "seq", "transaction")

    def __init__(self, session: InviteSession, transaction: ServerTransaction) -> None:
        self._session = session
        self.transaction = transaction
        self.seq = transaction.request.cseq.number
        self.offerless = not transaction.request.body
        self._is_ringing = False
        self._interval = 0.0
        self._deadline = 0.0

    def ring(
        self,
        status: int,
        headers: Iterable[Header],
        body: bytes,
        content_type: str,
        now: float,
        out: list[Effect],
    ) -> None:
        """Answer provisionally."""
        session = self._session
        session.reply(self.transaction, status, None, headers, body, content_type, now, out)
        if status > 100:
            self._is_ringing = True
            out.append(Arm(("ringing", session.dialog.local_tag), now + RINGING_REFRESH))

    def ring_again(self, now: float, out: list[Effect]) -> None:
        """Repeat the last provisional answer, so that no proxy gives the call up (13.3.1.1)."""
        transaction = self.transaction
        out.append(Send(transaction.hop, transaction.last, transaction.key))
        out.append(Arm(("ringing", self._session.dialog.local_tag), now + RINGING_REFRESH))

    def refuse(
        self, status: int, reason: str | None, headers: Iterable[Header], now: float, out: list[Effect]
    ) -> Response:
        """Answer 300..699."""
        self._stop_ringing(out)
        return self._session.reply(self.transaction, status, reason, headers, b"", "", now, out)

    def accept(
        self, headers: Iterable[Header], body: bytes, content_type: str, now: float, out: list[Effect]
    ) -> None:
        """Answer 200, to be repeated until the ACK."""
        self._stop_ringing(out)
        session = self._session
        headers = (*headers, *session.agent.capabilities)
        session.reply(self.transaction, 200, None, headers, body, content_type, now, out)
        timers = session.agent.timers
        self._interval = timers.t1
        self._deadline = now + timers.timeout
        session.unacknowledged = self
        out.append(Arm(("answer", session.dialog.local_tag), now + timers.t1))

    def repeat(self, now: float, out: list[Effect]) -> bool:
        """Send the 2xx again; False when 64*T1 have passed without an ACK."""
        if now + SOON >= self._deadline:
            return False
        session = self._session
        transaction = self.transaction
        out.append(Send(transaction.hop, transaction.last, transaction.key))
        self._interval = min(2 * self._interval, session.agent.timers.t2)
        out.append(Arm(("answer", session.dialog.local_tag), min(now + self._interval, self._deadline)))
        return True

    def _stop_ringing(self, out: list[Effect]) -> None:
        if self._is_ringing:
            self._is_ringing = False
            out.append(Disarm(("ringing", self._session.dialog.local_tag)))
