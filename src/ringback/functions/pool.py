"""The workers: at least two, restarted when they die, with a bounded queue before them."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import structlog

from ringback.functions import limits
from ringback.functions.answer import FunctionAnswer, failure
from ringback.functions.errors import NodeMissing
from ringback.functions.node_program import find_node
from ringback.functions.project import Project
from ringback.functions.worker import Worker

log = structlog.get_logger("ringback.functions")


class Credentials(NamedTuple):
    """The account that a project's Functions act for."""

    account_sid: str
    auth_token: str

    def __repr__(self) -> str:
        return f"Credentials({self.account_sid!r}, ...)"


class Runner(Protocol):
    """Whatever runs Functions for the HTTP routes."""

    async def call(self, name: str, file: str, event: Mapping[str, Any]) -> FunctionAnswer: ...


class _Turn(NamedTuple):
    """A call that waits for a worker; None instead of its run when the pool stops."""

    name: str
    file: str
    event: Mapping[str, Any]
    running: asyncio.Future[asyncio.Future[FunctionAnswer] | None]


class FunctionPool:
    """Runs the Functions of a project.

    `domain` is what Functions see as DOMAIN_NAME; `base_url` is where this server's REST API listens, for
    getTwilioClient(); `credentials` is asked whenever a worker is configured.
    """

    def __init__(
        self,
        project: Project,
        *,
        domain: str,
        base_url: str,
        credentials: Callable[[], Credentials | None] = lambda: None,
        workers: int = limits.WORKERS,
    ) -> None:
        self._project = project
        self._domain = domain
        self.base_url = base_url
        self._credentials = credentials
        self._size = max(workers, limits.WORKERS)
        self._workers: list[Worker] = []
        self._waiting: deque[_Turn] = deque()
        self._node = ""
        self._starting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._restart_after = limits.RESTART_AFTER
        self._begun = asyncio.Event()
        """A Function was begun while the memory of none was looked at."""
        self._stopped = False
        self._is_started = False
        self.problem = ""
        """Why no Function can run, "" if they can."""

    @property
    def pids(self) -> list[int]:
        """Process ids of the living workers."""
        return [worker.pid for worker in self._workers if not worker.is_dead]

    async def start(self) -> None:
        """Starts the workers and returns when they can take calls, or when it is known why they cannot."""
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self._start())
        await asyncio.shield(self._starting)

    async def _start(self) -> None:
        try:
            self._node = await asyncio.to_thread(find_node)
        except NodeMissing as error:
            self.problem = str(error)
            log.warning("Functions cannot run", reason=self.problem)
            return
        await asyncio.gather(*(self._add_worker() for _ in range(self._size)))
        self._spawn(self._watch_memory())
        self._is_started = True

    async def stop(self) -> None:
        """Ends all workers; calls in them are answered as lost."""
        self._stopped = True
        tasks = [*self._tasks, *([self._starting] if self._starting else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        for turn in self._waiting:
            if not turn.running.done():
                turn.running.set_result(None)

    async def call(self, name: str, file: str, event: Mapping[str, Any]) -> FunctionAnswer:
        """Runs the handler of `file`, known to its callers as `/name`. Never raises for what a Function does."""
        if not self._is_started:
            await self.start()
        if self.problem:
            return failure(500, self.problem)
        worker = self._take()
        if worker is not None:
            return await self._run(worker, name, file, event)
        if len(self._waiting) >= limits.WAITING:
            return failure(503, "too many Functions wait for a worker")
        began_at = time.perf_counter()
        turn = _Turn(name, file, event, asyncio.get_running_loop().create_future())
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(limits.EXECUTION_LIMIT):
                begun = await turn.running
        except TimeoutError:
            return failure(503, "no worker was free for the Function", (), time.perf_counter() - began_at)
        if begun is None:
            return failure(503, "the server stops")
        answer = await begun
        return answer._replace(elapsed=time.perf_counter() - began_at)

    def _run(
        self, worker: Worker, name: str, file: str, event: Mapping[str, Any]
    ) -> asyncio.Future[FunctionAnswer]:
        if worker.generation != self._project.generation:
            worker.configure(self._configuration(), self._project.generation)
        self._begun.set()
        return worker.run(name, file, event)

    def _take(self) -> Worker | None:
        """The free worker with the fewest calls, of equals always the same one: its code and data are still in the caches."""
        best: Worker | None = None
        for worker in self._workers:
            if worker.is_free and (best is None or worker.in_flight < best.in_flight):
                best = worker
        return best

    def _on_free(self, worker: Worker) -> None:
        """Gives a free worker to whoever waited longest."""
        while self._waiting and worker.is_free:
            turn = self._waiting.popleft()
            if not turn.running.done():
                turn.running.set_result(self._run(worker, turn.name, turn.file, turn.event))

    def _on_dead(self, worker: Worker) -> None:
        if worker in self._workers:
            self._workers.remove(worker)
        if not self._stopped:
            self._spawn(self._replace())

    async def _replace(self) -> None:
        await asyncio.sleep(self._restart_after)
        await self._add_worker()

    async def _add_worker(self) -> None:
        worker = Worker(self._node, on_free=self._on_free, on_dead=self._on_dead)
        try:
            await worker.start(self._configuration(), self._project.generation, self._project.directory)
        except OSError as error:
            log.error("a Functions worker cannot be started", error=str(error))
            self._slow_down()
            self._spawn(self._replace())
            return
        self._workers.append(worker)
        try:
            async with asyncio.timeout(limits.START_LIMIT):
                problem = await asyncio.shield(worker.ready)
        except TimeoutError:
            problem = "it did not start in time"
            worker.kill(problem)
        if problem:
            log.warning("a Functions worker has a problem", reason=problem)
        if worker.is_dead:
            self._slow_down()
        else:
            self._restart_after = limits.RESTART_AFTER

    def _slow_down(self) -> None:
        self._restart_after = min(2 * self._restart_after, limits.RESTART_AFTER_AT_MOST)

    async def _watch_memory(self) -> None:
        held: list[int] = []
        while True:
            before, held = held, [worker.check_memory() for worker in self._workers]
            if held != before or any(worker.in_flight for worker in self._workers):
                await asyncio.sleep(limits.MEMORY_CHECK_EVERY)
                continue
            self._begun.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(limits.MEMORY_CHECK_RESTING):
                    await self._begun.wait()

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _configuration(self) -> dict[str, Any]:
        project = self._project
        credentials = self._credentials()
        return {
            "env": dict(project.env),
            "project": str(project.directory),
            "domain": self._domain,
            "baseUrl": self.base_url,
            "accountSid": credentials.account_sid if credentials else "",
            "authToken": credentials.auth_token if credentials else "",
            "functions": {name: item.path for name, item in project.functions.items()},
            "assets": {
                f"/{name}": item.path for name, item in project.assets.items() if item.access == "private"
            },
        }
