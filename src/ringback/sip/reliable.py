"""Provisional answers that are not lost: 100rel and PRACK, RFC 3262.

    ours (callee):    idle --1xx--> UNACKNOWLEDGED --T1, 2*T1, 4*T1 ..--> 1xx again --64*T1--> 504, Ended
                                    UNACKNOWLEDGED --PRACK--> idle, then the next of the queue, then a held 2xx
                                    UNACKNOWLEDGED --refusal--> no more of it; a PRACK gets its 200 all the same
    theirs (caller):  1xx with RSeq --next in order--> PRACK, Ringing      --repeated, or a gap--> nothing

An offer or answer may stand in them (section 5), so early media is negotiated for good before the 2xx. Timer
``reliable``; effects Send, Arm, Disarm, Ringing (by calling.py), Reanswered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ringback.sip.dialog import Dialog, Header
from ringback.sip.effects import Arm, Disarm, Effect, Reanswered, Send
from ringback.sip.errors import PeerError
from ringback.sip.limits import MAX_RELIABLE_QUEUE
from ringback.sip.message import Response
from ringback.sip.timers import FORKS_MAX, SOON

if TYPE_CHECKING:
    from ringback.sip.agent import UserAgent
    from ringback.sip.answering import IncomingInvite
    from ringback.sip.server_transaction import ServerTransaction
    from ringback.sip.session import InviteSession

EXTENSION: Final = "100rel"
_RSEQ_START: Final = 2**30
"""First RSeq below this (RFC 3262 section 3: from 1 to 2**31 - 1), so that it can be counted up."""


class RAck(NamedTuple):
    """What a PRACK acknowledges, RFC 3262 section 7.2."""

    rseq: int
    cseq: int
    method: str


def parse_rack(value: str) -> RAck | None:
    """Read a RAck; None for what is none."""
    words = value.split()
    if len(words) != 3 or not all(
        word.isascii() and word.isdigit() and len(word) <= 10 for word in words[:2]
    ):
        return None
    return RAck(int(words[0]), int(words[1]), words[2])


def rseq_of(response: Response) -> int | None:
    """The RSeq of a 1xx that must be acknowledged; None for the others."""
    if EXTENSION not in response.tokens("Require"):
        return None
    value = response.get("RSeq") or ""
    number = int(value) if value.isascii() and value.isdigit() and len(value) <= 10 else 0
    return number if 0 < number < 2**32 else None


class Provisional(NamedTuple):
    """A provisional answer that waits for its turn."""

    status: int
    headers: tuple[Header, ...]
    body: bytes
    content_type: str


class ReliableAnswers:
    """Our reliable provisional answers to one INVITE. ``settled``: their offer and answer are exchanged."""

    __slots__ = ("_carries", "_data", "_deadline", "_interval", "_queue", "_rseq", "settled")

    def __init__(self, agent: UserAgent) -> None:
        self._rseq = 1 + agent.random(_RSEQ_START)
        self._queue: list[Provisional] = []
        self._data = b""
        self._carries = False
        self._interval = 0.0
        self._deadline = 0.0
        self.settled = False

    @property
    def is_waiting(self) -> bool:
        """Whether one is not acknowledged yet."""
        return bool(self._data)

    @property
    def holds_the_answer(self) -> bool:
        """Whether a 2xx has to wait: SDP is on its way in an unacknowledged one (section 3)."""
        return self._carries

    @property
    def has_sent_sdp(self) -> bool:
        """Whether a 2xx needs no body, as the first offer and answer are exchanged, or on their way."""
        return self.settled or self._carries or any(waiting.body for waiting in self._queue)

    def send(
        self,
        session: InviteSession,
        invite: IncomingInvite,
        provisional: Provisional,
        now: float,
        out: list[Effect],
    ) -> None:
        """Send it, or queue it behind one that is not acknowledged (section 3)."""
        if len(self._queue) < MAX_RELIABLE_QUEUE:
            self._queue.append(provisional)
        self._send_next(session, invite, now, out)

    def _send_next(
        self, session: InviteSession, invite: IncomingInvite, now: float, out: list[Effect]
    ) -> None:
        transaction = invite.transaction
        if self._data or not self._queue or transaction.answered:
            return
        status, headers, body, content_type = self._queue.pop(0)
        if self.settled:
            body = b""
        fields = [("Require", EXTENSION), ("RSeq", str(self._rseq)), *headers]
        if body:
            fields += (
                session.agent.capabilities
            )  # Allow tells whether UPDATE may follow (RFC 3311 section 5.1)
        session.reply(transaction, status, None, fields, body, content_type, now, out)
        self._carries = bool(body)
        self._data = transaction.last
        timers = session.agent.timers
        self._interval = timers.t1
        self._deadline = now + timers.timeout
        out.append(Arm(("reliable", session.dialog.local_tag), now + timers.t1))

    def on_prack(
        self,
        session: InviteSession,
        invite: IncomingInvite,
        transaction: ServerTransaction,
        now: float,
        out: list[Effect],
    ) -> bool:
        """Take a PRACK; False when it acknowledges nothing that waits, and 481 was answered."""
        request = transaction.request
        rack = parse_rack(request.get("RAck") or "")
        if rack is None:
            session.agent.answer(transaction, 400, now, out, reason="Malformed RAck")
            return False
        if not self._data or rack != (self._rseq, invite.seq, "INVITE"):
            session.agent.answer(transaction, 481, now, out)
            return False
        is_answer = self._carries and invite.offerless
        was_settled = self.settled
        self.settled = self.settled or self._carries
        self._data = b""
        self._carries = False
        self._rseq += 1
        out.append(Disarm(("reliable", session.dialog.local_tag)))
        if session.is_over or not request.body:
            session.agent.answer(transaction, 200, now, out)
        elif is_answer and not was_settled:
            session.agent.answer(transaction, 200, now, out)
            out.append(Reanswered(session, request.body))
        else:
            session.reoffers.on_request(session, transaction, session.flow, now, out)
        self._send_next(session, invite, now, out)
        return True

    def repeat(self, session: InviteSession, invite: IncomingInvite, now: float, out: list[Effect]) -> bool:
        """Send it again; False when 64*T1 have passed without a PRACK."""
        if now + SOON >= self._deadline:
            self.give_up()
            return False
        if self._data:
            transaction = invite.transaction
            self._interval *= 2  # section 3: without the cap of T2
            out.append(Send(transaction.hop, self._data, transaction.key))
            at = min(now + self._interval, self._deadline)
            out.append(Arm(("reliable", session.dialog.local_tag), at))
        return True

    def stop(self, session: InviteSession, out: list[Effect]) -> None:
        """A final answer was given: nothing is repeated, what is queued is superseded."""
        self._queue.clear()
        if self._data:  # its PRACK may still come
            out.append(Disarm(("reliable", session.dialog.local_tag)))

    def wait(self, session: InviteSession, now: float, out: list[Effect]) -> None:
        """After a refusal: be there for the PRACK as long as it may come (section 3)."""
        if self._data:
            out.append(Arm(("reliable", session.dialog.local_tag), max(self._deadline, now)))

    def give_up(self) -> None:
        """No PRACK is waited for any more."""
        self._data = b""


class EarlyDialog:
    """One callee of our INVITE that answered provisionally and reliably. ``remote_sdp``: theirs, last."""

    __slots__ = ("dialog", "owed", "remote_sdp", "rseq")

    def __init__(self, dialog: Dialog) -> None:
        self.dialog = dialog
        self.rseq = 0
        self.remote_sdp = b""
        self.owed: RAck | None = None
        """Its PRACK waits for our answer, since our INVITE made no offer."""


class EarlyDialogs:
    """The early dialogs of our INVITE, by their tags."""

    __slots__ = ("_by_tag", "_session", "last")

    def __init__(self, session: InviteSession) -> None:
        self._session = session
        self._by_tag: dict[str, EarlyDialog] = {}
        self.last: EarlyDialog | None = None
        """Who answered last."""

    def get(self, tag: str) -> EarlyDialog | None:
        """The early dialog with that tag."""
        return self._by_tag.get(tag)

    def on_response(
        self, response: Response, rseq: int, offered: bool, now: float, out: list[Effect]
    ) -> bool:
        """Take a reliable 1xx: True if it is new and in order, and was acknowledged or is to be (section 4)."""
        session = self._session
        tag = response.to.tag or ""
        early = self._by_tag.get(tag)
        if early is None:
            if len(self._by_tag) >= FORKS_MAX or not tag:
                return False
            try:
                early = EarlyDialog(session.dialog.fork(response))
            except PeerError:
                return False
            self._by_tag[tag] = early
        elif rseq != early.rseq + 1:
            return False
        early.rseq = rseq
        self.last = early
        rack = RAck(rseq, response.cseq.number, "INVITE")
        had_none = not early.remote_sdp
        early.remote_sdp = response.body or early.remote_sdp
        if response.body and had_none and not offered:
            early.owed = rack
        else:
            self._prack(early, rack, b"", now, out)
        return True

    def answer(self, body: bytes, now: float, out: list[Effect]) -> None:
        """Our answer to the offer that a 1xx made (section 5)."""
        early = self.last
        if early is not None and early.owed is not None:
            rack, early.owed = early.owed, None
            self._prack(early, rack, body, now, out)

    def _prack(self, early: EarlyDialog, rack: RAck, body: bytes, now: float, out: list[Effect]) -> None:
        headers = [("RAck", f"{rack.rseq} {rack.cseq} {rack.method}")]
        if body:
            headers.append(("Content-Type", "application/sdp"))
        self._session.start("PRACK", headers, body, now, out, dialog=early.dialog)
