"""A server that is killed in the midst of calls and started again: each call that was answered has one record, right to a second."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from adversity.talk import Measured, now
from live import start_server
from live_scene import ENDED, Phone, Scene, scene_of, twiml

from ringback.sandbox.endpoint import CallEnded

KILLS = int(os.environ.get("RINGBACK_ADVERSITY_KILLS", "2"))
RATE = float(os.environ.get("RINGBACK_ADVERSITY_KILLS_RATE", "15"))
"""Calls a second."""


async def _one(phone: Phone, lasts: float, answered: list[Measured]) -> None:
    """A call that is hung up after a while, unless its server hangs up before."""
    call = Measured(phone.dial("x"))
    try:
        await call.answered()
    except CallEnded:
        return
    answered.append(call)
    await asyncio.wait({call.call.ended}, timeout=lasts)
    if call.call.ended.done():
        call.hung_up = call.ended = now()
    else:
        await call.hang_up()


async def _flushed(scene: Scene) -> None:
    """A journal is asked for, which waits for the writer: all before is on disk."""
    await scene.get(f"/ringback/v1/calls/CA{'0' * 32}/journal")


@pytest.mark.parametrize("seed", range(KILLS))
async def test_a_kill_at_any_moment_loses_no_record_of_a_call_that_was_answered(
    tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    first = await asyncio.to_thread(start_server, tmp_path / "project")
    async with AsyncExitStack() as stack:
        stack.callback(first.kill)
        scene = await stack.enter_async_context(scene_of(first, set(), replays=False))
        await scene.home(voice_url=scene.program.on("/talk", twiml('<Gather timeout="60"/>')))
        seconds, answered, calls = dice.uniform(2.0, 4.0), list[Measured](), list[asyncio.Task[None]]()
        phone = scene.phone("alice", calls=int(RATE * seconds) + 20)
        began_at = time.monotonic()
        while (moment := time.monotonic()) < began_at + seconds:
            calls.append(asyncio.create_task(_one(phone, dice.uniform(0.1, 3.0), answered)))
            await asyncio.sleep(max(0.0, began_at + len(calls) / RATE - moment))
        over = [call for call in answered if call.call.ended.done()]
        await _flushed(scene)
        await asyncio.sleep(dice.uniform(0.0, 0.2))
        kill_at = now().of_day
        await asyncio.to_thread(first.kill)
        killed_at = now().of_day
        sip, sips = (":".join(map(str, address)) for address in (first.sip, first.sips))
        second = await asyncio.to_thread(start_server, tmp_path / "project", sip=sip, sips=sips)
        stack.callback(second.kill)
        await asyncio.gather(*calls)
        after = await stack.enter_async_context(scene_of(second, set(), replays=False))
        rows = await after.do(after.client.calls.list)
        assert max(Counter(row.sid for row in rows).values()) == 1
        assert {row.status for row in rows} <= {*ENDED}
        known = {row.sid: row for row in rows}
        judged = [call for call in answered if call.began.of_day < kill_at]
        for call in judged:
            if call.sid in first.output:
                continue  # the disk was late by more than half a second, and the log said so
            row = known[call.sid]
            began, ended = row.start_time.timestamp(), row.end_time.timestamp()
            assert int(call.dialed.of_day) - 1 <= began <= int(call.began.of_day) + 1
            if call in over:
                assert int(call.hung_up.of_day) - 1 <= ended <= int(call.ended.of_day) + 1
            else:  # until the server was last seen alive: up to half a second before, and more on a busy machine
                assert int(min(call.hung_up.of_day, kill_at)) - 2 <= ended <= int(killed_at) + 1
            assert row.status == "completed"
            assert abs(int(row.duration) - (ended - began)) <= 1
        print(
            f"{len(judged)} calls answered, {len(over)} of them over; {len(rows)} records; killed after {seconds:.1f} s"
        )
        assert len(over) >= 3
        assert len(judged) - len(over) >= 3
        assert await asyncio.to_thread(second.stop) == 0
        assert "Traceback" not in first.output + second.output
