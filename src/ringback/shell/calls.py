"""The calls that are up: their inboxes, and what their scripts ask for.

::

    SIP, pump, timers, webhooks, REST --deliver--> inbox --> CallActor --effects--> here

Events are taken one by one in the order of their arrival, also those that effects cause at once; so no
script ever runs inside another. Exceptions out of a script end that call alone.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

import structlog

from ringback.call import effects as fx
from ringback.call import events
from ringback.call.actor import CallActor
from ringback.call.effects import Note, error, info
from ringback.call.errors import Overload
from ringback.call.incoming_leg import IncomingLeg
from ringback.call.leg_effects import LegEffect
from ringback.call.outcome import failed_ending
from ringback.call.outgoing_leg import OutgoingLeg
from ringback.call.routing import plan
from ringback.call.setup import CallSetup
from ringback.call.unasked import undelivered
from ringback.media.errors import PortsExhausted
from ringback.media.library import Library
from ringback.media.pump import Pump
from ringback.shell.addresses import contact
from ringback.shell.answers import KEPT_TIMER, Answers
from ringback.shell.call_table import CallTable
from ringback.shell.call_webhooks import CallWebhooks
from ringback.shell.conferences import Conferences
from ringback.shell.live import LiveCall
from ringback.shell.media_streams import MediaStreams
from ringback.shell.placing import Placing
from ringback.shell.records import Records
from ringback.shell.running import RunningJournals
from ringback.shell.sound import Sound, describe
from ringback.shell.steady import steady_time
from ringback.shell.tasks import Tasks
from ringback.shell.timers import Timers
from ringback.shell.transfers import CallTransfers
from ringback.shell.vault import Vault
from ringback.shell.ways import Ways
from ringback.sip.agent import UserAgent
from ringback.sip.flow import Flow
from ringback.sip.message import Request
from ringback.sip.registrar import Registrar
from ringback.store import Store
from ringback.store.journal_log import JournalLog
from ringback.twiml.scripts import script_of

log = structlog.get_logger("ringback.calls")

_random = secrets.SystemRandom()
_session_ids = count(secrets.randbits(31))
"""Of SDP's o= lines (RFC 4566 section 5.2): to be unique, not to be secret."""


class Calls(CallTable):
    """All calls of this server: the table of them, and what they do."""

    def __init__(
        self,
        *,
        store: Store,
        agent: UserAgent,
        registrar: Registrar,
        placing: Placing,
        pump: Pump,
        library: Library,
        webhooks: CallWebhooks,
        vault: Vault,
        timers: Timers[Any],
        carry_out: Callable[[list[LegEffect]], None],
        max_calls: int,
        journal_log: JournalLog | None = None,
    ) -> None:
        super().__init__(max_calls)
        self._store = store
        self._agent = agent
        self._registrar = registrar
        self._placing = placing
        self.webhooks = webhooks
        self._timers = timers
        self._carry_out = carry_out
        self._now = time.monotonic
        self._inbox: deque[tuple[LiveCall, events.Event | None]] = deque()
        self._running = False
        self.tasks = Tasks("calls")
        self.records = Records(store)
        self.running: RunningJournals | None = None
        if journal_log is not None:
            self.running = RunningJournals(
                journal_log, lambda: (call.actor.journal for call in self._live.values())
            )
        self._answers = Answers(self, self.records, timers, carry_out, self._now)
        self.ways = Ways(self, placing, store, carry_out, self._now)
        self.transfers = CallTransfers(self, carry_out, self._now)
        self.sound = Sound(pump, library, self.tasks, self.deliver, self.remark, vault.unmask)
        self.conferences = Conferences(pump, self, store, webhooks.notify_for)
        self.streams = MediaStreams(self, webhooks.notify_for, webhooks.auth_token, vault)
        self._steps = self._table()

    def _table(self) -> dict[type[Any], Callable[[LiveCall, Any], None]]:
        """What carries out each effect of a script."""
        return {
            fx.Ring: lambda call, effect: self._carry_out(call.leg.ring(effect.early_media, self._now())),
            fx.Answer: self._answers.answer,
            fx.Refuse: lambda call, e: self._carry_out(call.leg.refuse(e.status, e.reason, self._now())),
            fx.HangUp: self._hang_up,
            fx.Place: self.ways.place,
            fx.AnswerReferral: self.transfers.answer,
            fx.NotifyReferral: self.transfers.notify,
            fx.Refer: self.transfers.ask,
            fx.Play: lambda call, e: self._answers.once_answered(
                call, lambda: self.sound.play(call, e.token, e.source, e.loops)
            ),
            fx.StopPlay: lambda call, e: self._answers.once_answered(call, lambda: self.sound.stop(call)),
            fx.SendDigits: lambda call, e: self._answers.once_answered(
                call, lambda: self.sound.send_digits(call, e.token, e.digits)
            ),
            fx.Fetch: self._fetch,
            fx.Notify: lambda call, effect: self.webhooks.notify(call, effect),
            fx.Plan: self._plan,
            fx.Arm: self.arm,
            fx.Disarm: self._disarm,
            fx.Spawn: lambda call, effect: self._spawn(effect.setup),
            fx.Tell: self._tell,
            fx.Bridge: self._bridge,
            fx.Unbridge: lambda call, effect: self.sound.unbridge(call),
            fx.JoinConference: lambda call, e: self.conferences.join(call, e.name, e.options),
            fx.LeaveConference: lambda call, effect: self.conferences.leave(call, effect),
            fx.StartStream: lambda call, e: self.streams.start(call, e.stream_sid, e.options),
            fx.StopStream: lambda call, effect: self.streams.stop(call, effect.name),
            fx.Fact: lambda call, effect: self.records.changed(call, effect.changes, time.time()),
            fx.Note: self._note,
            fx.Finish: lambda call, effect: self._finish(call),
        }

    # -- starting calls -----------------------------------------------------------------------------------------

    def receive(self, setup: CallSetup, request: Request, flow: Flow, phone_number_sid: str = "") -> LiveCall:
        """An INVITE that was admitted becomes a call. Raises Overload or PortsExhausted."""
        call = self._open(setup, phone_number_sid, flow.remote[0])
        host, port = self._placing.local(flow.hop())
        ours = contact(host, port, flow.transport)
        try:
            assert isinstance(call.leg, IncomingLeg)
            self._carry_out(call.leg.receive(request, flow, host, ours, self._now()))
        except Exception as problem:  # noqa: BLE001 - as in _step: no script is there yet to let go of the port
            self.crash(call, problem)
            return call
        self._start(call)
        return call

    def start(
        self,
        setup: CallSetup,
        *,
        unroutable: tuple[int, str] = (0, ""),
        opened: Callable[[LiveCall], None] | None = None,
    ) -> LiveCall:
        """A call that a program or a Dial starts. Raises Overload, PortsExhausted.

        ``unroutable`` is why it will fail; ``opened`` is told of it before it does anything.
        """
        call = self._open(setup)
        if opened is not None:
            opened(call)
        code, why = unroutable
        if code:
            self.report(call, error("call", why, code))
        self._start(call)
        return call

    def _spawn(self, setup: CallSetup) -> None:
        try:
            self.start(setup)
        except (Overload, PortsExhausted) as problem:
            log.warning("a dialed leg could not be started", call=setup.sid, problem=str(problem))
            parent = self._live.get(setup.parent_sid)
            if parent is not None:
                self.report(parent, error("call", f"no room to dial {setup.to}: {problem}", 12400))
                self.deliver(parent, events.Told(setup.sid, "ended", failed_ending(503)))

    def _open(self, setup: CallSetup, phone_number_sid: str = "", peer: str = "") -> LiveCall:
        self._check_room()
        port = self.sound.open(peer)
        kind = IncomingLeg if setup.kind == "inbound" else OutgoingLeg
        leg = kind(self._agent, setup.sid, port.id, port.port, next(_session_ids))
        actor = CallActor(setup, script_of)
        row = self.records.new_row(setup, phone_number_sid)
        call = LiveCall(setup, actor, self._now(), row, port, leg)
        self._enter(call)
        if self.running is not None:
            self.running.watch(actor.journal)
        self.sound.attach(call)
        self.records.opened(call)
        return call

    def _start(self, call: LiveCall) -> None:
        self._inbox.appendleft((call, None))
        self._drain()

    # -- the inbox ------------------------------------------------------------------------------------------------

    def deliver(self, call: LiveCall, event: events.Event) -> None:
        """Put an event into a call's inbox."""
        self._inbox.append((call, event))
        if not self._running:
            self._drain()

    def _drain(self) -> None:
        if self._running:
            return
        self._running = True
        try:
            while self._inbox:
                self._step(*self._inbox.popleft())
        finally:
            self._running = False

    def _step(self, call: LiveCall, event: events.Event | None) -> None:
        if call.actor.finished:
            return
        try:
            if event is None:
                given = call.actor.start()
            else:
                given = call.actor.deliver(event, self._now() - call.started)
            for effect in given:
                self._steps[type(effect)](call, effect)
        except Exception as problem:  # noqa: BLE001 - the one guard around a call
            self.crash(call, problem)

    def crash(self, call: LiveCall, problem: Exception) -> None:
        """Our own mistake: this call ends, with a record, and the others never notice."""
        log.error("a call's script failed", call=call.sid, exc_info=problem)
        self.remark(call, error("call", f"internal error: {problem!r}", 12400))
        call.actor.finished = True
        try:
            self._carry_out(call.leg.hang_up(self._now(), status=500))
        except Exception as again:
            # The leg may be what is broken; all the rest is let go of all the same.
            log.error("a failed call could not be hung up", call=call.sid, exc_info=again)
        self._close_record(call)
        parent = self._live.get(call.setup.parent_sid)
        if parent is not None:
            self.deliver(parent, events.Told(call.sid, "ended", failed_ending(500)))
        for child in self:
            if child.setup.parent_sid == call.sid:
                self.deliver(child, events.Told(call.sid, "release", {"status": "canceled"}))
        self._finish(call)

    def _close_record(self, call: LiveCall) -> None:
        """What the script would have written at its end, had it come there."""
        script = call.actor.call
        script.elapsed = self._now() - call.started
        answered = script.answered_at is not None
        status, duration = ("completed", str(script.duration)) if answered else ("failed", None)
        changes = {"status": status, "end_time": script.now, "duration": duration}
        self.records.changed(call, changes, time.time())

    def work(self, call: LiveCall, work: Coroutine[Any, Any, None], name: str) -> None:
        """Start what a call waits for; if it fails, the call is ended, because it would wait for ever."""

        async def guarded() -> None:
            try:
                await work
            except Exception as problem:  # noqa: BLE001 - as in _step
                if call.sid in self._live:
                    self.crash(call, problem)

        self.tasks.start(guarded(), f"{name} of {call.sid}")

    # -- effects ---------------------------------------------------------------------------------------------------

    def _hang_up(self, call: LiveCall, effect: fx.HangUp) -> None:
        self._answers.once_answered(call, lambda: self._carry_out(call.leg.hang_up(self._now())))

    def _fetch(self, call: LiveCall, fetch: fx.Fetch) -> None:
        known = self.webhooks.ask_constant(call, fetch)
        if known is not None:
            self.deliver(call, known)
        else:
            self.work(call, self._ask(call, fetch), "webhook")

    async def _ask(self, call: LiveCall, fetch: fx.Fetch) -> None:
        self.deliver(call, await self.webhooks.ask(call, fetch))

    def _plan(self, call: LiveCall, asked: fx.Plan) -> None:
        planned = plan(
            asked.wanted, self._store.configuration, self._registrar, steady_time(), _random.random
        )
        self.deliver(call, events.Planned(asked.token, planned))

    def arm(self, call: LiveCall, arm: fx.Arm) -> None:
        """Start or move a timer of a call."""
        if arm.token not in call.timers:
            call.timers.append(arm.token)
        self._timers.arm(("call", call.sid, arm.token), self._now() + arm.after)

    def _disarm(self, call: LiveCall, disarm: fx.Disarm) -> None:
        if disarm.token in call.timers:
            call.timers.remove(disarm.token)
            self._timers.disarm(("call", call.sid, disarm.token))

    def fire(self, call_sid: str, token: str) -> None:
        """A timer of a call came due."""
        call = self._live.get(call_sid)
        if call is None:
            return
        if token == KEPT_TIMER:
            self._answers.late(call)
        elif token in call.timers:
            call.timers.remove(token)
            self.deliver(call, events.Fired(token))

    def _tell(self, call: LiveCall, tell: fx.Tell) -> None:
        recipient = self._live.get(tell.recipient)
        if recipient is not None:
            self.deliver(recipient, events.Told(call.sid, tell.subject, tell.data))
        elif tell.recipient.startswith("CF"):
            self.conferences.told(call, tell)
        elif (answer := undelivered(tell)) is not None:
            self.deliver(call, answer)

    def tell(self, sender: str, tell: fx.Tell) -> None:
        """A message of an actor that is no call."""
        recipient = self._live.get(tell.recipient)
        if recipient is not None:
            self.deliver(recipient, events.Told(sender, tell.subject, tell.data))

    def _bridge(self, call: LiveCall, bridge: fx.Bridge) -> None:
        other = self._live.get(bridge.call_sid)
        if other is not None:
            self.sound.bridge(call, other)

    def _note(self, call: LiveCall, note: Note) -> None:
        """A line that the script wrote is in the journal with its effects; errors are Notifications too."""
        if note.code and note.level != "info":
            self.records.failed(call, note)

    def remark(self, call: LiveCall, note: Note) -> None:
        """A line that the shell writes into a call's timeline."""
        call.actor.journal.note(self._now() - call.started, note)

    def report(self, call: LiveCall, note: Note) -> None:
        """A line like that of what went wrong: a Notification, too."""
        self._note(call, note)
        self.remark(call, note)

    # -- the end ------------------------------------------------------------------------------------------------------

    def _finish(self, call: LiveCall) -> None:
        if not self._take_out(call.sid):
            return
        for token in call.timers:
            self._timers.disarm(("call", call.sid, token))
        call.timers.clear()
        self._answers.forget(call)
        self.streams.close_all(call)
        self.conferences.leave(call)
        stats = call.quality = self.sound.close(call)
        self.remark(call, info("media", describe(stats)))
        self.records.closed(call)
        self._ended(call)

    def end_all(self, why: str) -> None:
        """End every call: the server stops."""
        for call in self:
            self.deliver(call, events.Complete("completed", why))
