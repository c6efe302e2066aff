"""A live server of its own for each test of a fault."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from adversity.talk import Talk, talk
from live import LiveServer, start_server
from live_scene import WITHIN, Scene, scene_of

PRIVATE = ("unshare", "--mount", "sh", "-c")
MAY_MOUNT = subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0
NEEDS_MOUNTS = pytest.mark.skipif(not MAY_MOUNT, reason="a mount namespace needs privileges")


@asynccontextmanager
async def stage(directory: Path, **options: Any) -> AsyncIterator[Scene]:
    """A server of its own for a test, which stops well at its end and never failed in a way that nobody foresaw."""
    server = await asyncio.to_thread(start_server, directory, **options)
    try:
        async with scene_of(server, set()) as scene:
            try:
                yield scene
            except BaseException:
                print(server.output)
                raise
        assert await asyncio.to_thread(server.stop) == 0
        assert "Traceback" not in server.output
    finally:
        if server.process.poll() is None:
            server.kill()


async def pair(scene: Scene) -> Talk:
    """Alice talks with bob, who is registered."""
    return await talk(scene, scene.phone("alice"), await scene.registered("bob"))


async def logged(server: LiveServer, text: str) -> None:
    """Until the server's log has a text."""
    async with asyncio.timeout(WITHIN):
        while text not in server.output:
            await asyncio.sleep(0.02)


async def follow(file: Path, server: LiveServer) -> None:
    """Take a log that is written into a file for the server's output."""
    seen = 0
    while True:
        text = file.read_text()
        server.log.append(text[seen:])
        seen = len(text)
        await asyncio.sleep(0.05)
