"""Other branches of an INVITE of ours that answer 2xx, and copies of a 2xx after the call (RFC 3261 section 13.2.2.4).

    2xx of who won --> its ACK again        2xx of another --> ACK and BYE        again --> ACK again

After the call this is all that its transaction holds, for as long as a 2xx may still come (RFC 6026 timer M).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ringback.sip.client_transaction import SILENT, ClientTransaction
from ringback.sip.dialog import Dialog
from ringback.sip.dialoguser import credentials_of
from ringback.sip.effects import Effect, Send
from ringback.sip.errors import PeerError
from ringback.sip.message import Request, Response, parse
from ringback.sip.reason import COMPLETED_ELSEWHERE
from ringback.sip.routing import dialog_hop
from ringback.sip.timers import FORKS_MAX
from ringback.sip.transactions import FORGOTTEN

if TYPE_CHECKING:
    from ringback.sip.agent import UserAgent
    from ringback.sip.flow import Flow


class Forks:
    """The branches of one INVITE. ``won``: the tag of who answered first; None while, or when, nobody did."""

    __slots__ = ("_acks", "_agent", "_sent_by", "_seq", "won")

    def __init__(self, agent: UserAgent, sent_by: str) -> None:
        self._agent = agent
        self._sent_by = sent_by
        self._seq = 0
        self._acks: dict[str, Send] | None = None
        self.won: str | None = None

    def take_over(self, transaction: ClientTransaction, seq: int) -> None:
        """The call is over: be the user of its transaction. ``seq``: the last number of its dialog."""
        self._seq = seq
        transaction.settle(self)

    def on_response(
        self, transaction: ClientTransaction, response: Response, flow: Flow, now: float, out: list[Effect]
    ) -> None:
        """A 2xx after the call."""
        if (response.to.tag or "") == self.won and transaction.ack is not None:
            out.append(transaction.ack)
        else:
            self.lose(transaction, response, flow, self._seq, now, out)

    def on_failure(self, transaction: ClientTransaction, kind: str, now: float, out: list[Effect]) -> None:
        """Nothing to do."""

    def lose(
        self,
        transaction: ClientTransaction,
        response: Response,
        flow: Flow,
        seq: int,
        now: float,
        out: list[Effect],
    ) -> None:
        """ACK and BYE for a 2xx that is not wanted; only ACK when it comes again. ``seq``: the last number used."""
        tag = response.to.tag or ""
        if self._acks is None:
            self._acks = {}
        ack = self._acks.get(tag)
        if ack is not None:
            out.append(ack)
            return
        if len(self._acks) >= FORKS_MAX:
            return
        agent = self._agent
        request = _request_of(transaction)
        dialog = Dialog.of_own(request)
        dialog.local_seq = seq
        with suppress(
            PeerError
        ):  # without a route that cannot be followed, it goes to where the answer came from
            dialog.establish(response)
        hop = dialog_hop(dialog, flow) or flow.hop()
        via = agent.via(hop, self._sent_by, agent.branch())
        credentials = credentials_of(request) if hop.host == transaction.hop.host else []
        data = dialog.request("ACK", request.cseq.number, via, 70, credentials, b"").render()
        ack = self._acks[tag] = Send(hop, data, "")
        out.append(ack)
        branch = agent.branch()
        via = agent.via(hop, self._sent_by, branch)
        fields = agent.signature if self.won is None else [COMPLETED_ELSEWHERE.header, *agent.signature]
        bye = dialog.request("BYE", dialog.next_seq(), via, 70, fields, b"")
        agent.client(bye, branch, hop, SILENT).start(now, out)


def _request_of(transaction: ClientTransaction) -> Request:
    """The INVITE: read again where only its bytes are left."""
    if transaction.request is not FORGOTTEN:
        return transaction.request
    message = parse(transaction.data)
    assert isinstance(message, Request)
    return message
