"""One Node process that runs Functions.

    STARTING --ready--> FREE --run--> BUSY --done | pending--> FREE ... --gone--> DEAD

While a handler's first, synchronous part runs, a worker is busy: nothing else is sent to it, so a handler that
never returns holds up nobody but the calls that already waited for their own I/O in the same process.
"""

import asyncio
import json
import os
import signal
import socket
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import structlog

from ringback.functions import limits
from ringback.functions.answer import FunctionAnswer, LogLine, failure
from ringback.functions.channel import Channel, read_answer, read_lines
from ringback.functions.node_program import HOST, MODULES

log = structlog.get_logger("ringback.functions")

_PAGE = os.sysconf("SC_PAGE_SIZE")

STOPPED: Final = "the server stops"
"""Why a worker ends when nothing is wrong."""


class _Call:
    """One call in a worker; ``started_at`` is of the performance counter."""

    __slots__ = ("answer", "deadline", "started_at")

    def __init__(self, answer: asyncio.Future[FunctionAnswer], started_at: float) -> None:
        self.answer = answer
        self.started_at = started_at
        self.deadline: asyncio.TimerHandle | None = None


class Worker:
    """A Node process. `on_free` is called when it can take the next call, `on_dead` once when it is gone."""

    def __init__(
        self, node: str, *, on_free: Callable[["Worker"], None], on_dead: Callable[["Worker"], None]
    ) -> None:
        self._node = node
        self._on_free = on_free
        self._on_dead = on_dead
        self._process: Process | None = None
        self._channel: Channel | None = None
        self._calls: dict[int, _Call] = {}
        self._giving_up: dict[int, asyncio.TimerHandle] = {}
        self._last_id = 0
        self._busy_with = 0
        self._death = ""
        self._stderr = b""
        self._tasks: list[asyncio.Task[None]] = []
        self.ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.generation = -1
        self.is_dead = False

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def in_flight(self) -> int:
        return len(self._calls)

    @property
    def is_free(self) -> bool:
        """Whether a call sent now is begun at once."""
        return (
            not self.is_dead
            and self.ready.done()
            and self._busy_with == 0
            and len(self._calls) < limits.IN_FLIGHT_PER_WORKER
        )

    async def start(self, configuration: Mapping[str, Any], generation: int, directory: Path) -> None:
        """Starts the process. Raises OSError when it cannot be; `ready` is done when it can take calls."""
        ours, theirs = socket.socketpair()
        bounds = {"frame": limits.FRAME, "lines": limits.LOG_LINES, "lineLength": limits.LOG_LINE_LENGTH}
        try:
            self._process = await asyncio.create_subprocess_exec(
                self._node,
                f"--max-old-space-size={limits.MEMORY_LIMIT // 2**20}",
                str(HOST),
                str(theirs.fileno()),
                json.dumps(bounds),
                pass_fds=(theirs.fileno(),),
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=PIPE,
                cwd=_existing(directory),
                env=_environment(),
                start_new_session=True,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        channel = Channel(self._on_message, self._on_closed)
        try:
            await loop.create_unix_connection(lambda: channel, sock=ours)
        except BaseException:  # also when cancelled: nobody else knows of the process yet
            ours.close()
            _kill(self._process)
            raise
        self._channel = channel
        self._tasks = [loop.create_task(self._drain()), loop.create_task(self._reap())]
        self.configure(configuration, generation)

    def configure(self, configuration: Mapping[str, Any], generation: int) -> None:
        """Hands over new settings; the worker reads all of the project's files anew."""
        assert self._channel is not None
        self._channel.send({"type": "configure", **configuration})
        self.generation = generation

    def run(self, name: str, file: str, event: Mapping[str, Any]) -> asyncio.Future[FunctionAnswer]:
        """Begins a call; only while `is_free`. The future never fails: a lost call has an answer too."""
        assert self._channel is not None
        assert self.is_free
        loop = asyncio.get_running_loop()
        self._last_id += 1
        call_id = self._last_id
        call = _Call(loop.create_future(), time.perf_counter())
        call.deadline = loop.call_later(limits.EXECUTION_LIMIT, self._on_deadline, call_id)
        self._calls[call_id] = call
        self._busy_with = call_id
        self._channel.send({"type": "run", "id": call_id, "file": file, "path": f"/{name}", "event": event})
        return call.answer

    def kill(self, why: str) -> None:
        """Ends the process at once; calls in it are answered with `why`."""
        if self._process is not None and not self.is_dead:
            self._death = self._death or why
            _kill(self._process)
        if self._channel is not None:
            self._channel.close()

    async def stop(self) -> None:
        """Ends the process and waits until it is gone."""
        self.kill(STOPPED)
        for task in self._tasks:
            await task

    def memory(self) -> int:
        """Resident bytes, 0 where the system does not tell."""
        try:
            with open(f"/proc/{self.pid}/statm", "rb") as file:
                return int(file.read().split()[1]) * _PAGE
        except (OSError, IndexError, ValueError):
            return 0

    def check_memory(self) -> int:
        """Kills the process when it holds more than a Function may; what it held, in bytes."""
        held = self.memory()
        if held > limits.MEMORY_LIMIT:
            log.warning("a Functions worker is over its memory limit", pid=self.pid, bytes=held)
            self.kill(f"the Function used more than {limits.MEMORY_LIMIT // 2**20} MB of memory")
        return held

    # ---- what the process says ----------------------------------------------------------------------------

    def _on_message(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "done":
                self._on_done(message)
            case "pending":
                self._release(message["id"])
            case "late":
                for level, text in message["lines"]:
                    log.info("Function printed after its answer", level=level, text=text, call=message["id"])
            case "abandoned":
                self._on_abandoned(message)
            case "ready":
                if not self.ready.done():
                    self.ready.set_result(message["problem"] or "")
                self._on_free(self)

    def _on_done(self, message: dict[str, Any]) -> None:
        call = self._calls.pop(message["id"], None)
        if call is not None:
            _cancel(call.deadline)
            _settle(call, read_answer(message, time.perf_counter() - call.started_at))
        if not self._release(message["id"]) and not self.is_dead:
            self._on_free(self)  # there is room for one more in flight

    def _release(self, call_id: int) -> bool:
        if self._busy_with != call_id:
            return False
        self._busy_with = 0
        self._on_free(self)
        return True

    def _on_deadline(self, call_id: int) -> None:
        assert self._channel is not None
        loop = asyncio.get_running_loop()
        self._channel.send({"type": "abandon", "id": call_id})
        self._giving_up[call_id] = loop.call_later(limits.ABANDON_GRACE, self._on_blocked, call_id)
        if self._busy_with == call_id:
            self._time_out(call_id, ())  # it cannot say what it printed: it is in the handler itself
        else:
            self._calls[call_id].deadline = loop.call_later(limits.LAST_WORDS, self._time_out, call_id, ())

    def _on_abandoned(self, message: dict[str, Any]) -> None:
        _cancel(self._giving_up.pop(message["id"], None))
        self._time_out(message["id"], read_lines(message))
        self._release(message["id"])

    def _on_blocked(self, call_id: int) -> None:
        self._giving_up.pop(call_id, None)
        self.kill("another Function blocked the worker")

    def _time_out(self, call_id: int, lines: tuple[LogLine, ...]) -> None:
        call = self._calls.pop(call_id, None)
        if call is not None:
            _cancel(call.deadline)
            elapsed = time.perf_counter() - call.started_at
            why = f"the Function did not answer within {limits.EXECUTION_LIMIT:g} s"
            _settle(call, failure(504, why, lines, elapsed))

    def _on_closed(self) -> None:
        if self._process is not None:
            _kill(self._process)

    async def _drain(self) -> None:
        """Keeps the end of what Node printed by itself, such as why it ran out of memory."""
        assert self._process is not None
        assert self._process.stderr is not None
        while chunk := await self._process.stderr.read(4_096):
            self._stderr = (self._stderr + chunk)[-limits.STDERR_TAIL :]

    async def _reap(self) -> None:
        """Waits for the end of the process and answers what was in it."""
        assert self._process is not None
        status = await self._process.wait()
        self.is_dead = True
        self._busy_with = 0
        if self._channel is not None:
            self._channel.close()
        why = self._death or _cause(self._stderr, status)
        tell = log.debug if why == STOPPED else log.info if self._death else log.warning
        tell("a Functions worker ended", pid=self.pid, status=status, why=why)
        if not self.ready.done():
            self.ready.set_result(why)
        for handle in self._giving_up.values():
            handle.cancel()
        now = time.perf_counter()
        for call in self._calls.values():
            _cancel(call.deadline)
            _settle(call, failure(500, why, (), now - call.started_at))
        self._calls.clear()
        self._on_dead(self)


def _existing(directory: Path) -> Path | None:
    """The project directory, unless it is not there yet."""
    return directory if directory.is_dir() else None


def _environment() -> dict[str, str]:
    """The few variables that a Function may know of the server's environment: no secrets."""
    kept = (
        "PATH",
        "HOME",
        "TMPDIR",
        "LANG",
        "LC_ALL",
        "TZ",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "NODE_EXTRA_CA_CERTS",
    )
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "NODE_PATH": str(MODULES),
        "NODE_NO_WARNINGS": "1",
    }


def _kill(process: Process) -> None:
    """Kills without subprocess's own `send_signal`, which may take the exit status away from asyncio."""
    if process.returncode is None:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _cause(stderr: bytes, status: int) -> str:
    if b"heap out of memory" in stderr:
        return f"the Function used more than {limits.MEMORY_LIMIT // 2**20} MB of memory"
    return f"the Function ended its process (status {status})"


def _cancel(handle: asyncio.TimerHandle | None) -> None:
    if handle is not None:
        handle.cancel()


def _settle(call: _Call, answer: FunctionAnswer) -> None:
    if not call.answer.done():
        call.answer.set_result(answer)
