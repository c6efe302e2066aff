"""The connections to programs: aiohttp's pool and its parser, without its session.

A webhook is a small request and a small answer. What a session makes for each (a multi-dict of headers, a payload, a writer and
a task that writes, a response) costs twice what everything here does. So the connector finds or opens a connection, with its names,
its TLS and its time to connect; the request is one write; and the protocol's parser gives the answer.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakSet

import aiohttp
from aiohttp import hdrs
from aiohttp.abc import AbstractResolver
from aiohttp.http import HttpProcessingError
from yarl import URL

from ringback.shell.webhook_errors import Failure, from_client_error
from ringback.shell.webhook_reply import DOCUMENT_SIZE, Reply, read_reply
from ringback.shell.webhook_request import TARGETS_KEPT, Overrides

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from aiohttp.http import RawResponseMessage

KEEP_ALIVE: Final = 4.0
"""Seconds an idle connection is kept: just below the 5 s after which Node's and uvicorn's servers close."""

INTERIM: Final = 16
"""Interim answers (1xx) to one request; a program has use for one or two."""

_NO_BODY: Final = frozenset({"GET", "HEAD"})
"""Methods that carry no body, and that may be repeated where a connection is lost (RFC 9110 section 9.2.2)."""


class _Server(NamedTuple):
    """Scheme, host and port, as aiohttp knows them: a request that is never sent, and the header lines that follow from it."""

    request: aiohttp.ClientRequest
    host: str
    encodings: str


class Pool:
    """Asks programs; to be made in the running loop. ``ssl_context`` replaces the system's trust."""

    def __init__(self, ssl_context: ssl.SSLContext | None, names: AbstractResolver) -> None:
        self._connector = aiohttp.TCPConnector(
            limit=0,  # who may have how many is said by Shares
            keepalive_timeout=KEEP_ALIVE,
            resolver=names,
            ssl=ssl_context or True,
        )
        self._servers: dict[str, _Server] = {}
        self._used: WeakSet[ResponseHandler] = WeakSet()

    async def close(self) -> None:
        """Close all connections; requests under way fail."""
        await self._connector.close()

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, overrides: Overrides
    ) -> Reply | Failure:
        """The answer to one request, whatever it is, or why there is none. Raises ValueError for what is no URL."""
        server, path = self._find(url)
        request = _write(method, path, server, headers, body)
        # What the whole may take ends a read, too; a timer of its own would be armed for nothing.
        read_within = overrides.read if overrides.read < overrides.total else None
        may_repeat = method in _NO_BODY
        while True:
            is_kept = False
            try:
                connection = await self._connect(server, overrides.connect)
                is_kept = self._was_used(connection)
                return await _talk(connection, request, method, read_within)
            except HttpProcessingError:
                return from_client_error(aiohttp.ClientResponseError(server.request.request_info, ()))
            except (aiohttp.ClientError, OSError) as error:
                is_lost = _is_lost(error)
                if not is_lost or not may_repeat:
                    return from_client_error(error)._replace(is_stale=is_lost and is_kept)
                may_repeat = False

    def _find(self, url: str) -> tuple[_Server, str]:
        """Who answers at a URL, and its path with the query."""
        scheme, _, rest = url.partition("://")
        authority = rest.partition("/")[0].partition("?")[0]
        path = rest[len(authority) :]
        origin = f"{scheme}://{authority}/"
        server = self._servers.get(origin)
        if server is None:
            if len(self._servers) >= TARGETS_KEPT:
                self._servers.clear()
            request = aiohttp.ClientRequest("GET", URL(origin, encoded=True))
            given = request.headers
            server = _Server(request, given[hdrs.HOST], given[hdrs.ACCEPT_ENCODING])
            self._servers[origin] = server
        return server, path if path.startswith("/") else f"/{path}"

    async def _connect(self, server: _Server, within: float) -> Connection:
        try:
            return await self._connector.connect(server.request, [], _connecting(within))
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(f"no connection to {server.host}") from error

    def _was_used(self, connection: Connection) -> bool:
        """Whether a connection carried another request before."""
        protocol = connection.protocol
        if protocol is None or protocol in self._used:
            return True
        self._used.add(protocol)
        return False


@lru_cache(maxsize=100)
def _connecting(within: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=within)


def _write(method: str, path: str, server: _Server, headers: Mapping[str, str], body: bytes) -> bytes:
    """A request in HTTP/1.1. Raises ValueError for what would be another line of its head."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {server.host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"Accept-Encoding: {server.encodings}")
    if method not in _NO_BODY:
        lines.append(f"Content-Length: {len(body)}")
    head = "\n".join(lines)
    if head.count("\n") >= len(lines) or "\r" in head or "\0" in head:
        raise ValueError("a line break in a header")
    # Bytes of a program's that are no UTF-8 (an ETag, a cookie) go back as they came.
    return head.replace("\n", "\r\n").encode(errors="surrogateescape") + b"\r\n\r\n" + body


async def _talk(connection: Connection, request: bytes, method: str, read_within: float | None) -> Reply:
    """Send a request and read its answer; the connection is kept if both came to their ends."""
    try:
        protocol = connection.protocol
        if (
            protocol is None
            or protocol.transport is None
            or not protocol.is_connected()
            or protocol.should_close
        ):
            raise aiohttp.ServerDisconnectedError  # or something came that nobody had asked for
        protocol.set_response_params(
            skip_payload=method == "HEAD",
            read_until_eof=True,
            read_timeout=read_within,
            read_bufsize=DOCUMENT_SIZE,
        )
        protocol.transport.write(request)
        protocol.start_timeout()
        head, content = await protocol.read()
        if _is_interim(head):
            head, content = await _final(protocol)
        reply = await read_reply(head.code, head.headers, content)
    except BaseException:
        connection.close()
        raise
    connection.release()  # closed instead, where some of the answer is still to come
    return reply


def _is_interim(head: RawResponseMessage) -> bool:
    return 100 <= head.code < 200 and head.code != 101  # RFC 9110 section 15.2


async def _final(protocol: ResponseHandler) -> tuple[RawResponseMessage, aiohttp.StreamReader]:
    """The answer after the first interim one. Without it, the request was seen all the same: nothing is lost."""
    try:
        for _ in range(INTERIM):
            head, content = await protocol.read()
            if not _is_interim(head):
                return head, content
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientPayloadError("only interim answers") from error
    raise aiohttp.ClientPayloadError("too many interim answers")


def _is_lost(error: Exception) -> bool:
    """Whether a connection that stood was lost before anything of an answer came.

    A reset tells nothing of half a head that came before it.
    """
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return isinstance(error.message, str)  # else it is what there is of a head
    return isinstance(error, aiohttp.ClientOSError) and not isinstance(error, aiohttp.ClientConnectorError)
