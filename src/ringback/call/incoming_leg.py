"""A leg of somebody who called us: its INVITE is here, and is to be answered or refused."""

from __future__ import annotations

from collections.abc import Iterable

from ringback.call.leg import Leg, refusal
from ringback.call.leg_effects import Configure, LegEffect, Wire
from ringback.sdp import OfferAnswer, SdpError, SdpRefused
from ringback.sip.agent import UserAgent
from ringback.sip.flow import Flow
from ringback.sip.message import Request


class IncomingLeg(Leg):
    """One leg that came in."""

    __slots__ = ("_answer", "_rung")

    def __init__(self, agent: UserAgent, call_sid: str, port_id: int, port: int, session_id: int) -> None:
        super().__init__(agent, call_sid, port_id, port, session_id)
        self._answer = b""
        self._rung = 0

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
            status, headers = refusal(problem)
            is_secure = isinstance(problem, SdpRefused) and problem.cause == "secure-media"
            code = 32207 if is_secure else 32102  # SRTP that is not accepted; an offer that is no use
            return out + self._reject(status, "", now, (*headers, ("X-Twilio-Error", f"{code} {problem}")))
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

    def hang_up(self, now: float, *, status: int = 480) -> list[LegEffect]:
        """BYE, or ``status`` if it was not answered."""
        if self.ended or self.session is None:
            return []
        if self.session.is_incoming:
            return self._reject(status, "", now, ())
        return [Wire(self, True, "BYE"), *self.session.hangup(now)]
