"""An agent with all its extensions in the middle of calls: a conversation of messages and commands, ended well.

An input is a list of pieces, separated by two NULs. A piece that begins with "!" holds commands of the agent's user,
every other is a message from the wire; 0.3 s pass before each. Whatever comes: every session ends once, and says
nothing afterwards; no transaction is forgotten without an answer; no timer is left.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

from fuzz import seeds

from ringback.sip import effects as sip
from ringback.sip.agent import UserAgent
from ringback.sip.authorization import Login
from ringback.sip.errors import PeerError, SipSyntaxError
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import Request, parse
from ringback.sip.registrar import Registrar
from ringback.sip.session import InviteSession, SessionState

FLOW = Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.7", 5060))
SEPARATOR = b"\0\0"
PIECES = 24
"""Of one input; the longest of the conversations below has 14."""
LETTERS = 12
"""Of a piece with commands."""
CALLS = 6
"""Of ours in one conversation, so that an input stays as small as its time is short."""
SENT_AT_ONCE = 64
"""More than any one event makes the agent send: eight NOTIFYs, and sixteen forks to be ended."""

US = "<sip:bob@192.0.2.1>"
CAROL: dict[str, Any] = {
    "uri": "sip:carol@192.0.2.7",
    "hops": [Hop("UDP", "192.0.2.7", 5060), Hop("TCP", "192.0.2.8", 5060)],
    "from_": US,
    "to": "<sip:carol@192.0.2.7>",
    "contact": US,
    "sent_by": "192.0.2.1:5060",
    "credentials": Login("bob", "secret"),
}


class World:
    """The agent, its clock, and a user who answers what it is asked as ``policy`` says.

    ``policy``: "a" answers calls, offers and referrals at once; "r" refuses them; others leave them alone.
    """

    def __init__(self, policy: str = "a") -> None:
        tokens = map("t{:06d}".format, itertools.count())
        self.agent = UserAgent(
            lambda: next(tokens), "x/1", extensions=("100rel", "timer", "replaces"), takes_referrals=True
        )
        self.policy = policy
        self.now = 1000.0
        self.timers: dict[Any, float] = {}
        self.due: list[tuple[float, int, Any]] = []
        self.order = itertools.count()
        self.questions: list[sip.Resolve] = []
        self.sent: list[bytes] = []
        self.told: Counter[tuple[str, int]] = Counter()
        self.asked = 0
        self.sessions: list[InviteSession] = []
        self.referral = 0
        self.registrar = Registrar()

    # -- effects ------------------------------------------------------------------------------------

    def run(self, effects: list[Any]) -> None:
        """Carry effects out, and look whether all is in order."""
        assert sum(isinstance(effect, sip.Send) for effect in effects) <= SENT_AT_ONCE
        for effect in effects:
            match effect:
                case sip.Send():
                    if effect.transaction:  # a stateless answer repeats what it answers, mistakes and all
                        parse(effect.data)
                    self.sent.append(effect.data)
                case sip.Arm(key, at):
                    assert at >= self.now, effect
                    self.timers[key] = at
                    heapq.heappush(self.due, (at, next(self.order), key))
                case sip.Disarm(key):
                    self.timers.pop(key, None)
                case sip.Resolve():
                    self.questions.append(effect)
                case sip.Incoming(request, flow):
                    self.incoming(request, flow)
                case sip.FinalResponse() | sip.Failed():
                    self.asked -= 1
                case sip.HopFailed():
                    pass
                case _:
                    self.tell(effect)

    def tell(self, effect: Any) -> None:
        """The user of a session hears of something."""
        session = effect.session
        name = type(effect).__name__
        assert not self.told["Ended", id(session)], f"{name} after Ended"
        self.told[name, id(session)] += 1
        if name in ("Established", "Confirmed"):
            assert self.told[name, id(session)] == 1, name
        match effect:
            case sip.Reoffered(_, _, body) if self.policy == "a":
                self.run(session.accept_reoffer(body or seeds.OFFER, self.now))
            case sip.Reoffered() if self.policy == "r":
                self.run(session.refuse_reoffer(488, self.now))
            case sip.Referred(_, _, _, number):
                self.referral = number
                if self.policy == "a":
                    self.run(session.accept_referral(number, self.now))
                elif self.policy == "r":
                    self.run(session.refuse_referral(number, 603, self.now))

    def incoming(self, request: Request, flow: Flow) -> None:
        """A request outside any dialog."""
        agent = self.agent
        if request.method == "INVITE":
            try:
                replaced = agent.replaced(request)
                session, effects = agent.accept(request, flow, self.now, contact=US)
            except PeerError as error:
                self.run(agent.reply_statelessly(request, flow, error.status))
                return
            self.sessions.append(session)
            self.run(effects)
            if self.policy == "a":
                self.run(session.answer(seeds.OFFER, self.now))
            elif self.policy == "r":
                self.run(session.reject(486, self.now))
            if replaced is not None:
                self.run(replaced.hangup(self.now))
        elif request.method == "REGISTER":
            found = self.registrar.register("bob@example.com", request, flow, self.now)
            self.run(agent.answer_at_once(request, flow, found.status, found.reason, found.headers, self.now))
        else:
            self.run(agent.reply_statelessly(request, flow, 200, headers=agent.capabilities))

    # -- what happens to it -------------------------------------------------------------------------

    def call(self, body: bytes = seeds.OFFER, **more: Any) -> None:
        """Call Carol."""
        if len(self.sessions) >= CALLS:
            return
        session, effects = self.agent.invite(**CAROL, body=body, now=self.now, **more)
        self.sessions.append(session)
        self.run(effects)

    def register(self) -> None:
        """Ask a registrar, with a password."""
        if self.asked >= CALLS:
            return
        self.asked += 1
        where = {key: value for key, value in CAROL.items() if key != "contact"}
        self.run(self.agent.request(method="REGISTER", now=self.now, contact=US, **where))

    def piece(self, data: bytes) -> None:
        """The next thing that happens."""
        self.pass_time(0.3)
        if data[:1] == b"!":
            self.commands(data[1 : 1 + LETTERS].decode("latin-1"))
        else:
            try:
                message = parse(data)
            except SipSyntaxError as error:
                if isinstance(error.message, Request):
                    reply = self.agent.reply_statelessly(error.message, FLOW, error.status, error.reason)
                    assert len(reply) <= 1
                    self.run(reply)
                return
            self.run(self.agent.on_message(message, FLOW, self.now))
        self.find_names()
        self.check()

    def commands(self, text: str) -> None:
        """Letters are commands, to the session whose number came last; those without sense now do nothing."""
        session = self.sessions[0] if self.sessions else None
        for letter in text:
            now = self.now
            if letter in "0123456789" and self.sessions:
                session = self.sessions[int(letter) % len(self.sessions)]
            elif letter in WORLD:
                WORLD[letter](self)
            elif letter in SESSION and session is not None:
                self.run(SESSION[letter](session, self.now))
            elif letter in "nN" and session is not None:
                self.run(session.refer_progress(self.referral, 180 if letter == "n" else 200, now))
            elif letter in "yY" and session is not None:
                accept = session.accept_referral(self.referral, now) if letter == "y" else None
                self.run(session.refuse_referral(self.referral, 480, now) if accept is None else accept)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and timers fire."""
        until = self.now + seconds
        for _ in range(2_000):
            if not self.due or self.due[0][0] > until:
                break
            at, _, key = heapq.heappop(self.due)
            if self.timers.get(key) == at:
                del self.timers[key]
                self.now = max(self.now, at)
                self.run(self.agent.on_timer(key, self.now))
                self.find_names()
        self.now = max(self.now, until)

    def find_names(self) -> None:
        """The resolver's answers, which come later than what asked for them."""
        while self.questions:
            key, uri = self.questions.pop(0)
            hops = [] if "nowhere" in uri.host else [Hop("UDP", "192.0.2.9", 5060)]
            self.run(self.agent.on_resolved(key, hops, self.now))

    # -- what must hold -----------------------------------------------------------------------------

    def check(self) -> None:
        """Nothing waits for what cannot come: whoever waits has a transaction or a timer."""
        tables = self.agent.tables
        for session in self.sessions:
            tag = session.dialog.local_tag
            match session.state:
                case SessionState.CALLING:
                    assert session.call is not None
                    assert session.call.transaction in tables.clients.values(), "called, and gone"
                case SessionState.INCOMING:
                    assert session.invited is not None
                    server = session.invited.transaction
                    assert tables.servers.get(server.key) is server
                    assert not server.answered
                case SessionState.ANSWERED:
                    assert session.invited is not None
                    assert session.invited.is_held or ("answer", tag) in self.timers
                case SessionState.CONFIRMED:
                    assert not session.timer.interval or ("refresh", tag) in self.timers
        for server in tables.servers.values():
            waits = server.user is not None or ("server", server.key) in self.timers
            assert waits, f"{server.request.method} without an answer"
        for client in tables.clients.values():
            caller = getattr(client.user, "_session", None)  # of a first INVITE, which may ring for ever
            rings = client.invite and isinstance(caller, InviteSession) and not caller.is_over
            assert rings or ("client", client.key) in self.timers, f"{client.request.method} for ever"

    def end(self) -> None:
        """Hang up, let all timers run out; then nothing may be left."""
        for session in self.sessions:
            self.run(session.hangup(self.now))
        self.find_names()
        self.pass_time(100_000)
        assert not self.timers, self.timers
        assert self.agent.is_idle, (self.agent.tables.clients, self.agent.tables.servers)
        assert not self.asked
        assert all(self.told["Ended", id(session)] == 1 for session in self.sessions), self.told


SESSION: dict[str, Callable[[InviteSession, float], list[Any]]] = {
    "p": lambda session, now: session.progress(180, now),
    "P": lambda session, now: session.progress(183, now, body=seeds.OFFER),
    "a": lambda session, now: session.answer(seeds.OFFER, now),
    "r": lambda session, now: session.reject(486, now),
    "h": lambda session, now: session.hangup(now),
    "i": lambda session, now: session.info(b"Signal=5", "application/dtmf-relay", now),
    "I": lambda session, now: session.reinvite(seeds.OFFER, now),
    "o": lambda session, now: session.reinvite(b"", now),
    "u": lambda session, now: session.update(seeds.OFFER, now),
    "U": lambda session, now: session.update(b"", now),
    "k": lambda session, now: session.ack(seeds.OFFER, now),
    "f": lambda session, now: session.refer("<sip:dave@192.0.2.7>", now)[1],
    "x": lambda session, now: session.accept_reoffer(seeds.OFFER, now),
    "X": lambda session, now: session.refuse_reoffer(488, now),
}
WORLD: dict[str, Callable[[World], None]] = {
    "c": lambda world: world.call(),
    "C": lambda world: world.call(b"", expires=60),
    "g": lambda world: world.register(),
    "t": lambda world: world.pass_time(5),
    "T": lambda world: world.pass_time(100),
    "d": lambda world: world.run(world.agent.on_unreachable(Hop("UDP", "192.0.2.7", 5060), world.now)),
}


def agent(data: bytes) -> None:
    """One conversation; its first piece may set the policy: "!=a", "!=r", "!=-"."""
    pieces = data.split(SEPARATOR)[:PIECES]
    policy = chr(pieces[0][2]) if pieces[0][:2] == b"!=" and len(pieces[0]) > 2 else "a"
    world = World(policy)
    for piece in pieces:
        world.piece(piece)
    world.end()
