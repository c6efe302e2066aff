"""The four transaction machines of RFC 3261 section 17, with the Accepted states of RFC 6026.

    INVITE client     CALLING --1xx--> PROCEEDING --2xx--> ACCEPTED --M--> gone
                      (A, B)                      --3xx+-> COMPLETED --D--> gone     (ACK sent here)
    other client      TRYING --1xx--> PROCEEDING --final--> COMPLETED --K--> gone    (E, F)
    INVITE server     PROCEEDING --2xx--> ACCEPTED --L--> gone
                                 --3xx+-> COMPLETED (G, H) --ACK--> CONFIRMED --I--> gone
    other server      TRYING --1xx--> PROCEEDING --final--> COMPLETED --J--> gone
                      (await_user: 100 after T2, gone without an answer after 64*T1; RFC 4320)

Every state waits for at most one moment: the next retransmission or the end, whichever is first. So a
transaction has one timer, ``("client", key)`` or ``("server", key)``, and the RFC's letters are named where
they are set. Methods append their effects (Send, Arm, Disarm, and what the user adds) to ``out``.
Messages are rendered once; retransmissions send the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from ringback.sip.effects import Arm, Disarm, Effect, Send
from ringback.sip.message import Request, Response
from ringback.sip.timers import RELIABLE, SOON, Timers

if TYPE_CHECKING:
    from ringback.sip.flow import Flow, Hop
    from ringback.sip.headers import Via

MAGIC = "z9hG4bK"  # RFC 3261 8.1.1.7: marks a branch as unique
_BESIDE = frozenset(("Via", "Route", "Max-Forwards", "From", "Call-ID"))
"""What CANCEL, and the ACK of a refusal, copy from their INVITE besides Request-URI, To and CSeq number."""


_FORGOTTEN: Final = Request("", "")


class State(Enum):
    """Where a transaction is; names of RFC 3261 figures 5 to 8 and RFC 6026."""

    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    GONE = "gone"


_CALLING = State.CALLING
_TRYING = State.TRYING
_PROCEEDING = State.PROCEEDING
_ACCEPTED = State.ACCEPTED
_COMPLETED = State.COMPLETED
_CONFIRMED = State.CONFIRMED
_GONE = State.GONE


class ClientUser(Protocol):
    """Who gets the answers of a client transaction."""

    def on_response(
        self, transaction: ClientTransaction, response: Response, flow: Flow, now: float, out: list[Effect]
    ) -> None:
        """Take one response that is no retransmission (but each 2xx to an INVITE)."""

    def on_failure(self, transaction: ClientTransaction, kind: str, now: float, out: list[Effect]) -> None:
        """Take the news that no answer will come: ``"timeout"`` or ``"unreachable"``."""


class ServerUser(Protocol):
    """Who answers a server transaction, told when the client withdraws (CANCEL)."""

    def on_cancel(
        self, transaction: ServerTransaction, request: Request, now: float, out: list[Effect]
    ) -> None:
        """Take a CANCEL for a request that has no final answer yet; answer that request 487."""


class Tables:
    """The transactions of one agent, by key. Empty when nothing goes on."""

    __slots__ = ("clients", "merged", "servers")

    def __init__(self) -> None:
        self.clients: dict[str, ClientTransaction] = {}
        self.servers: dict[str, ServerTransaction] = {}
        self.merged: dict[tuple[str, str, str], str] = {}
        """(Call-ID, From tag, CSeq) -> server key, RFC 3261 8.2.2.2."""


def client_key(branch: str, method: str) -> str:
    """Key of a client transaction: a CANCEL has the branch of what it cancels (17.1.3)."""
    return branch if method != "CANCEL" else branch + "/CANCEL"


def server_key(request: Request, via: Via, method: str) -> str:
    """RFC 3261 17.2.3; for branches without the cookie the fields that RFC 2543 compared."""
    branch = via.branch
    if branch is not None and branch.startswith(MAGIC):
        return f"{branch}|{via.sent_by}|{method}"
    number = request.cseq.number
    return f"{request.raw_uri}|{request.from_.tag}|{request.call_id}|{number}|{via.sent_by}|{branch}|{method}"


def merge_key(request: Request) -> tuple[str, str, str]:
    """What copies of one request share that came on different ways, RFC 3261 8.2.2.2."""
    return request.call_id, request.from_.tag or "", request.get("CSeq") or ""


class ClientTransaction:
    """A request that we sent. ``patience``: seconds after which silence is reported (default 64*T1)."""

    __slots__ = (
        "_deadline",
        "_interval",
        "_retransmit_at",
        "_tables",
        "_timers",
        "ack",
        "cancelled",
        "data",
        "hop",
        "invite",
        "key",
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
        self.invite = request.method == "INVITE"
        self.state = _CALLING if self.invite else _TRYING
        self.data = request.render()
        self._tables = tables
        self._timers = timers
        self._interval = timers.t1
        self._deadline = 0.0
        self._retransmit_at = 0.0
        self.ack: Send | None = None
        """The ACK that answered the final response, to be repeated with it."""
        self.cancelled = False
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
        ours = self.request.headers[0][1].partition(";")[0]
        return text.startswith(ours + ";") or via.sent_by == self.request.via.sent_by

    def on_timer(self, now: float, out: list[Effect]) -> None:
        """Retransmit (A, E), give up (B, F), or forget (D, K, M)."""
        state = self.state
        if state is _COMPLETED or state is _ACCEPTED:
            self._drop()
        elif now + SOON >= self._deadline:
            self._drop()
            self.user.on_failure(self, "timeout", now, out)
        elif not (self.invite and state is _PROCEEDING):
            if not self.reliable and now + SOON >= self._retransmit_at:
                out.append(Send(self.hop, self.data, self.key))
                self._interval = (
                    2 * self._interval if self.invite else min(2 * self._interval, self._timers.t2)
                )
                if state is _PROCEEDING:
                    self._interval = self._timers.t2  # 17.1.2.2
            self._schedule(now, out)

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

    def _on_invite_response(self, response: Response, flow: Flow, now: float, out: list[Effect]) -> None:
        status = response.status
        state = self.state
        waiting = state is _CALLING or state is _PROCEEDING
        if status < 200:
            if not waiting:
                return
            if state is _CALLING:
                self.state = _PROCEEDING
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
        self._deadline = now + self._timers.timeout
        out.append(Arm(("client", self.key), self._deadline))

    def limit(self, now: float, out: list[Effect]) -> None:
        """Give a PROCEEDING INVITE 64*T1 for its final answer, which may never come now."""
        if self.state is _PROCEEDING and self.invite:
            self._deadline = now + self._timers.timeout
            out.append(Arm(("client", self.key), self._deadline))

    def linger(self, now: float, out: list[Effect]) -> None:
        """Keep listening without retransmitting: another hop is tried, but this one may still answer."""
        if self.state is _GONE:
            self.state = _CALLING
            self.reliable = True  # nothing is repeated any more
            self._tables.clients[self.key] = self
            self._deadline = now + self._timers.timeout
            out.append(Arm(("client", self.key), self._deadline))

    def on_unreachable(self, now: float, out: list[Effect]) -> None:
        """The transport could not send (17.1.4)."""
        if self.state is _CALLING or self.state is _TRYING:
            self._drop(out)
            self.user.on_failure(self, "unreachable", now, out)
        elif self.state is _COMPLETED:
            self._drop(out)  # the ACK did not go out; there is no answer to wait for

    def _drop(self, out: list[Effect] | None = None) -> None:
        self.state = _GONE
        self._tables.clients.pop(self.key, None)
        if out is not None:
            out.append(Disarm(("client", self.key)))


class ServerTransaction:
    """A request that we got; ``user`` hears of its CANCEL. ``hop`` is the way of the answers (18.2.2)."""

    __slots__ = (
        "_deadline",
        "_interval",
        "_merge_key",
        "_tables",
        "_timers",
        "hop",
        "invite",
        "key",
        "last",
        "reliable",
        "request",
        "state",
        "user",
    )

    def __init__(
        self, request: Request, key: str, hop: Hop, user: ServerUser | None, tables: Tables, timers: Timers
    ) -> None:
        self.request = request
        self.key = key
        self.hop = hop
        self.user = user
        self.reliable = hop.transport in RELIABLE
        self.invite = request.method == "INVITE"
        self.state = _PROCEEDING if self.invite else _TRYING
        self.last = b""
        self._timers = timers
        self._tables = tables
        self._interval = timers.t1
        self._deadline = 0.0
        tables.servers[key] = self
        self._merge_key: tuple[str, str, str] | None = None

    def guard(self, merge_key: tuple[str, str, str]) -> None:
        """Let other copies of this request be refused while the transaction lives (8.2.2.2)."""
        self._merge_key = merge_key
        self._tables.merged[merge_key] = self.key

    @property
    def answered(self) -> bool:
        """Whether a final response was given."""
        return self.state is not _PROCEEDING and self.state is not _TRYING

    def on_request(self, out: list[Effect]) -> None:
        """The request again: repeat the last response, if there is one to repeat."""
        if self.last and self.state is not _CONFIRMED and not (self.invite and self.state is _ACCEPTED):
            out.append(Send(self.hop, self.last, self.key))

    def respond(self, response: Response, now: float, out: list[Effect]) -> None:
        """Give a provisional or the final response; later ones are ignored, as the first final one holds."""
        if self.answered:
            return
        if response.status == 408 and not self.invite:
            self._drop(out)  # RFC 4320 section 4.2: it would come too late, and confuse
            return
        self.last = data = response.render()
        out.append(Send(self.hop, data, self.key))
        status = response.status
        if status < 200:
            self.state = _PROCEEDING
        elif not self.invite:
            if self._deadline:
                out.append(Disarm(("server", self.key)))
            self.state = _COMPLETED
            self._end_after(0.0 if self.reliable else self._timers.timeout, now, out)  # timer J
        elif status < 300:
            self.state = _ACCEPTED
            self._end_after(self._timers.timeout, now, out)  # RFC 6026 timer L
        else:
            self.state = _COMPLETED
            self._deadline = now + self._timers.timeout  # timer H
            at = self._deadline if self.reliable else now + self._interval  # timer G
            out.append(Arm(("server", self.key), at))

    def forget_request(self) -> None:
        """Nobody reads the request again: what is left of a transaction that was answered is its answer."""
        if self.answered and not self.invite:
            self.request = _FORGOTTEN

    def await_user(self, now: float, out: list[Effect]) -> None:
        """A user decides on this request, which is no INVITE: 100 keeps its sender calm (RFC 4320 section 4.1)."""
        if not self.answered:
            self._deadline = now + self._timers.timeout
            out.append(Arm(("server", self.key), now + self._timers.t2))

    def on_ack(self, now: float, out: list[Effect]) -> None:
        """The ACK for a non-2xx."""
        if self.state is _COMPLETED and self.invite:
            self.state = _CONFIRMED
            if self.reliable:
                self._drop(out)
            else:
                out.append(Arm(("server", self.key), now + self._timers.t4))  # timer I

    def on_timer(self, now: float, out: list[Effect]) -> None:
        """Repeat a refusal (G), or forget (H, I, J, L)."""
        if self.invite and self.state is _COMPLETED and now + SOON < self._deadline:
            out.append(Send(self.hop, self.last, self.key))
            self._interval = min(2 * self._interval, self._timers.t2)
            out.append(Arm(("server", self.key), min(now + self._interval, self._deadline)))
        elif not self.answered and now + SOON < self._deadline:
            self.respond(self.request.reply(100), now, out)
            out.append(Arm(("server", self.key), self._deadline))
        else:
            self._drop()

    def on_unreachable(self, out: list[Effect]) -> None:
        """A response could not be sent (17.2.4): a final one ends the transaction."""
        if self.state is _COMPLETED:
            self._drop(out)

    def _end_after(self, seconds: float, now: float, out: list[Effect]) -> None:
        if seconds:
            out.append(Arm(("server", self.key), now + seconds))
        else:
            self._drop()

    def _drop(self, out: list[Effect] | None = None) -> None:
        self.state = _GONE
        self._tables.servers.pop(self.key, None)
        if self._merge_key is not None:
            self._tables.merged.pop(self._merge_key, None)
        if out is not None:
            out.append(Disarm(("server", self.key)))
