"""More connections than the HTTP port has places for, of each kind that costs one: programs and calls notice none of it."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
from collections.abc import AsyncIterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from adversity import burden, crowd
from adversity.stage import pair, stage
from adversity.talk import judge, records
from live_scene import WITHIN, Scene

from ringback.app.http_connections import ACCEPTED
from ringback.app.limits import HTTP_CONNECTIONS, most_http_connections

SECONDS = float(os.environ.get("RINGBACK_ADVERSITY_OVERLOAD_SECONDS", "4"))
HELD = HTTP_CONNECTIONS + 500
RATE = 2_000
RATE_SERVED = 200
"""Connections a second that are given files, or answers without end: more would be work, and not a crowd that waits."""
ASKED_EVERY = 10 / ACCEPTED.rate
"""Seconds between a newcomer's two requests: who opens connections faster than one address may is no newcomer, but a crowd."""
MEMORY = 200e6
"""Bytes: a connection that is given a file takes some 60 kB; one that only waits takes 15 kB."""
BIG = 8_000_000
"""Bytes: more than the buffers of two sockets."""

ENOUGH = resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= HELD + 200
pytestmark = pytest.mark.skipif(not ENOUGH, reason=f"needs {HELD + 200} descriptors")


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    project = tmp_path / "project"
    async with stage(project, log_level="error") as scene:
        (project / "assets").mkdir(exist_ok=True)
        (project / crowd.BIG_ASSET.strip("/")).write_bytes(bytes(BIG))
        yield scene


def _ask(scene: Scene) -> float:
    headers = {"Authorization": scene.authorization, "Connection": "close"}
    began_at = time.monotonic()
    for path in ("/ringback/v1/vitals", f"/2010-04-01/Accounts/{scene.server.account_sid}/Calls.json"):
        # connected and asked in one breath: who says nothing is given as long as the crowd takes for some hundred connections
        with closing(HTTPConnection(urlsplit(scene.server.api).netloc, timeout=WITHIN)) as connection:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            assert response.status == 200, response.read()
            response.read()
    return time.monotonic() - began_at


async def ask(scene: Scene) -> float:
    """Seconds that a newcomer's requests take, each on a connection of its own."""
    return await asyncio.to_thread(_ask, scene)


@pytest.mark.parametrize(
    ("kind", "addresses"),
    [
        ("silent", 1),
        ("http-head", 250),
        ("http-body", 1),
        ("http-idle", 250),
        ("http-again", 250),
        ("http-pipeline", 250),
        ("http-unread", 1),
        ("http-unread", 250),
    ],
)
async def test_a_crowd_at_the_http_port(scene: Scene, kind: str, addresses: int) -> None:
    rate = RATE_SERVED if kind in ("http-unread", "http-pipeline") else RATE
    going = await pair(scene)
    pid, api = scene.server.process.pid, urlsplit(scene.server.api)
    memory, used = burden.resident(pid), burden.cpu(pid)
    crowded = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "adversity.crowd", str(api.hostname), str(api.port), scene.server.domain),
        *(str(SECONDS), str(rate), str(HELD), str(addresses), kind),
        cwd=Path(crowd.__file__).parents[1],
        stdout=asyncio.subprocess.PIPE,
    )
    reading = asyncio.create_task(crowded.communicate())
    waits = list[float]()
    while not reading.done():
        waits.append(await ask(scene))
        await asyncio.sleep(max(0.0, ASKED_EVERY - waits[-1]))
    opened, closed, most = map(int, (await reading)[0].split())
    used = burden.cpu(pid) - used
    grown = burden.resident(pid) - memory
    await going.flows()
    await going.hang_up()
    print(
        f"{kind} from {addresses}: {opened / SECONDS:,.0f} connections a second, {most:,} at once, {closed:,} closed by the "
        f"server, {used:.1f} s of CPU; {len(waits)} times two requests, the slowest after {max(waits):.2f} s; "
        f"{going.lost} packets lost in {going.ended.steady - going.began.steady:.0f} s, memory {grown / 1e6:+.0f} MB"
    )
    assert opened > SECONDS * rate / 2
    assert closed > 0 or opened <= HTTP_CONNECTIONS
    assert len(waits) > 1
    assert grown < MEMORY
    judge(await records(scene, 2), [going])


FEW = 1_500
"""Descriptors of a server that has few places for HTTP, so that few addresses can ask for more."""


async def test_addresses_that_ask_what_takes_long_leave_a_newcomer_a_place(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "functions").mkdir(parents=True)
    (project / "functions/slow.js").write_text(
        "exports.handler = (context, event, callback) => setTimeout(() => callback(null, 'late'), 9000);"
    )
    few = ("sh", "-c", f'ulimit -n {FEW} && exec "$@"', "sh")
    async with stage(project, log_level="error", within=few) as scene:
        api = urlsplit(scene.server.api)
        asked = list[asyncio.StreamWriter]()
        try:
            for n in range(2 * most_http_connections(FEW)):
                local = (f"127.20.{n // 250}.{n % 250 + 1}", 0)
                _, writer = await asyncio.open_connection(api.hostname, api.port, local_addr=local)
                writer.write(b"GET /functions/slow HTTP/1.1\r\nHost: x\r\n\r\n")
                asked.append(writer)
            until = time.monotonic() + 3.0  # the crowd is answered after nine
            while time.monotonic() < until:
                await ask(scene)
                await asyncio.sleep(ASKED_EVERY)
        finally:
            for writer in asked:
                writer.transport.abort()
