"""Hang up, redirect and complete at every moment of some calls: between any two events, early and late."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from unit.twiml.driver import Leg, World

WHISPER = '<Response><Gather numDigits="1" action="/key"><Say>Press 1</Say></Gather><Hangup/></Response>'
OTHER = "<Response><Say>other</Say><Dial>+14155559999</Dial></Response>"
PAGES = {
    "http://app.test/whisper": WHISPER,
    "http://app.test/key": "<Response/>",
    "http://app.test/refer": "<Response><Dial><Sip>sip:carol@example.com</Sip></Dial></Response>",
    "http://app.test/done": "<Response><Say>done</Say></Response>",
}


def pick_up(leg: Leg) -> None:
    if leg.state == "placed":
        leg.answer()


def screened(world: World) -> Leg:
    """A parallel Dial; one callee thinks, another accepts, they talk."""
    nouns = "".join(f'<Number url="/whisper">+1415555222{n}</Number>' for n in range(2))
    call = world.inbound(f'<Say>Hi</Say><Dial action="/done">{nouns}<Sip>sip:bob@example.com</Sip></Dial>')
    world.run(1.5)
    for child in world.children(call)[:2]:
        if child.state == "placed":
            child.ring()
        world.run(0.2)
        pick_up(child)
    world.run(0.5)
    for child in world.children(call)[1:2]:
        if child.state == "up":
            child.press("1")
    world.run(5)
    return call


def one_after_another(world: World) -> Leg:
    """A sequential Dial with answerOnBridge: busy, no answer, answered with early media."""
    nouns = "".join(f"<Number>+1415555222{n}</Number>" for n in range(3))
    call = world.inbound(
        f'<Dial sequential="true" answerOnBridge="true" timeout="5" action="/done">{nouns}</Dial>'
    )
    world.run(0.5)
    for child in world.children(call)[-1:]:
        child.reject(486)
    world.run(10.1)
    for child in world.children(call)[-1:]:
        if child.state == "placed":
            child.ring(183, early_media=True)
        pick_up(child)
    world.run(3)
    return call


def meeting(world: World) -> Leg:
    """A Gather, then a conference of two, which a key ends."""
    room = "<Dial hangupOnStar='true' action='/done'><Conference>r</Conference></Dial>"
    call = world.inbound(f"<Gather numDigits='1'><Say>Code</Say></Gather>{room}")
    other = world.inbound(room)
    world.run(8)
    if not call.over:
        call.press("1*")
    if not other.over:
        other.press("*")
    world.run(3)
    return call


def transferred(world: World) -> Leg:
    """The callee transfers the caller and waits; who answers transfers him on, and the last one has a second call."""
    call = world.inbound(
        '<Dial action="/done" referUrl="/refer" answerOnBridge="true"><Sip>sip:a@example.com</Sip></Dial>'
    )
    world.run(0.5)
    for child in world.children(call):
        pick_up(child)
        world.run(1)
        if child.state == "up":
            child.refer()
        world.run(0.5)
    for child in world.children(call)[1:]:
        pick_up(child)
        world.run(1)
    other = world.inbound("<Dial action='/done'><Sip>sip:b@example.com</Sip></Dial>")
    world.run(0.5)
    for callee in world.children(other):
        pick_up(callee)
    world.run(1)
    for child in world.children(call)[1:]:
        if child.state == "up" and not other.over:
            child.refer("x", other)
        world.run(1)
    return call


def rings_on(world: World) -> Leg:
    """An agent transfers a caller to who still rings, in vain, and again; another phone takes the agent's place."""
    call = world.inbound('<Dial action="/done"><Sip>sip:a@example.com</Sip></Dial>')
    world.run(0.5)
    agent = world.child(call) if world.children(call) else call
    pick_up(agent)
    for status in (486, 0):
        other = world.inbound("<Dial action='/done'><Sip>sip:b@example.com</Sip></Dial>")
        world.run(0.5)
        for callee in world.children(other):
            if callee.state == "placed":
                callee.ring(183, early_media=True)
        if agent.state == "up" and not other.over:
            agent.refer("x", other)
        world.run(1)
        if not status:
            world.inbound(replaces=other.sid, partner=other.actor.call.partner)
            world.run(1)
        for callee in world.children(other):
            if callee.state == "placed" and status:
                callee.reject(status)
            pick_up(callee)
        world.run(1)
    return call


def taken_over(world: World) -> Leg:
    """A ringing is picked up by another phone (INVITE with Replaces), and a third one takes over from that."""
    call = world.inbound(
        '<Dial action="/done"><Sip>sip:a@example.com</Sip><Sip>sip:b@example.com</Sip></Dial>'
    )
    world.run(0.5)
    replaced = world.child(call) if world.children(call) else call
    for _ in range(2):
        replaced = world.inbound(replaces=replaced.sid, partner=call.sid)
        world.run(2)
    return call


SCENARIOS = {
    "taken over": taken_over,
    "rings on": rings_on,
    "transferred": transferred,
    "screened": screened,
    "one after another": one_after_another,
    "meeting": meeting,
}


def hang_up(leg: Leg) -> None:
    if leg.state in ("offered", "up"):
        leg.hang_up()
    elif leg.state == "placed":
        leg.reject(480)


CALLS = {"meeting": 2, "transferred": 2, "taken over": 3, "rings on": 4}
"""How many calls come in, each with its status callback, where it is not one."""

DEEDS: dict[str, Callable[[Leg], object]] = {
    "hang up": hang_up,
    "redirect": lambda leg: leg.redirect(twiml=OTHER),
    "complete": lambda leg: leg.complete(),
}


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("whom", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("overtakes", [False, True])
def test_every_moment(scenario: str, deed: str, whom: int, overtakes: bool) -> None:
    plain = World(PAGES)
    SCENARIOS[scenario](plain)
    moments = plain.steps
    assert moments > 15
    for moment in range(1, moments + 1):
        world = World(PAGES)

        def act(world: World = world) -> None:
            legs = list(world.calls.values())
            if whom < len(legs) and not legs[whom].over:
                DEEDS[deed](legs[whom])
                if overtakes:
                    world.overtake()

        world.at_step[moment] = act
        SCENARIOS[scenario](world)
        world.end()
        for leg in world.calls.values():
            assert len(world.told("http://app.test/status")) == CALLS.get(scenario, 1), leg.sid
