"""The HTTP server: uvicorn, whose start, stop and signals belong to us.

A connection whose request does not become whole is closed after a while: uvicorn itself waits for ever, so that
whoever opens connections and says nothing could use up all that a server has.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.server import ServerState

from ringback.app.errors import Unusable
from ringback.app.settings import Address

BACKLOG = 2048

REQUEST_WITHIN = 15.0
"""Seconds in which a request must have come in whole: what Twilio gives a whole webhook."""

IDLE = 5.0
"""Seconds that a connection is kept for another request: uvicorn's own default."""

SECOND_LOOK = 0.05
"""Seconds from the end of that time until the connection is closed: an event loop that was busy meanwhile reads first."""

SWEEP_EVERY = 2.5
"""Seconds between looks for connections that are too slow."""


class _State(ServerState):
    """Dates an answer when it is asked for: uvicorn itself wakes up ten times a second for it, and to see if it is to stop."""

    _dated = (-1, b"")

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """The header fields of every answer."""
        now = int(time.time())
        if now != self._dated[0]:
            self._dated = (now, formatdate(now, usegmt=True).encode())
        return [(b"date", self._dated[1])]

    @default_headers.setter
    def default_headers(self, _value: list[tuple[bytes, bytes]]) -> None:
        """Not uvicorn's to say."""


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.server_state = _State()
        self.up = asyncio.Event()
        self._leaving = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, and say so."""
        await super().startup(sockets)
        self.up.set()

    async def main_loop(self) -> None:
        """Wait for the end."""
        await self._leaving.wait()

    def leave(self) -> None:
        """Finish the requests in hand, and end."""
        self.should_exit = True
        self._leaving.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the program's."""
        yield


class _Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    def timeout_keep_alive_handler(self) -> None:
        """Nothing came for long. A late loop runs timers before it reads, and a request may lie there: it would be lost."""
        self.timeout_keep_alive_task = self.loop.call_later(SECOND_LOOK, super().timeout_keep_alive_handler)


class _Slow:
    """Finds connections that have owed the rest of the same request for too long."""

    def __init__(self) -> None:
        self._owing: dict[Any, tuple[Any, float]] = {}

    def among(self, connections: Iterable[Any], now: float) -> list[Any]:
        """Those of the connections (uvicorn's protocols) that are to be closed."""
        owing = {}
        for protocol in connections:
            cycle = protocol.cycle
            if self._is_owing(protocol, cycle):
                before, since = self._owing.get(protocol, (cycle, now))
                owing[protocol] = (cycle, since if before is cycle else now)
        self._owing = owing
        return [protocol for protocol, (_, since) in owing.items() if now - since >= REQUEST_WITHIN]

    @staticmethod
    def _is_owing(protocol: Any, cycle: Any) -> bool:
        if cycle is None:
            return True
        if cycle.response_complete:
            # Idle ones have uvicorn's own timer; without it another request has begun.
            return protocol.timeout_keep_alive_task is None
        return bool(cycle.more_body)


class HttpServer:
    """Listens at one address; port 0 takes any."""

    def __init__(self, wanted: Address) -> None:
        self.address = wanted
        self._server: _Uvicorn | None = None
        self._task: asyncio.Task[None] | None = None
        self._sweeping: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """How this machine reaches it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.address.host, self.address.host)
        return f"http://{Address(host, self.address.port)}"

    async def start(self, app: ASGIApp) -> None:
        """Bind and serve. Raises Unusable when the address is taken."""
        family = socket.AF_INET6 if ":" in self.address.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(tuple(self.address))
            listener.listen(BACKLOG)
        except OSError as problem:
            listener.close()
            raise Unusable(
                f"HTTP cannot listen at {self.address}: {problem.strerror}. "
                "Stop the program that has the port, or give another one with --http"
            ) from None
        self.address = Address(*listener.getsockname()[:2])
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            http=_Protocol,
            timeout_keep_alive=IDLE,  # type: ignore[arg-type]  # any number of seconds will do
            timeout_graceful_shutdown=2,
            limit_concurrency=2_000,
            ws="none",
        )
        self._server = _Uvicorn(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name="http")
        await self._server.up.wait()
        self._sweeping = asyncio.create_task(self._sweep(self._server), name="slow HTTP connections")

    async def _sweep(self, server: _Uvicorn) -> None:
        slow, loop = _Slow(), asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            for protocol in slow.among(server.server_state.connections, loop.time()):
                protocol.transport.close()

    async def stop(self) -> None:
        """Finish the requests in hand, and close."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        if self._server is not None and self._task is not None:
            self._server.leave()
            await self._task
