"""A leg: the SIP session of a call, its sound's negotiation, and nothing of TwiML.

::

    IncomingLeg:  offered --ring--> ringing --answer--> up --------------------> ended
    OutgoingLeg:  placed --> calling (one branch a target) --first 200--> up --> ended
                                | all failed ---------------------------------->

Here is what both have: a dialog that stands, is offered other sound, transferred and ended. Effects: those of the SIP
agent and those of ringback.call.leg_effects.
"""

from __future__ import annotations

from typing import Final

from ringback.call.events import Digit, LegEnded
from ringback.call.info_digits import digit_of
from ringback.call.leg_effects import Configure, Happened, LegEffect, Wire
from ringback.call.transfer import Asked, Transfers
from ringback.sdp import Negotiated, OfferAnswer, SdpError, SdpRefused
from ringback.sip import effects as sip
from ringback.sip.agent import UserAgent
from ringback.sip.message import Message, Request
from ringback.sip.session import InviteSession
from ringback.sip.warning import ADDRESS_FORMATS, MEDIA_FORMAT, MEDIA_TYPE, TRANSPORT_PROTOCOL, warning

_WARNINGS: Final = {
    "no-audio": MEDIA_TYPE,
    "no-codec": MEDIA_FORMAT,
    "secure-media": TRANSPORT_PROTOCOL,
    "address": ADDRESS_FORMATS,
}
"""What each cause of a refusal is among the codes of RFC 3261 section 20.43."""


class Leg:
    """One leg. ``port`` is the RTP port that its SDP names; ``port_id`` the pump's handle of it.

    What only the other kind of leg can do does nothing: a script need not know which it has.
    """

    __slots__ = (
        "_agent",
        "_asked",
        "_session_id",
        "_talk",
        "call_sid",
        "ended",
        "port",
        "port_id",
        "session",
    )

    def __init__(self, agent: UserAgent, call_sid: str, port_id: int, port: int, session_id: int) -> None:
        self._agent = agent
        self.call_sid = call_sid
        self.port_id = port_id
        self.port = port
        self._session_id = session_id
        self.session: InviteSession | None = None
        """The incoming session, or the branch that answered."""
        self.ended = False
        self._asked: Asked | None = None
        self._talk: OfferAnswer | None = None

    @staticmethod
    def of(owner: object) -> Leg | None:
        """The leg that owns a session, if a leg does."""
        return owner if isinstance(owner, Leg) else None

    @property
    def negotiated(self) -> Negotiated | None:
        """The sound as negotiated last."""
        return self._talk.negotiated if self._talk else None

    @property
    def transfers(self) -> Transfers:
        """REFERs in this leg's dialog."""
        if self._asked is None:
            self._asked = Asked()
        return Transfers(self, self._asked)

    # -- commands ---------------------------------------------------------------------------------------

    def ring(self, early_media: bool, now: float) -> list[LegEffect]:
        """180, or 183 with our answer, once each."""
        return []

    def answer(self, now: float) -> list[LegEffect]:
        """200 with our answer."""
        return []

    def refuse(self, status: int, reason: str, now: float) -> list[LegEffect]:
        """A final answer that is none of success."""
        return []

    def hang_up(self, now: float, *, status: int = 480) -> list[LegEffect]:
        """BYE, CANCEL, or ``status`` for an incoming leg that was not answered."""
        raise NotImplementedError

    # -- what the agent says ------------------------------------------------------------------------------

    def on(self, effect: sip.Effect, now: float) -> list[LegEffect]:
        """What the agent says of a session of this leg."""
        match effect:
            case sip.Ended():
                return self._on_ended(effect, now)
            case sip.Confirmed(session, body):
                out = self._on_confirmed(session, body, now)
                return out if self._asked is None else out + self.transfers.on_confirmed(now)
            case sip.Reoffered(session, request, body):
                return self._on_reoffered(session, request, body, now)
            case sip.Reanswered(session, body):
                return self._on_confirmed(session, body, now)
            case sip.ReofferFailed() | sip.ReofferWithdrawn():
                if self._talk and self._talk.pending:
                    self._talk.withdraw()
            case sip.InfoReceived(_, request):
                return self._on_info(request)
            case sip.Referred() | sip.ReferAnswered() | sip.ReferProgress():
                return self.transfers.on(effect, now)
        return []

    def _on_confirmed(self, session: InviteSession, body: bytes, now: float) -> list[LegEffect]:
        """The answer to an offer of ours; a call whose first one cannot be used is ended."""
        if session is not self.session or self._talk is None:
            return []
        if not self._talk.pending:
            return []
        try:
            return [Configure(self, self._talk.accept(body), host_of(session))]
        except SdpError as problem:
            out: list[LegEffect] = [Wire(self, False, f"an answer that cannot be used: {problem}")]
            if self.negotiated is None:
                return [*out, Wire(self, True, "BYE"), *session.hangup(now)]
            self._talk.withdraw()
            return out

    def _talk_of(self, session: InviteSession) -> OfferAnswer | None:
        """The negotiation of a session that may be offered other sound."""
        return self._talk if session is self.session else None

    def _is_heard(self, session: InviteSession) -> bool:
        """Whether the port has the sound of this session."""
        return session is self.session

    def _on_reoffered(
        self, session: InviteSession, request: Request, body: bytes, now: float
    ) -> list[LegEffect]:
        talk = self._talk_of(session)
        if talk is None:
            return list(session.refuse_reoffer(481, now))
        out: list[LegEffect] = [Wire(self, False, f"{request.method} (re-offer)")]
        before = talk.negotiated
        try:
            answer = talk.answer(body) if body else talk.offer()
        except SdpError as problem:
            status, headers = refusal(problem)
            return [
                *out,
                Wire(self, True, f"{status}: {problem}"),
                *session.refuse_reoffer(status, now, headers=headers),
            ]
        negotiated = talk.negotiated
        word = f"200 OK, {negotiated.direction}" if negotiated else "200 OK"
        out += [*session.accept_reoffer(answer, now), Wire(self, True, word)]
        if self._is_heard(session) and body and negotiated and negotiated != before:
            out.append(Configure(self, negotiated, host_of(session)))
        return out

    def _on_info(self, request: Request) -> list[LegEffect]:
        """DTMF by INFO, of phones that are set to it."""
        digit = digit_of(request.content_type, request.body)
        if digit is None:
            return []
        return [Wire(self, False, f"INFO, digit {digit}"), Happened(self, Digit(digit))]

    def _on_ended(self, ended: sip.Ended, now: float) -> list[LegEffect]:
        if ended.session is not self.session:
            return []
        out: list[LegEffect] = []
        if ended.cause in ("bye", "cancelled") and ended.message is not None:
            out.append(Wire(self, False, "BYE" if ended.cause == "bye" else "CANCEL"))
        return out + self._end(ended)

    def _end(self, ended: sip.Ended) -> list[LegEffect]:
        if self.ended:
            return []
        self.ended = True
        headers = custom_headers(ended.message) if ended.message is not None else {}
        call_id = ended.session.call_id
        return [Happened(self, LegEnded(ended.cause, ended.status, ended.reason, headers, call_id))]


def refusal(problem: SdpError) -> tuple[int, list[tuple[str, str]]]:
    """The status for an offer that cannot be met, and what says why."""
    if not isinstance(problem, SdpRefused):
        return 400, []
    code = _WARNINGS.get(problem.cause)
    return problem.status, [] if code is None else [warning(code, str(problem))]


def custom_headers(message: Message) -> dict[str, str]:
    """The X- headers of a message, name to value (sip.md section 3)."""
    return {name: value for name, value in message.headers if name[:2].lower() == "x-"}


def host_of(session: InviteSession) -> str:
    """Where the SIP of a session comes from."""
    return session.flow.remote[0] if session.flow else ""
