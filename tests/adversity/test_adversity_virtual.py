"""Thousands of calls through bad weather, on a virtual clock: how many are set up, and that each ends once."""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any

from adversity.proxy import Weather
from unit.sip.virtual_network import Network, Node

from ringback.sip.effects import Arm, Disarm, Effect, Ended, Established, Ringing, Send
from ringback.sip.errors import SipSyntaxError
from ringback.sip.flow import Flow
from ringback.sip.message import Request, parse
from ringback.sip.session import InviteSession

CALLS = int(os.environ.get("RINGBACK_ADVERSITY_CALLS", "2000"))
"""10,000 carry the claim of docs/robustness.md; the suite has less time."""

STORM = Weather(loss=0.10, reorder=0.05, repeat=0.02, delay=0.02, jitter=0.01, held=0.4)
EVERY = 0.05
TALK = 5.0


class Light(Node):
    """A node that keeps no record of what passes, since thousands of calls do."""

    def run(self, effects: list[Effect]) -> None:
        for effect in effects:
            kind = type(effect)
            if kind is Send:
                self.network.carry(self, effect)  # type: ignore[arg-type]
            elif kind is Arm:
                self.timers[effect.key] = effect.at  # type: ignore[union-attr]
                self.network.at(effect.at, self._fire, effect.key, effect.at)  # type: ignore[union-attr]
            elif kind is Disarm:
                self.timers.pop(effect.key, None)  # type: ignore[union-attr]
            elif kind in self.on:
                self.run(self.on[kind](effect) or [])

    def receive(self, data: bytes, flow: Flow) -> None:
        try:
            message = parse(data)
        except SipSyntaxError as error:
            if isinstance(error.message, Request):
                self.run(self.agent.reply_statelessly(error.message, flow, error.status, error.reason))
            return
        self.run(self.agent.on_message(message, flow, self.network.now))


class Damaging(Network):
    """A network that also changes bytes on their way."""

    def __init__(self, weather: Weather, seed: int) -> None:
        dice = random.Random(seed)
        super().__init__(lambda data: weather.delays(dice))
        self._damage = weather
        self._dice = dice

    def carry(self, sender: Node, effect: Send) -> None:
        damaged = self._damage.damaged(effect.data, self._dice)
        super().carry(sender, Send(effect.hop, damaged, effect.transaction))


class Traffic:
    """Calls from one node to another, some hung up by the caller, some by the callee, some refused or given up."""

    def __init__(self, seed: int, calls: int, weather: Weather) -> None:
        self.dice = random.Random(seed)
        self.network = Damaging(weather, seed + 1)
        self.alice = Light(self.network, "alice", "192.0.2.1")
        self.bob = Light(self.network, "bob", "192.0.2.2")
        for node in (self.alice, self.bob):
            self.network.nodes[node.address] = node
            node.on[Ended] = self.ended
        self.alice.on[Established] = self.established
        self.alice.on[Ringing] = lambda effect: None
        self.bob.answering(self.rings)
        self.endings: Counter[int] = Counter()
        self.causes: Counter[str] = Counter()
        self.up: set[int] = set()
        self.answerable = 0
        self.answered = 0
        self.sessions: list[InviteSession] = []
        for n in range(calls):
            self.network.at(self.network.now + n * EVERY, self.place)

    def place(self) -> None:
        kind = self.dice.random()
        give_up = kind > 0.95
        self.answerable += kind < 0.90
        uri = f"sip:{'no' if 0.90 <= kind <= 0.95 else 'slow' if give_up else 'yes'}@192.0.2.2"
        session = self.alice.call(self.bob, uri=uri)
        self.alice.sessions.pop()
        self.sessions.append(session)
        if give_up:
            self.network.at(self.network.now + 1.0, self.hang_up, self.alice, session)

    def rings(self, session: InviteSession, request: Any) -> list[Effect]:
        self.bob.sessions.pop()
        self.sessions.append(session)
        now = self.network.now
        if request.uri.user == "no":
            return session.reject(486, now=now)
        ringing = session.progress(180, now=now)
        if request.uri.user == "yes":
            self.network.at(now + 0.5, self.answer, session)
        return ringing

    def answer(self, session: InviteSession) -> None:
        self.bob.run(session.answer(b"answer", self.network.now))
        if self.dice.random() < 0.5:
            self.network.at(self.network.now + TALK, self.hang_up, self.bob, session)

    def established(self, effect: Established) -> None:
        if id(effect.session) not in self.up:
            self.up.add(id(effect.session))
            self.answered += 1
            self.network.at(self.network.now + 2 * TALK, self.hang_up, self.alice, effect.session)

    def hang_up(self, node: Node, session: InviteSession) -> None:
        if not self.endings[id(session)]:
            node.run(session.hangup(self.network.now))

    def ended(self, effect: Ended) -> None:
        self.endings[id(effect.session)] += 1
        self.causes[effect.cause] += 1


def test_calls_come_about_in_a_storm_and_each_ends_once(record_property: Any) -> None:
    traffic = Traffic(20, CALLS, STORM)
    traffic.network.run(CALLS * EVERY + 2 * TALK + 5)
    traffic.network.run()
    rate = traffic.answered / traffic.answerable
    record_property("set up", f"{traffic.answered} of {traffic.answerable}")
    print(f"{traffic.answered} of {traffic.answerable} calls set up ({rate:.3%}); {dict(traffic.causes)}")
    assert rate >= 0.999
    assert len(traffic.sessions) >= 2 * 0.99 * CALLS
    assert Counter(traffic.endings[id(session)] for session in traffic.sessions) == {1: len(traffic.sessions)}
    traffic.network.assert_idle()


def test_calls_through_a_network_that_changes_bytes_each_end_once() -> None:
    traffic = Traffic(21, 500, Weather(loss=0.05, repeat=0.05, corrupt=0.1, delay=0.02))
    traffic.network.run(500 * EVERY + 2 * TALK + 5)
    for session in list(traffic.sessions):  # a damaged message may have made a call that nobody knows of
        for node in (traffic.alice, traffic.bob):
            if node.agent.sessions.get(session.dialog.local_tag) is session:
                traffic.hang_up(node, session)
    traffic.network.run()
    counts = Counter(traffic.endings[id(session)] for session in traffic.sessions)
    assert counts == {1: len(traffic.sessions)}
    assert traffic.answered > 0.8 * traffic.answerable
    traffic.network.assert_idle()
