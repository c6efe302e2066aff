"""TCP and TLS at five times what a server takes: opened and silent, slow, begun and left, never read."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from adversity import burden, crowd, network
from adversity.network import own_network
from adversity.stage import pair, stage
from adversity.talk import Talk, judge, records
from live_scene import Phone, Scene, over, twiml
from security.sip_wire import wire_to

from ringback.app.limits import most_streams
from ringback.sip.flow import Hop

SECONDS = float(os.environ.get("RINGBACK_ADVERSITY_OVERLOAD_SECONDS", "4"))
DESCRIPTORS = 2_000
"""That the server has, so that five times as many streams as it takes are few enough for a test."""
HELD = 5 * most_streams(DESCRIPTORS)
RATE = 5 * 300
"""Connections a second; 300 handshakes are begun in one."""
SYNS = 10_000
"""A second: ten times the backlog."""
NORMAL_WITHIN = 5.0
MEMORY = 100e6

ENOUGH = resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= HELD + 200
pytestmark = pytest.mark.skipif(not ENOUGH, reason=f"needs {HELD + 200} descriptors")


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    few = ("sh", "-c", f'ulimit -n {DESCRIPTORS} && exec "$0" "$@"')
    async with stage(tmp_path / "project", within=few, log_level="error") as scene:
        yield scene


async def registered_by(scene: Scene, name: str, transport: str) -> Phone:
    """A phone that is on by a connection of its own, and is called on it."""
    lists = await scene.do(scene.client.sip.credential_lists.list)
    users = scene.client.sip.credential_lists(lists[0].sid).credentials
    await scene.do(users.create, username=name, password=scene.server.password)
    phone = scene.phone(name)
    hop = Hop(transport, *(scene.server.sips if transport == "TLS" else scene.server.sip))
    assert (await phone.endpoint.register(phone.aor(), hop, phone.login())).status == 200
    return phone


async def call_to(scene: Scene, caller: Phone, callee: Phone) -> float:
    """Seconds until a call reaches a phone on its connection; it is busy."""
    dial = f"<Dial><Sip>sip:{callee.name}@{scene.server.domain}</Sip></Dial>"
    await scene.home(voice_url=scene.program.on(f"/to-{callee.name}", twiml(dial)))
    began_at = time.monotonic()
    call = caller.dial("x")
    (await callee.rung()).refuse(486)
    await over(call)
    return time.monotonic() - began_at


async def welcome(scene: Scene) -> float:
    """Seconds until a stranger's OPTIONS is answered by TCP and by TLS."""
    began_at = time.monotonic()
    for transport in ("TCP", "TLS"):
        while True:
            try:
                async with wire_to(scene.server, transport, "127.8.4.4") as wire:
                    assert await wire.is_alive()
                break
            except ConnectionError:
                assert time.monotonic() - began_at < 2 * NORMAL_WITHIN
    return time.monotonic() - began_at


@pytest.mark.parametrize("kind", crowd.KINDS)
async def test_a_crowd_of_connections(scene: Scene, kind: str) -> None:
    going: Talk = await pair(scene)
    server, pid = scene.server, scene.server.process.pid
    alice = scene.phone("alice")
    phones = [await registered_by(scene, "carol", "TCP"), await registered_by(scene, "dave", "TLS")]
    memory, used = burden.resident(pid), burden.cpu(pid)
    crowded = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "adversity.crowd", *map(str, server.sips if kind == "tls" else server.sip)),
        *(server.domain, str(SECONDS), str(RATE), str(HELD), str(crowd.ADDRESSES), kind),
        cwd=Path(crowd.__file__).parents[1],
        stdout=asyncio.subprocess.PIPE,
    )
    reading = asyncio.create_task(crowded.communicate())
    waits = list[float]()
    while not reading.done():
        waits += [await call_to(scene, alice, phone) for phone in phones]
    opened, closed, most = map(int, (await reading)[0].split())
    used = burden.cpu(pid) - used
    after = await welcome(scene)
    grown = burden.resident(pid) - memory
    waits += [await call_to(scene, alice, phone) for phone in phones]
    await going.flows()
    await going.hang_up()
    print(
        f"{kind}: {opened / SECONDS:,.0f} connections a second, {most:,} at once, {closed:,} closed by the server, "
        f"{used:.1f} s of CPU; {len(waits)} calls to phones by TCP and TLS, the slowest after {max(waits):.2f} s; "
        f"{going.lost} packets lost in {going.ended.steady - going.began.steady:.0f} s, memory {grown / 1e6:+.0f} MB, "
        f"strangers again after {after:.1f} s"
    )
    assert opened > HELD / 2
    assert closed > 0
    assert [phone.endpoint.stack.transports.counters.streams_opened for phone in phones] == [1, 1]
    assert max(waits) < 5
    assert going.lost == 0
    assert grown < MEMORY
    assert after < NORMAL_WITHIN
    rows = await records(scene, 2 + 2 * len(waits))
    judge([row for row in rows if going.sid in (row.sid, row.parent_call_sid)], [going])


async def test_a_flood_of_syns_keeps_nobody_out(tmp_path: Path) -> None:
    """Half-open connections are the kernel's; ours is a backlog that it defends with SYN cookies."""
    with own_network():
        async with stage(tmp_path / "project", log_level="error") as scene:
            going = await pair(scene)
            alice, carol = scene.phone("alice"), await registered_by(scene, "carol", "TCP")
            memory = burden.resident(scene.server.process.pid)
            flooder = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "adversity.network", *map(str, scene.server.sip)),
                *(str(SECONDS), str(SYNS)),
                cwd=Path(network.__file__).parents[1],
                stdout=asyncio.subprocess.PIPE,
            )
            reading = asyncio.create_task(flooder.communicate())
            waits, welcomes = list[float](), list[float]()
            while not reading.done():
                waits.append(await call_to(scene, alice, carol))
                welcomes.append(await welcome(scene))
            sent = int((await reading)[0])
            cookies = network.kernel_count("SyncookiesSent")
            grown = burden.resident(scene.server.process.pid) - memory
            await going.flows()
            await going.hang_up()
            print(
                f"{sent / SECONDS:,.0f} SYNs a second, {cookies:,} answered with cookies; {len(waits)} calls, the slowest "
                f"after {max(waits):.2f} s; strangers by TCP and TLS after {max(welcomes):.2f} s at most; "
                f"{going.lost} packets lost, memory {grown / 1e6:+.0f} MB"
            )
            assert sent > SECONDS * SYNS / 5
            assert cookies > 0
            assert max(waits) < 5
            assert max(welcomes) < 5
            assert going.lost == 0
            assert grown < MEMORY
            rows = await records(scene, 2 + 2 * len(waits))
            judge([row for row in rows if going.sid in (row.sid, row.parent_call_sid)], [going])
