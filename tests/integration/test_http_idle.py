"""HTTP connections between two requests."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import aiohttp
import pytest
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from ringback.app import http, http_connections
from ringback.app.http_connections import Connection
from ringback.app.settings import Address

REQUEST = b"GET / HTTP/1.1\r\nHost: here.test\r\n\r\n"
WITHIN = 20.0


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse("here")


async def read(client: socket.socket) -> bytes:
    """An answer, or what came until the end."""
    answer = b""
    while not answer.endswith(b"here"):
        more = await asyncio.wait_for(asyncio.to_thread(client.recv, 4096), WITHIN)
        if not more:
            break
        answer += more
    return answer


def ask_when_time_is_up(client: socket.socket, connection: Connection) -> None:
    """The loop looks at what came, is busy with the first of it, and then at its timers."""
    loop = asyncio.get_running_loop()
    ours, other = socket.socketpair()

    def on_readable() -> None:
        loop.remove_reader(ours)
        ours.close()
        other.close()
        client.sendall(REQUEST)
        connection.timeout_keep_alive = 0.1  # for the next time
        assert connection.timeout_keep_alive_task is not None
        connection.timeout_keep_alive_task.cancel()
        connection.timeout_keep_alive_task = loop.call_later(0, connection.timeout_keep_alive_handler)
        time.sleep(0.01)  # uvloop's timers count milliseconds

    loop.add_reader(ours, on_readable)
    other.send(b"!")


async def late_requests() -> None:
    server = http.HttpServer(Address("127.0.0.1", 0))
    await server.start(Starlette(routes=[Route("/", answer)]))
    try:
        with socket.create_connection(tuple(server.address), WITHIN) as client:
            client.sendall(REQUEST)
            assert (await read(client)).startswith(b"HTTP/1.1 200 ")
            (connection,) = server._server.server_state.connections  # type: ignore[union-attr]
            assert isinstance(connection, Connection)
            while connection.timeout_keep_alive_task is None:
                await asyncio.sleep(0)
            ask_when_time_is_up(client, connection)
            assert (await read(client)).startswith(b"HTTP/1.1 200 ")
            assert await read(client) == b""  # and an idle one is closed
    finally:
        await server.stop()


@pytest.mark.parametrize("again", [0.0, 0.05], ids=["at once", "later"])
def test_a_request_that_came_while_the_loop_was_busy_is_answered(
    monkeypatch: pytest.MonkeyPatch, again: float
) -> None:
    """The connection's time was over before the loop looked again: it runs timers after what it read before."""
    monkeypatch.setattr(http_connections, "SECOND_LOOK", again)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(late_requests())


class NoTime:
    """Attention that is for others now."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Any, bytes]] = []

    def give(self, reader: Any, data: bytes) -> bool:
        self.waiting.append((reader, data))
        return False


async def request_behind_others() -> None:
    server, attention = http.HttpServer(Address("127.0.0.1", 0)), NoTime()
    await server.start(Starlette(routes=[Route("/", answer)]))
    try:
        with socket.create_connection(tuple(server.address), WITHIN) as client:
            client.sendall(REQUEST)
            assert (await read(client)).startswith(b"HTTP/1.1 200 ")
            (connection,) = server._server.server_state.connections  # type: ignore[union-attr]
            assert isinstance(connection, Connection)
            connection._bites._attention = attention  # type: ignore[assignment]
            client.sendall(REQUEST)
            while not attention.waiting:
                await asyncio.sleep(0)
            connection.timeout_keep_alive_handler()
            ((reader, data),) = attention.waiting
            reader.read(data)
            assert (await read(client)).startswith(b"HTTP/1.1 200 ")
    finally:
        await server.stop()


def test_a_request_that_waits_behind_those_of_others_is_answered() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(request_behind_others())


async def _kept_by_aiohttp() -> float:
    async with aiohttp.ClientSession() as session:
        assert session.connector is not None
        return float(session.connector._keepalive_timeout)  # type: ignore[attr-defined]


def test_it_is_the_program_that_closes_first() -> None:
    """A request that meets the server's close is lost, and a program may not send it again (RFC 9110 9.2.2)."""
    nginx = 60.0  # keepalive_timeout of an upstream
    assert max(asyncio.run(_kept_by_aiohttp()), nginx) < http.IDLE
