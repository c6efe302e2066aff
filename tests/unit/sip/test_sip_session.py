"""Sessions from end to end, over the virtual network."""

from __future__ import annotations

from unit.sip.virtual_network import Network, Node

from ringback.sip.effects import (
    Confirmed,
    Effect,
    Ended,
    Established,
    Ringing,
)
from ringback.sip.message import Request
from ringback.sip.session import InviteSession


def pair(network: Network) -> tuple[Node, Node]:
    return network.node("alice", "192.0.2.1"), network.node("bob", "192.0.2.2")


def ring_and_answer(node: Node) -> None:
    def react(session: InviteSession, request: Request) -> list[Effect]:
        now = node.network.now
        return session.progress(180, now) + session.answer(b"answer", now)

    node.answering(react)


def test_basic_call() -> None:
    network = Network()
    alice, bob = pair(network)
    ring_and_answer(bob)
    session = alice.call(bob)
    network.run(1)
    assert alice.count(Ringing) == 1
    (established,) = alice.all(Established)
    assert established.body == b"answer"
    assert bob.all(Confirmed) == [Confirmed(bob.sessions[0], b"")]
    alice.run(session.hangup(network.now))
    network.run()
    assert [(each.cause, each.status) for each in bob.all(Ended)] == [("bye", 200)]
    assert alice.endings(session) == ["local"]
    assert alice.trace == ["INVITE", "ACK", "BYE"]
    assert bob.trace == ["100 INVITE", "180 INVITE", "200 INVITE", "200 BYE"]
    network.assert_idle()


def test_callee_hangs_up() -> None:
    network = Network()
    alice, bob = pair(network)
    ring_and_answer(bob)
    session = alice.call(bob)
    network.run(1)
    bob.run(bob.sessions[0].hangup(network.now, headers=[("X-Why", "enough")]))
    network.run()
    assert bob.endings(bob.sessions[0]) == ["local"]
    (ended,) = alice.all(Ended)
    assert (ended.session, ended.cause) == (session, "bye")
    assert ended.message.get("X-Why") == "enough"
    network.assert_idle()


def test_rejection() -> None:
    network = Network()
    alice, bob = pair(network)
    bob.answering(lambda session, request: session.reject(486, network.now, headers=[("X-Busy", "yes")]))
    session = alice.call(bob)
    network.run()
    (ended,) = alice.all(Ended)
    assert (ended.session, ended.cause, ended.status, ended.reason) == (session, "rejected", 486, "Busy Here")
    assert ended.message.get("X-Busy") == "yes"
    assert [each.cause for each in bob.all(Ended)] == ["local"]
    assert alice.trace == ["INVITE", "ACK"]
    network.assert_idle()


def test_cancel_while_ringing() -> None:
    network = Network()
    alice, bob = pair(network)
    bob.answering(lambda session, request: session.progress(180, network.now))
    session = alice.call(bob)
    network.run(1)
    alice.run(session.hangup(network.now))
    network.run()
    assert alice.endings(session) == ["cancelled"]
    assert [(each.cause, each.status) for each in bob.all(Ended)] == [("cancelled", 487)]
    assert alice.trace == ["INVITE", "CANCEL", "ACK"]
    assert bob.trace == ["100 INVITE", "180 INVITE", "200 CANCEL", "487 INVITE"]
    network.assert_idle()
