"""The first INVITE of a caller, with all that can happen to it before a dialog stands.

    hop 1 --silence, 503, unreachable--> hop 2 ... --401/407--> again with credentials
      --422--> again with a longer session interval (RFC 4028)
      --1xx--> Ringing, and PRACK if it is reliable (reliable.py)   --2xx--> Established, ACK   --3xx--> Redirected, Ended   --4xx..6xx--> Ended
      cancel: CANCEL as soon as there is a 1xx (9.1); a 2xx that crossed it gets ACK and BYE

Every hop that was given up is still listened to: a 1xx from it gets CANCEL, a 2xx ACK and BYE. So do 2xx
from other branches of a fork (13.2.2.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ringback.sip.client_transaction import SILENT, ClientTransaction
from ringback.sip.dialog import Dialog, Header
from ringback.sip.effects import Arm, Disarm, Effect, Established, Redirected, Ringing
from ringback.sip.errors import PeerError
from ringback.sip.forks import Forks
from ringback.sip.hops import Hops
from ringback.sip.message import Response
from ringback.sip.reliable import EarlyDialogs, rseq_of
from ringback.sip.timers import FORKS_MAX, REDIRECT_CONTACTS_MAX

if TYPE_CHECKING:
    from ringback.sip.flow import Flow, Hop
    from ringback.sip.session import InviteSession


class OutgoingCall:
    """Our INVITE and its fate. ``expires``: seconds until it is withdrawn (0: never by itself)."""

    __slots__ = (
        "_body",
        "_cancel_headers",
        "_counts",
        "_expires",
        "_forks",
        "_has_others",
        "_headers",
        "_hops",
        "_max_forwards",
        "_seq",
        "_session",
        "_tried",
        "early",
        "ringing_tag",
        "transaction",
    )

    def __init__(
        self,
        session: InviteSession,
        hops: Sequence[Hop],
        headers: list[Header],
        body: bytes,
        max_forwards: int,
        expires: int = 0,
        has_others: bool = False,
    ) -> None:
        self._session = session
        self._hops = Hops(hops, session.agent.takes_tcp)
        self._headers = headers
        self._body = body
        self._max_forwards = max_forwards
        self._expires = expires
        self._has_others = has_others
        self._seq = 0
        self._tried: tuple[tuple[str, str], ...] = ()
        self._counts: dict[str, int] = {}  # the last number of each callee that rings
        self._forks = Forks(session.agent, session.sent_by)
        self._cancel_headers: Sequence[Header] = ()
        self.early: EarlyDialogs | None = None
        self.ringing_tag = ""
        self.transaction: ClientTransaction | None = None

    def start(self, now: float, out: list[Effect]) -> None:
        """Send the INVITE to the first hop."""
        session = self._session
        self._seq = session.dialog.next_seq()
        self._send(now, out)
        if self._expires:
            out.append(Arm(("expires", session.dialog.local_tag), now + self._expires))

    def _send(self, now: float, out: list[Effect]) -> None:
        session = self._session
        agent = session.agent
        dialog = session.dialog
        headers = self._headers
        if agent.session_expires:
            headers = headers + session.timer.headers(session)
        if session.authorizations is not None:
            headers = headers + session.authorizations.headers("INVITE", dialog.request_uri, self._body)
        branch = agent.branch()
        hop = self._hops.current
        while True:
            via = agent.via(hop, session.sent_by, branch)
            request = dialog.request("INVITE", self._seq, via, self._max_forwards, headers, self._body)
            transaction = agent.client(request, branch, hop, self)
            better = self._hops.better_for(len(transaction.data))
            if better is None:
                break
            hop = better
        self.transaction = transaction
        if session.authorizations is not None:
            session.authorizations.hosts.add(hop.host)
        transaction.tried = self._tried
        is_brief = self._hops.has_more or self._has_others
        transaction.start(now, out, agent.timers.hop_patience if is_brief else None)

    def cancel(self, headers: Iterable[Header], now: float, out: list[Effect]) -> None:
        """Withdraw. Before a 1xx nothing can be sent; the CANCEL goes out when one comes."""
        self._cancel_headers = tuple(headers)
        if self.transaction is not None:
            self.transaction.cancel(SILENT, now, out, self._cancel_headers)

    def acknowledge(self, body: bytes, now: float, out: list[Effect]) -> None:
        """Send the ACK of the 2xx."""
        assert self.transaction is not None
        headers = [("Content-Type", "application/sdp")] if body else []
        self._session.start("ACK", headers, body, now, out, invite=self.transaction)

    def is_in_order(self, tag: str, number: int) -> bool:
        """Whether a request of a callee with that tag is the next in its dialog, and not one of before."""
        known = self._counts.get(tag)
        if number <= (-1 if known is None else known) or (known is None and len(self._counts) >= FORKS_MAX):
            return False
        self._counts[tag] = number
        return True

    def early_dialog(self, tag: str) -> Dialog | None:
        """The early dialog that the callee with that tag made by a reliable answer."""
        early = None if self.early is None else self.early.get(tag)
        return None if early is None else early.dialog

    def leave(self) -> None:
        """Its session is forgotten."""
        transaction = self.transaction
        if transaction is not None and transaction.is_accepted:
            self._forks.take_over(transaction, self._session.dialog.local_seq)

    def stop(self, out: list[Effect]) -> None:
        """It was answered, or is withdrawn."""
        if self._expires:
            self._expires = 0
            out.append(Disarm(("expires", self._session.dialog.local_tag)))

    def on_response(
        self, transaction: ClientTransaction, response: Response, flow: Flow, now: float, out: list[Effect]
    ) -> None:
        """An answer from any hop."""
        session = self._session
        status = response.status
        if status < 200:
            if transaction is not self.transaction or session.is_over:
                transaction.cancel(SILENT, now, out, self._cancel_headers)
            elif status > 100:
                self._on_provisional(response, flow, now, out)
        elif status < 300:
            self._on_accepted(transaction, response, flow, now, out)
        elif transaction is self.transaction and not session.is_over:
            self._on_refused(response, now, out)

    def _on_provisional(self, response: Response, flow: Flow, now: float, out: list[Effect]) -> None:
        session = self._session
        session.flow = flow
        self.ringing_tag = response.to.tag or ""
        if session.agent.is_reliable:
            rseq = rseq_of(response)
            if rseq is not None:
                if self.early is None:
                    self.early = EarlyDialogs(session)
                if not self.early.on_response(response, rseq, bool(self._body), now, out):
                    return
        out.append(Ringing(session, response, response.body))

    def _on_accepted(
        self, transaction: ClientTransaction, response: Response, flow: Flow, now: float, out: list[Effect]
    ) -> None:
        session = self._session
        tag = response.to.tag or ""
        if tag == self._forks.won and transaction is self.transaction:
            if transaction.ack is not None:
                out.append(transaction.ack)
            return
        if self._forks.won is not None or session.is_over or transaction is not self.transaction:
            self._forks.lose(transaction, response, flow, session.dialog.local_seq, now, out)
            if session.is_over:
                self._forks.take_over(transaction, session.dialog.local_seq)
            return
        try:
            session.dialog.establish(response)
        except PeerError as error:
            self._forks.lose(transaction, response, flow, session.dialog.local_seq, now, out)
            session.end("rejected", 502, error.reason, response, now, out)
            session.forget()
            return
        session.dialog.remote_seq = self._counts.get(tag, -1)
        self._forks.won = tag
        session.flow = flow
        session.reroute()
        self.stop(out)
        if session.agent.session_expires:
            session.timer.on_accepted(session, response, now, out)
        early = None if self.early is None else self.early.get(tag)
        agreed = b"" if early is None else early.remote_sdp
        if self._body or agreed:
            session.confirm()
            session.start("ACK", [], b"", now, out, invite=transaction)
        else:
            session.owe()
        out.append(Established(session, response, response.body or agreed))

    def _on_refused(self, response: Response, now: float, out: list[Effect]) -> None:
        session = self._session
        status = response.status
        if (status == 401 or status == 407) and session.authorizations is not None and self.transaction:
            tried = session.authorizations.challenged(response, self.transaction.tried)
            if tried is not None:
                self._tried = tried
                self._send_again(now, out)
                return
        if status == 422 and session.timer.raise_to(response):
            self._send_again(now, out)
            return
        if (
            (status == 503 or status == 430)
            and self._hops.refused(response, out)
            and self._next_hop(now, out)
        ):
            return  # 430: the edge has lost that flow, RFC 5626 section 5.3
        if status < 400:
            contacts = response.contacts[:REDIRECT_CONTACTS_MAX]
            out.append(Redirected(session, response, contacts))
            session.end("redirected", status, response.reason, response, now, out)
        else:
            session.end("rejected", status, response.reason, response, now, out)
        session.forget()

    def _send_again(self, now: float, out: list[Effect]) -> None:
        self._seq = self._session.dialog.next_seq()
        self.early = None
        self._send(now, out)

    def on_failure(self, transaction: ClientTransaction, kind: str, now: float, out: list[Effect]) -> None:
        """No answer from a hop, or no way to it (RFC 3263 4.3)."""
        session = self._session
        if transaction is not self.transaction or session.is_over:
            return
        self._hops.failed(kind, out)
        if not self._next_hop(now, out):
            status, reason = (408, "Request Timeout") if kind == "timeout" else (503, "Service Unavailable")
            session.end(kind, status, reason, None, now, out)
            session.forget()
        elif kind == "timeout":
            transaction.linger(now, out)

    def _next_hop(self, now: float, out: list[Effect]) -> bool:
        if not self._hops.next():
            return False
        self._send(now, out)
        return True
