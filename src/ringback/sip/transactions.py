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

from enum import Enum
from typing import TYPE_CHECKING, Final

from ringback.sip.message import Request

if TYPE_CHECKING:
    from ringback.sip.client_transaction import ClientTransaction
    from ringback.sip.headers import Via
    from ringback.sip.server_transaction import ServerTransaction

FORGOTTEN: Final = Request("", "")
"""In place of a request that nobody reads any more."""

MAGIC = "z9hG4bK"  # RFC 3261 8.1.1.7: marks a branch as unique


class State(Enum):
    """Where a transaction is; names of RFC 3261 figures 5 to 8 and RFC 6026."""

    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    GONE = "gone"


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
        if method != request.method:
            return f"{branch}|{via.sent_by}|{method}"
        if not request.key:
            request.key = f"{branch}|{via.sent_by}|{method}"
        return request.key
    number = request.cseq.number
    return f"{request.raw_uri}|{request.from_.tag}|{request.call_id}|{number}|{via.sent_by}|{branch}|{method}"


def merge_key(request: Request) -> tuple[str, str, str]:
    """What copies of one request share that came on different ways, RFC 3261 8.2.2.2."""
    return request.call_id, request.from_.tag or "", request.get("CSeq") or ""
