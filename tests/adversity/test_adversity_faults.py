"""What a server stands on fails for a while: calls that are up go on, new ones get a clear answer, and it recovers.

Each fault ends with one record for every call, right to a second by what the phones measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import sqlite3
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from adversity.burden import resident
from adversity.stage import NEEDS_MOUNTS, PRIVATE, follow, logged, pair, stage
from adversity.talk import Measured, judge, records
from aiohttp import web
from live_scene import Hit, Scene, over, twiml

from ringback.sandbox.endpoint import CallEnded

# -- webhooks -------------------------------------------------------------------------------------------------------

HANG_SECONDS = float(os.environ.get("RINGBACK_ADVERSITY_HANG_SECONDS", "3"))
HANG_RATE = float(os.environ.get("RINGBACK_ADVERSITY_HANG_RATE", "40"))
"""Calls a second to a program that does not answer: more wait at once than there are connections to one host."""
HANG_TOTAL = float(os.environ.get("RINGBACK_ADVERSITY_HANG_TOTAL", "2"))
"""Seconds that the program is given; Twilio's 15 where nothing else is said."""


async def test_a_webhook_server_that_is_gone_ends_its_calls_alone(tmp_path: Path) -> None:
    async with stage(tmp_path / "project") as scene:
        going = await pair(scene)
        with closing(socket.socket()) as held:
            held.bind(("127.0.0.1", 0))  # nobody listens
            await scene.home(voice_url=f"http://127.0.0.1:{held.getsockname()[1]}/voice")
            failed = await Measured(scene.phone("alice").dial("x")).answered()
            await failed.over()  # after it heard that an application error occurred
        told = await scene.timeline(failed.sid)
        assert "11205" in told and "no connection: Connect call failed" in told
        await scene.home(voice_url=scene.program.on("/back", twiml("<Reject/>")))
        await over(scene.phone("alice").dial("x"))
        await scene.program.hit("/back")
        await going.flows()
        await going.hang_up()
        rows = await records(scene, 4)
        assert len(rows) == 4
        judge(rows, [going, failed])


async def test_a_webhook_server_that_hangs_holds_up_its_own_calls_alone(tmp_path: Path) -> None:
    async with stage(tmp_path / "project") as scene:
        going = await pair(scene)
        memory = resident(scene.server.process.pid)
        came = 0

        async def hang(_: Hit) -> web.Response:
            nonlocal came
            came += 1
            await asyncio.sleep(3_600)
            raise AssertionError

        url = scene.program.on("/hang", hang)
        await scene.home(voice_url=f"{url}#tt={HANG_TOTAL * 1000:.0f}")
        crowd = scene.phone("alice", calls=int(HANG_RATE * (HANG_TOTAL + 8)) + 20)
        waits: list[float] = []

        async def one() -> Measured | None:
            found = Measured(crowd.dial("x"))
            try:
                await found.answered()  # to hear that an application error occurred
            except CallEnded as refused:
                assert refused.ended.status == 503, refused
                return None
            waits.append(found.began.steady - found.dialed.steady)
            await found.hang_up()
            return found

        began_at, calls = time.monotonic(), []
        while (now := time.monotonic()) < began_at + HANG_SECONDS:
            calls.append(asyncio.create_task(one()))
            await asyncio.sleep(max(0.0, began_at + len(calls) / HANG_RATE - now))
        # meanwhile another program, on the same machine, is asked and answers as ever
        other = _AnswerOnce()
        asked_at = time.monotonic()
        bob = scene.phone("bob")
        placed = await scene.do(
            scene.client.calls.create, to=bob.address, from_="alice", url=other.url, method="GET"
        )
        well = await bob.pick_up()
        await over(well)
        answered_after = time.monotonic() - asked_at
        measured = [found for found in await asyncio.gather(*calls) if found is not None]
        await going.flows()
        await going.hang_up()
        rows = await records(scene, len(measured) + 3)
        judge(rows, [going, *measured])
        assert len(rows) == len(measured) + 3
        assert placed.sid in {row.sid for row in rows}
        grown = resident(scene.server.process.pid) - memory
        print(
            f"{len(calls)} calls to a hanging program in {HANG_SECONDS:g} s, {came} reached it, {len(calls) - len(measured)} got 503; answered "
            f"after {min(waits):.1f} to {max(waits):.1f} s; another program's call took {answered_after:.1f} s; "
            f"memory +{grown / 1e6:.0f} MB; {going.lost} packets lost in {going.ended.steady - going.began.steady:.0f} s"
        )
        assert len(measured) >= 0.99 * len(calls)  # 503 where the machine is too busy for a moment
        assert max(waits) < HANG_TOTAL + 5
        assert answered_after < 5
        assert grown < 100e6
        told = await scene.timeline(measured[-1].sid)
        assert "11200" in told and f"no answer within {HANG_TOTAL:g} s" in told
        await scene.home(voice_url=scene.program.on("/back", twiml("<Reject/>")))
        await over(scene.phone("alice").dial("x"))
        await scene.program.hit("/back")


@pytest.mark.parametrize(("programs", "calls_to_each"), [(30, 8), (300, 1)])
async def test_many_webhook_servers_that_hang_leave_connections_to_the_others(
    tmp_path: Path, programs: int, calls_to_each: int
) -> None:
    """Together they would have more connections than there are for programs; 300 even with one each."""
    async with stage(tmp_path / "project") as scene:
        with ExitStack() as stack:
            going = await pair(scene)
            documents = []
            for n in range(programs):  # the kernel takes the connections, and nobody answers
                address = (f"127.6.{n // 250}.{n % 250 + 1}", 0)
                listener = stack.enter_context(socket.create_server(address, backlog=2 * calls_to_each))
                url = f"http://{address[0]}:{listener.getsockname()[1]}/hang"
                documents.append(twiml(f"<Redirect>{url}</Redirect>"))
            count = programs * calls_to_each
            crowd, alice = scene.phone("alice", calls=count + 20), scene.phone("alice")
            memory = resident(scene.server.process.pid)
            await scene.home(voice_url=scene.program.on("/spread", *documents * calls_to_each))
            hanging = []
            for _ in range(count // 20):  # soon, because each waits for 15 s only
                hanging += [crowd.dial("x") for _ in range(20)]
                for _ in range(20):
                    await scene.program.hit("/spread")
            reject = web.Response(
                text=twiml("<Reject/>"), content_type="text/xml", headers={"Connection": "close"}
            )
            well = scene.program.on("/well", reject)  # on a new connection each time

            def still_hanging() -> bool:
                return sum(not call.ended.done() for call in hanging) > count / 3

            waits, first_waits, answered_before = list[float](), list[float](), 0
            began_at = time.monotonic()
            while time.monotonic() < began_at + 3 and still_hanging():
                await scene.home(voice_url=well, voice_method="POST")
                dialed_at = time.monotonic()
                await over(alice.dial("x"))
                waits.append(time.monotonic() - dialed_at)
                other = _AnswerOnce()  # a program that was never asked before
                await scene.home(voice_url=other.url, voice_method="GET")
                dialed_at = time.monotonic()
                await over(alice.dial("x"))
                first_waits.append(time.monotonic() - dialed_at)
                answered_before += other.has_answered
            assert len(waits) >= 3
            for call in hanging:
                call.hang_up()
            await asyncio.gather(*(over(call) for call in hanging))
            grown = resident(scene.server.process.pid) - memory
            await going.flows()
            await going.hang_up()
        print(
            f"{count} calls to {programs} programs that hang; {len(waits)} calls of another program, the slowest "
            f"after {max(waits):.2f} s; of programs that were never asked before after {max(first_waits):.2f} s; memory {grown / 1e6:+.0f} MB; {going.lost} packets lost"
        )
        assert scene.program.waiting("/well") == len(waits)
        assert answered_before == len(first_waits)
        assert max(waits) < 3
        assert max(first_waits) < 5
        assert grown < 100e6
        rows = await records(scene, count + 2 * len(waits) + 2)
        assert len(rows) == count + 2 * len(waits) + 2
        judge([row for row in rows if going.sid in (row.sid, row.parent_call_sid)], [going])


class _AnswerOnce:
    """A web server that answers one request, in a thread: another host than the program's, by its port."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self.has_answered = False
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with self._listener, self._listener.accept()[0] as sock:
            sock.recv(65_536)
            body = twiml("<Hangup/>").encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
            self.has_answered = True
            sock.sendall(head.encode() + body)


# -- the database ---------------------------------------------------------------------------------------------------


async def test_calls_go_on_while_the_database_is_locked(tmp_path: Path) -> None:
    async with stage(tmp_path / "project") as scene:
        going = await pair(scene)
        alice = scene.phone("alice")
        await scene.home(voice_url=scene.program.on("/locked", twiml('<Gather timeout="60"/>')))
        with closing(sqlite3.connect(scene.server.data / "ringback.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            calls = [await Measured(alice.dial("x")).answered() for _ in range(4)]
            waits = [call.began.steady - call.dialed.steady for call in calls]
            assert (await scene.phone("bob").register()).status == 200
            shown = await scene.do(scene.client.calls(calls[0].sid).fetch)
            assert shown.status == "in-progress"
            for call in calls[:2]:
                await call.hang_up()
            status, body = await scene.post(
                f"/2010-04-01/Accounts/{scene.server.account_sid}/Applications.json", FriendlyName="x"
            )
            assert status == 503, (
                body
            )  # configuration is written before it is answered: it can be asked again
            await logged(scene.server, "facts_not_saved")
            await going.flows()
            other.execute("ROLLBACK")
        await logged(scene.server, "facts_saved_again")
        for call in calls[2:]:
            await call.hang_up()
        await going.hang_up()
        print(f"answered after {', '.join(f'{wait:.2f}' for wait in waits)} s")
        assert max(waits) < 4  # SQLite itself would wait for 5 s
        assert statistics.median(waits[1:]) < waits[0] / 2  # who comes later does not wait again
        rows = await records(scene, 6)
        assert len(rows) == 6
        judge(rows, [going, *calls])


async def _through_a_full_disk(scene: Scene, fill: Callable[[], None], empty: Callable[[], None]) -> None:
    going = await pair(scene)
    alice = scene.phone("alice")
    await scene.home(
        voice_url=scene.program.on(
            "/full", twiml("<Say>The disk is full, and yet you hear every word of this.</Say>")
        )
    )
    fill()
    measured = []
    for _ in range(3):
        call = await Measured(alice.dial("x")).answered()
        measured.append(call)
        await call.call.hear(0.5)
        await call.hang_up()
    await going.flows()
    empty()
    await logged(scene.server, "facts_saved_again")
    measured.append(await Measured(alice.dial("x")).answered())
    await measured[-1].hang_up()
    await going.hang_up()
    rows = await records(scene, len(measured) + 2)
    assert len(rows) == len(measured) + 2
    judge(rows, [going, *measured])


@NEEDS_MOUNTS
async def test_calls_go_on_while_the_disk_is_full(tmp_path: Path) -> None:
    """The project, the clips and the log are on a disk of 16 MB, which another program fills up."""
    project, log = tmp_path / "disk" / "project", tmp_path / "disk" / "log"
    (tmp_path / "disk").mkdir()
    mount = f'mount -t tmpfs -o size=16m tmpfs {tmp_path / "disk"} && exec "$0" "$@" 2>>{log}'
    async with stage(project, within=(*PRIVATE, mount)) as scene:
        server = scene.server
        seen = server.data.parent.parent
        filler = seen / "filler"

        def fill() -> None:
            for path, piece in ((filler, bytes(4_096)), (seen / "log", b"\n")):  # to the last byte
                with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
                    while True:
                        file.write(piece)

        tail = asyncio.create_task(follow(seen / "log", server))
        try:
            await _through_a_full_disk(scene, fill, filler.unlink)
        finally:
            tail.cancel()


async def test_calls_go_on_while_files_may_not_grow(tmp_path: Path) -> None:
    """As on a full disk, by a limit of the process: what a quota does."""
    async with stage(tmp_path / "project") as scene:
        pid = scene.server.process.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        await _through_a_full_disk(
            scene,
            lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, (4_096, hard)) and None,
            lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard)) and None,
        )
