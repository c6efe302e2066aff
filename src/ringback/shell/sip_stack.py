"""The SIP machines on their sockets: what an exchange and a virtual phone have in common.

::

    transports --message--> UserAgent --effects--> here --+--> transports, timers, resolver
                                                          +--> Leg --> LegHost (sound, events, lines)
                                                          +--> LegHost (requests outside dialogs)
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, Protocol

import structlog

from ringback.call import info_digits
from ringback.call import leg_effects as legs
from ringback.call.leg_effects import LegEffect
from ringback.shell.guard import Guard
from ringback.shell.pulse import Pulse
from ringback.shell.resolver import ResolutionFailed, Resolver
from ringback.shell.stream_transport import ANSWER
from ringback.shell.tasks import Tasks
from ringback.shell.timers import Timers
from ringback.shell.tokens import tokens
from ringback.shell.transport import SipTransports, TransportLimits
from ringback.sip import effects as sip
from ringback.sip.agent import UserAgent
from ringback.sip.errors import SipSyntaxError
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import Request, Response

log = structlog.get_logger("ringback.sip")

DISPENSABLE = re.compile(rb"(?<=\r\n)(?:Server|X-Twilio-Error|Accept|Supported|Warning):[^\r\n]*\r\n")
"""What an answer to a stranger can do without."""
OTHER_CHALLENGES = re.compile(rb"Proxy-Authenticate:[^\r\n]*\r\n(?=Proxy-Authenticate:)")
"""All challenges but the last, whose algorithm every phone knows: one that cannot be sent lets nobody in."""

SESSION_EFFECTS = (
    sip.Ringing,
    sip.Established,
    sip.Confirmed,
    sip.Reoffered,
    sip.ReofferWithdrawn,
    sip.Reanswered,
    sip.ReofferFailed,
    sip.Redirected,
    sip.InfoReceived,
    sip.InfoAnswered,
    sip.Referred,
    sip.ReferAnswered,
    sip.ReferProgress,
    sip.Ended,
)

EXTENSIONS = ("100rel", "timer")
"""What peers may require of calls: RFC 3262 and RFC 4028."""

TRANSFERS = ("replaces", "norefersub")
"""And of transfers: RFC 3891 and RFC 4488."""


class SessionOwner(Protocol):
    """Who is told of a session: a Leg, or what passes a call through."""

    def on(self, effect: sip.Effect, now: float) -> list[LegEffect]:
        """What the agent says of the session."""


class LegHost(Protocol):
    """Who owns the legs."""

    def incoming(self, request: Request, flow: Flow) -> None:
        """A request outside any dialog."""

    def configure(self, effect: legs.Configure) -> None:
        """A leg's sound was negotiated."""

    def happened(self, effect: legs.Happened) -> None:
        """An event of a leg."""

    def wire(self, effect: legs.Wire) -> None:
        """A SIP message of a leg, in words."""

    def follow(self, effect: legs.Follow) -> None:
        """A leg was redirected."""

    def transfer(self, effect: legs.Transfer) -> None:
        """The far end of a leg asks to be transferred."""

    def answered(self, effect: sip.FinalResponse | sip.Failed) -> None:
        """A request outside dialogs has its answer."""

    def stream_closed(self, connection: int) -> None:
        """A TCP or TLS connection is gone."""

    def fire(self, key: Any) -> None:
        """A timer that is none of the SIP machines'."""


class SipStack:
    """Transports, timers and the SIP agent of one endpoint. To be made in the running loop."""

    def __init__(
        self,
        host: LegHost,
        user_agent: str,
        *,
        public_address: str = "",
        resolver: Resolver | None = None,
        guard: Guard | None = None,
        limits: TransportLimits | None = None,
        transfers: bool = False,
    ) -> None:
        self._host = host
        self.guard = guard
        self.agent = UserAgent(
            tokens().__next__,
            user_agent,
            extensions=(*EXTENSIONS, *TRANSFERS) if transfers else EXTENSIONS,
            takes_referrals=transfers,
            takes_tcp=lambda hop: self.transports.takes_tcp(hop),
            info_types=info_digits.TYPES,
        )
        self.resolver = resolver or Resolver()
        self.tasks = Tasks("sip")
        self.transports = SipTransports(
            self._on_message,
            self._on_garbage,
            host.stream_closed,
            self._on_unreachable,
            limits,
            public_address=public_address or None,
            guard=guard,
        )
        self._loop = asyncio.get_running_loop()
        self.timers: Timers[Any] = Timers(self._loop, self._fire)
        self._pulse = (
            None
            if guard is None
            else Pulse(self._loop, guard.late, lambda: guard.lateness, self.transports.waited)
        )
        self._steps: dict[type[Any], Callable[[Any], None]] = {
            sip.Send: self._send if guard is None else self._send_guarded,
            sip.Arm: lambda effect: self.timers.arm(effect.key, effect.at),
            sip.Disarm: lambda effect: self.timers.disarm(effect.key),
            sip.Resolve: self._resolve,
            sip.HopFailed: lambda effect: self.resolver.dead_hops.failed(effect),
            sip.Incoming: lambda effect: host.incoming(effect.request, effect.flow),
            sip.FinalResponse: host.answered,
            sip.Failed: host.answered,
            legs.Configure: host.configure,
            legs.Happened: host.happened,
            legs.Wire: host.wire,
            legs.Follow: host.follow,
            legs.Transfer: host.transfer,
            **dict.fromkeys(SESSION_EFFECTS, self._session),
        }

    def carry_out(self, effects: Iterable[LegEffect]) -> None:
        """Carry effects of the SIP machines and the legs out, in order."""
        steps = self._steps
        for effect in effects:
            steps[type(effect)](effect)

    async def close(self) -> None:
        """Let out what was sent, and let go of the sockets."""
        if self._pulse is not None:
            self._pulse.stop()
        await self.tasks.close()
        await self.transports.close()
        self.timers.close()
        await self.resolver.close()

    def _send(self, effect: sip.Send) -> None:
        self.transports.send(effect.hop, effect.data, effect.transaction)

    def _send_guarded(self, effect: sip.Send) -> None:
        """Whom we ask may answer; whom we do not know gets no more than he sent, and a little."""
        guard = self.guard
        assert guard is not None
        hop, data, transaction = effect.hop, effect.data, effect.transaction
        now = monotonic()
        if not data.startswith(ANSWER):
            guard.vouch((hop.host, hop.port), now)
        elif not transaction and not guard.is_vouched((hop.host, hop.port), now):
            at_hand = self.transports.counters.at_hand  # 0 on streams, whose peers cannot be forged
            if at_hand and not guard.may_answer(at_hand, len(data)):
                data = shortened(data, lambda size: guard.may_answer(at_hand, size))
                if not data:
                    guard.counters.too_long_answers += 1
                    return
        self.transports.send(hop, data, transaction)

    def _on_message(self, message: Request | Response, flow: Flow) -> None:
        pulse = self._pulse
        if pulse is not None and not pulse.heard:
            pulse.hear()
        try:
            self.carry_out(self.agent.on_message(message, flow, monotonic()))
        except Exception as problem:
            # The one guard around a message: our own mistake must not stop the others.
            log.error("a message could not be handled", start=message.start_line(), exc_info=problem)

    def _on_garbage(self, problem: SipSyntaxError, flow: Flow) -> None:
        log.debug("garbage", problem=str(problem), source=flow.remote)
        if isinstance(problem.message, Request):
            self.carry_out(
                self.agent.reply_statelessly(problem.message, flow, problem.status, problem.reason)
            )

    def _on_unreachable(self, hop: Hop, transaction: str) -> None:
        self.carry_out(self.agent.on_unreachable(hop, monotonic(), transaction))

    def _fire(self, key: Any, now: float) -> None:
        if key[0] == "call":
            self._host.fire(key)
        else:
            self.carry_out(self.agent.on_timer(key, now))

    def _session(self, effect: Any) -> None:
        session = effect.session
        owner: SessionOwner | None = session.owner
        if owner is not None:
            if type(effect) is sip.Ended:
                session.owner = (
                    None  # the last that is said of it: who owns a session holds it, and both would stay
                )
            self.carry_out(owner.on(effect, monotonic()))

    def _resolve(self, effect: sip.Resolve) -> None:
        self.tasks.start(self._find(effect), f"way to {effect.uri}")

    async def _find(self, effect: sip.Resolve) -> None:
        try:
            hops = await self.resolver.resolve(effect.uri)
        except ResolutionFailed as problem:
            log.info("a peer's address cannot be resolved", uri=str(effect.uri), problem=str(problem))
            hops = []
        self.carry_out(self.agent.on_resolved(effect.key, hops, monotonic()))


def shortened(answer: bytes, fits: Callable[[int], bool]) -> bytes:
    """An answer without what it can do without, until its size ``fits``; b"" when it never does."""
    for superfluous in (DISPENSABLE, OTHER_CHALLENGES):
        answer = superfluous.sub(b"", answer)
        if fits(len(answer)):
            return answer
    return b""
