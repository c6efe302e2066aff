"""Where the events of a user agent go: to transactions, to sessions, or to its user.

message -> transaction? -> session? -> Incoming, or refused here (400 405 415 416 420 481 482 483 501)
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from ringback.sip import content, replaces
from ringback.sip.admission import Admission
from ringback.sip.dialog import Header
from ringback.sip.effects import Effect, Incoming, TimerKey
from ringback.sip.errors import PeerError, SipSyntaxError, UsageError
from ringback.sip.flow import Flow, Hop
from ringback.sip.headers import Via
from ringback.sip.message import Request, Response
from ringback.sip.routing import response_hop
from ringback.sip.server_transaction import ServerTransaction
from ringback.sip.session import InviteSession
from ringback.sip.timers import TRANSACTIONS_MAX, Timers
from ringback.sip.transactions import State, Tables, client_key, merge_key, server_key
from ringback.sip.uri import same_host

if TYPE_CHECKING:
    from ringback.sip.dialoguser import DialogUser

_WITH_ANSWER: Final = frozenset(("INVITE", "UPDATE", "PRACK"))


class Dispatch:
    """The part of a user agent that takes events."""

    timers: Timers
    tables: Tables
    admission: Admission
    takes_replaces: bool
    sessions: dict[str, InviteSession]
    """By our tag."""
    resolving: dict[str, DialogUser]
    """Sessions that wait for ``on_resolved``, by our tag."""

    # -- given by the agent ---------------------------------------------------------------------------

    def reply_statelessly(
        self,
        request: Request,
        flow: Flow,
        status: int,
        reason: str | None = None,
        headers: Iterable[Header] = (),
    ) -> list[Effect]:
        """One response and no memory of it."""
        raise NotImplementedError

    def answer(
        self,
        transaction: ServerTransaction,
        status: int,
        now: float,
        out: list[Effect],
        *,
        reason: str | None = None,
        headers: Iterable[Header] = (),
        to_tag: str | None = None,
    ) -> None:
        """Answer a request in a way that needs nobody's decision."""
        raise NotImplementedError

    def token(self) -> str:
        """A fresh random token."""
        raise NotImplementedError

    def replaced(self, request: Request) -> InviteSession | None:
        """The session that an Incoming INVITE is to take the place of (RFC 3891): accept it, then hang that one up.

        Raises PeerError when there is none such; Incoming is never given for these.
        """
        return replaces.find_replaced(request, self.sessions)

    # -- events -------------------------------------------------------------------------------------

    def on_message(self, message: Request | Response, flow: Flow, now: float) -> list[Effect]:
        """Take one parsed message from the wire."""
        out: list[Effect] = []
        if isinstance(message, Response):
            with contextlib.suppress(PeerError):  # a malformed response is dropped, RFC 3261 8.1.3
                self._on_response(message, flow, now, out)
            return out
        try:
            self._on_request(message, flow, now, out)
        except PeerError as error:
            out += self.reply_statelessly(message, flow, error.status, error.reason)
        return out

    def on_timer(self, key: TimerKey, now: float) -> list[Effect]:
        """An armed timer fired."""
        out: list[Effect] = []
        name, subject = key
        if name == "client":
            client = self.tables.clients.get(subject)
            if client is not None:
                client.on_timer(now, out)
        elif name == "server":
            server = self.tables.servers.get(subject)
            if server is not None:
                server.on_timer(now, out)
        else:
            session = self.sessions.get(subject)
            if session is not None:
                session.on_timer(name, now, out)
        return out

    def on_unreachable(self, hop: Hop, now: float, transaction: str = "") -> list[Effect]:
        """A message could not be sent (17.1.4): of that transaction, or everything still unsent to that hop."""
        out: list[Effect] = []
        tables = self.tables
        if transaction:
            client = tables.clients.get(transaction)
            if client is not None and client.hop == hop:
                client.on_unreachable(now, out)
            server = tables.servers.get(transaction)
            if server is not None:
                server.on_unreachable(out)
            return out
        for each in [client for client in tables.clients.values() if client.hop == hop]:
            each.on_unreachable(now, out)
        return out

    def on_resolved(self, key: str, hops: Iterable[Hop], now: float) -> list[Effect]:
        """The answer to a Resolve; no hops: the name cannot be reached."""
        out: list[Effect] = []
        session = self.resolving.pop(key, None)
        if session is not None:
            session.on_resolved(hops, now, out)
        return out

    # -- inside -----------------------------------------------------------------------------------------

    def serve(self, request: Request, flow: Flow) -> ServerTransaction:
        """Make a server transaction; copies of the request are refused while it lives (8.2.2.2)."""
        via = request.via
        key = server_key(request, via, request.method)
        if key in self.tables.servers:
            raise UsageError("this request was taken already")
        server = ServerTransaction(request, key, response_hop(via, flow), None, self.tables, self.timers)
        if request.to.tag is None and request.method != "CANCEL":
            server.guard(merge_key(request))
        return server

    def _on_response(self, response: Response, flow: Flow, now: float, out: list[Effect]) -> None:
        vias = response.vias
        if len(vias) != 1:  # 8.1.3.3: not for us
            return
        method = response.cseq.method
        client = self.tables.clients.get(client_key(vias[0].branch or "", method))
        if client is None or client.method != method:
            return
        if not client.is_sent_by(vias[0], response.get("Via") or ""):  # 18.1.2
            return
        if (response.status == 401 or response.status == 407) and not same_host(
            flow.remote[0], client.hop.host
        ):
            return  # whom we did not ask draws no digest, and ends nothing
        response.validate()  # before anything is changed by it
        if response.body and response.status < 300 and method in _WITH_ANSWER:
            _take_session(response)
        client.on_response(response, flow, now, out)

    def _on_request(self, request: Request, flow: Flow, now: float, out: list[Effect]) -> None:
        request.stamp_via(flow.remote[0], flow.remote[1])
        via = request.via
        method = request.method
        if method == "ACK":
            self._on_ack(request, via, now, out)
            return
        known = self.tables.servers.get(server_key(request, via, method))
        if known is not None:
            known.on_request(out)
            return
        request.validate()
        if method == "CANCEL":
            self._on_cancel(request, via, flow, now, out)
            return
        if len(self.tables.servers) >= TRANSACTIONS_MAX and method != "BYE":
            out += self.reply_statelessly(request, flow, 503, headers=[("Retry-After", "32")])
            return
        tag = request.to.tag
        refusal = self.admission.inside(request) or (
            self.admission.outside(request, flow, self.tables) if tag is None else None
        )
        if refusal is not None:
            status, reason, headers = refusal
            out += self.reply_statelessly(request, flow, status, reason, headers)
            return
        if tag is None:
            if self.takes_replaces and method == "INVITE":
                self.replaced(request)  # raises what it deserves
            out.append(Incoming(request, flow))
            return
        session = self._find(request, tag)
        if session is None:
            out += self.reply_statelessly(request, flow, 481)
            return
        transaction = self.serve(request, flow)
        try:
            session.on_request(transaction, flow, now, out)
        except PeerError as error:
            # What was done before it stands, and the transaction must not wait for ever.
            self.answer(transaction, error.status, now, out, reason=error.reason)
        if not transaction.invite:
            transaction.forget_request()

    def _find(self, request: Request, tag: str) -> InviteSession | None:
        session = self.sessions.get(tag)
        if session is None:
            return None
        dialog = session.dialog
        if dialog.call_id != request.call_id:
            return None
        if dialog.remote_tag and dialog.remote_tag != request.from_.tag:
            return None
        return session

    def _on_ack(self, request: Request, via: Via, now: float, out: list[Effect]) -> None:
        server = self.tables.servers.get(server_key(request, via, "INVITE"))
        if server is not None and server.state is not State.ACCEPTED:
            server.on_ack(now, out)
            return
        tag = request.to.tag
        session = None if tag is None else self._find(request, tag)
        if session is not None:
            if request.body:
                _take_session(request)
            session.on_ack(request, now, out)

    def _on_cancel(self, request: Request, via: Via, flow: Flow, now: float, out: list[Effect]) -> None:
        server = self.tables.servers.get(server_key(request, via, "INVITE"))
        if server is None or not server.is_meant_by(request):
            out += self.reply_statelessly(request, flow, 481)  # 9.2
            return
        tag = server.to_tag or self.token()
        self.answer(self.serve(request, flow), 200, now, out, to_tag=tag)
        if server.answered:
            return
        if server.user is not None:
            server.user.on_cancel(server, request, now, out)
        else:
            self.answer(server, 487, now, out, to_tag=tag)


def _take_session(message: Request | Response) -> None:
    """Put what a body says of the session in its place. An answer cannot be refused: what is not understood is not there."""
    if not content.is_plain(message):
        try:
            message.body = content.session_of(message).body
        except SipSyntaxError:
            message.body = b""
