"""The connections to programs: aiohttp's pool, which also tells whether one had been used before."""

from __future__ import annotations

import ssl
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

import aiohttp
from aiohttp.abc import AbstractResolver

from ringback.shell.webhook_reply import DOCUMENT_SIZE

if TYPE_CHECKING:
    from aiohttp.connector import Connection

KEEP_ALIVE: Final = 4.0
"""Seconds an idle connection is kept: just below the 5 s after which Node's and uvicorn's servers close."""

was_reused: ContextVar[bool] = ContextVar("was_reused", default=False)
"""Whether the connection of the request that this task made last had carried another one before."""


class _Connector(aiohttp.TCPConnector):
    """Notes what is reused; aiohttp's own tracing would cost more than the rest of a request's preparation."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._used: WeakSet[Any] = WeakSet()

    async def connect(
        self,
        req: Any,
        traces: Any,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - as aiohttp has it
    ) -> Connection:
        """A connection from the pool, or a new one."""
        was_reused.set(False)
        connection = await super().connect(req, traces, timeout)
        protocol = connection.protocol
        if protocol in self._used:
            was_reused.set(True)
        else:
            self._used.add(protocol)
        return connection


def open_session(ssl_context: ssl.SSLContext | None, names: AbstractResolver) -> aiohttp.ClientSession:
    """The pool of a running server, which asks ``names``. ``ssl_context`` replaces the system's trust."""
    return aiohttp.ClientSession(
        connector=_Connector(
            limit=0,  # who may have how many is said by Shares
            keepalive_timeout=KEEP_ALIVE,
            resolver=names,
            ssl=ssl_context or True,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
        read_bufsize=DOCUMENT_SIZE,
    )
