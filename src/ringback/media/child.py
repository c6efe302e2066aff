"""A child process that answers requests one by one: started on first use, watched, restarted, bounded.

What can hold the GIL for more than 5 ms runs in one of these (speech, decoding), so neither a slow sentence
nor a crash in somebody else's C code reaches a call.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import structlog

import ringback
from ringback.media.clips import ClipError, ClipOverload, ClipRejected, ClipUnavailable
from ringback.media.pipe import LENGTHS, MAX_HEADER, MAX_PAYLOAD, Header, frame_head

log = structlog.get_logger("ringback.media")

T = TypeVar("T")

_CHUNK = 256 * 1024  # bytes handed to the loop at once: copying them takes well under 1 ms
_LONGEST_PAUSE = 30.0  # seconds before another start is tried, after many that failed
_KEPT = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
    "HIBARI_HOME",
    "XDG_CACHE_HOME",
)


class Child:
    """`python -m module` behind a queue. Use it from one event loop; `close()` it at the end.

    A request that runs longer than its time kills the process, and so does one whose answer makes no
    sense; the requests behind it get a fresh process. After failed starts the next one waits, 0.5 s at first,
    then twice as long each time.
    """

    def __init__(self, module: str, *arguments: str, waiting: int = 64, start_within: float = 30.0) -> None:
        self._module = module
        self._arguments = arguments
        self._waiting_limit = waiting
        self._start_within = start_within
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failed_starts = 0
        self._not_before = 0.0
        self._closed = False
        self.hello: Header = {}
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> Header:
        """Starts the process unless it runs; what it said at its start."""
        await self._owned(self._started())
        return self.hello

    async def ask(
        self, header: Mapping[str, Any], payload: bytes = b"", *, within: float
    ) -> tuple[Header, bytes]:
        """One request. ClipOverload where too many wait, ClipUnavailable where the process fails or needs more
        than `within` seconds for this request, and whatever ClipError the process answers."""
        if len(self._tasks) >= self._waiting_limit:
            raise ClipOverload(f"{len(self._tasks)} requests wait for {self._module}")
        return await self._owned(self._exchange(header, payload, within))

    async def close(self) -> None:
        """Ends the process and what waits for it."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._end()

    async def _owned(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs `work` to its end even if the asker goes away, so that answers stay in step with requests."""
        if self._closed:
            work.close()
            raise ClipUnavailable(12400, f"{self._module} is closed")
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen, even where nobody waits any more

    async def _started(self) -> None:
        async with self._turn:
            await self._ready()

    async def _exchange(
        self, header: Mapping[str, Any], payload: bytes, within: float
    ) -> tuple[Header, bytes]:
        async with self._turn:
            process = await self._ready()
            reply, body = await self._converse(process, header, payload, within)
            if reply.get("retire"):
                await self._end()
        if "error" in reply:
            code, reason = reply["error"]
            kind: type[ClipError] = ClipUnavailable if code in (11200, 12400) else ClipRejected
            raise kind(code, reason)
        return reply, body

    async def _converse(
        self, process: asyncio.subprocess.Process, header: Mapping[str, Any], payload: bytes, within: float
    ) -> tuple[Header, bytes]:
        try:
            async with asyncio.timeout(within):
                await self._send(process, header, payload)
                return await _receive(process)
        except TimeoutError:
            await self._end()
            raise ClipUnavailable(12400, f"{self._module} took longer than {within:g} s") from None
        except (OSError, EOFError, ValueError):
            await self._end()
            log.warning(
                "a process ended in the middle of a request", module=self._module, status=process.returncode
            )
            raise ClipUnavailable(12400, f"{self._module} ended in the middle of a request") from None
        except asyncio.CancelledError:
            await self._end()
            raise

    async def _ready(self) -> asyncio.subprocess.Process:
        """The process, started anew where there is none. Call it with the turn."""
        process = self._process
        if process is not None and process.returncode is None:
            return process
        await self._end()
        loop = asyncio.get_running_loop()
        if loop.time() < self._not_before:
            raise ClipUnavailable(12400, f"{self._module} did not start; tried again soon")
        try:
            async with asyncio.timeout(self._start_within):
                process = self._process = await self._spawn()
                self.hello, _ = await _receive(process)
        except (OSError, EOFError, ValueError, TimeoutError):
            await self._end()
            self._not_before = loop.time() + min(_LONGEST_PAUSE, 0.5 * 2**self._failed_starts)
            self._failed_starts += 1
            raise ClipUnavailable(12400, f"{self._module} does not start") from None
        self._failed_starts = 0
        self.starts += 1
        return process

    async def _spawn(self) -> asyncio.subprocess.Process:
        """The child finds this very package, sees none of the server's secrets, and a Ctrl-C passes it by."""
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        roots = [str(Path(folder).parent) for folder in ringback.__path__]
        environment["PYTHONPATH"] = os.pathsep.join([*roots, os.environ.get("PYTHONPATH", "")]).rstrip(
            os.pathsep
        )
        environment["OMP_NUM_THREADS"] = "1"
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            self._module,
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )

    async def _send(
        self, process: asyncio.subprocess.Process, header: Mapping[str, Any], payload: bytes
    ) -> None:
        assert process.stdin is not None
        process.stdin.write(frame_head(header, len(payload)))
        view = memoryview(payload)
        for start in range(0, len(view), _CHUNK):
            process.stdin.write(view[start : start + _CHUNK])
            await process.stdin.drain()
        await process.stdin.drain()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def _receive(process: asyncio.subprocess.Process) -> tuple[Header, bytes]:
    """One frame. EOFError where the process ended, ValueError where it is no frame."""
    assert process.stdout is not None
    header_length, left = LENGTHS.unpack(await process.stdout.readexactly(LENGTHS.size))
    if header_length > MAX_HEADER or left > MAX_PAYLOAD:
        raise ValueError("frame too long")
    header = json.loads(await process.stdout.readexactly(header_length))
    if not isinstance(header, dict):
        raise ValueError("header is no object")
    parts = []
    while left:
        part = await process.stdout.readexactly(min(left, _CHUNK))
        parts.append(part)
        left -= len(part)
    return header, b"".join(parts)
