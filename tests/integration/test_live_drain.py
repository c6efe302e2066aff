"""SIGTERM while a call is up."""

from __future__ import annotations

import asyncio
from pathlib import Path

from live import start_server
from live_scene import answered, over, scene_of, twiml


async def test_a_call_that_does_not_end_in_time_is_hung_up_and_told_of(tmp_path: Path) -> None:
    server = await asyncio.to_thread(start_server, tmp_path / "project", drain=1)
    try:
        async with scene_of(server, set(), replays=False) as scene:
            url = scene.program.on("/told", "")
            document = twiml('<Gather timeout="60"/>')
            await scene.home(voice_url=scene.program.on("/voice", document), voice_status_callback_url=url)
            call = scene.phone("alice").dial("x")
            sid = await answered(call)
            stopping = asyncio.create_task(asyncio.to_thread(server.stop))
            ended = await over(call)
            assert ended.cause == "bye"
            last = await scene.program.hit("/told")
            assert (last["CallSid"], last["CallStatus"]) == (sid, "completed")
            assert await stopping == 0
        assert "waiting for calls to end" in server.output
        assert "the time to drain is up; calls are ended" in server.output
        assert "Traceback" not in server.output
    finally:
        if server.process.poll() is None:
            server.kill()
