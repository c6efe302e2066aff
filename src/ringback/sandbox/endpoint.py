"""A SIP endpoint: registers, calls and is called, plays and listens. Virtual phones and the sandbox are these."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, TypeVar

from ringback import __version__
from ringback.call import events
from ringback.call import leg_effects as legs
from ringback.call.incoming_leg import IncomingLeg
from ringback.call.leg import Leg
from ringback.call.outgoing_leg import Branch, OutgoingLeg
from ringback.media.pump import Port, Pump
from ringback.shell.addresses import contact, sent_by, shared_port
from ringback.shell.sip_stack import SipStack
from ringback.shell.sound import configure_port
from ringback.shell.tasks import Tasks
from ringback.sip import effects as sip
from ringback.sip.authorization import Login
from ringback.sip.flow import Flow, Hop
from ringback.sip.headers import NameAddr
from ringback.sip.message import Request, Response
from ringback.sip.uri import Uri

LISTEN_SECONDS = 60
"""Sound that a call keeps of what it hears: enough to verify it, bounded for calls that stay up."""

Wanted = TypeVar("Wanted")
AnyLeg = TypeVar("AnyLeg", IncomingLeg, OutgoingLeg)


class CallEnded(Exception):
    """The call ended while something was waited for: SIP status and cause."""

    def __init__(self, ended: events.LegEnded) -> None:
        super().__init__(f"{ended.cause} {ended.status} {ended.reason}".strip())
        self.ended = ended


class EndpointCall:
    """One call of an endpoint. Its awaitables raise CallEnded when the call is over."""

    def __init__(self, endpoint: Endpoint, leg: Leg, port: Port) -> None:
        self._endpoint = endpoint
        self.leg = leg
        self.port = port
        self.request: Request | None = None
        loop = asyncio.get_running_loop()
        self.ringing: asyncio.Future[events.LegRinging] = loop.create_future()
        self.answered: asyncio.Future[events.LegAnswered] = loop.create_future()
        self.ended: asyncio.Future[events.LegEnded] = loop.create_future()
        self.digits: asyncio.Queue[str] = asyncio.Queue()
        self.heard = bytearray()
        """What came, mu-law at 8 kHz, once ``listen`` was called."""
        self._heard_more = asyncio.Event()
        self._plays: dict[int, asyncio.Future[None]] = {}

    def ring(self, *, early_media: bool = False) -> None:
        """180, or 183 with sound."""
        self._endpoint.carry_out(self.leg.ring(early_media, time.monotonic()))

    def answer(self) -> None:
        """200."""
        self._endpoint.carry_out(self.leg.answer(time.monotonic()))

    def refuse(self, status: int, reason: str = "") -> None:
        """A final answer that is no success."""
        self._endpoint.carry_out(self.leg.refuse(status, reason, time.monotonic()))

    def hang_up(self) -> None:
        """BYE or CANCEL."""
        self._endpoint.carry_out(self.leg.hang_up(time.monotonic()))

    async def play(self, mulaw: bytes, loops: int = 1) -> None:
        """Play a clip to its end; 0 loops returns at once and plays on."""
        await self._playing(
            lambda play_id: self._endpoint.pump.play(self.port.id, play_id, mulaw, loops), loops
        )

    async def send_digits(self, digits: str) -> None:
        """Send DTMF (RFC 4733)."""
        await self._playing(lambda play_id: self._endpoint.pump.send_digits(self.port.id, digits, play_id), 1)

    async def _playing(self, start: Callable[[int], None], loops: int) -> None:
        self.check()
        play_id = next(self._endpoint.ids)
        if loops == 0:
            start(play_id)
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._plays[play_id] = done
        start(play_id)
        await self.unless_ended(done)

    def check(self) -> None:
        """Raise CallEnded when the call is over: it has no port any more."""
        if self.ended.done():
            raise CallEnded(self.ended.result())

    def listen(self) -> None:
        """Keep what is heard from now on."""
        self._endpoint.tap(self)

    async def hear(self, seconds: float) -> bytes:
        """The next so many seconds of sound, counted in what really came."""
        start = len(self.heard)
        wanted = start + int(seconds * 8000)
        while len(self.heard) < wanted:
            self._heard_more.clear()
            await self.unless_ended(self._heard_more.wait())
        return bytes(self.heard[start:wanted])

    async def unless_ended(self, wanted: Awaitable[Wanted]) -> Wanted:
        """Wait for something, or raise CallEnded when the call ends before. A coroutine ends with the waiting."""
        waiting = asyncio.ensure_future(wanted)
        try:
            either: set[asyncio.Future[Any]] = {waiting, self.ended}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            raise CallEnded(self.ended.result())
        finally:
            if waiting is not wanted:
                waiting.cancel()

    # -- told by the endpoint ----------------------------------------------------------------------------------

    def on_event(self, event: events.Event) -> None:
        """An event of the leg."""
        match event:
            case events.LegRinging() if not self.ringing.done():
                self.ringing.set_result(event)
            case events.LegAnswered() if not self.answered.done():
                self.answered.set_result(event)
            case events.LegEnded() if not self.ended.done():
                self.ended.set_result(event)
            case events.Digit(digit):
                self.digits.put_nowait(digit)

    def on_pump(self, event: tuple[Any, ...]) -> None:
        """An event of the pump."""
        match event:
            case ("digit", _, digit, _):
                self.digits.put_nowait(digit)
            case ("played", _, play_id, _):
                done = self._plays.pop(play_id, None)
                if done is not None and not done.done():
                    done.set_result(None)

    def on_frame(self, mulaw: bytes) -> None:
        """20 ms of what is heard."""
        if len(self.heard) < LISTEN_SECONDS * 8000:
            self.heard += mulaw
            self._heard_more.set()


class Endpoint:
    """A SIP endpoint on a UDP (and TCP) port of its own. ``on_invite`` takes or refuses its incoming calls.

    To be made in the running loop; ``close`` lets go. The pump is the endpoint's own.
    """

    def __init__(
        self,
        pump: Pump,
        *,
        name: str = "phone",
        on_invite: Callable[[Request, Flow], None] | None = None,
    ) -> None:
        self.pump = pump
        self.name = name
        self.ids = count(1)
        self.tasks = Tasks(name)
        self._on_invite = on_invite
        self._calls: dict[str, EndpointCall] = {}
        self._by_port: dict[int, EndpointCall] = {}
        self._taps: dict[int, EndpointCall] = {}
        self.stack = SipStack(self, f"Ringback-{name}/{__version__}")
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(pump.fileno(), self._drain)
        self._register_call_id = secrets.token_hex(8)
        self._register_number = 0
        self.address = ("", 0)

    def bind(self, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        """Listen on UDP, and on TCP at the same port (0: any). Raises OSError."""
        self.address = self.stack.transports.listen_udp(host, port or shared_port(host))
        self.stack.transports.listen_tcp(host, self.address[1])
        return self.address

    async def close(self) -> None:
        """Hang everything up and let go of the sockets."""
        ended = [call.ended for call in self._calls.values()]
        for call in list(self._calls.values()):
            call.hang_up()
        if ended:
            await asyncio.wait(ended, timeout=2.0)
        await self.tasks.close()
        self._loop.remove_reader(self.pump.fileno())
        await self.stack.close()

    # -- doing ----------------------------------------------------------------------------------------------------

    def _ours(self, hop: Hop, user: str) -> tuple[str, str, str]:
        host, port = self.stack.transports.local_address_for(hop)
        return host, sent_by(host, port), contact(host, port, hop.transport, user)

    async def register(self, aor: Uri, hop: Hop, login: Login, *, expires: int = 600) -> Response:
        """Register (0: unregister): the final response. Raises ConnectionError if there is none."""
        _, by, ours = self._ours(hop, aor.user)
        done: asyncio.Future[Response] = self._loop.create_future()
        self._register_number += 2
        effects = self.stack.agent.request(
            method="REGISTER",
            uri=Uri(host=aor.host),
            hops=(hop,),
            from_=NameAddr("", aor),
            to=NameAddr("", aor),
            headers=(("Expires", str(expires)),),
            contact=ours,
            credentials=login,
            owner=done,
            now=time.monotonic(),
            sent_by=by,
            call_id=self._register_call_id,
            cseq=self._register_number,
        )
        self.stack.carry_out(effects)
        return await done

    def call(
        self,
        uri: Uri,
        hop: Hop,
        *,
        caller: Uri,
        login: Login | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> EndpointCall:
        """Call somebody by a known way."""
        host, by, ours = self._ours(hop, caller.user)
        leg, port = self._new_leg(OutgoingLeg)
        call = self._new_call(leg, port)
        branch = Branch(
            uri=uri,
            hops=(hop,),
            address=host,
            sent_by=by,
            contact=ours,
            from_=NameAddr("", caller),
            to=NameAddr("", uri.replace(params={}, headers=())),
            headers=headers,
            login=login,
        )
        self.stack.carry_out(leg.place([branch], time.monotonic()))
        return call

    def take(self, request: Request, flow: Flow) -> EndpointCall:
        """Take an incoming INVITE as a call that is to be answered or refused."""
        leg, port = self._new_leg(IncomingLeg)
        call = self._new_call(leg, port)
        call.request = request
        host, _, ours = self._ours(flow.hop(), request.uri.user)
        self.stack.carry_out(leg.receive(request, flow, host, ours, time.monotonic()))
        return call

    def _new_leg(self, kind: type[AnyLeg]) -> tuple[AnyLeg, Port]:
        port = self.pump.open("::" if ":" in self.address[0] else "0.0.0.0")
        name = f"{self.name}-{next(self.ids)}"
        return kind(self.stack.agent, name, port.id, port.port, secrets.randbits(31)), port

    def _new_call(self, leg: Leg, port: Port) -> EndpointCall:
        call = EndpointCall(self, leg, port)
        self._calls[leg.call_sid] = self._by_port[port.id] = call
        return call

    def tap(self, call: EndpointCall) -> None:
        """Keep what a call hears."""
        tap_id = next(self.ids)
        self._taps[tap_id] = call
        self.pump.tap(call.port.id, tap_id, "inbound")

    @contextmanager
    def echo(self, call: EndpointCall) -> Iterator[None]:
        """Send back what is heard: a second port, whose peer is itself, is the mirror."""
        mirror = self.pump.open("127.0.0.1")
        where = (mirror.host, mirror.port)
        try:
            self.pump.configure(
                mirror.id,
                remote=where,
                rtcp_remote=None,
                payload_type=0,
                codec="PCMU",
                dtmf_payload_type=None,
                dtmf_receive_payload_type=None,
                send=True,
                receive=True,
                signalling_host=None,
            )
            call.check()
            self.pump.connect(call.port.id, mirror.id)
            yield
        finally:
            self.pump.close_port(mirror.id)

    def carry_out(self, effects: list[legs.LegEffect]) -> None:
        """Carry effects of a leg out."""
        self.stack.carry_out(effects)

    # -- told -------------------------------------------------------------------------------------------------------

    def incoming(self, request: Request, flow: Flow) -> None:
        """A request outside any dialog."""
        if request.method == "INVITE" and self._on_invite is not None:
            self._on_invite(request, flow)
        else:
            self.turn_away(request, flow, {"INVITE": 480, "OPTIONS": 200}.get(request.method, 405))

    def turn_away(self, request: Request, flow: Flow, status: int) -> None:
        """Answer a request without taking it."""
        self.stack.carry_out(self.stack.agent.reply_statelessly(request, flow, status))

    def configure(self, effect: legs.Configure) -> None:
        """A leg's sound was negotiated."""
        configure_port(self.pump, effect.leg.port_id, effect.negotiated, effect.signalling_host)

    def happened(self, effect: legs.Happened) -> None:
        """An event of a leg."""
        call = self._calls.get(effect.leg.call_sid)
        if call is None:
            return
        is_over = isinstance(effect.event, events.LegEnded)
        if is_over:
            self._drain()  # what was heard before the BYE is told before it
        call.on_event(effect.event)
        if is_over:
            del self._calls[effect.leg.call_sid]
            del self._by_port[call.port.id]
            for tap_id in [tap_id for tap_id, of in self._taps.items() if of is call]:
                del self._taps[tap_id]
            self.pump.close_port(call.port.id)

    def wire(self, effect: legs.Wire) -> None:
        """Lines for a timeline; an endpoint keeps none."""

    def follow(self, effect: legs.Follow) -> None:
        """An endpoint follows no redirects."""

    def transfer(self, effect: legs.Transfer) -> None:
        """An endpoint refuses REFERs before anybody is asked."""

    def answered(self, effect: sip.FinalResponse | sip.Failed) -> None:
        """The answer to a REGISTER."""
        done = effect.owner
        if isinstance(done, asyncio.Future) and not done.done():
            if isinstance(effect, sip.FinalResponse):
                done.set_result(effect.response)
            else:
                done.set_exception(ConnectionError(f"no answer: {effect.kind}"))

    def stream_closed(self, connection: int) -> None:
        """A TCP connection is gone; the next request opens another."""

    def fire(self, key: Any) -> None:
        """An endpoint has no timers of its own."""

    def _drain(self) -> None:
        for event in self.pump.events():
            if event[0] == "frames":
                call = self._taps.get(event[1])
                if call is not None:
                    call.on_frame(event[2])
                continue
            call = self._by_port.get(event[1])
            if call is not None:
                call.on_pump(event)
