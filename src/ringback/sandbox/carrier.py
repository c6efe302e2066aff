"""The sandbox carrier: a telephone network of our own behind a real SIP leg, to call before any contract.

======================  =========================================================
+1 500 555 0001         answers and echoes what you say
+1 500 555 0002         answers and speaks
+1 500 555 0003         rings for ever
+1 500 555 0004         is busy (486)
+1 500 555 0005         rejects the call (603)
+1 500 555 0006         sends early media first, then answers and speaks
+1 500 555 0007         asks for four digits and repeats them
a number of the server  comes back to it as a call from outside
any other               is not in service (404)
======================  =========================================================

It takes calls from the exchange alone: whoever else sends an INVITE gets 403.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

import structlog

from ringback.media import tones
from ringback.media.clips import ClipError
from ringback.media.errors import MediaError
from ringback.media.library import Library
from ringback.media.pump import Pump
from ringback.sandbox.endpoint import CallEnded, Endpoint, EndpointCall
from ringback.sandbox.through import Through
from ringback.shell.addresses import contact, sent_by
from ringback.sip.flow import Flow, Hop
from ringback.sip.forwarding import bounds
from ringback.sip.headers import NameAddr
from ringback.sip.message import Request
from ringback.sip.uri import Uri

log = structlog.get_logger("ringback.sandbox")

DIGITS_WITHIN = 20.0
"""Seconds that the number which asks for four digits waits for them."""

RING_FOR_EVER = 600.0
"""Seconds of ringing for ever: longer than any Dial may wait (600 s at most, TwiML Dial timeout)."""

TALKS_FOR = 60.0
"""Seconds after which the carrier hangs up a call of its own that was answered."""

BEEP_EVERY = 3.0
"""Seconds from beep to beep of such a call: whoever answers hears that it is up."""

GREETING = "Hello. This is the sandbox carrier of Ringback. Your call works. Goodbye."
EARLY = "The number you have dialed is being connected."
ASK = "Please enter four digits."

Behaviour = Callable[[EndpointCall], Awaitable[None]]


class SandboxCarrier:
    """The carrier. ``exchange`` is where its calls to the server's numbers go: (IP, port) of SIP over UDP."""

    def __init__(
        self, pump: Pump, library: Library, *, exchange: tuple[str, int], owns: Callable[[str], bool]
    ) -> None:
        self._library = library
        self._exchange = exchange
        self._owns = owns
        self.endpoint = Endpoint(pump, name="sandbox", on_invite=self._on_invite)
        self.numbers: dict[str, Behaviour] = {
            "+15005550001": self._echo,
            "+15005550002": self._speak,
            "+15005550003": self._ring,
            "+15005550004": self._busy,
            "+15005550005": self._reject,
            "+15005550006": self._early,
            "+15005550007": self._ask,
        }

    def bind(self, port: int) -> None:
        """Listen on loopback. Raises OSError when the port is taken."""
        self.endpoint.bind("127.0.0.1", port)

    async def close(self) -> None:
        """Hang up and let go."""
        await self.endpoint.close()

    # -- calls of the exchange ----------------------------------------------------------------------------------

    def _on_invite(self, request: Request, flow: Flow) -> None:
        if not ip_address(flow.remote[0]).is_loopback or flow.remote[1] != self._exchange[1]:
            return self.endpoint.turn_away(request, flow, 403)
        number = request.uri.user
        behaviour = self.numbers.get(number)
        if behaviour is not None:
            try:
                call = self.endpoint.take(request, flow)
            except MediaError:  # as many calls as it has ports for
                return self.endpoint.turn_away(request, flow, 503)
            self.endpoint.tasks.start(self._behave(behaviour, call), f"{number} is called")
            return None
        if self._owns(number):
            return self._pass_through(request, flow)
        return self.endpoint.turn_away(request, flow, 404)

    def _pass_through(self, request: Request, flow: Flow) -> None:
        """The number belongs to the exchange: the call comes back to it from outside."""
        now, stack = time.monotonic(), self.endpoint.stack
        hop = Hop("UDP", *self._exchange)
        host, port = stack.transports.local_address_for(hop)
        ours = contact(host, port, "UDP")
        caller, effects = stack.agent.accept(request, flow, now, contact=ours)
        through = Through(caller)
        through.callee, more = stack.agent.invite(
            uri=request.uri.replace(host=hop.host, port=hop.port, params={}),
            hops=(hop,),
            from_=NameAddr(request.from_.display, request.from_.uri),
            to=NameAddr("", request.uri.replace(params={}, headers=())),
            contact=ours,
            body=request.body,
            owner=through,
            now=now,
            sent_by=sent_by(host, port),
            max_forwards=bounds(request, 1).max_forwards,
        )
        stack.carry_out([*effects, *more])

    async def _behave(self, behaviour: Behaviour, call: EndpointCall) -> None:
        try:
            await behaviour(call)
        except CallEnded:
            return
        except MediaError as problem:
            log.warning("the sandbox hangs up", why=str(problem))
        finally:
            call.hang_up()

    # -- what the numbers do ---------------------------------------------------------------------------------------

    async def _echo(self, call: EndpointCall) -> None:
        call.ring()
        call.answer()
        with self.endpoint.echo(call):
            await call.ended

    async def _speak(self, call: EndpointCall) -> None:
        greeting = await self._spoken(GREETING)
        call.ring()
        call.answer()
        await call.play(greeting)

    async def _ring(self, call: EndpointCall) -> None:
        call.ring()
        await asyncio.wait({call.ended}, timeout=RING_FOR_EVER)

    async def _busy(self, call: EndpointCall) -> None:
        call.refuse(486, "Busy Here")

    async def _reject(self, call: EndpointCall) -> None:
        call.ring()
        call.refuse(603, "Decline")

    async def _early(self, call: EndpointCall) -> None:
        early, greeting = await self._spoken(EARLY), await self._spoken(GREETING)
        call.ring(early_media=True)
        await call.play(early)
        call.answer()
        await call.play(greeting)

    async def _ask(self, call: EndpointCall) -> None:
        ask = await self._spoken(ASK)
        call.ring()
        call.answer()
        await call.play(ask)
        digits = ""
        try:
            async with asyncio.timeout(DIGITS_WITHIN):
                while len(digits) < 4:
                    digits += await call.unless_ended(call.digits.get())
        except TimeoutError:
            await call.play(await self._spoken("No digits came. Goodbye."))
            return
        await call.play(await self._spoken(f"You entered {' '.join(digits)}. Goodbye."))

    async def _spoken(self, text: str) -> bytes:
        """A text as sound; two beeps where this server has no speech."""
        try:
            return (await self._library.clip(("say", text, "", ""))).mulaw
        except ClipError as problem:
            log.info("the sandbox cannot speak", why=problem.reason)
            return tones.beep() + tones.silence(0.5) + tones.beep()

    # -- calls to the exchange -----------------------------------------------------------------------------------

    def call(self, number: str, *, caller: str = "+15005550009") -> EndpointCall:
        """Call one of the server's numbers from outside; the call ends by itself, see ``TALKS_FOR``."""
        hop = Hop("UDP", *self._exchange)
        uri = Uri(user=number, host=hop.host, port=hop.port)
        call = self.endpoint.call(uri, hop, caller=Uri(user=caller, host=hop.host))
        self.endpoint.tasks.start(self._behave(self._talk, call), f"{number} is called from outside")
        return call

    async def _talk(self, call: EndpointCall) -> None:
        """Beep until the other side has had enough, or the time is over."""
        await call.unless_ended(call.answered)
        await call.play(tones.beep() + tones.silence(BEEP_EVERY - 0.5), loops=0)
        await asyncio.wait({call.ended}, timeout=TALKS_FOR)
