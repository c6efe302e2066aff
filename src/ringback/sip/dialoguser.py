"""Inside a dialog: our requests (next hop, resolver, credentials) and our answers.

    start --> hop known?  yes --> transaction
                          no  --> queue, Resolve --> on_resolved --> transactions, in order

Effects: Resolve, HopFailed, and those of the transactions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ringback.sip.authorization import Authorizations
from ringback.sip.client_transaction import ClientTransaction
from ringback.sip.dialog import Dialog, Header
from ringback.sip.effects import Effect, HopFailed, Resolve, Send
from ringback.sip.flow import Hop
from ringback.sip.hops import LARGE
from ringback.sip.message import Request, Response
from ringback.sip.routing import dialog_hop, is_public, literal_hop
from ringback.sip.server_transaction import ServerTransaction
from ringback.sip.timers import QUEUED_MAX, REINVITE_PATIENCE

if TYPE_CHECKING:
    from ringback.sip.agent import UserAgent
    from ringback.sip.flow import Flow

_WRITTEN_ANEW = frozenset(
    """Via Route Max-Forwards From To Call-ID CSeq Contact Authorization Proxy-Authorization Allow Accept Supported
    User-Agent Content-Length""".split()
)
"""What a request that is sent again with credentials does not take over from the first one."""
_WITH_CONTACT = frozenset(("INVITE", "UPDATE", "REFER", "NOTIFY"))
"""Target refreshes, and what makes a subscription (RFC 3515 section 2.2, RFC 6665)."""


def credentials_of(request: Request) -> list[Header]:
    """The credentials of an INVITE, for its ACK (22.1)."""
    return [
        header
        for header in request.headers
        if header[0] == "Authorization" or header[0] == "Proxy-Authorization"
    ]


class Queued:
    """A request of ours that waits until the resolver knows the next hop."""

    __slots__ = ("body", "dialog", "headers", "invite", "method", "seq", "tried")

    def __init__(
        self,
        method: str,
        seq: int,
        headers: list[Header],
        body: bytes,
        invite: ClientTransaction | None,
        dialog: Dialog,
    ) -> None:
        self.method = method
        self.seq = seq
        self.headers = headers
        self.body = body
        self.invite = invite
        self.dialog = dialog
        self.tried: tuple[tuple[str, str], ...] = ()


class DialogUser:
    """What sends requests inside a dialog; InviteSession is built on it.

    ``flow`` is where the peer's last target refresh came from, and mostly where requests go (routing.dialog_hop);
    ``heard`` is where its last request came from, which counts when the stream of ``flow`` is gone.
    """

    __slots__ = (
        "_hop",
        "_is_kept_on_udp",
        "_queue",
        "_resolving",
        "_spare",
        "agent",
        "authorizations",
        "contact",
        "dialog",
        "flow",
        "heard",
        "sent_by",
    )

    def __init__(self, agent: UserAgent, dialog: Dialog, contact: str, sent_by: str) -> None:
        self.agent = agent
        self.dialog = dialog
        self.contact = contact
        self.sent_by = sent_by
        self.flow: Flow | None = None
        self.heard: Flow | None = None
        self.authorizations: Authorizations | None = None
        self._hop: Hop | None = None
        self._is_kept_on_udp = False
        self._queue: list[Queued] = []
        self._resolving = False
        self._spare: tuple[Hop, ...] = ()

    # -- for the session

    def on_response(
        self, transaction: ClientTransaction, response: Response, flow: Flow, now: float, out: list[Effect]
    ) -> None:
        """A response to a request inside the dialog."""
        raise NotImplementedError

    def on_failure(self, transaction: ClientTransaction, kind: str, now: float, out: list[Effect]) -> None:
        """No answer to a request inside the dialog."""
        raise NotImplementedError

    def on_sent(self, transaction: ClientTransaction) -> None:
        """A request went out, perhaps later than it was started, perhaps again with credentials."""
        raise NotImplementedError

    def on_unroutable(self, now: float, out: list[Effect]) -> None:
        """The first route has no address; what was queued is lost."""
        raise NotImplementedError

    def reply(
        self,
        transaction: ServerTransaction,
        status: int,
        reason: str | None,
        headers: Iterable[Header],
        body: bytes,
        content_type: str,
        now: float,
        out: list[Effect],
    ) -> Response:
        fields = [*headers, *self.agent.server]
        if 100 < status < 300:
            fields.insert(0, ("Contact", self.contact))
        response = transaction.request.reply(
            status,
            reason,
            to_tag=self.dialog.local_tag,
            headers=fields,
            body=body,
            content_type=content_type if body else None,
        )
        transaction.respond(response, now, out)
        return response

    def start(
        self,
        method: str,
        headers: list[Header],
        body: bytes,
        now: float,
        out: list[Effect],
        *,
        invite: ClientTransaction | None = None,
        dialog: Dialog | None = None,
    ) -> ClientTransaction | None:
        """Send a request inside the dialog; ``invite`` is what an ACK acknowledges.

        ``dialog`` is an early one of our INVITE; what belongs to it goes by its first route, or where its answer
        came from. None for an ACK, and for what has to wait for the resolver.
        """
        seq = self.dialog.next_seq() if invite is None else invite.request.cseq.number
        item = Queued(method, seq, headers, body, invite, dialog or self.dialog)
        if dialog is not None:
            assert self.flow is not None
            return self._send(item, dialog_hop(dialog, self.flow) or self.flow.hop(), now, out)
        hop = self._hop
        if hop is None:
            hop = self._find_hop(out)
            if hop is None:
                if len(self._queue) < QUEUED_MAX or method != "INFO":
                    self._queue.append(item)
                return None
        return self._send(item, hop, now, out)

    def reroute(self) -> None:
        """The dialog was established, or refreshed: find the next hop anew when it is needed."""
        self._hop = None

    def refresh(self, message: Request | Response, flow: Flow) -> None:
        """A target refresh: their new Contact and where it came from. Raises PeerError."""
        self.dialog.retarget(message)
        if flow != self.flow:
            self.flow = flow
            self._hop = None

    def on_resolved(self, hops: Iterable[Hop], now: float, out: list[Effect]) -> None:
        """The resolver's answer for the first route."""
        self._resolving = False
        queue, self._queue = self._queue, []
        found = tuple(hops)
        flow = self.flow
        if not found:
            self.on_unroutable(now, out)
            return
        hop, self._spare = found[0], found[1:]
        if (
            flow is not None
            and flow.connection
            and (hop.transport, hop.host) == (flow.transport, flow.remote[0])
        ):
            hop = hop.replace(connection=flow.connection)
        self._hop = hop
        for item in queue:
            self._send(item, hop, now, out)

    def goes_on(self, transaction: ClientTransaction, kind: str, now: float, out: list[Effect]) -> bool:
        """Send a request that got no answer to another place; False where there is none.

        That is the next address of the first route, RFC 3263 section 4.3, or when the peer's stream is gone the one that
        it has sent on since, or its Contact.
        """
        failed = transaction.hop
        hop = self._hop
        if hop is not None and (failed.transport, hop.transport) == ("TCP", "UDP"):
            self._is_kept_on_udp = True
        if hop == failed:
            if self._spare:
                out.append(HopFailed(failed, kind, 0))
                hop, self._spare = self._spare[0], self._spare[1:]
            else:
                hop = self._way_back(failed) if failed.connection and kind == "unreachable" else None
        if hop is None:
            return False
        self._hop = hop
        self._send_again(transaction, hop, transaction.tried, self.dialog, now, out)
        return True

    def _way_back(self, lost: Hop) -> Hop | None:
        """Their other stream, or their Contact where it may be one that we can reach.

        A peer leads us to no other machine of our own network.
        """
        target, flow, heard = self.dialog.target, self.flow, self.heard
        if heard is not None and heard.transport == lost.transport and heard.connection != lost.connection:
            return heard.hop()
        if self.dialog.next_uri is not None or flow is None:
            return None
        if target.host != flow.remote[0] and not is_public(target.host):
            return None
        return literal_hop(target, None)

    def _find_hop(self, out: list[Effect]) -> Hop | None:
        self._hop = dialog_hop(self.dialog, self.flow)
        self._spare = ()
        uri = self.dialog.next_uri
        if self._hop is None and uri is not None and not self._resolving:
            self._resolving = True
            self.agent.resolving[self.dialog.local_tag] = self
            out.append(Resolve(self.dialog.local_tag, uri))
        return self._hop

    def _send(self, item: Queued, hop: Hop, now: float, out: list[Effect]) -> ClientTransaction | None:
        agent = self.agent
        method = item.method
        branch = agent.branch()
        headers = item.headers
        if self.authorizations is None or not self.may_authorize(hop):
            pass
        elif item.invite is not None:
            headers = credentials_of(item.invite.request) + headers
        else:
            headers = headers + self.authorizations.headers(method, item.dialog.request_uri, item.body)
        if method in _WITH_CONTACT:
            headers = [("Contact", self.contact), *headers, *agent.capabilities]
        headers = [*headers, *agent.signature]
        request = item.dialog.request(
            method, item.seq, agent.via(hop, self.sent_by, branch), 70, headers, item.body
        )
        if item.invite is not None:
            ack = item.invite.ack = Send(hop, request.render(), "")
            out.append(ack)
            return None
        transaction = agent.client(request, branch, hop, self)
        if len(transaction.data) > LARGE and self._takes_tcp(hop):
            return self._send(item, Hop("TCP", hop.host, hop.port), now, out)
        transaction.tried = item.tried
        if transaction.invite:
            transaction.open_for = REINVITE_PATIENCE
        transaction.start(now, out)
        self.on_sent(transaction)
        return transaction

    def _takes_tcp(self, hop: Hop) -> bool:
        """Whether what is too large for UDP goes to that hop by TCP (RFC 3261 section 18.1.1), as ``hops.Hops`` has it.

        Not so an ACK: nobody would hear that it was lost.
        """
        takes_tcp = self.agent.takes_tcp
        return (
            hop.transport == "UDP" and not self._is_kept_on_udp and takes_tcp is not None and takes_tcp(hop)
        )

    def may_authorize(self, hop: Hop) -> bool:
        """Whether the owner of the password that we call with is asked there."""
        return self.authorizations is not None and hop.host in self.authorizations.hosts

    def retry(
        self,
        transaction: ClientTransaction,
        response: Response,
        now: float,
        out: list[Effect],
        *,
        dialog: Dialog | None = None,
    ) -> bool:
        authorizations = self.authorizations
        if authorizations is None or not self.may_authorize(transaction.hop):
            return False
        tried = authorizations.challenged(response, transaction.tried)
        if tried is None:
            return False
        self._send_again(transaction, transaction.hop, tried, dialog or self.dialog, now, out)
        return True

    def _send_again(
        self,
        transaction: ClientTransaction,
        hop: Hop,
        tried: tuple[tuple[str, str], ...],
        dialog: Dialog,
        now: float,
        out: list[Effect],
    ) -> None:
        """The same request by a number and a transaction of its own."""
        request = transaction.request
        kept = [header for header in request.headers if header[0] not in _WRITTEN_ANEW]
        item = Queued(request.method, self.dialog.next_seq(), kept, request.body, None, dialog)
        item.tried = tried
        self._send(item, hop, now, out)
