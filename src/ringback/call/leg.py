"""A leg: the SIP session of a call, its sound's negotiation, and nothing of TwiML.

::

    incoming:  offered --ring--> ringing --answer--> up --------------------> ended
    outgoing:  placed --> calling (one branch a target) --first 200--> up --> ended
                             | all failed ---------------------------------->

The first branch that answers wins; the others are cancelled, and one that answered at the same moment is
hung up. Effects: those of the SIP agent and those of ringback.call.leg_effects.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ringback.call.events import Digit, LegAnswered, LegEnded, LegRinging
from ringback.call.failover import may_fail_over
from ringback.call.info_digits import digit_of
from ringback.call.leg_effects import Configure, Follow, Happened, LegEffect, Wire
from ringback.call.outcome import failure_rank
from ringback.call.transfer import Transfers
from ringback.sdp import Negotiated, OfferAnswer, SdpError, SdpRefused
from ringback.sip import effects as sip
from ringback.sip.agent import UserAgent
from ringback.sip.authorization import Login
from ringback.sip.flow import Flow, Hop
from ringback.sip.headers import NameAddr
from ringback.sip.message import Message, Request
from ringback.sip.reason import COMPLETED_ELSEWHERE
from ringback.sip.session import InviteSession
from ringback.sip.uri import Uri


@dataclass(slots=True)
class Branch:
    """One target of an outgoing leg. ``address`` is the host that our SDP and Via show towards it."""

    uri: Uri
    hops: tuple[Hop, ...]
    address: str
    sent_by: str
    contact: str
    from_: NameAddr
    to: NameAddr
    headers: tuple[tuple[str, str], ...] = ()
    route: tuple[str, ...] = ()
    login: Login | None = None
    follow_redirects: bool = False
    turn: int = 0
    """Those of the lowest turn ring at once; those of the next when they all failed."""
    max_forwards: int = 70
    redirected: bool = False
    """It is on its way to the place that a 302 named."""


@dataclass(slots=True)
class _Trying:
    branch: Branch
    talk: OfferAnswer
    early: bool = False
    followed: bool = False
    """Its redirect is being followed."""
    problem: str = ""
    """Why the answer's sound cannot be used."""


class Leg:
    """One leg. ``port`` is the RTP port that its SDP names; ``port_id`` the pump's handle of it."""

    __slots__ = (
        "_agent",
        "_answer",
        "_best",
        "_branches",
        "_following",
        "_hanging_up",
        "_heard",
        "_later",
        "_rung",
        "_session_id",
        "_talk",
        "_transfers",
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
        self._transfers: Transfers | None = None
        self._talk: OfferAnswer | None = None
        self._answer = b""
        self._rung = 0
        self._hanging_up = False
        self._later: list[Branch] = []
        self._branches: dict[InviteSession, _Trying] = {}
        self._following = 0
        self._best: sip.Ended | None = None
        self._heard: InviteSession | None = None
        """The branch whose early media the port has: the first with any, until that branch is gone."""

    @property
    def negotiated(self) -> Negotiated | None:
        """The sound as negotiated last."""
        return self._talk.negotiated if self._talk else None

    # -- an incoming leg ------------------------------------------------------------------------------

    def receive(
        self, request: Request, flow: Flow, address: str, contact: str, now: float
    ) -> list[LegEffect]:
        """Take an INVITE that was admitted. One whose offer cannot be met is refused, and the leg ends."""
        session, given = self._agent.accept(request, flow, now, contact=contact)
        session.owner = self
        self.session = session
        out: list[LegEffect] = [Wire(self, False, f"INVITE {request.uri}"), *given]
        self._talk = OfferAnswer(address, self.port, self._session_id)
        try:
            self._answer = self._talk.answer(request.body) if request.body else self._talk.offer()
        except SdpError as problem:
            status = problem.status if isinstance(problem, SdpRefused) else 400
            return out + self._reject(status, "", now, (("X-Twilio-Error", f"32102 {problem}"),))
        if self._talk.negotiated:
            out.append(Configure(self, self._talk.negotiated, flow.remote[0]))
        return out

    def ring(self, early_media: bool, now: float) -> list[LegEffect]:
        """180, or 183 with our answer, once each."""
        status = 183 if early_media else 180
        if self.session is None or not self.session.is_incoming or self._rung >= status:
            return []
        self._rung = status
        # An offer may stand in a reliable answer only (RFC 3261 section 13.2.1).
        is_due = self.session.needs_early_offer or (early_media and self.negotiated)
        body = self._answer if is_due else b""
        text = "183 Session Progress, early media" if early_media else "180 Ringing"
        return [
            *self.session.progress(status, now, body=body, headers=self._headers()),
            Wire(self, True, text),
        ]

    def _headers(self) -> tuple[tuple[str, str], ...]:
        """What our answers to an INVITE say of the call, so that its phone can be asked about it."""
        return (("X-Twilio-CallSid", self.call_sid),)

    def answer(self, now: float) -> list[LegEffect]:
        """200 with our answer."""
        if self.session is None or not self.session.is_incoming:
            return []
        return [*self.session.answer(self._answer, now, headers=self._headers()), Wire(self, True, "200 OK")]

    def refuse(self, status: int, reason: str, now: float) -> list[LegEffect]:
        """A final answer that is none of success."""
        return self._reject(status, reason, now, ())

    def _reject(
        self, status: int, reason: str, now: float, headers: Iterable[tuple[str, str]]
    ) -> list[LegEffect]:
        if self.session is None or not self.session.is_incoming:
            return []
        wire = Wire(self, True, f"{status} {reason}".strip())
        told = (*self._headers(), *headers)
        return [wire, *self.session.reject(status, now, reason=reason or None, headers=told)]

    # -- an outgoing leg -------------------------------------------------------------------------------

    def place(self, branches: Iterable[Branch], now: float) -> list[LegEffect]:
        """Call the branches of the lowest turn at once; with none that can be reached the leg ends."""
        out: list[LegEffect] = []
        reachable = [branch for branch in branches if branch.hops or branch.redirected]
        turn = min((branch.turn for branch in reachable), default=0)
        self._later += [branch for branch in reachable if branch.turn > turn]
        for branch in reachable:
            if branch.turn > turn:
                continue
            self._following, branch.redirected = self._following - branch.redirected, False
            if not branch.hops or self._hanging_up or self.ended or self.session is not None:
                continue
            talk = OfferAnswer(branch.address, self.port, self._session_id)
            session, given = self._agent.invite(
                uri=branch.uri,
                hops=branch.hops,
                from_=branch.from_,
                to=branch.to,
                contact=branch.contact,
                body=talk.offer(),
                headers=branch.headers,
                credentials=branch.login,
                owner=self,
                now=now,
                sent_by=branch.sent_by,
                route=branch.route,
                has_others=bool(self._later),
                max_forwards=branch.max_forwards,
            )
            self._branches[session] = _Trying(branch, talk)
            hop = branch.hops[0]
            out.append(Wire(self, True, f"INVITE {branch.uri} to {hop.host}:{hop.port}/{hop.transport}"))
            out += given
        return out + self._end_if_none_is_left(now)

    # -- both -------------------------------------------------------------------------------------------

    def hang_up(self, now: float, *, status: int = 480) -> list[LegEffect]:
        """BYE, CANCEL, or ``status`` for an incoming leg that was not answered."""
        self._hanging_up = True
        if self.ended:
            return []
        session = self.session
        if session is not None:
            if session.is_incoming:
                return self._reject(status, "", now, ())
            return [Wire(self, True, "BYE"), *session.hangup(now)]
        out: list[LegEffect] = []
        for branch in list(self._branches):
            out += [Wire(self, True, "CANCEL"), *branch.hangup(now)]
        return out + self._end_if_none_is_left(now)

    @property
    def transfers(self) -> Transfers:
        """REFERs in this leg's dialog."""
        if self._transfers is None:
            self._transfers = Transfers(self)
        return self._transfers

    def on(self, effect: sip.Effect, now: float) -> list[LegEffect]:
        """What the agent says of a session of this leg."""
        match effect:
            case sip.Ringing(session, response, body):
                return self._on_ringing(session, response.status, response.reason, body)
            case sip.Established(session, response, body):
                return self._on_established(session, response, body, now)
            case sip.Confirmed(session, body):
                out = self._on_confirmed(session, body, now)
                return out if self._transfers is None else out + self._transfers.on_confirmed(now)
            case sip.Reoffered(session, request, body):
                return self._on_reoffered(session, request, body, now)
            case sip.Reanswered(session, body):
                return self._on_confirmed(session, body, now)
            case sip.ReofferFailed() | sip.ReofferWithdrawn():
                if self._talk and self._talk.pending:
                    self._talk.withdraw()
                return []
            case sip.Redirected(session, _, contacts):
                return self._on_redirected(session, contacts)
            case sip.InfoReceived(_, request):
                return self._on_info(request)
            case sip.Ended():
                return self._on_ended(effect, now)
            case sip.Referred() | sip.ReferAnswered() | sip.ReferProgress():
                return self.transfers.on(effect)
        return []

    def _on_ringing(self, session: InviteSession, status: int, reason: str, body: bytes) -> list[LegEffect]:
        trying = self._branches.get(session)
        if trying is None or self.session is not None:
            return []
        out: list[LegEffect] = [Wire(self, False, f"{status} {reason}")]
        if body and not trying.early:
            try:
                negotiated = trying.talk.accept(body)
            except SdpError as problem:
                out.append(Wire(self, False, f"early media that cannot be used: {problem}"))
            else:
                trying.early = True
                if self._heard is None:
                    self._heard = session
                    out.append(Configure(self, negotiated, _host_of(session)))
        out.append(Happened(self, LegRinging(status, trying.early)))
        return out

    def _on_established(
        self, session: InviteSession, response: Message, body: bytes, now: float
    ) -> list[LegEffect]:
        trying = self._branches.get(session)
        if trying is None or self.session is not None or self._hanging_up:
            return [Wire(self, True, "BYE (another answered first)"), *session.hangup(now)]
        out: list[LegEffect] = [Wire(self, False, "200 OK"), Wire(self, True, "ACK")]
        try:
            negotiated = trying.talk.accept(body)
        except SdpError as problem:
            out.append(Wire(self, True, f"BYE: the answer's sound cannot be used: {problem}"))
            trying.problem = str(problem)
            return out + list(session.hangup(now))
        self.session, self._talk = session, trying.talk
        for other in list(self._branches):
            if other is not session:
                out.append(Wire(self, True, "CANCEL (another answered first)"))
                out += other.hangup(now, headers=[COMPLETED_ELSEWHERE.header])
        out.append(Configure(self, negotiated, _host_of(session)))
        out.append(Happened(self, LegAnswered(session.call_id, custom_headers(response))))
        return out

    def _on_confirmed(self, session: InviteSession, body: bytes, now: float) -> list[LegEffect]:
        """The answer to an offer of ours; a call whose first one cannot be used is ended."""
        if session is not self.session or self._talk is None:
            return []
        if not self._talk.pending:
            return []
        try:
            return [Configure(self, self._talk.accept(body), _host_of(session))]
        except SdpError as problem:
            out: list[LegEffect] = [Wire(self, False, f"an answer that cannot be used: {problem}")]
            if self.negotiated is None:
                return [*out, Wire(self, True, "BYE"), *session.hangup(now)]
            self._talk.withdraw()
            return out

    def _on_reoffered(
        self, session: InviteSession, request: Request, body: bytes, now: float
    ) -> list[LegEffect]:
        trying = self._branches.get(session)  # a branch may change its early media (RFC 3311)
        talk = self._talk if session is self.session else trying.talk if trying else None
        if talk is None:
            return list(session.refuse_reoffer(481, now))
        out: list[LegEffect] = [Wire(self, False, f"{request.method} (re-offer)")]
        before = talk.negotiated
        try:
            answer = talk.answer(body) if body else talk.offer()
        except SdpError as problem:
            status = problem.status if isinstance(problem, SdpRefused) else 400
            return [*out, Wire(self, True, f"{status}: {problem}"), *session.refuse_reoffer(status, now)]
        negotiated = talk.negotiated
        word = f"200 OK, {negotiated.direction}" if negotiated else "200 OK"
        out += [*session.accept_reoffer(answer, now), Wire(self, True, word)]
        is_heard = session in (self.session, self._heard)
        if is_heard and body and negotiated and negotiated != before:
            out.append(Configure(self, negotiated, _host_of(session)))
        return out

    def _on_redirected(self, session: InviteSession, contacts: Iterable[NameAddr]) -> list[LegEffect]:
        """302: once, to the first contact, unless the target is one of our own phones (error 32219)."""
        trying = self._branches.get(session)
        where = next((contact.uri for contact in contacts if contact.uri.is_sip), None)
        if trying is None or where is None or not trying.branch.follow_redirects or self._hanging_up:
            return [Wire(self, False, "a redirect that is not followed")]
        trying.followed = True
        self._following += 1
        branch = trying.branch
        branch.follow_redirects, branch.redirected = False, True
        if where.host.lower() != branch.uri.host.lower():
            branch.login = None  # another host draws no digests of a password that was meant for this one
            branch.headers = tuple(field for field in branch.headers if field[0] != "P-Asserted-Identity")
        branch.uri, branch.hops, branch.route = where, (), ()
        return [Wire(self, False, f"redirect to {where}"), Follow(self, branch, where)]

    def _on_info(self, request: Request) -> list[LegEffect]:
        """DTMF by INFO, of phones that are set to it."""
        digit = digit_of(request.content_type, request.body)
        if digit is None:
            return []
        return [Wire(self, False, f"INFO, digit {digit}"), Happened(self, Digit(digit))]

    def _on_ended(self, ended: sip.Ended, now: float) -> list[LegEffect]:
        trying = self._branches.pop(ended.session, None)
        if ended.session is self.session:
            out: list[LegEffect] = []
            if ended.cause in ("bye", "cancelled") and ended.message is not None:
                out.append(Wire(self, False, "BYE" if ended.cause == "bye" else "CANCEL"))
            return out + self._end(ended)
        if trying is None or self.session is not None or self.ended:
            return []
        out = [Wire(self, False, f"{ended.status} {ended.reason}")] if ended.cause == "rejected" else []
        if ended.session is self._heard:
            out += self._hear_another()
        if trying.followed and not self._hanging_up:
            return out
        if trying.problem:
            ended = ended._replace(cause="error", status=488, reason=trying.problem)
        if self._best is None or _rank(ended) < _rank(self._best):
            self._best = ended
        if ended.cause == "rejected" and ended.status >= 600:
            # A global failure: nobody else may answer (RFC 3261 section 16.7 step 5).
            self._hanging_up = True
            for other in list(self._branches):
                out += other.hangup(now)
        return out + self._end_if_none_is_left(now)

    def _hear_another(self) -> list[LegEffect]:
        """The early media of the longest-lived of the other branches, if one has any."""
        self._heard = next((session for session, other in self._branches.items() if other.early), None)
        if self._heard is None:
            return []
        negotiated = self._branches[self._heard].talk.negotiated
        return [Configure(self, negotiated, _host_of(self._heard))] if negotiated else []

    def _end_if_none_is_left(self, now: float) -> list[LegEffect]:
        """The next turn of an outgoing leg that nobody answered, or its end, when the last branch is gone."""
        waiting = self._following > 0 and not self._hanging_up
        if self._branches or waiting or self.session is not None or self.ended:
            return []
        best, later = self._best, self._later
        if later and not self._hanging_up and (best is None or may_fail_over(best.cause, best.status)):
            self._later, self._best = [], None
            return self.place(later, now)
        if self._best is not None:
            return self._end(self._best)
        self.ended = True
        if self._hanging_up:
            return [Happened(self, LegEnded("local", 0, "not placed", {}, ""))]
        return [Happened(self, LegEnded("unreachable", 0, "no target can be reached", {}, ""))]

    def _end(self, ended: sip.Ended) -> list[LegEffect]:
        if self.ended:
            return []
        self.ended = True
        headers = custom_headers(ended.message) if ended.message is not None else {}
        call_id = ended.session.call_id
        return [Happened(self, LegEnded(ended.cause, ended.status, ended.reason, headers, call_id))]


def custom_headers(message: Message) -> dict[str, str]:
    """The X- headers of a message, name to value (sip.md section 3)."""
    return {name: value for name, value in message.headers if name[:2].lower() == "x-"}


def _host_of(session: InviteSession) -> str:
    return session.flow.remote[0] if session.flow else ""


def _rank(ended: sip.Ended) -> tuple[int, int]:
    return failure_rank(ended.cause, ended.status)
