"""A request that we got, until its answer has arrived: RFC 3261 section 17.2 (the machines: `transactions`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ringback.sip.effects import Arm, Disarm, Effect, Send
from ringback.sip.message import Request, Response
from ringback.sip.timers import RELIABLE, SOON, Timers
from ringback.sip.transactions import FORGOTTEN, State, Tables, merge_key

if TYPE_CHECKING:
    from ringback.sip.flow import Hop

_TRYING = State.TRYING
_PROCEEDING = State.PROCEEDING
_ACCEPTED = State.ACCEPTED
_COMPLETED = State.COMPLETED
_CONFIRMED = State.CONFIRMED
_GONE = State.GONE


class ServerUser(Protocol):
    """Who answers a server transaction, told when the client withdraws (CANCEL)."""

    def on_cancel(
        self, transaction: ServerTransaction, request: Request, now: float, out: list[Effect]
    ) -> None:
        """Take a CANCEL for a request that has no final answer yet; answer that request 487."""


class ServerTransaction:
    """A request that we got; ``user`` hears of its CANCEL. ``hop`` is the way of the answers (18.2.2).

    ``to_tag`` is the tag that the answers add to the request's To, where the user has one.
    """

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
        "to_tag",
        "user",
    )

    def __init__(
        self, request: Request, key: str, hop: Hop, user: ServerUser | None, tables: Tables, timers: Timers
    ) -> None:
        self.request = request
        self.key = key
        self.hop = hop
        self.user = user
        self.to_tag = ""
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
        self.give(response.status, response.render(), now, out)

    def give(self, status: int, data: bytes, now: float, out: list[Effect]) -> None:
        """Send a response that is written already, to a request without a final one."""
        self.last = data
        out.append(Send(self.hop, data, self.key))
        if status < 200:
            self.state = _PROCEEDING
            return
        self.user = None
        if not self.invite:
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
        """Nobody reads the request again: what is left of a transaction that was answered is its answer.

        Not even that of an INVITE's 2xx, which the session repeats, until its ACK.
        """
        if self.answered:
            self.request = FORGOTTEN
            if self.state is _ACCEPTED:
                self.last = b""

    def is_meant_by(self, cancel: Request) -> bool:
        """Whether a CANCEL names this request, and not just its branch (9.1): some phones' branches can be guessed."""
        call_id, tag, cseq = self._merge_key or merge_key(self.request)
        number = cseq.split(maxsplit=1)[0] if cseq else ""
        return (
            cancel.call_id == call_id
            and (cancel.from_.tag or "") == tag
            and number.isdecimal()
            and int(number) == cancel.cseq.number
        )

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
