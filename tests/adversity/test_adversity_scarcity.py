"""What a server takes from its machine is gone for a while, or changes: names, ports, descriptors, the time of day."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import dns.message
import dns.rrset
import pytest
from adversity.stage import NEEDS_MOUNTS, PRIVATE, logged, pair, stage
from adversity.talk import Measured, judge, records, talk
from live_scene import WITHIN, Phone, Scene, answered, over, twiml
from security.sip_wire import SDP, credentials, wire_to

from ringback.media.twins import create_pump
from ringback.sandbox.endpoint import CallEnded

# -- names ----------------------------------------------------------------------------------------------------------

NAME_SERVER = "127.0.77.53"


class NameServer(asyncio.DatagramProtocol):
    """A name server that is dead until ``answers``: then every name is 127.0.0.1."""

    answers = False
    asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.asked += 1
        if not self.answers:
            return
        question = dns.message.from_wire(data)
        answer = dns.message.make_response(question)
        name = question.question[0]
        if name.rdtype == dns.rdatatype.A:
            answer.answer.append(dns.rrset.from_text(name.name, 1, "IN", "A", "127.0.0.1"))
        self.transport.sendto(answer.to_wire(), address)


@asynccontextmanager
async def name_server() -> AsyncIterator[NameServer]:
    """On the one port that resolv.conf can mean."""
    try:
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            NameServer, local_addr=(NAME_SERVER, 53)
        )
    except PermissionError:
        pytest.skip("port 53 needs privileges")
    try:
        yield protocol
    finally:
        transport.close()


@NEEDS_MOUNTS
async def test_dead_name_servers_fail_what_has_a_name_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text(f"nameserver {NAME_SERVER}\n")
    mount = f'mount --bind {tmp_path / "resolv.conf"} /etc/resolv.conf && exec "$0" "$@"'
    async with name_server() as names, stage(tmp_path / "project", within=(*PRIVATE, mount)) as scene:
        going = await pair(scene)
        alice, bob = scene.phone("alice", calls=60), scene.phone("bob")
        port = bob.endpoint.address[1]
        # webhooks to names: more of them than the system has threads that ask for names
        named = scene.program.on("/named", twiml("<Reject/>")).replace("127.0.0.1", "program.example.com")
        await scene.home(voice_url=named)
        began_at = time.monotonic()
        calls = [Measured(alice.dial("x")) for _ in range(30)]
        measured = [await call.answered() for call in calls]  # to hear that an error occurred
        waited = time.monotonic() - began_at
        for call in measured:
            await call.hang_up()
        told = await scene.timeline(measured[0].sid)
        assert "11210" in told and "the name servers do not answer" in told
        # a phone by its name, and by its address
        dialed = twiml(
            f"<Dial><Sip>sip:bob@phone.example.com:{port}</Sip></Dial>"
            f"<Dial><Sip>sip:bob@127.0.0.1:{port}</Sip></Dial>"
        )
        await scene.home(voice_url=scene.program.on("/dial", dialed))
        outgoing = alice.dial("x")
        incoming = await bob.pick_up()
        sid = await answered(outgoing)
        outgoing.hang_up()
        await asyncio.gather(over(outgoing), over(incoming))
        assert "the name servers do not answer" in await scene.timeline(sid)
        assert names.asked
        await going.flows()
        # alive again: what failed is remembered for 5 s at most
        names.answers = True
        await scene.home(voice_url=named)
        revived_at = time.monotonic()
        while scene.program.waiting("/named") == 0:
            assert time.monotonic() - revived_at < 10
            call = alice.dial("x")
            with contextlib.suppress(CallEnded):
                await answered(call)
                call.hang_up()
            await over(call)
        print(f"errors after {waited:.1f} s, names again after {time.monotonic() - revived_at:.1f} s")
        assert waited < 8
        await going.hang_up()
        judge(await records(scene, 5 + len(measured)), [going, *measured])


# -- ports of sound ---------------------------------------------------------------------------------------------------


@contextmanager
def taken(ports: range) -> Iterator[None]:
    """Every port that is free is another program's."""
    with ExitStack() as stack:
        for port in ports:
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            with contextlib.suppress(OSError):
                sock.bind(("0.0.0.0", port))
        yield


async def retry_after(scene: Scene) -> str:
    """Retry-After of the 503 that a new call gets."""
    uri = f"sip:x@{scene.server.domain}"
    async with wire_to(scene.server, "UDP") as wire:
        challenge = await wire.ask("INVITE", uri, from_=f"sip:alice@{scene.server.domain}", body=SDP)
        line = credentials(challenge, "INVITE", uri, "alice", scene.server.password)
        reply = await wire.ask(
            "INVITE", uri, from_=f"sip:alice@{scene.server.domain}", headers=(line,), body=SDP, cseq=2
        )
    assert reply.status == 503, reply.text
    return reply.header("Retry-After")


async def test_without_ports_new_calls_are_put_off(tmp_path: Path) -> None:
    low = 57_000
    async with stage(tmp_path / "project", rtp=f"{low}-{low + 499}") as scene:
        going = await pair(scene)
        await scene.home(voice_url=scene.program.on("/ports", twiml('<Gather timeout="60"/>')))
        alice = scene.phone("alice")
        with taken(range(low, low + 100)):
            assert await retry_after(scene) == "10"
            await logged(scene.server, "a call was refused")
            await going.flows()
        after = await Measured(alice.dial("x")).answered()
        # one leg may come, and what it dials finds no port
        dialed = f"<Dial><Sip>{scene.phone('bob').address}</Sip></Dial>"
        with ExitStack() as stack:
            free = [port for port in range(low, low + 100, 2) if _is_free(port)]
            for port in free[1:]:
                stack.enter_context(taken(range(port, port + 2)))
            await scene.home(voice_url=scene.program.on("/dial", twiml(dialed, '<Gather timeout="60"/>')))
            told = await Measured(alice.dial("x")).answered()
            await told.hang_up()
        assert "no room to dial" in await scene.timeline(told.sid)
        await after.hang_up()
        await going.hang_up()
        rows = await records(scene, 4)
        assert len(rows) == 4  # who got 503 has none
        judge(rows, [going, after, told])


def _is_free(port: int) -> bool:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        try:
            sock.bind(("0.0.0.0", port))
        except OSError:
            return False
        return True


# -- descriptors --------------------------------------------------------------------------------------------------------


async def test_without_descriptors_new_calls_are_put_off(tmp_path: Path) -> None:
    async with stage(tmp_path / "project") as scene:
        going = await pair(scene)
        await scene.home(voice_url=scene.program.on("/files", twiml('<Gather timeout="60"/>')))
        alice, pid = scene.phone("alice"), scene.server.process.pid
        held = await Measured(alice.dial("x")).answered()
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
        lowest = next(number for number in range(hard) if number not in used)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest, hard))  # not one more
        try:
            assert await retry_after(scene) == "10"
            await logged(scene.server, "Too many open files")
            with closing(socket.create_connection(scene.server.sip)) as waiting:  # in the backlog
                assert (await scene.phone("bob").register()).status == 200
                await going.flows()
                await held.hang_up()
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
                waiting.settimeout(WITHIN)
                waiting.sendall(b"\r\n\r\n")
                assert await asyncio.to_thread(waiting.recv, 10) == b"\r\n"
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        after = await Measured(alice.dial("x")).answered()
        await after.hang_up()
        await going.hang_up()
        rows = await records(scene, 4)
        assert len(rows) == 4  # who got 503 has none
        judge(rows, [going, held, after])


# -- the time of day ----------------------------------------------------------------------------------------------------

CC = shutil.which("cc")
NEEDS_CC = pytest.mark.skipif(CC is None, reason="needs a C compiler")


class Hand:
    """How far the time of day of processes is ahead of the machine's.

    Not by libfaketime: it takes over pthread_cond_timedwait too, and of 53 servers one hung in there, with Python's lock.
    """

    def __init__(self, directory: Path) -> None:
        library, self._file = directory / "clock.so", directory / "clock"
        source = Path(__file__).with_name("clock.c")
        subprocess.run([str(CC), "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
        self.env = {"LD_PRELOAD": str(library), "RINGBACK_TEST_CLOCK": str(self._file)}
        self._file.write_bytes(bytes(8))

    def step(self, ahead: int) -> None:
        """So many seconds before the machine's from now on."""
        with self._file.open("r+b", buffering=0) as file:
            file.write(ahead.to_bytes(8, sys.byteorder, signed=True))


@NEEDS_CC
async def test_a_stepped_clock_moves_no_call_and_no_registration(tmp_path: Path) -> None:
    hand = Hand(tmp_path)

    async def step(offset: int) -> None:
        hand.step(offset)
        async with scene.session.get(scene.server.api) as response:
            shown = parsedate_to_datetime(response.headers["Date"]).timestamp()
        assert abs(shown - time.time() - offset) < 60

    async with stage(tmp_path / "project", env=hand.env) as scene:
        bob = await scene.registered("bob")
        alice = scene.phone("alice")
        await scene.home(voice_url=scene.program.on("/hold", twiml('<Gather timeout="60"/>')))
        offsets, calls = (0, 3_600, -3_600, 0), list[tuple[int, Measured]]()
        for offset in offsets:
            await step(offset)
            calls.append((offset, await Measured(alice.dial("x")).answered()))
            await scene.home(voice_url=scene.program.on("/hold", twiml('<Gather timeout="60"/>')))
            assert scene.program.unsigned == []
        await step(3_600)
        going = await talk(scene, alice, bob)  # a lease of 600 s is not over
        await step(-3_600)
        await going.flows(1)
        for _, measured in calls:
            await measured.hang_up()
        await going.hang_up()
        await step(0)
        rows = await records(scene, len(calls) + 2)
        for offset, measured in calls:
            judge([row for row in rows if row.sid == measured.sid], [measured], stepped=offset)
        judge([row for row in rows if going.sid in (row.sid, row.parent_call_sid)], [going], stepped=3_600)
        assert len(rows) == len(calls) + 2


@NEEDS_CC
@pytest.mark.parametrize("step", [3_600, -3_600])
async def test_a_clock_stepped_while_the_server_is_down_ends_no_registration(
    tmp_path: Path, step: int
) -> None:
    hand = Hand(tmp_path)
    async with AsyncExitStack() as phones:
        async with stage(tmp_path / "project", env=hand.env) as scene:
            before = scene.server
            pump = phones.enter_context(closing(create_pump((58_000, 58_019))))
            bob = Phone(before, pump, "bob")
            phones.push_async_callback(bob.endpoint.close)
            assert (await bob.register(expires=600)).status == 200
        hand.step(step)
        sip, sips = (":".join(map(str, address)) for address in (before.sip, before.sips))
        async with stage(tmp_path / "project", env=hand.env, sip=sip, sips=sips) as scene:
            scene.server.sip, scene.server.sips = before.sip, before.sips
            dial = f"<Dial><Sip>sip:bob@{scene.server.domain}</Sip></Dial>"
            await scene.home(voice_url=scene.program.on("/after", twiml(dial)))
            outgoing = scene.phone("alice").dial("x")
            incoming = await bob.pick_up()
            await answered(outgoing)
            outgoing.hang_up()
            await asyncio.gather(over(outgoing), over(incoming))
