"""The user agent: one object that an exchange, a phone or a carrier's far end drives (RFC 3261 section 8).

It is pure: messages, timers and failures go in with the time, lists of effects come out, in the order to carry
them out in. Nothing is created for a request that matches nothing: the user decides, with ``reply_statelessly``,
``answer_at_once`` or ``accept``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from hashlib import blake2s
from typing import Any
from zlib import crc32

from ringback.sip import content, refresh, reliable, replaces
from ringback.sip.admission import Admission
from ringback.sip.answering import IncomingInvite
from ringback.sip.asking import OutgoingRequest
from ringback.sip.authorization import Authorizations, Login
from ringback.sip.calling import OutgoingCall
from ringback.sip.client_transaction import ClientTransaction, ClientUser
from ringback.sip.dialog import Dialog, Header, contact_and_sent_by, needs_sips, secured
from ringback.sip.dialoguser import DialogUser
from ringback.sip.dispatch import Dispatch
from ringback.sip.effects import Effect, Failed, Send
from ringback.sip.errors import PeerError, UsageError
from ringback.sip.flow import Flow, Hop
from ringback.sip.headers import NameAddr
from ringback.sip.hops import TakesTcp
from ringback.sip.limits import MIN_SESSION_INTERVAL
from ringback.sip.message import Request
from ringback.sip.routing import response_hop
from ringback.sip.server_transaction import ServerTransaction
from ringback.sip.session import InviteSession, SessionState
from ringback.sip.timers import Timers
from ringback.sip.transactions import MAGIC, Tables, server_key
from ringback.sip.uri import Uri


class UserAgent(Dispatch):
    """All transactions and sessions of one SIP element.

    ``tokens`` gives a fresh random token (letters and digits, 64 bits of entropy or more) at each call.
    ``methods`` are those that may come outside a dialog. ``extensions`` are option tags that Require may name;
    "100rel" switches reliable provisional answers on (RFC 3262), "timer" session timers (RFC 4028), which then ask
    for ``session_expires`` seconds and never less than ``min_se``; "replaces" lets the user of Incoming ask for
    ``replaced`` (RFC 3891).
    ``forwards``: this element passes calls on, so an INVITE whose Max-Forwards is used up gets 483.
    ``takes_referrals``: the user of sessions answers Referred; otherwise a REFER gets 405 and the call goes on.
    ``takes_tcp`` tells of a UDP hop whether TCP is taken there, for requests too large for UDP.
    ``info_types``: what an INFO may be written in; another gets 415. None: anything.
    """

    def __init__(
        self,
        tokens: Callable[[], str],
        user_agent: str = "",
        timers: Timers = Timers(),  # noqa: B008 - immutable
        *,
        methods: Collection[str] = ("INVITE", "OPTIONS", "REGISTER"),
        extensions: Collection[str] = (),
        forwards: bool = True,
        session_expires: int = 1800,
        min_se: int = MIN_SESSION_INTERVAL,
        takes_referrals: bool = False,
        takes_tcp: TakesTcp | None = None,
        info_types: Collection[str] = (),
    ) -> None:
        self.timers = timers
        self.is_reliable = reliable.EXTENSION in extensions
        self.session_expires = session_expires if refresh.EXTENSION in extensions else 0
        self.min_se = min_se
        self.takes_referrals = takes_referrals
        self.takes_replaces = replaces.EXTENSION in extensions
        self.takes_tcp = takes_tcp
        self.tables = Tables()
        self.sessions: dict[str, InviteSession] = {}
        """By our tag."""
        self.resolving: dict[str, DialogUser] = {}
        """Sessions that wait for ``on_resolved``, by our tag."""
        self.signature: list[Header] = [("User-Agent", user_agent)] if user_agent else []
        self.server: list[Header] = [("Server", user_agent)] if user_agent else []
        self.admission = Admission(
            methods,
            extensions,
            forwards,
            min_se=min_se if self.session_expires else 0,
            info_types=info_types,
            in_dialog=(
                *(("PRACK",) if self.is_reliable else ()),
                *(("REFER", "NOTIFY", "SUBSCRIBE") if takes_referrals else ()),
            ),
        )
        self.capabilities: list[Header] = [*self.admission.allow, ("Accept", content.ACCEPTED)]
        if extensions:
            self.capabilities.append(("Supported", ", ".join(extensions)))
        self._tokens = tokens
        self._tags = blake2s(tokens().encode(), digest_size=8)

    @property
    def is_idle(self) -> bool:
        """Whether nothing at all goes on."""
        tables = self.tables
        return not (tables.clients or tables.servers or tables.merged or self.sessions or self.resolving)

    # -- answers to requests -------------------------------------------------------------------------

    def reply_statelessly(
        self,
        request: Request,
        flow: Flow,
        status: int,
        reason: str | None = None,
        headers: Iterable[Header] = (),
    ) -> list[Effect]:
        """One response and no memory of it (8.2.7); nothing for an ACK, or where there is no Via.

        A Via that cannot be read is copied as it came, and the answer goes to where the request came from: that
        leads nobody astray, and a phone that is being set up learns what is wrong (RFC 4475 section 3.1.2.1).
        """
        if request.method == "ACK" or not request.has("Via"):
            return []
        try:
            request.stamp_via(flow.remote[0], flow.remote[1])
            hop = response_hop(request.via, flow, is_stranger=True)
        except PeerError:
            hop = flow.hop()
        tag = self._tags.copy()
        tag.update(_seed(request).encode("utf-8", "replace"))
        return [Send(hop, request.answer(status, reason, tag.hexdigest(), (*headers, *self.server)), "")]

    def answer_at_once(
        self,
        request: Request,
        flow: Flow,
        status: int,
        reason: str | None,
        headers: Iterable[Header],
        now: float,
    ) -> list[Effect]:
        """Answer an Incoming request for good, and remember the answer alone, for its copies."""
        out: list[Effect] = []
        server = self.serve(request, flow)
        server.give(status, request.answer(status, reason, self._tokens(), headers), now, out)
        server.forget_request()
        return out

    def accept(
        self, request: Request, flow: Flow, now: float, *, contact: NameAddr | Uri | str, owner: object = None
    ) -> tuple[InviteSession, list[Effect]]:
        """Make a session for an Incoming INVITE. 100 is sent at once; then progress, answer or reject."""
        if request.method != "INVITE":
            raise UsageError("only an INVITE makes a session")
        out: list[Effect] = []
        value, sent_by = contact_and_sent_by(contact)
        if flow.transport == "TLS" and needs_sips(request):
            value = secured(value)
        tag = self._tokens()
        dialog = Dialog.of_request(request, tag)
        session = InviteSession(self, "uas", dialog, value, sent_by, SessionState.INCOMING)
        session.owner = owner
        session.flow = flow
        server = self.serve(request, flow)
        session.invited = IncomingInvite(server)
        server.user, server.to_tag = session, tag
        self.sessions[tag] = session
        server.respond(request.reply(100), now, out)
        session.invited.watch(session, now, out)
        return session, out

    # -- requests of our own ----------------------------------------------------------------------------

    def invite(
        self,
        *,
        uri: Uri | str,
        hops: Sequence[Hop],
        from_: NameAddr | str,
        to: NameAddr | str,
        contact: NameAddr | Uri | str,
        body: bytes,
        now: float,
        sent_by: str,
        headers: Iterable[Header] = (),
        credentials: Login | None = None,
        owner: object = None,
        route: Iterable[str] = (),
        max_forwards: int = 70,
        content_type: str = "application/sdp",
        call_id: str = "",
        expires: int = 0,
        has_others: bool = False,
    ) -> tuple[InviteSession, list[Effect]]:
        """Call somebody. ``from_`` and ``to`` have no tags; an empty ``body`` asks for their offer.

        ``expires`` (seconds; 0: none) is told to the callee, and then the call is withdrawn: Ended("timeout").

        Hops are tried in order, as long as no hop gave a provisional answer: on silence (``hop_patience``,
        the last one 64*T1, or as briefly when the user ``has_others`` to call instead), failure of the transport
        and 503.
        """
        out: list[Effect] = []
        dialog = self._new_dialog(uri, from_, to, call_id)
        dialog.set_routes(tuple(route))
        value, _ = contact_and_sent_by(contact)
        if dialog.target.scheme == "sips":
            hops, value = _secure(hops), secured(value)  # 8.1.1.8
        session = InviteSession(self, "uac", dialog, value, sent_by, SessionState.CALLING)
        session.owner = owner
        if credentials is not None:
            session.authorizations = Authorizations(credentials, self._tokens)
        fields = [("Contact", value), *headers, *self.capabilities, *self.signature]
        if body:
            fields.append(("Content-Type", content_type))
            session.local_sdp = body
        if expires:
            fields.append(("Expires", str(expires)))
        if hops:
            self.sessions[dialog.local_tag] = session
            session.call = OutgoingCall(session, hops, fields, body, max_forwards, expires, has_others)
            session.call.start(now, out)
        else:
            session.end("unreachable", 503, "Service Unavailable", None, now, out)
        return session, out

    def request(
        self,
        *,
        method: str,
        uri: Uri | str,
        hops: Sequence[Hop],
        from_: NameAddr | str,
        to: NameAddr | str,
        now: float,
        sent_by: str,
        headers: Iterable[Header] = (),
        body: bytes = b"",
        content_type: str = "",
        credentials: Login | None = None,
        owner: object = None,
        contact: NameAddr | Uri | str | None = None,
        route: Iterable[str] = (),
        call_id: str = "",
        cseq: int = 1,
    ) -> list[Effect]:
        """Send a request outside any dialog; FinalResponse or Failed follows, once.

        A series of REGISTERs keeps ``call_id`` and counts ``cseq`` up (10.2); a challenge uses one more number.
        """
        out: list[Effect] = []
        dialog = self._new_dialog(uri, from_, to, call_id)
        if dialog.target.scheme == "sips":
            hops = _secure(hops)
        if not hops:
            return [Failed(owner, "unreachable")]
        dialog.set_routes(tuple(route))
        dialog.local_seq = cseq - 1
        fields = [*headers, *self.signature]
        if contact is not None:
            fields.insert(0, ("Contact", contact_and_sent_by(contact)[0]))
        if body:
            fields.append(("Content-Type", content_type or "application/octet-stream"))
        authorizations = None if credentials is None else Authorizations(credentials, self._tokens)
        asking = OutgoingRequest(self, method, dialog, hops, fields, body, authorizations, sent_by, owner)
        asking.start(now, out)
        return out

    def restore(self, record: dict[str, Any], *, owner: object = None) -> InviteSession:
        """A confirmed session from ``InviteSession.record``, perhaps of another process.

        Streams do not survive: over TCP and TLS it sends to the address of the peer. ``resume`` starts its timer.
        """
        dialog = Dialog.restore(record)
        session = InviteSession(
            self, record["role"], dialog, record["contact"], record["sent_by"], SessionState.CONFIRMED
        )
        session.owner = owner
        if record["flow"] is not None:
            transport, local_host, local_port, host, port = record["flow"]
            session.flow = Flow(transport, (local_host, local_port), (host, port))
        session.local_sdp = record.get("sdp", "").encode()
        self.sessions[dialog.local_tag] = session
        interval, is_refresher, update = record.get("timer", (0, 0, 0))
        session.timer.set(interval, bool(is_refresher), bool(update))
        return session

    def resume(self, session: InviteSession, now: float) -> list[Effect]:
        """Start the session timer of a restored session."""
        out: list[Effect] = []
        session.timer.resume(session, now, out)
        return out

    # -- for sessions and requests ----------------------------------------------------------------------

    def token(self) -> str:
        """A fresh random token."""
        return self._tokens()

    def branch(self) -> str:
        """A new branch (8.1.1.7)."""
        return MAGIC + self._tokens()

    def via(self, hop: Hop, sent_by: str, branch: str) -> str:
        """A Via of ours; rport asks for answers to where we sent from (RFC 3581)."""
        return f"SIP/2.0/{hop.transport} {sent_by};rport;branch={branch}"

    def random(self, below: int) -> int:
        """A random number from 0 to below - 1."""
        return crc32(self._tokens().encode()) % below

    def client(self, request: Request, branch: str, hop: Hop, user: ClientUser) -> ClientTransaction:
        """A client transaction, not started."""
        return ClientTransaction(request, branch, hop, user, self.tables, self.timers)

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
        response = transaction.request.reply(status, reason, to_tag=to_tag, headers=(*headers, *self.server))
        transaction.respond(response, now, out)

    def refuse_method(self, transaction: ServerTransaction, now: float, out: list[Effect]) -> None:
        """405 for what is known, 501 for what is not (8.2.1)."""
        status, reason, headers = self.admission.method(transaction.request)
        self.answer(transaction, status, now, out, reason=reason, headers=headers)

    def forget(self, session: InviteSession) -> None:
        """The session is over and expects no more requests."""
        self.sessions.pop(session.dialog.local_tag, None)

    # -- inside -----------------------------------------------------------------------------------------

    def _new_dialog(self, uri: Uri | str, from_: NameAddr | str, to: NameAddr | str, call_id: str) -> Dialog:
        target = (Uri.parse(uri) if isinstance(uri, str) else uri).for_request
        tag = self._tokens()
        return Dialog(call_id or self._tokens(), f"{from_};tag={tag}", tag, str(to), target)


def _secure(hops: Sequence[Hop]) -> list[Hop]:
    """The ways that a SIPS URI may take: TLS, and nothing else (RFC 3261 section 26.2.2)."""
    return [hop for hop in hops if hop.transport == "TLS"]


def _seed(request: Request) -> str:
    """What a request and its copies have alone: their stateless answers have one tag."""
    try:
        return server_key(request, request.via, request.method)
    except PeerError:
        return " ".join([value for _, value in request.headers])
