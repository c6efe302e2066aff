"""A request that we sent, until its answers are over: RFC 3261 section 17.1 (the machines: `transactions`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Protocol

from ringback.sip.effects import Arm, Disarm, Effect, Send
from ringback.sip.headers import Via, parse_via
from ringback.sip.message import Request, Response
from ringback.sip.timers import RELIABLE, SOON, Timers
from ringback.sip.transactions import FORGOTTEN, State, Tables, client_key

if TYPE_CHECKING:
    from ringback.sip.flow import Flow, Hop

_BESIDE = frozenset(("Via", "Route", "Max-Forwards", "From", "Call-ID"))
"""What CANCEL, and the ACK of a refusal, copy from their INVITE besides Request-URI, To and CSeq number."""

_CALLING = State.CALLING
_TRYING = State.TRYING
_PROCEEDING = State.PROCEEDING
_ACCEPTED = State.ACCEPTED
_COMPLETED = State.COMPLETED
_GONE = State.GONE


class ClientUser(Protocol):
    """Who gets the answers of a client transaction."""

    def on_response(
        self, transaction: ClientTransaction, response: Response, flow: Flow, now: float, out: list[Effect]
    ) -> None:
        """Take one response that is no retransmission (but each 2xx to an INVITE)."""

    def on_failure(self, transaction: ClientTransaction, kind: str, now: float, out: list[Effect]) -> None:
        """Take the news that no answer will come: ``"timeout"`` or ``"unreachable"``."""


class Silent:
    """Nobody: user of transactions whose answer does not matter (CANCEL, BYE to a losing fork), or was given."""

    def on_response(
        self, transaction: ClientTransaction, response: Response, flow: Flow, now: float, out: list[Effect]
    ) -> None:
        """Nothing to do."""

    def on_failure(self, transaction: ClientTransaction, kind: str, now: float, out: list[Effect]) -> None:
        """Nothing to do."""


SILENT: Final = Silent()


class Acknowledging(Silent):
    """Nobody as well, but a 2xx that comes again gets its ACK again (13.2.2.4)."""

    def on_response(
        self, transaction: ClientTransaction, response: Response, flow: Flow, now: float, out: list[Effect]
    ) -> None:
        """A copy of the 2xx."""
        if response.status < 300 and transaction.ack is not None:
            out.append(transaction.ack)


ACKNOWLEDGING: Final = Acknowledging()


class ClientTransaction:
    """A request that we sent. ``patience``: seconds after which silence is reported (default 64*T1)."""

    __slots__ = (
        "_deadline",
        "_interval",
        "_retransmit_at",
        "_tables",
        "_timers",
        "_way",
        "ack",
        "cancelled",
        "data",
        "hop",
        "invite",
        "key",
        "method",
        "open_for",
        "reliable",
        "request",
        "state",
        "tried",
        "user",
    )

    def __init__(
        self, request: Request, key: str, hop: Hop, user: ClientUser, tables: Tables, timers: Timers
    ) -> None:
        self.request = request
        self.key = key
        self.hop = hop
        self.user = user
        self.reliable = hop.transport in RELIABLE
        self.method = request.method
        self.invite = self.method == "INVITE"
        self.state = _CALLING if self.invite else _TRYING
        self.data = request.render()
        self._way = request.headers[0][1].partition(";")[0]
        self._tables = tables
        self._timers = timers
        self._interval = timers.t1
        self._deadline = 0.0
        self._retransmit_at = 0.0
        self.ack: Send | None = None
        """The ACK that answered the final response, to be repeated with it."""
        self.cancelled = False
        self.open_for = 0.0
        """Seconds from the first 1xx in which an INVITE is to be answered, or it is cancelled; 0: its user sees to that."""
        self.tried: tuple[tuple[str, str], ...] = ()
        """Challenges (field, realm) answered for this request so far."""

    def start(self, now: float, out: list[Effect], patience: float | None = None) -> None:
        """Send the request; timers A and B (INVITE), or E and F."""
        self._tables.clients[self.key] = self
        out.append(Send(self.hop, self.data, self.key))
        self._deadline = now + (self._timers.timeout if patience is None else patience)  # timers B, F
        self._schedule(now, out)

    def _schedule(self, now: float, out: list[Effect]) -> None:
        at = self._deadline
        if not self.reliable:
            self._retransmit_at = now + self._interval  # timers A, E
            at = min(at, self._retransmit_at)
        out.append(Arm(("client", self.key), at))

    def is_sent_by(self, via: Via, text: str) -> bool:
        """Whether a response's Via, parsed and as ``text``, names us (18.1.2); mostly it is our very text."""
        return text.startswith(self._way + ";") or via.sent_by == parse_via(self._way).sent_by

    def on_timer(self, now: float, out: list[Effect]) -> None:
        """Retransmit (A, E), give up (B, F), or forget (D, K, M)."""
        state = self.state
        if state is _COMPLETED or state is _ACCEPTED:
            self._drop()
            self.user = SILENT
        elif now + SOON >= self._deadline:
            if state is _PROCEEDING and self.open_for:
                self.cancel(SILENT, now, out)
            else:
                self._fail("timeout", now, out)
        elif not (self.invite and state is _PROCEEDING):
            if not self.reliable and now + SOON >= self._retransmit_at:
                out.append(Send(self.hop, self.data, self.key))
                self._interval = (
                    2 * self._interval if self.invite else min(2 * self._interval, self._timers.t2)
                )
                if state is _PROCEEDING:
                    self._interval = self._timers.t2  # 17.1.2.2
            self._schedule(now, out)

    @property
    def is_accepted(self) -> bool:
        """Whether a 2xx to this INVITE came, and others still may."""
        return self.state is _ACCEPTED

    def on_response(self, response: Response, flow: Flow, now: float, out: list[Effect]) -> None:
        """Take a response that matched."""
        if self.invite:
            self._on_invite_response(response, flow, now, out)
            return
        state = self.state
        if state is not _TRYING and state is not _PROCEEDING:
            return
        if response.status < 200:
            self.state = _PROCEEDING
            return
        self.state = _COMPLETED
        if self.reliable:
            self._drop(out)
        else:
            out.append(Arm(("client", self.key), now + self._timers.t4))  # timer K
        self.user.on_response(self, response, flow, now, out)
        self.settle(SILENT)

    def _on_invite_response(self, response: Response, flow: Flow, now: float, out: list[Effect]) -> None:
        status = response.status
        state = self.state
        waiting = state is _CALLING or state is _PROCEEDING
        if status < 200:
            if not waiting:
                return
            if state is _CALLING:
                self.state = _PROCEEDING
                if self.open_for:
                    self._end_after(self.open_for, now, out)
                else:
                    out.append(Disarm(("client", self.key)))
            self.user.on_response(self, response, flow, now, out)
        elif status < 300:
            if waiting:
                self.state = _ACCEPTED
                out.append(Arm(("client", self.key), now + self._timers.timeout))  # RFC 6026 timer M
                self.user.on_response(self, response, flow, now, out)
            elif state is _ACCEPTED:
                self.user.on_response(self, response, flow, now, out)
        elif waiting:
            self.state = _COMPLETED
            self.ack = Send(self.hop, self._ack(response), "")
            out.append(self.ack)
            if self.reliable:
                self._drop(out)
            else:
                out.append(Arm(("client", self.key), now + self._timers.d))  # timer D
            self.user.on_response(self, response, flow, now, out)
            self.settle(SILENT)
        elif state is _COMPLETED and self.ack is not None:
            out.append(self.ack)

    def _ack(self, response: Response) -> bytes:
        """ACK for a non-2xx: RFC 3261 17.1.1.3, same branch, routes and Request-URI as the INVITE."""
        return self._beside("ACK", response.get("To")).render()

    def _beside(self, method: str, to: str | None) -> Request:
        request = self.request
        headers = [header for header in request.headers if header[0] in _BESIDE]
        headers += [("To", to or ""), ("CSeq", f"{request.cseq.number} {method}")]
        return Request(method, request.raw_uri, headers)

    def cancel(
        self, cancelling: ClientUser, now: float, out: list[Effect], headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Cancel a PROCEEDING INVITE once (9.1): a CANCEL of its own, and 64*T1 for the final answer.

        ``headers`` are added to the CANCEL (Reason, RFC 3326).
        """
        if self.cancelled or self.state is not _PROCEEDING:
            return
        self.cancelled = True
        cancel = self._beside("CANCEL", self.request.get("To"))
        cancel.headers += headers
        key = client_key(self.key, "CANCEL")
        ClientTransaction(cancel, key, self.hop, cancelling, self._tables, self._timers).start(now, out)
        self.limit(now, out)

    def limit(self, now: float, out: list[Effect]) -> None:
        """Give a PROCEEDING INVITE 64*T1 for its final answer, which may never come now."""
        if self.state is _PROCEEDING and self.invite:
            self.open_for = 0.0
            self._end_after(self._timers.timeout, now, out)

    def linger(self, now: float, out: list[Effect]) -> None:
        """Keep listening without retransmitting: another hop is tried, but this one may still answer."""
        if self.state is _GONE:
            self.state = _CALLING
            self.reliable = True  # nothing is repeated any more
            self._tables.clients[self.key] = self
            self._end_after(self._timers.timeout, now, out)

    def _end_after(self, seconds: float, now: float, out: list[Effect]) -> None:
        self._deadline = now + seconds
        out.append(Arm(("client", self.key), self._deadline))

    def on_unreachable(self, now: float, out: list[Effect]) -> None:
        """The transport could not send (17.1.4)."""
        if self.state is _CALLING or self.state is _TRYING:
            out.append(Disarm(("client", self.key)))
            self._fail("unreachable", now, out)
        elif self.state is _COMPLETED:
            self._drop(out)  # the ACK did not go out; there is no answer to wait for

    def settle(self, user: ClientUser) -> None:
        """Its answer was given: nothing is left to do but what ``user`` does, and the request is not read again."""
        self.user = user
        self.request = FORGOTTEN

    def _fail(self, kind: str, now: float, out: list[Effect]) -> None:
        user = self.user
        self._drop()
        user.on_failure(self, kind, now, out)
        if self.state is _GONE:
            self.settle(SILENT)

    def _drop(self, out: list[Effect] | None = None) -> None:
        self.state = _GONE
        self._tables.clients.pop(self.key, None)
        if out is not None:
            out.append(Disarm(("client", self.key)))
