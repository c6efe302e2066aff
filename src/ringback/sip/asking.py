"""A request of ours outside any dialog (REGISTER, OPTIONS): hops in order, credentials, one final answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ringback.sip.authorization import Authorizations
from ringback.sip.client_transaction import ClientTransaction
from ringback.sip.dialog import Dialog, Header
from ringback.sip.effects import Effect, Failed, FinalResponse
from ringback.sip.hops import Hops
from ringback.sip.message import Response

if TYPE_CHECKING:
    from ringback.sip.agent import UserAgent
    from ringback.sip.flow import Flow, Hop


class OutgoingRequest:
    """One such request; gives FinalResponse or Failed once."""

    __slots__ = (
        "_agent",
        "_authorizations",
        "_body",
        "_dialog",
        "_headers",
        "_hops",
        "_method",
        "_owner",
        "_sent_by",
        "_seq",
        "_tried",
    )

    def __init__(
        self,
        agent: UserAgent,
        method: str,
        dialog: Dialog,
        hops: Sequence[Hop],
        headers: list[Header],
        body: bytes,
        authorizations: Authorizations | None,
        sent_by: str,
        owner: object,
    ) -> None:
        self._agent = agent
        self._method = method
        self._dialog = dialog
        self._hops = Hops(hops, agent.takes_tcp)
        self._headers = headers
        self._body = body
        self._authorizations = authorizations
        self._sent_by = sent_by
        self._owner = owner
        self._seq = dialog.next_seq()
        self._tried: tuple[tuple[str, str], ...] = ()

    def start(self, now: float, out: list[Effect]) -> None:
        """Send it to the hop whose turn it is."""
        agent = self._agent
        headers = self._headers
        if self._authorizations is not None:
            headers = headers + self._authorizations.headers(
                self._method, self._dialog.request_uri, self._body
            )
        branch = agent.branch()
        hop = self._hops.current
        while True:
            via = agent.via(hop, self._sent_by, branch)
            request = self._dialog.request(self._method, self._seq, via, 70, headers, self._body)
            transaction = agent.client(request, branch, hop, self)
            better = self._hops.better_for(len(transaction.data))
            if better is None:
                break
            hop = better
        transaction.tried = self._tried
        transaction.start(now, out, agent.timers.hop_patience if self._hops.has_more else None)

    def on_response(
        self, transaction: ClientTransaction, response: Response, flow: Flow, now: float, out: list[Effect]
    ) -> None:
        """The final answer of a hop."""
        status = response.status
        if (status == 401 or status == 407) and self._authorizations is not None:
            tried = self._authorizations.challenged(response, transaction.tried)
            if tried is not None:
                self._tried = tried
                self._seq = self._dialog.next_seq()
                self.start(now, out)
                return
        if status == 503:
            self._hops.refused(response, out)
        if status != 503 or not self._next_hop(now, out):
            out.append(FinalResponse(self._owner, response))

    def on_failure(self, transaction: ClientTransaction, kind: str, now: float, out: list[Effect]) -> None:
        """Silence, or no way there."""
        self._hops.failed(kind, out)
        if not self._next_hop(now, out):
            out.append(Failed(self._owner, kind))

    def _next_hop(self, now: float, out: list[Effect]) -> bool:
        if not self._hops.next():
            return False
        self.start(now, out)
        return True
