"""What a server does when it is late with its work, and when those who called are gone without a word."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from adversity.stage import pair, stage
from adversity.talk import Measured, judge, records
from live_scene import Scene, twiml
from security.sip_wire import SDP, Reply, Wire, credentials, wire_to

# -- lateness -------------------------------------------------------------------------------------------------------

STOPPED, RUNNING = 0.6, 0.05
"""Seconds of the server's time, in turns: its loop is then late by more than the 0.25 s that it allows itself."""
NORMAL_WITHIN = 5.0


@asynccontextmanager
async def stuttering(scene: Scene) -> AsyncIterator[None]:
    """The server's process has hardly any time."""
    process = scene.server.process

    async def stutter() -> None:
        try:
            while True:
                process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(STOPPED)
                process.send_signal(signal.SIGCONT)
                await asyncio.sleep(RUNNING)
        finally:
            process.send_signal(signal.SIGCONT)

    task = asyncio.create_task(stutter())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def is_overloaded(scene: Scene) -> bool:
    """By its own account."""
    status, body = await scene.get("/ringback/v1/vitals")
    assert status == 200
    return bool(json.loads(body)["overloaded"])


async def invite(scene: Scene, wire: Wire) -> Reply:
    """A call with the right password: its first final answer after the challenge, if there is one."""
    uri, own = f"sip:x@{scene.server.domain}", f"sip:alice@{scene.server.domain}"
    reply = await wire.ask("INVITE", uri, from_=own, body=SDP)
    if reply.status != 407:
        return reply
    line = credentials(reply, "INVITE", uri, "alice", scene.server.password)
    return await wire.ask("INVITE", uri, from_=own, headers=(line,), body=SDP, cseq=2)


async def test_a_loop_that_is_late_puts_new_calls_off_and_takes_them_again(tmp_path: Path) -> None:
    async with stage(tmp_path / "project", log_level="error") as scene:
        going = await pair(scene)
        await scene.home(voice_url=scene.program.on("/late", twiml('<Gather timeout="60"/>')))
        async with stuttering(scene):
            async with asyncio.timeout(15):
                while not await is_overloaded(scene):
                    pass
            async with wire_to(scene.server, "UDP", "127.8.5.5") as wire:
                put_off = await invite(scene, wire)
            assert put_off.status == 503, put_off.text
            assert put_off.header("Retry-After") == "10"
            await going.flows()
        over_at = time.monotonic()
        async with asyncio.timeout(NORMAL_WITHIN):
            while await is_overloaded(scene):
                await asyncio.sleep(0.05)
        taken = await Measured(scene.phone("alice").dial("x")).answered()
        after = time.monotonic() - over_at
        await taken.hang_up()
        await going.flows()
        await going.hang_up()
        print(f"calls were taken again after {after:.1f} s; {going.lost} packets lost")
        assert after < NORMAL_WITHIN
        judge(await records(scene, 3), [going, taken])


# -- those who are gone ---------------------------------------------------------------------------------------------

GONE_AFTER = 2.0


async def test_a_call_whose_ends_are_gone_ends_with_its_reason(tmp_path: Path) -> None:
    async with stage(tmp_path / "project", vanished_after=GONE_AFTER) as scene:
        going = await pair(scene)
        domain, own = scene.server.domain, f"sip:alice@{scene.server.domain}"
        async with wire_to(scene.server, "UDP") as caller, wire_to(scene.server, "UDP") as callee:
            to_callee = f"<Dial><Sip>sip:here@{callee.local[0]}:{callee.local[1]}</Sip></Dial>"
            await scene.home(voice_url=scene.program.on("/gone", twiml(to_callee)))
            asking = asyncio.create_task(invite(scene, caller))
            callee.respond(await callee.asked("INVITE"), "200 OK", SDP)
            answer = await asking
            assert answer.status == 200, answer.text
            began_at = time.monotonic()
            target = answer.header("Contact").strip("<>")
            ack, _ = caller.request("ACK", target, from_=own, to=f"sip:x@{domain}")
            caller.send(_of_dialog(ack, answer))
            await asyncio.gather(caller.asked("BYE"), callee.asked("BYE"))  # and nobody ever sent a packet
            took = time.monotonic() - began_at
            async with asyncio.timeout(20):
                while True:
                    rows = await scene.do(scene.client.calls.list)
                    gone = [row for row in rows if going.sid not in (row.sid, row.parent_call_sid)]
                    if len(gone) == 2 and all(row.status == "completed" for row in gone):
                        break
            told = [await scene.timeline(row.sid) for row in gone]
        print(f"ended {took:.1f} s after the last sign of anybody")
        assert took > GONE_AFTER
        assert any(
            f"the far end is gone: no sound, no report and no SIP for {GONE_AFTER:g} s" in text
            for text in told
        )
        await going.flows()  # who is heard is not gone
        await going.hang_up()
        rows = await records(scene, 4)
        assert {row.status for row in rows} == {"completed"}
        judge([row for row in rows if going.sid in (row.sid, row.parent_call_sid)], [going])


def _of_dialog(ack: str, answer: Reply) -> str:
    """The ACK of an answer: its From, To and Call-ID."""
    for name in ("From", "To", "Call-ID", "CSeq"):
        value = answer.header(name).replace("INVITE", "ACK")
        ack = re.sub(rf"^{name}: .*\r$", f"{name}: {value}\r", ack, flags=re.M)
    return ack
