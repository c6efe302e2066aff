"""The HTTP server: uvicorn, whose start, stop and signals belong to us."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from ringback.app.errors import Unusable
from ringback.app.settings import Address

BACKLOG = 2048


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, and say so."""
        await super().startup(sockets)
        self.up.set()

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
            timeout_keep_alive=5,
            timeout_graceful_shutdown=2,
            limit_concurrency=2_000,
            ws="none",
        )
        self._server = _Uvicorn(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name="http")
        await self._server.up.wait()

    async def stop(self) -> None:
        """Finish the requests in hand, and close."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task
