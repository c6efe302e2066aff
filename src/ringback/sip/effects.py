"""What the SIP machines ask of the shell, and what they tell the calls: plain named tuples, and slotted classes
where every message makes them.

The first group is for the shell (bytes, timers, names); the second for whoever uses the agent, with the
session as first field. A list of effects is carried out in order. An effect never has to be answered
at once; the machines' state is already settled when it is given. The types of their fields are strings, because the
compiled twins of those classes are not there yet when this module is imported.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from ringback.sip.flow import Flow, Hop
    from ringback.sip.headers import NameAddr
    from ringback.sip.message import Request, Response
    from ringback.sip.reason import Reason
    from ringback.sip.session import InviteSession
    from ringback.sip.uri import Uri

TimerKey = tuple[str, str]
"""Which timer (``"client"``, ``"server"``, or a session's: ``"answer"``, ``"ringing"``, ``"reliable"``,
``"expires"``, ``"refresh"``, ``"glare"``, ``"refer"``), and whose."""

# -- for the shell --------------------------------------------------------------------------------


class Send:
    """Send one message. ``transaction`` is to be given back to ``on_unreachable`` if that fails; ``""``: nobody."""

    __match_args__: ClassVar = ("hop", "data", "transaction")
    __slots__ = ("data", "hop", "transaction")

    def __init__(self, hop: "Hop", data: bytes, transaction: str) -> None:
        self.hop = hop
        self.data = data
        self.transaction = transaction


class Arm:
    """Call ``on_timer(key)`` at ``at`` (seconds of the caller's clock). Replaces an armed timer of that key."""

    __match_args__: ClassVar = ("key", "at")
    __slots__ = ("at", "key")

    def __init__(self, key: TimerKey, at: float) -> None:
        self.key = key
        self.at = at


class Disarm:
    """Forget the armed timer of that key."""

    __match_args__: ClassVar = ("key",)
    __slots__ = ("key",)

    def __init__(self, key: TimerKey) -> None:
        self.key = key


class Resolve(NamedTuple):
    """Find the hops of a URI (RFC 3263), then ``on_resolved(key, hops)``; an empty list when there are none."""

    key: str
    uri: "Uri"


class HopFailed(NamedTuple):
    """A hop gave no answer to a first request, or 503: others are better for a while (RFC 3263 section 4.3).

    ``kind`` is ``"timeout"``, ``"unreachable"`` or ``"unavailable"``; ``retry_after`` is what a 503 said, in
    seconds, else 0.
    """

    hop: "Hop"
    kind: str
    retry_after: int


# -- for the user of the agent: requests outside sessions -----------------------------------------------


class Incoming:
    """A request that belongs to nothing known (INVITE, OPTIONS, REGISTER). No state was made for it."""

    __match_args__: ClassVar = ("request", "flow")
    __slots__ = ("flow", "request")

    def __init__(self, request: "Request", flow: "Flow") -> None:
        self.request = request
        self.flow = flow


class FinalResponse(NamedTuple):
    """The final answer to ``UserAgent.request``."""

    owner: Any
    response: "Response"


class Failed(NamedTuple):
    """``UserAgent.request`` got no answer; ``kind`` is ``"timeout"`` or ``"unreachable"``."""

    owner: Any
    kind: str


# -- for the user of the agent: sessions ------------------------------------------------------------------


class Ringing(NamedTuple):
    """A provisional answer other than 100 (180, 181, 183...), with its body (early media) or ``b""``."""

    session: "InviteSession"
    response: "Response"
    body: bytes


class Established(NamedTuple):
    """The far end accepted our INVITE.

    The ACK has been sent, unless our INVITE had no body: then ``body`` is an offer, and ``session.ack``
    takes the answer.
    """

    session: "InviteSession"
    response: "Response"
    body: bytes


class Confirmed(NamedTuple):
    """The ACK for our 2xx came; ``body`` is the answer when the INVITE had no offer."""

    session: "InviteSession"
    body: bytes


class Reoffered(NamedTuple):
    """A re-INVITE or UPDATE: answer with ``accept_reoffer`` or ``refuse_reoffer``.

    An empty ``body`` asks for an offer: ``accept_reoffer(offer)``, and the answer comes as Reanswered.
    """

    session: "InviteSession"
    request: "Request"
    body: bytes


class ReofferWithdrawn(NamedTuple):
    """The re-INVITE of the last Reoffered was cancelled before it was answered; the old state holds."""

    session: "InviteSession"


class Reanswered(NamedTuple):
    """The answer to our offer in a re-INVITE, or in the 2xx to an offerless one.

    After ``reinvite(b"")`` the body is an offer, and ``session.ack`` takes the answer.
    """

    session: "InviteSession"
    body: bytes


class ReofferFailed(NamedTuple):
    """Our re-INVITE was refused, or the far end's answer in the ACK never came; the session goes on."""

    session: "InviteSession"
    status: int


class Redirected(NamedTuple):
    """A 3xx answered our INVITE; Ended with cause ``redirected`` follows."""

    session: "InviteSession"
    response: "Response"
    contacts: "Sequence[NameAddr]"


class InfoReceived(NamedTuple):
    """An INFO inside the dialog (RFC 6086), answered 200 already."""

    session: "InviteSession"
    request: "Request"


class InfoAnswered(NamedTuple):
    """The final status of our INFO; 408 when none came."""

    session: "InviteSession"
    status: int


class Referred(NamedTuple):
    """A REFER inside the dialog (RFC 3515): they ask us to call ``refer_to``.

    To be answered by ``accept_referral`` or ``refuse_referral``, and then followed by ``refer_progress``; with no
    answer in time it is refused. ``referral`` is its number, for these.
    """

    session: "InviteSession"
    request: "Request"
    refer_to: "NameAddr"
    referral: int


class ReferAnswered(NamedTuple):
    """The final status of our REFER: 202 or 200, ReferProgress follows; 408 when none came."""

    session: "InviteSession"
    referral: int
    status: int


class ReferProgress(NamedTuple):
    """What became of our REFER, from a NOTIFY: the status that they met; ``is_final``: nothing more comes.

    Status 0: they say that it is over, not how.
    """

    session: "InviteSession"
    referral: int
    status: int
    reason: str
    is_final: bool


class Ended(NamedTuple):
    """The session is over; given exactly once for every session.

    ``cause``: ``bye`` (they hung up), ``cancelled`` (CANCEL, by either side), ``rejected`` (their final
    answer), ``redirected``, ``timeout``, ``unreachable``, ``no-ack``, ``local`` (we hung up or refused).
    ``status`` and ``reason`` are the SIP answer that describes it, 200 for a call that was up;
    ``message`` is what ended it, if it was one of theirs, and ``reasons`` what its Reason fields say.
    """

    session: "InviteSession"
    cause: str
    status: int
    reason: str
    message: "Request | Response | None"
    reasons: "tuple[Reason, ...]" = ()


Effect = (
    Send
    | Arm
    | Disarm
    | Resolve
    | HopFailed
    | Incoming
    | FinalResponse
    | Failed
    | Ringing
    | Established
    | Confirmed
    | Reoffered
    | ReofferWithdrawn
    | Reanswered
    | ReofferFailed
    | Redirected
    | InfoReceived
    | InfoAnswered
    | Referred
    | ReferAnswered
    | ReferProgress
    | Ended
)
