"""Whatever the weather and the commands: every session ends exactly once, and nothing stays behind."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from unit.sip.leftovers import forget
from unit.sip.virtual_network import Network, Node

from ringback.sip.effects import Effect, Ended, Established, Reanswered, Referred, Reoffered, Ringing
from ringback.sip.message import Request
from ringback.sip.session import InviteSession

LOST: tuple[float, ...] = ()
CLEAR = (0.01,)
# A datagram is lost, comes twice, late, or late and twice; mostly it just comes.
FATES = st.sampled_from([CLEAR, CLEAR, CLEAR, LOST, (0.01, 0.3), (0.7,), (2.5,), (0.2, 6.0)])
CALLER = st.sampled_from(["hangup", "reinvite", "offerless", "info", "update", "refer"])
CALLEE = st.sampled_from(
    ["ring", "early", "answer", "reject", "hangup", "reinvite", "offerless", "info", "update", "refer"]
)
EXTENSIONS = st.sampled_from([(), ("100rel",), ("timer",), ("100rel", "timer")])
MOMENTS = st.floats(0, 12)
TRANSPORTS = st.sampled_from(["UDP", "UDP", "UDP", "TCP"])


@dataclass
class Play:
    """What happens, and when."""

    fates: list[tuple[float, ...]]
    caller: list[tuple[float, str]]
    callee: list[tuple[float, str]]
    offer: bytes
    verdict: int
    transport: str
    extensions: tuple[str, ...]
    taken: int = field(default=0)

    def weather(self, data: bytes) -> Sequence[float]:
        if self.taken >= len(self.fates):
            return CLEAR
        self.taken += 1
        return self.fates[self.taken - 1]


PLAYS = st.builds(
    Play,
    fates=st.lists(FATES, max_size=30),
    caller=st.lists(st.tuples(MOMENTS, CALLER), max_size=5),
    callee=st.lists(st.tuples(MOMENTS, CALLEE), max_size=6),
    offer=st.sampled_from([b"offer", b""]),
    verdict=st.sampled_from([200, 200, 488, 491, 0]),
    transport=TRANSPORTS,
    extensions=EXTENSIONS,
)


def pair(play: Play) -> tuple[Network, Node, Node]:
    network = Network(play.weather)
    options = {"extensions": play.extensions, "takes_referrals": True}
    alice, bob = network.node("alice", "192.0.2.1", **options), network.node("bob", "192.0.2.2", **options)
    for node in (alice, bob):
        react_to_offers(node, play.verdict)
    return network, alice, bob


def react_to_offers(node: Node, verdict: int) -> None:
    def reoffered(effect: Reoffered) -> list[Effect]:
        if verdict == 0:
            return []  # never answered
        if verdict == 200:
            return effect.session.accept_reoffer(b"accepted", node.network.now)
        return effect.session.refuse_reoffer(verdict, node.network.now)

    def acknowledge(effect: Established | Reanswered | Ringing) -> list[Effect]:
        return effect.session.ack(b"answer", node.network.now)

    def referred(effect: Referred) -> list[Effect]:
        now = node.network.now
        if verdict != 200:
            return effect.session.refuse_referral(effect.referral, 603, now) if verdict else []
        accepted = effect.session.accept_referral(effect.referral, now)
        return accepted + effect.session.refer_progress(effect.referral, 180, now)

    node.on[Reoffered] = reoffered
    node.on[Established] = acknowledge
    node.on[Reanswered] = acknowledge
    node.on[Ringing] = acknowledge
    node.on[Referred] = referred


def command(node: Node, session: InviteSession, what: str) -> None:
    now = node.network.now
    effects = {
        "hangup": lambda: session.hangup(now),
        "reinvite": lambda: session.reinvite(b"again", now),
        "offerless": lambda: session.reinvite(b"", now),
        "info": lambda: session.info(b"1", "text/plain", now),
        "update": lambda: session.update(b"anew", now),
        "refer": lambda: session.refer("<sip:carol@192.0.2.3>", now)[1],
        "ring": lambda: session.progress(180, now),
        "early": lambda: session.progress(183, now, body=b"early"),
        "answer": lambda: session.answer(b"answer", now),
        "reject": lambda: session.reject(486, now),
    }[what]()
    node.run(effects)


@settings(max_examples=300)
@given(PLAYS)
def test_every_session_ends_exactly_once_on_both_sides(play: Play) -> None:
    network, alice, bob = pair(play)

    def react(session: InviteSession, request: Request) -> list[Effect]:
        for moment, what in play.callee:
            network.at(network.now + moment, command, bob, session, what)
        return []

    bob.answering(react)
    session = alice.call(bob, body=play.offer, transport=play.transport)
    for moment, what in play.caller:
        network.at(network.now + moment, command, alice, session, what)
    network.run(100)
    # Whoever still stands hangs up: first one side, later the other, which mostly has heard it by then.
    command(alice, session, "hangup")
    network.run(100)
    for each in bob.sessions:
        command(bob, each, "hangup")
    network.run()
    for node in (alice, bob):
        for each in node.sessions:
            assert len(node.endings(each)) == 1, (node.name, node.trace)
            assert each.is_over
        assert node.count(Ended) == len(node.sessions)
    network.assert_idle()


class Owner:
    """Who lives as long as a session does."""


@settings(max_examples=300)
@given(PLAYS)
def test_no_session_is_left_in_a_ring_of_objects(play: Play) -> None:
    gc.disable()
    try:
        network, alice, bob = pair(play)
        owners: list[weakref.ref[Owner]] = []

        def own(session: InviteSession) -> InviteSession:
            session.owner = Owner()
            owners.append(weakref.ref(session.owner))
            return session

        def react(session: InviteSession, request: Request) -> list[Effect]:
            own(session)
            for moment, what in play.callee:
                network.at(network.now + moment, command, bob, session, what)
            return []

        bob.answering(react)
        session = own(alice.call(bob, body=play.offer, transport=play.transport))
        for moment, what in play.caller:
            network.at(network.now + moment, command, alice, session, what)
        for _ in range(2):
            network.run(100)
            for node in (alice, bob):
                for session in node.sessions:
                    command(node, session, "hangup")
        network.run()
        del session
        forget(alice, bob)
        assert [owner() for owner in owners] == [None] * len(owners)
    finally:
        gc.enable()


@settings(max_examples=100)
@given(PLAYS)
def test_nothing_is_told_of_a_session_after_its_end(play: Play) -> None:
    network, alice, bob = pair(play)

    def react(session: InviteSession, request: Request) -> list[Effect]:
        for moment, what in play.callee:
            network.at(network.now + moment, command, bob, session, what)
        return session.answer(b"answer", network.now)

    bob.answering(react)
    session = alice.call(bob, transport=play.transport)
    for moment, what in play.caller:
        network.at(network.now + moment, command, alice, session, what)
    network.run(50)
    command(alice, session, "hangup")
    network.run()
    for node in (alice, bob):
        over: set[int] = set()
        for effect in node.seen:
            about = getattr(effect, "session", None)
            assert about is None or id(about) not in over, effect
            if isinstance(effect, Ended):
                over.add(id(effect.session))
