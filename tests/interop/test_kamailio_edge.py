"""Kamailio in front of the server, as installations have it: its sanity module and its routing judge both sides.

The phones speak to Kamailio alone, which records its route; so every request inside a dialog has to follow that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from live import LiveServer, live_server
from live_scene import WITHIN, Scene, answered, hears, over, scene_of, twiml
from peers.kamailio import Edge, edge, require_kamailio

from ringback.media import tones
from ringback.sandbox.endpoint import EndpointCall

require_kamailio()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("edge") / "project") as running:
        yield running


@pytest.fixture(scope="module")
def replayed() -> set[str]:
    return set()


@pytest.fixture
def kamailio(server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with edge(tmp_path_factory.mktemp("kamailio"), server.sip[1]) as running:
        yield running
        assert running.said("WRONG") == []


@pytest.fixture
def on_the_path(server: LiveServer, tmp_path: Path) -> Iterator[Edge]:
    with edge(tmp_path, server.sip[1], with_path=True) as running:
        yield running
        assert running.said("WRONG") == []


@pytest.fixture
async def scene(server: LiveServer, replayed: set[str], kamailio: Edge) -> AsyncIterator[Scene]:
    async with scene_of(server, replayed) as scene:
        dial = f"<Dial><Sip>sip:bob@{server.domain}</Sip></Dial>"
        await scene.home(voice_url=scene.program.on("/dial", twiml(dial)))
        yield scene


@pytest.fixture
async def ringing(scene: Scene, kamailio: Edge) -> tuple[EndpointCall, EndpointCall]:
    """alice's call of bob, and the leg that rings at his phone; both are registered through Kamailio."""
    alice = await scene.registered("alice", through=kamailio.address)
    bob = await scene.registered("bob", through=kamailio.address)
    call = alice.dial("bob")
    return call, await bob.rung()


async def hang_up(one: EndpointCall, other: EndpointCall) -> None:
    """One side hangs up, and both are over."""
    one.hang_up()
    await over(one)
    await over(other)


async def test_rfc3261_22_3_kamailio_passes_challenge_and_digest_on(scene: Scene, kamailio: Edge) -> None:
    phone = await scene.registered("alice", through=kamailio.address)
    assert (await phone.register(expires=0)).status == 200
    assert kamailio.said("FIRST") == ["REGISTER"] * 4


async def test_rfc3261_12_2_1_1_kamailio_finds_its_route_in_all_requests_of_a_dialog(
    ringing: tuple[EndpointCall, EndpointCall], kamailio: Edge
) -> None:
    call, leg = ringing
    leg.ring()
    leg.answer()
    leg.listen()
    await answered(call)
    await call.play(tones.sine(1000, 0.2), loops=0)
    assert await hears(leg, 1000)
    await hang_up(call, leg)
    routed = kamailio.said("ROUTED")
    assert routed.count("BYE") == 2, "the caller's, and the server's to the callee"
    assert routed.count("ACK") >= 2


async def test_rfc3261_15_1_kamailio_takes_the_callees_bye_to_both(
    ringing: tuple[EndpointCall, EndpointCall], kamailio: Edge
) -> None:
    call, leg = ringing
    leg.ring()
    leg.answer()
    await answered(call)
    await hang_up(leg, call)
    assert kamailio.said("ROUTED").count("BYE") == 2


async def test_rfc3262_4_kamailio_takes_pracks_by_its_route(
    ringing: tuple[EndpointCall, EndpointCall], kamailio: Edge
) -> None:
    call, leg = ringing
    leg.ring(early_media=True)
    leg.answer()  # goes out when the PRACK has come
    await answered(call)
    async with asyncio.timeout(WITHIN):
        while "PRACK" not in kamailio.said("ROUTED"):
            await asyncio.sleep(0.05)
    call.hang_up()
    await over(call)


async def test_rfc3261_9_1_kamailio_knows_what_our_cancel_withdraws(
    ringing: tuple[EndpointCall, EndpointCall], kamailio: Edge
) -> None:
    call, leg = ringing
    leg.ring()
    await answered(call)  # by the server, which goes on ringing for the caller
    await hang_up(call, leg)
    assert kamailio.said("FIRST").count("CANCEL") == 1


async def test_rfc3261_17_1_1_3_kamailio_takes_the_ack_of_a_refusal(
    ringing: tuple[EndpointCall, EndpointCall], kamailio: Edge
) -> None:
    call, leg = ringing
    leg.refuse(486)
    await over(leg)
    await over(call)
    assert kamailio.said("ROUTED").count("BYE") == 1


async def test_rfc3327_5_5_kamailio_is_called_by_its_path(on_the_path: Edge, scene: Scene) -> None:
    """Only its Path says where it got the registration from: the contact is the phone's own address."""
    alice = await scene.registered("alice", through=on_the_path.address)
    bob = await scene.registered("bob", through=on_the_path.address)
    call = alice.dial("bob")
    leg = await bob.rung()
    assert on_the_path.said("PATHED") == [f"INVITE to sip:127.0.0.1:{bob.endpoint.address[1]}"]
    leg.ring()
    leg.answer()
    await answered(call)
    await hang_up(leg, call)
    assert on_the_path.said("ROUTED").count("BYE") == 2
