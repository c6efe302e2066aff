"""The exchange: SIP, calls, registrations and sound, put together on one event loop.

This module only passes on; every decision is made by what it connects (see ringback.shell.sip_stack).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from ringback import __version__
from ringback.call import leg_effects as legs
from ringback.call.effects import Note
from ringback.call.events import Complete, Digit, LegAnswered, LegEnded
from ringback.media.library import Library
from ringback.media.pump import Pump
from ringback.shell.addresses import shared_port
from ringback.shell.call_webhooks import CallWebhooks
from ringback.shell.calls import Calls
from ringback.shell.front_desk import FrontDesk
from ringback.shell.guard import Guard
from ringback.shell.housekeeping import Kept, keep_house
from ringback.shell.placing import Placing
from ringback.shell.recovery import close_left_behind, find_left_behind
from ringback.shell.resolver import Resolver
from ringback.shell.sip_stack import SipStack
from ringback.shell.steady import Continuity, steady_time
from ringback.shell.tasks import Tasks
from ringback.shell.transport_limits import TransportLimits
from ringback.shell.vanished import VANISHED_AFTER, Vanished
from ringback.shell.vault import Vault
from ringback.shell.webhooks import WebhookClient
from ringback.sip import effects as sip
from ringback.sip.authenticator import Authenticator
from ringback.sip.binding import Binding
from ringback.sip.flow import Flow
from ringback.sip.message import Request
from ringback.sip.registrar import Registrar
from ringback.store import Store
from ringback.store.journal_log import JournalLog

log = structlog.get_logger("ringback.exchange")

SWEEP_EVERY = 30.0
"""Seconds between looks for registrations that have expired, and for calls whose far ends are gone."""

LAST_WORDS = 2.0
"""Seconds that BYEs and last status callbacks get when the server stops."""


@dataclass(frozen=True, slots=True)
class ExchangeSettings:
    """What the exchange is told. Addresses are (IP literal, port); port 0 takes any."""

    sip: tuple[str, int] = ("0.0.0.0", 5060)
    sips: tuple[str, int] | None = ("0.0.0.0", 5061)
    public_address: str = ""
    max_calls: int = 5_000
    transports: TransportLimits = TransportLimits()  # noqa: RUF009 - it cannot be changed
    tls_context: Any = field(default=None, repr=False)
    clock: Continuity | None = None
    journal_log: JournalLog | None = None
    vanished_after: float = VANISHED_AFTER
    kept: Kept = Kept()  # noqa: RUF009 - it cannot be changed


class CannotListen(OSError):
    """An address of SIP is taken, or not this machine's."""

    def __init__(self, address: tuple[str, int], problem: OSError, *, over_tls: bool) -> None:
        super().__init__(problem.errno, problem.strerror or str(problem))
        self.address = address
        self.over_tls = over_tls


class Exchange:
    """A running telephone exchange. To be made in the running loop; ``start`` binds, ``close`` lets go."""

    def __init__(
        self,
        settings: ExchangeSettings,
        *,
        store: Store,
        pump: Pump,
        library: Library,
        webhooks: WebhookClient,
        resolver: Resolver | None = None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.vault = Vault()
        self.registrar = Registrar()
        self.guard = Guard()
        self.tasks = Tasks("exchange")
        self.stack = stack = SipStack(
            self,
            f"Ringback/{__version__}",
            public_address=settings.public_address,
            resolver=resolver,
            guard=self.guard,
            limits=settings.transports,
            transfers=True,
        )
        self._pump = pump
        self.webhooks = CallWebhooks(webhooks, store, self.vault, self._remark)
        self.calls = calls = Calls(
            store=store,
            agent=stack.agent,
            registrar=self.registrar,
            placing=Placing(stack.transports, stack.resolver, self.vault),
            pump=pump,
            library=library,
            webhooks=self.webhooks,
            vault=self.vault,
            timers=stack.timers,
            carry_out=stack.carry_out,
            max_calls=settings.max_calls,
            journal_log=settings.journal_log,
        )
        self.vanished = Vanished(calls.sound.stats, settings.vanished_after)
        self.front_desk = FrontDesk(
            store=store,
            agent=stack.agent,
            registrar=self.registrar,
            authenticator=Authenticator(store.installation.nonce_key, store.installation.realm),
            calls=calls,
            carry_out=stack.carry_out,
            mask=self.vault.mask,
            guard=self.guard,
        )
        self.sip_address: tuple[str, int] = settings.sip
        self.sips_address: tuple[str, int] | None = None

    # -- life -------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bring the registrations back, bind the sockets. Raises CannotListen when an address is taken."""
        if self.settings.clock is not None:
            self.settings.clock.take_over()
        left = await find_left_behind(self.store)
        known = await self.store.registrations.load(steady_time(), of_all=await self.store.is_alone())
        self.registrar.restore(known)
        self._listen()
        if self.settings.clock is not None:
            self.settings.clock.note()
        for binding in known:
            self.guard.vouch((binding.received.host, binding.received.port), time.monotonic())
        asyncio.get_running_loop().add_reader(self._pump.fileno(), self.calls.sound.on_readable)
        await close_left_behind(self.store, self.stack, left, self.settings.journal_log)
        self.tasks.start(self._sweep(), "expired registrations")
        self.tasks.start(keep_house(self.store, self.settings.kept), "what is old")

    def _listen(self) -> None:
        transports = self.stack.transports
        host, port = self.settings.sip
        with _listening(self.settings.sip):
            self.sip_address = transports.listen_udp(host, port or shared_port(host))
            transports.listen_tcp(host, self.sip_address[1])
        if host == "0.0.0.0":
            self._listen_on_ipv6(self.sip_address[1])
        if self.settings.sips is not None and self.settings.tls_context is not None:
            with _listening(self.settings.sips, over_tls=True):
                self.sips_address = transports.listen_tls(*self.settings.sips, self.settings.tls_context)

    def _listen_on_ipv6(self, port: int) -> None:
        """Every address means those of IPv6, too, where the machine has any."""
        transports = self.stack.transports
        try:
            transports.listen_udp("::", port)
            transports.listen_tcp("::", port)
            if self.sips_address is None and self.settings.sips is not None and self.settings.tls_context:
                transports.listen_tls("::", self.settings.sips[1], self.settings.tls_context)
        except OSError as problem:
            log.info("no SIP over IPv6", problem=str(problem))

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(SWEEP_EVERY, self.vanished.after / 4))
            self._forget(self.registrar.expire(steady_time()))
            if self.settings.clock is not None:
                self.settings.clock.note()
            self._end_vanished(time.monotonic())

    def _end_vanished(self, now: float) -> None:
        """Hang up where nobody is any more."""
        for call in self.vanished.look(self.calls, now):
            why = f"the far end is gone: no sound, no report and no SIP for {self.vanished.after:g} s"
            log.warning("a call is ended", call=call.sid, why=why)
            self.calls.remark(call, Note("call", why, "error", 0))
            self.calls.deliver(call, Complete("completed", why))

    async def drain(self, within: float | None = None) -> bool:
        """No new calls; wait until the running ones have ended. False if ``within`` seconds passed before."""
        self.front_desk.draining = True
        try:
            async with asyncio.timeout(within):
                await self.calls.until_idle()
        except TimeoutError:
            return False
        return True

    async def end_calls(self) -> None:
        """End every call that is up, and send its last status callbacks."""
        self.calls.end_all("the server stops")
        if not await self.drain(LAST_WORDS):
            log.warning("calls were cut off", count=len(self.calls))
        await self.webhooks.close(LAST_WORDS)

    async def close(self) -> None:
        """End what still runs, and let go of everything but the store."""
        await self.end_calls()
        await self.calls.tasks.close()
        await self.calls.streams.close()
        await self.tasks.close()
        asyncio.get_running_loop().remove_reader(self._pump.fileno())
        await self.stack.close()
        saved = await self.store.facts.flush()
        if self.calls.running is not None:
            self.calls.running.close(keep=bool(len(self.calls)) or not saved)

    # -- what the SIP stack tells --------------------------------------------------------------------------------

    def incoming(self, request: Request, flow: Flow) -> None:
        """A request outside any dialog."""
        self.front_desk.on_request(request, flow)

    def configure(self, effect: legs.Configure) -> None:
        """A leg's sound was negotiated."""
        call = self.calls.get(effect.leg.call_sid)
        if call is not None:
            self.calls.sound.configure(call, effect.negotiated, effect.signalling_host)

    def happened(self, effect: legs.Happened) -> None:
        """An event of a leg, for its call's inbox."""
        call = self.calls.get(effect.leg.call_sid)
        if call is not None:
            if type(effect.event) is LegAnswered:
                self.calls.records.talking(call)
            elif type(effect.event) is LegEnded:
                self.calls.sound.drain()  # what was heard before the BYE is told before it
            elif type(effect.event) is Digit and not self.calls.sound.press(call, effect.event.digit):
                return
            self.calls.deliver(call, effect.event)

    def wire(self, effect: legs.Wire) -> None:
        """A SIP message of a leg, for its call's timeline."""
        call = self.calls.get(effect.leg.call_sid)
        if call is not None:
            arrow = "→" if effect.outgoing else "←"
            self.calls.remark(call, Note("sip", f"{arrow} {effect.text}", "info", 0))

    def follow(self, effect: legs.Follow) -> None:
        """A leg was redirected."""
        call = self.calls.get(effect.leg.call_sid)
        if call is not None:
            self.calls.ways.follow(call, effect.branch, effect.uri)

    def transfer(self, effect: legs.Transfer) -> None:
        """A far end asks to be transferred."""
        self.calls.transfers.refer(effect)

    def answered(self, effect: sip.FinalResponse | sip.Failed) -> None:
        """The exchange sends no requests outside dialogs."""

    def stream_closed(self, connection: int) -> None:
        """The phones behind a connection are unreachable until they register again."""
        self._forget(self.registrar.connection_lost(connection))

    def fire(self, key: tuple[str, str, str]) -> None:
        """A timer of a call."""
        self.calls.fire(key[1], key[2])

    def _forget(self, bindings: Iterable[Binding]) -> None:
        for binding in bindings:
            log.info("registration ended", aor=binding.aor, contact=binding.contact_text)
            self.store.registrations.forget(binding)

    def _remark(self, call: Any, note: Note) -> None:
        self.calls.remark(call, note)


@contextmanager
def _listening(address: tuple[str, int], *, over_tls: bool = False) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise CannotListen(address, problem, over_tls=over_tls) from problem
