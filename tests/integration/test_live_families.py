"""Phones by IPv4 and by IPv6, called at once and one after the other; each hears and is heard by its own family."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from adversity.stage import NEEDS_MOUNTS, PRIVATE
from live import free_port, start_server
from live_scene import Scene, answered, hears, over, scene_of, twiml

from ringback.media import tones
from ringback.sandbox.endpoint import EndpointCall


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not _has_ipv6(), reason="needs IPv6")
V4, V6 = "127.0.0.1", "::1"


@asynccontextmanager
async def both(directory: Path, **options: Any) -> AsyncIterator[Scene]:
    """A server that listens at every address of the machine."""
    port = free_port()
    server = await asyncio.to_thread(start_server, directory, sip=f"0.0.0.0:{port}", **options)
    server.sip = (V4, port)
    try:
        async with scene_of(server, set()) as scene:
            yield scene
        assert await asyncio.to_thread(server.stop) == 0
        assert "Traceback" not in server.output
    finally:
        if server.process.poll() is None:
            server.kill()


async def talk(caller: EndpointCall, callee: EndpointCall) -> None:
    """Each hears the other."""
    for call, frequency in ((caller, 600), (callee, 1_000)):
        await call.play(tones.sine(frequency, 0.2), loops=0)
    assert await hears(caller, 1_000)
    assert await hears(callee, 600)


@pytest.mark.parametrize("quick,slow", [(V4, V6), (V6, V4)])
@pytest.mark.parametrize("caller", [V4, V6])
async def test_a_user_with_contacts_of_both_families_answers_at_either(
    tmp_path: Path, caller: str, quick: str, slow: str
) -> None:
    async with both(tmp_path / "project") as scene:
        alice, one, other = (
            scene.phone(name, host=host) for name, host in (("alice", caller), ("bob", quick), ("bob", slow))
        )
        for phone in (one, other):
            assert (await phone.register()).status == 200
        dial = f'<Dial answerOnBridge="true"><Sip>sip:bob@{scene.server.domain}</Sip></Dial>'
        await scene.home(voice_url=scene.program.on("/both", twiml(dial)))
        outgoing = alice.dial("bob")
        ringing = await other.rung()
        ringing.ring(early_media=True)  # the other family is heard first
        answering = await one.pick_up()
        await answered(outgoing)
        await over(ringing)
        await talk(outgoing, answering)
        outgoing.hang_up()
        await asyncio.gather(over(outgoing), over(answering))


@NEEDS_MOUNTS
@pytest.mark.parametrize("host", [V4, V6])
async def test_a_name_of_both_families_is_tried_at_one_and_then_at_the_other(
    tmp_path: Path, host: str
) -> None:
    (tmp_path / "hosts").write_text(f"{V6} dual.example.com\n{V4} dual.example.com\n")
    mount = f'mount --bind {tmp_path / "hosts"} /etc/hosts && exec "$0" "$@"'
    async with both(tmp_path / "project", within=(*PRIVATE, mount)) as scene:
        alice, bob = scene.phone("alice"), scene.phone("bob", host=host)
        dial = f"<Dial><Sip>sip:bob@dual.example.com:{bob.endpoint.address[1]}</Sip></Dial>"
        await scene.home(voice_url=scene.program.on("/name", twiml(dial)))
        outgoing = alice.dial("bob")
        incoming = await bob.pick_up()
        await answered(outgoing)
        await talk(outgoing, incoming)
        outgoing.hang_up()
        await asyncio.gather(over(outgoing), over(incoming))
