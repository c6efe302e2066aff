"""A leg that calls somebody: a branch for each target, of which the first that answers wins.

The others are cancelled, and one that answered at the same moment is hung up. Targets of a later turn are called when
all of the turn before have failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ringback.call.events import LegAnswered, LegEnded, LegRinging
from ringback.call.failover import is_nobody_there, may_fail_over
from ringback.call.leg import Leg, custom_headers, host_of
from ringback.call.leg_effects import Configure, Follow, Happened, LegEffect, Wire
from ringback.call.outcome import failure_rank
from ringback.sdp import Negotiated, OfferAnswer, SdpError
from ringback.sip import effects as sip
from ringback.sip.agent import UserAgent
from ringback.sip.authorization import Login
from ringback.sip.flow import Hop
from ringback.sip.headers import NameAddr
from ringback.sip.message import Message
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
    port: int = 0
    """Of its sound; 0 is the leg's."""
    other: Branch | None = None
    """The same target at its addresses of the other family or by another edge, which comes next when nobody is at these."""

    def in_turn(self) -> Iterator[Branch]:
        """This branch, and those that come after it."""
        branch: Branch | None = self
        while branch is not None:
            yield branch
            branch = branch.other


@dataclass(slots=True)
class _Trying:
    branch: Branch
    talk: OfferAnswer
    early: bool = False
    early_tag: str = ""
    """Whose early media it is, in the branch's own fork."""
    followed: bool = False
    """Its redirect is being followed."""
    problem: str = ""
    """Why the answer's sound cannot be used."""


class OutgoingLeg(Leg):
    """One leg that goes out."""

    __slots__ = ("_best", "_branches", "_following", "_hanging_up", "_heard", "_later")

    def __init__(self, agent: UserAgent, call_sid: str, port_id: int, port: int, session_id: int) -> None:
        super().__init__(agent, call_sid, port_id, port, session_id)
        self._hanging_up = False
        self._later: list[Branch] = []
        self._branches: dict[InviteSession, _Trying] = {}
        self._following = 0
        self._best: sip.Ended | None = None
        self._heard: InviteSession | None = None
        """The branch whose early media the port has: the first with any, until that branch is gone."""

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
            talk = OfferAnswer(branch.address, branch.port or self.port, self._session_id)
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
                has_others=bool(self._later) or branch.other is not None,
                max_forwards=branch.max_forwards,
            )
            self._branches[session] = _Trying(branch, talk)
            hop = branch.hops[0]
            out.append(Wire(self, True, f"INVITE {branch.uri} to {hop.host}:{hop.port}/{hop.transport}"))
            out += given
        return out + self._end_if_none_is_left(now)

    def hang_up(self, now: float, *, status: int = 480) -> list[LegEffect]:
        """BYE, or CANCEL to every branch."""
        self._hanging_up = True
        if self.ended:
            return []
        if self.session is not None:
            return [Wire(self, True, "BYE"), *self.session.hangup(now)]
        out: list[LegEffect] = []
        for branch in list(self._branches):
            out += [Wire(self, True, "CANCEL"), *branch.hangup(now)]
        return out + self._end_if_none_is_left(now)

    def on(self, effect: sip.Effect, now: float) -> list[LegEffect]:
        """What the agent says of a session of this leg."""
        match effect:
            case sip.Ringing(session, response, body):
                return self._on_ringing(session, response.status, response.reason, body)
            case sip.Established(session, response, body):
                return self._on_established(session, response, body, now)
            case sip.Redirected(session, _, contacts):
                return self._on_redirected(session, contacts)
        return super().on(effect, now)

    def _talk_of(self, session: InviteSession) -> OfferAnswer | None:
        trying = self._branches.get(session)  # a branch may change its early media (RFC 3311)
        return (
            trying.talk if trying is not None and session is not self.session else super()._talk_of(session)
        )

    def _is_heard(self, session: InviteSession) -> bool:
        return session in (self.session, self._heard)

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
                trying.early, trying.early_tag = True, session.early_tag
                if self._heard is None:
                    self._heard = session
                    out.append(Configure(self, negotiated, host_of(session)))
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
            negotiated = _agreed(trying, response, body)
        except SdpError as problem:
            out.append(Wire(self, True, f"BYE: the answer's sound cannot be used: {problem}"))
            trying.problem = str(problem)
            return out + list(session.hangup(now))
        self.session, self._talk = session, trying.talk
        for other in list(self._branches):
            if other is not session:
                out.append(Wire(self, True, "CANCEL (another answered first)"))
                out += other.hangup(now, headers=[COMPLETED_ELSEWHERE.header])
        out.append(Configure(self, negotiated, host_of(session)))
        out.append(Happened(self, LegAnswered(session.call_id, custom_headers(response), host_of(session))))
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
        branch.uri, branch.hops, branch.route, branch.other = where, (), (), None
        return [Wire(self, False, f"redirect to {where}"), Follow(self, branch, where)]

    def _on_ended(self, ended: sip.Ended, now: float) -> list[LegEffect]:
        trying = self._branches.pop(ended.session, None)
        if ended.session is self.session:
            return super()._on_ended(ended, now)
        if trying is None or self.session is not None or self.ended:
            return []
        out: list[LegEffect] = []
        if ended.cause == "rejected":
            out.append(Wire(self, False, f"{ended.status} {ended.reason}"))
        if ended.session is self._heard:
            out += self._hear_another()
        if trying.followed and not self._hanging_up:
            return out
        elsewhere = trying.branch.other
        if elsewhere is not None and not self._hanging_up and is_nobody_there(ended.cause, ended.status):
            return out + self.place([elsewhere], now)
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
        return [Configure(self, negotiated, host_of(self._heard))] if negotiated else []

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


def _rank(ended: sip.Ended) -> tuple[int, int]:
    return failure_rank(ended.cause, ended.status)


def _agreed(trying: _Trying, response: Message, body: bytes) -> Negotiated:
    """The sound of a 200: where it says nothing of it, what its own 183 said stands (RFC 3261 section 13.2.1)."""
    early = trying.talk.negotiated
    if not body and early is not None and trying.early and response.to.tag == trying.early_tag:
        return early
    return trying.talk.accept(body)
