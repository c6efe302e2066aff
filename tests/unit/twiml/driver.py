"""A virtual exchange: calls, conferences and streams on a virtual clock, without sockets, sound or SIP.

It carries effects out as ringback.shell.calls does: events are taken one by one, in the order of their arrival.
A test plays the far ends (``Leg.ring``, ``answer``, ``reject``, ``hang_up``, ``press``) and the programs (pages).
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from unit.call.fake_directory import ACCOUNT, OURS, FakeDirectory, FakeRegistrations

from ringback.call import conference as room
from ringback.call import effects as fx
from ringback.call import events as ev
from ringback.call import stream as streaming
from ringback.call.actor import CallActor
from ringback.call.journal import decode
from ringback.call.outcome import failed_ending
from ringback.call.replay import replay
from ringback.call.routing import plan
from ringback.call.setup import CallSetup, Page, StatusCallback
from ringback.call.unasked import undelivered
from ringback.twiml.document import read_answer
from ringback.twiml.errors import DocumentError
from ringback.twiml.scripts import script_of

EPOCH = 1_700_000_000.0
CALLER = "+442079460123"
VOICE = "http://app.test/voice"
CALLBACK = "http://app.test/status"
SECRET = "Very-secret-77"
"""The password that the tests' documents hold, and that no journal may hold."""

Effect = TypeVar("Effect")
Answer = str | int | Callable[[dict[str, str]], str]
"""A TwiML body, an HTTP status, or what makes a body of the parameters."""


@dataclass
class Request:
    """A webhook that was sent."""

    at: float
    call_sid: str
    url: str
    method: str
    params: dict[str, str]
    is_question: bool

    def __getitem__(self, name: str) -> str:
        return self.params[name]


@dataclass(eq=False)
class Leg:
    """A call in the virtual exchange, and its far end."""

    world: World
    setup: CallSetup
    actor: CallActor
    started: float
    effects: list[Any] = field(default_factory=list)
    timers: dict[str, float] = field(default_factory=dict)
    left_armed: list[str] = field(default_factory=list)
    state: str = "idle"
    over: bool = False
    playing: str = ""
    bridged: Leg | None = None
    conference: room.Conference | None = None
    streams: list[streaming.MediaStream] = field(default_factory=list)
    referrals: dict[int, list[int]] = field(default_factory=dict)
    """REFERs of the far end by number: what they were answered with, and what was notified."""
    referred: list[tuple[str, str]] = field(default_factory=list)
    """REFERs of ours: token and target."""
    row: dict[str, Any] = field(default_factory=dict)

    @property
    def sid(self) -> str:
        return self.setup.sid

    @property
    def status(self) -> str:
        return str(self.row.get("status", self.actor.call.status))

    @property
    def elapsed(self) -> float:
        return self.world.now - self.started

    def all(self, kind: type[Effect]) -> list[Effect]:
        """The effects of this type, in order."""
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def count(self, kind: type[Any]) -> int:
        return len(self.all(kind))

    def names(self, *without: type[Any]) -> list[str]:
        """What the script asked for, in order, without lines of the timeline."""
        hidden = (fx.Note, *without)
        return [type(effect).__name__ for effect in self.effects if not isinstance(effect, hidden)]

    def codes(self, level: str) -> list[int]:
        """The codes of the timeline's lines of that level."""
        return [note.code for note in self.all(fx.Note) if note.level == level]

    @property
    def played(self) -> list[list[Any]]:
        """The sources that were played."""
        return [play.source for play in self.all(fx.Play)]

    @property
    def said(self) -> list[str]:
        """The plain texts that were spoken."""
        return ["".join(source[1]) for source in self.played if source[0] == "say"]

    # -- the far end ------------------------------------------------------------------------------

    def ring(self, status: int = 180, *, early_media: bool = False) -> Leg:
        return self._tell(ev.LegRinging(status, early_media))

    def answer(self, headers: dict[str, str] | None = None) -> Leg:
        return self._tell(self.picked_up(headers))

    def picked_up(self, headers: dict[str, str] | None = None) -> ev.LegAnswered:
        """The answer of the far end, not yet delivered."""
        assert self.state == "placed", self.state
        self.state = "up"
        return ev.LegAnswered(f"call-id-{self.sid[-4:]}", headers or {}, "192.0.2.9")

    def reject(self, status: int, headers: dict[str, str] | None = None) -> Leg:
        return self._end("rejected", status, "Rejected", headers)

    def hang_up(self, headers: dict[str, str] | None = None) -> Leg:
        if self.state == "offered":
            return self._end("cancelled", 487, "Request Terminated", headers)
        return self._end("bye", 200, "OK", headers)

    def press(self, keys: str) -> Leg:
        for key in keys:
            self._tell(ev.Digit(key))
        return self

    def refer(
        self, target: str = "<sip:carol@example.com>", replaces: Leg | None = None, by: str = ""
    ) -> int:
        """The far end asks to be transferred, or to have its other call's far end instead."""
        number = len(self.referrals) + 1
        self.referrals[number] = []
        other = "" if replaces is None else replaces.sid
        partner = "" if replaces is None else replaces.actor.call.partner
        self._tell(ev.LegReferred(number, target, other, partner, by))
        return number

    def refer_answered(self, status: int) -> Leg:
        """The far end's answer to our last REFER."""
        return self._tell(ev.ReferAnswered(self.referred[-1][0], status))

    def notify(self, status: int, *, is_final: bool = False) -> Leg:
        """The far end tells what our last REFER has met."""
        return self._tell(ev.ReferProgress(self.referred[-1][0], status, is_final))

    def redirect(self, url: str = "", twiml: str = "") -> Leg:
        document = read_answer("text/xml", twiml.encode(), "", self.world.hide).plain() if twiml else None
        return self._tell(ev.Redirect(url, "POST", document))

    def complete(self, status: str = "completed") -> Leg:
        return self._tell(ev.Complete(status, "ended over REST"))

    def _tell(self, event: ev.Event) -> Leg:
        self.world.deliver(self, event)
        return self

    def _end(self, cause: str, status: int, reason: str, headers: dict[str, str] | None = None) -> Leg:
        if self.state != "ended":
            self.state = "ended"
            ended = ev.LegEnded(cause, status, reason, headers or {}, f"call-id-{self.sid[-4:]}")
            self.world.deliver(self, ended)
        return self


class World:
    """The exchange. ``pages`` answers webhooks by URL; a list answers one after the other."""

    def __init__(self, pages: dict[str, Answer | list[Answer]] | None = None, **settings: Any) -> None:
        self.now = 0.0
        self.pages: dict[str, Answer | list[Answer]] = dict(pages or {})
        self.directory = settings.get("directory") or FakeDirectory()
        self.registrations = settings.get("registrations") or FakeRegistrations()
        self.fetch_seconds: float = settings.get("fetch_seconds", 0.1)
        self.clip_seconds: float = settings.get("clip_seconds", 1.0)
        self.calls: dict[str, Leg] = {}
        self.requests: list[Request] = []
        self.conferences: dict[str, room.Conference] = {}
        self.mixer: list[Any] = []
        self.frames: list[tuple[str, Any]] = []
        self.secrets: dict[str, str] = {}
        self.lost: set[str] = set()
        """SIDs of children that cannot be started."""
        self.steps = 0
        self.at_step: dict[int, Callable[[], None]] = {}
        """What happens when that many events have been taken, before the next one is."""
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._sids = itertools.count(1)
        self._inbox: deque[tuple[Leg, ev.Event | None]] = deque()
        self._running = False

    # -- calls ---------------------------------------------------------------------------------------

    def setup(self, kind: str, **changes: Any) -> CallSetup:
        number = next(self._sids)
        inbound = kind == "inbound"
        values: dict[str, Any] = {
            "kind": kind,
            "sid": f"CA{number:032x}",
            "account_sid": ACCOUNT,
            "seed": f"{number:032x}",
            "started_at": EPOCH + self.now,
            "direction": "inbound" if inbound else "outbound-api",
            "from_": CALLER if inbound else OURS,
            "to": OURS if inbound else CALLER,
            "page": Page(VOICE),
            "status_callback": StatusCallback(CALLBACK),
        }
        if not inbound:
            values["targets"] = ({"uri": "sip:far@192.0.2.9", "hop": None},)
        return CallSetup(**(values | changes))

    def inbound(self, twiml: str = "", **changes: Any) -> Leg:
        """A call comes in; its voice URL answers with ``twiml``."""
        if twiml:
            self.pages[VOICE] = f"<Response>{twiml}</Response>"
        leg = self.open(self.setup("inbound", **changes))
        leg.state = "offered"
        self.begin(leg)
        return leg

    def outbound(self, twiml: str = "", **changes: Any) -> Leg:
        """A program starts a call."""
        if twiml:
            self.pages[VOICE] = f"<Response>{twiml}</Response>"
        leg = self.open(self.setup("api", **changes))
        self.begin(leg)
        return leg

    def open(self, setup: CallSetup) -> Leg:
        leg = Leg(self, setup, CallActor(setup, script_of), self.now)
        self.calls[setup.sid] = leg
        return leg

    def begin(self, leg: Leg) -> None:
        self._inbox.appendleft((leg, None))
        self._drain()

    def children(self, parent: Leg) -> list[Leg]:
        """The calls that a call's Dials rang, in order."""
        return [leg for leg in self.calls.values() if leg.setup.parent_sid == parent.sid]

    def child(self, parent: Leg, index: int = -1) -> Leg:
        return self.children(parent)[index]

    # -- webhooks ------------------------------------------------------------------------------------

    def asked(self, url: str = "") -> list[Request]:
        """Requests for TwiML, of one URL or all."""
        return [r for r in self.requests if r.is_question and url in ("", r.url)]

    def told(self, url: str = "") -> list[Request]:
        """Callbacks that were sent."""
        return [r for r in self.requests if not r.is_question and url in ("", r.url)]

    def hide(self, secret: str) -> str:
        handle = f"secret:{len(self.secrets) + 1}"
        self.secrets[handle] = secret
        return handle

    def _page(self, fetch: fx.Fetch) -> ev.Fetched:
        answer = self.pages.get(fetch.url, 404)
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(dict(fetch.params))
        if isinstance(answer, int):
            return ev.Fetched(fetch.token, fetch.url, answer, None, 11200, f"HTTP {answer}")
        try:
            document = read_answer("text/xml", answer.encode(), fetch.url, self.hide)
        except DocumentError as problem:
            return ev.Fetched(fetch.token, fetch.url, 200, None, problem.code, problem.text)
        return ev.Fetched(fetch.token, fetch.url, 200, document.plain(), 0, "")

    # -- the clock and the inbox ------------------------------------------------------------------------

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now + seconds, next(self._order), what))

    def run(self, seconds: float = 1.0) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            when, _, what = heapq.heappop(self._due)
            self.now = max(self.now, when)
            what()
        self.now = end

    def deliver(self, leg: Leg, event: ev.Event) -> None:
        self._inbox.append((leg, event))
        self._drain()

    def fired(self, leg: Leg, kind: str) -> tuple[Leg, ev.Event]:
        """The timer of that kind, due now and not yet delivered."""
        token = next(token for token in leg.timers if token.startswith(kind))
        del leg.timers[token]
        return leg, ev.Fired(token)

    def overtake(self) -> None:
        """Let the event that came last be taken next."""
        self._inbox.rotate(1)

    def at_once(self, *arrivals: tuple[Leg, ev.Event]) -> None:
        """Several events lie in the inbox before the first of them is taken."""
        self._inbox.extend(arrivals)
        self._drain()

    def _drain(self) -> None:
        if self._running:
            return
        self._running = True
        try:
            while self._inbox:
                self.steps += 1
                if self.steps in self.at_step:
                    self.at_step.pop(self.steps)()
                leg, event = self._inbox.popleft()
                if leg.actor.finished:
                    continue
                given = leg.actor.start() if event is None else leg.actor.deliver(event, leg.elapsed)
                for effect in given:
                    leg.effects.append(effect)
                    getattr(self, f"_{type(effect).__name__}")(leg, effect)
        finally:
            self._running = False

    # -- effects, one method each ------------------------------------------------------------------------

    def _Ring(self, leg: Leg, effect: fx.Ring) -> None:
        assert leg.setup.kind == "inbound"

    def _Answer(self, leg: Leg, effect: fx.Answer) -> None:
        assert leg.setup.kind == "inbound"
        if leg.state == "offered":
            leg.state = "up"

    def _Refuse(self, leg: Leg, effect: fx.Refuse) -> None:
        assert leg.state in ("offered", "ended")
        leg._end("local", effect.status, effect.reason)

    def _HangUp(self, leg: Leg, effect: fx.HangUp) -> None:
        match leg.state:
            case "offered":
                leg._end("local", 480, "Temporarily Unavailable")
            case "placed":
                leg._end("cancelled", 487, "Request Terminated")
            case "idle":
                leg._end("local", 0, "not placed")
            case _:
                leg._end("local", 200, "OK")

    def _Place(self, leg: Leg, effect: fx.Place) -> None:
        assert leg.state == "idle"
        leg.state = "placed"
        if not effect.targets:
            leg._end("unreachable", 0, "no target can be reached")

    def _AnswerReferral(self, leg: Leg, effect: fx.AnswerReferral) -> None:
        assert leg.referrals[effect.number] == []
        leg.referrals[effect.number].append(effect.status)

    def _NotifyReferral(self, leg: Leg, effect: fx.NotifyReferral) -> None:
        told = leg.referrals[effect.number]
        assert told[:1] == [202] and all(status < 200 for status in told[1:])
        told.append(effect.status)

    def _Refer(self, leg: Leg, effect: fx.Refer) -> None:
        leg.referred.append((effect.token, effect.target))
        if leg.state != "up":
            self.deliver(leg, ev.ReferAnswered(effect.token, 0))

    def _Play(self, leg: Leg, effect: fx.Play) -> None:
        self._stop(leg)
        leg.playing = effect.token
        if effect.source[0] == "url" and "missing" in effect.source[1]:
            leg.playing = ""
            self.after(0.2, lambda: self.deliver(leg, ev.PlayFailed(effect.token, 11200, "HTTP 404")))
        elif effect.loops:
            length = float(effect.source[1]) if effect.source[0] == "silence" else self.clip_seconds
            self.after(length * effect.loops, lambda: self._played(leg, effect.token))

    def _SendDigits(self, leg: Leg, effect: fx.SendDigits) -> None:
        self._stop(leg)
        leg.playing = effect.token
        self.after(0.25 * len(effect.digits), lambda: self._played(leg, effect.token))

    def _played(self, leg: Leg, token: str) -> None:
        if leg.playing == token:
            leg.playing = ""
            self.deliver(leg, ev.Played(token, False))

    def _stop(self, leg: Leg) -> None:
        token, leg.playing = leg.playing, ""
        if token:
            self.deliver(leg, ev.Played(token, True))

    def _StopPlay(self, leg: Leg, effect: fx.StopPlay) -> None:
        self._stop(leg)

    def _Fetch(self, leg: Leg, effect: fx.Fetch) -> None:
        self.requests.append(Request(self.now, leg.sid, effect.url, effect.method, dict(effect.params), True))
        answer = self._page(effect)
        self.after(self.fetch_seconds, lambda: self.deliver(leg, answer))

    def _Notify(self, leg: Leg | None, effect: fx.Notify) -> None:
        sid = leg.sid if leg else ""
        self.requests.append(Request(self.now, sid, effect.url, effect.method, dict(effect.params), False))

    def _Plan(self, leg: Leg, effect: fx.Plan) -> None:
        planned = plan(effect.wanted, self.directory, self.registrations, EPOCH + self.now)
        self.deliver(leg, ev.Planned(effect.token, planned))

    def _Arm(self, leg: Leg, effect: fx.Arm) -> None:
        at = self.now + effect.after
        leg.timers[effect.token] = at

        def fire() -> None:
            if leg.timers.get(effect.token) == at:
                del leg.timers[effect.token]
                self.deliver(leg, ev.Fired(effect.token))

        self.after(effect.after, fire)

    def _Disarm(self, leg: Leg, effect: fx.Disarm) -> None:
        leg.timers.pop(effect.token, None)

    def _Spawn(self, leg: Leg, effect: fx.Spawn) -> None:
        setup = effect.setup
        if self.lost:
            self.deliver(leg, ev.Told(setup.sid, "ended", failed_ending(503)))
        else:
            self.begin(self.open(setup))

    def _Tell(self, leg: Leg, effect: fx.Tell) -> None:
        recipient = self.calls.get(effect.recipient)
        if recipient is not None and not recipient.over:
            self.deliver(recipient, ev.Told(leg.sid, effect.subject, effect.data))
        elif (conference := self.conferences.get(effect.recipient)) is not None:
            now = EPOCH + self.now
            self.conduct(conference, conference.on_told(leg.sid, effect.subject, effect.data, now))
        elif (answer := undelivered(effect)) is not None:
            self.deliver(leg, answer)

    def _Bridge(self, leg: Leg, effect: fx.Bridge) -> None:
        other = self.calls[effect.call_sid]
        if leg.bridged is not other and not other.over:
            self._unbridge(leg)
            self._unbridge(other)
            leg.bridged, other.bridged = other, leg

    def _Unbridge(self, leg: Leg, effect: fx.Unbridge) -> None:
        self._unbridge(leg)

    def _unbridge(self, leg: Leg) -> None:
        if leg.bridged is not None:
            leg.bridged.bridged = None
            leg.bridged = None

    def _JoinConference(self, leg: Leg, effect: fx.JoinConference) -> None:
        conference = next((c for c in self.conferences.values() if c.name == effect.name), None)
        if conference is None:
            sid = effect.options["conference_sid"]
            conference = room.Conference(sid, leg.setup.account_sid, effect.name, EPOCH + self.now)
            self.conferences[sid] = conference
        leg.conference = conference
        self.conduct(conference, conference.on_join(leg.sid, effect.options, EPOCH + self.now))
        if conference.status == "init" and not conference.participants:
            self.conferences.pop(conference.sid, None)  # made for somebody who was refused
            leg.conference = None

    def _LeaveConference(self, leg: Leg, effect: fx.LeaveConference) -> None:
        conference, leg.conference = leg.conference, None
        if conference is not None:
            left = conference.on_leave(leg.sid, EPOCH + self.now, effect.reason, effect.call_status)
            self.conduct(conference, left)

    def conduct(self, conference: room.Conference, effects: list[room.ConferenceEffect]) -> None:
        """Carry a conference's effects out, what members are told last, as the shell does."""
        for effect in sorted(effects, key=lambda effect: isinstance(effect, fx.Tell)):
            if isinstance(effect, fx.Tell):
                recipient = self.calls[effect.recipient]
                if not recipient.over:
                    self.deliver(recipient, ev.Told(conference.sid, effect.subject, effect.data))
            elif isinstance(effect, fx.Notify):
                self._Notify(None, effect)
            else:
                self.mixer.append(effect)
                if isinstance(effect, room.Unmix):
                    self.calls[effect.call_sid].conference = None
                elif isinstance(effect, room.Close):
                    del self.conferences[conference.sid]

    def _StartStream(self, leg: Leg, effect: fx.StartStream) -> None:
        stream = streaming.MediaStream(effect.stream_sid, ACCOUNT, leg.sid, effect.options)
        leg.streams.append(stream)
        self._stream(leg, stream.name, stream.on_opened(EPOCH + self.now))

    def _StopStream(self, leg: Leg, effect: fx.StopStream) -> None:
        for stream in leg.streams:
            if effect.name in (stream.name, stream.sid):
                self._stream(leg, stream.name, stream.on_stop(EPOCH + self.now))

    def _stream(self, leg: Leg, name: str, effects: list[streaming.StreamEffect]) -> None:
        for effect in effects:
            if isinstance(effect, fx.Notify):
                self._Notify(leg, effect)
            else:
                self.frames.append((name, effect))

    def _Fact(self, leg: Leg, effect: fx.Fact) -> None:
        leg.row.update(effect.changes)

    def _Note(self, leg: Leg, effect: fx.Note) -> None:
        pass

    def _Finish(self, leg: Leg, effect: fx.Finish) -> None:
        leg.over = True
        leg.left_armed = sorted(leg.timers)
        leg.timers.clear()
        self._LeaveConference(leg, fx.LeaveConference("", room.HUNG_UP, "completed"))
        self._unbridge(leg)
        for stream in leg.streams:
            self._stream(leg, stream.name, stream.on_stop(EPOCH + self.now))

    # -- the end ----------------------------------------------------------------------------------------

    def end(self) -> None:
        """Every far end hangs up; then every call must be over as it should be."""
        for leg in list(self.calls.values()):
            if leg.state != "idle":
                leg.hang_up()
        self.run(5)
        self.assert_over()

    def assert_over(self) -> None:
        """Each call finished once, with one final record, no timer, bridge, room or stream left, and replays."""
        for leg in self.calls.values():
            assert leg.actor.finished and leg.over, (leg.sid, leg.state, leg.names()[-6:])
            assert leg.count(fx.Finish) == 1
            assert isinstance(leg.effects[-1], fx.Finish)
            finals = [fact.changes for fact in leg.all(fx.Fact) if "end_time" in fact.changes]
            assert len(finals) == 1, finals
            assert finals[0]["status"] in ("completed", "busy", "no-answer", "canceled", "failed")
            assert (finals[0]["status"] == "completed") == (leg.actor.call.answered_at is not None), finals
            assert not leg.left_armed, leg.left_armed
            assert leg.bridged is None
            assert leg.conference is None
            assert all(stream.status == "stopped" for stream in leg.streams)
            found = replay(decode(leg.actor.journal.encode()), script_of)
            assert found.difference is None, found.difference
            assert found.actor.finished
            assert SECRET.encode() not in leg.actor.journal.encode()
        assert not self.conferences
