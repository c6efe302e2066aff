"""The HTTP server: uvicorn, whose start, stop, signals and connections (ringback.app.http_connections) belong to us."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from ringback.app.errors import Unusable
from ringback.app.http_connections import Door
from ringback.app.limits import HTTP_CONNECTIONS
from ringback.app.settings import Address

BACKLOG = 2048

UNTAKEN = 128 * 1024
"""Bytes that the kernel holds for a peer that does not take them; left to itself, it would hold megabytes for each."""

HEAD = 32 * 1024
"""Bytes of a request's head: the longest query of the API, and as much of everything else."""

IDLE = 75.0
"""Seconds that a connection is kept for another request: longer than programs and proxies keep theirs (aiohttp 15, Java 30, nginx
60), because a request that meets the close is lost, and the Twilio library does not ask again. Idle ones give way to newcomers."""


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


class HttpServer:
    """Listens at one address; port 0 takes any."""

    def __init__(self, wanted: Address) -> None:
        self.address = wanted
        self._server: _Uvicorn | None = None
        self._task: asyncio.Task[None] | None = None
        self._door: Door | None = None

    @property
    def url(self) -> str:
        """How this machine reaches it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.address.host, self.address.host)
        return f"http://{Address(host, self.address.port)}"

    async def start(self, app: ASGIApp, most: int = HTTP_CONNECTIONS) -> None:
        """Bind and serve, ``most`` connections at once. Raises Unusable when the address is taken."""
        family = socket.AF_INET6 if ":" in self.address.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setblocking(False)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNTAKEN)  # what is accepted has it too
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
            log_level="error",  # what strangers send is none of the operator's errors, and must not fill a disk
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_keep_alive=IDLE,  # type: ignore[arg-type]  # any number of seconds will do
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=HEAD,
            limit_concurrency=2 * most,  # the door lets in half of that; some who were cut are about to end
            ws="none",
        )
        self._server = _Uvicorn(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[]), name="http")
        await self._server.up.wait()
        self._door = Door(listener, self._server, most)

    async def stop(self) -> None:
        """Finish the requests in hand, and close."""
        if self._door is None or self._server is None or self._task is None:
            return
        self._door.close()
        self._server.leave()
        await self._task
        await self._door.closed()
