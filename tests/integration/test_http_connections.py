"""Who has a place at the HTTP port when there are too many, and what is closed because it is too slow."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ringback.app import http_connections
from ringback.app.http import HttpServer
from ringback.app.settings import Address

MOST = 16
OF_ONE = 4
"""Places of one address; those who wait have eight."""
WITHIN = 20.0
BIG = b"x" * 16_000_000
"""More than the buffers of two sockets."""


class Program:
    """Answers, keeps a request until it is told, or gives more than anybody takes at once."""

    def __init__(self) -> None:
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()
        self.waiting = 0
        self.app = Starlette(
            routes=[
                Route("/", self.answer, methods=["GET", "POST"]),
                Route("/big", self.big),
                Route("/later", self.later),
                Route("/post", self.post, methods=["POST"]),
            ]
        )

    async def answer(self, request: Request) -> Response:
        return PlainTextResponse("here")

    async def big(self, request: Request) -> Response:
        self.asked.set()
        return Response(BIG)

    async def later(self, request: Request) -> Response:
        self.asked.set()
        self.waiting += 1
        await self.may_answer.wait()
        return PlainTextResponse("here")

    async def post(self, request: Request) -> Response:
        self.asked.set()
        return PlainTextResponse(str(len(await request.body())))


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, path: str = "/", *, head: str = "") -> None:
        method = "POST" if head else "GET"
        self.writer.write(f"{method} {path} HTTP/1.1\r\nHost: here.test\r\n{head}\r\n".encode())

    async def ask(self) -> bool:
        """Whether a request is answered; if not, the connection is gone."""
        with contextlib.suppress(ConnectionError):
            self.say()
            return await self.answered()
        return False

    async def answered(self) -> bool:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            async with asyncio.timeout(WITHIN):
                return (await self.reader.readuntil(b"here")).startswith(b"HTTP/1.1 200 ")
        return False

    async def gone(self) -> None:
        """Until it is closed."""
        async with asyncio.timeout(WITHIN):
            with contextlib.suppress(ConnectionError):
                while await self.reader.read(65_536):
                    pass


class Scene:
    def __init__(self, server: HttpServer, program: Program) -> None:
        self.server, self.program = server, program
        self.clients: list[Client] = []

    async def client(self, host: str = "127.0.0.1") -> Client:
        made = await asyncio.open_connection(*self.server.address, local_addr=(host, 0), limit=1_024)
        self.clients.append(Client(*made))
        return self.clients[-1]


@asynccontextmanager
async def scene_of(most: int = MOST) -> AsyncIterator[Scene]:
    program = Program()
    server = HttpServer(Address("127.0.0.1", 0))
    await server.start(program.app, most)
    scene = Scene(server, program)
    try:
        yield scene
    finally:
        program.may_answer.set()
        for client in scene.clients:
            client.writer.transport.abort()
        await server.stop()


async def test_of_one_address_the_connection_that_never_asked_and_waited_longest_gives_way() -> None:
    async with scene_of() as scene:
        heard = await scene.client()
        assert await heard.ask()
        silent = [await scene.client() for _ in range(OF_ONE - 1)]
        assert await (await scene.client()).ask()
        await silent[0].gone()
        assert await heard.ask()
        assert await silent[1].ask()


@pytest.mark.parametrize(
    "begun", [b"", b"GET / HT", b"POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1"]
)
async def test_however_many_wait_from_however_many_addresses_the_next_is_answered(begun: bytes) -> None:
    async with scene_of() as scene:
        for number in range(3 * MOST):
            client = await scene.client(f"127.0.1.{number + 1}")
            client.writer.write(begun)
        for number in range(3):
            assert await (await scene.client(f"127.0.2.{number + 1}")).ask()


async def test_who_is_served_is_not_cut_and_an_address_has_no_more_than_its_places() -> None:
    async with scene_of() as scene:
        served = [await scene.client("127.0.1.1") for _ in range(OF_ONE)]
        for client in served:
            client.say("/later")
            await asyncio.wait_for(scene.program.asked.wait(), WITHIN)
            scene.program.asked.clear()
        assert not await (await scene.client("127.0.1.1")).ask()
        assert await (await scene.client("127.0.1.2")).ask()
        scene.program.may_answer.set()
        assert all([await client.answered() for client in served])
        assert await (await scene.client("127.0.1.1")).ask()  # they wait again, and one gives way


async def test_requests_behind_others_keep_no_place() -> None:
    """Whoever sends without waiting for answers would be served without end, and be many."""
    async with scene_of() as scene:
        for number in range(MOST):
            client = await scene.client(f"127.0.1.{number + 1}")
            client.say()
            client.say("/later")
            await asyncio.wait_for(scene.program.asked.wait(), WITHIN)
            scene.program.asked.clear()
        assert await (await scene.client("127.0.1.9")).ask()
        scene.program.may_answer.set()
        assert await client.answered()
        assert await client.answered()
        client.say("/later")
        assert await client.answered(), "and one that does wait is served as any other"


async def test_requests_behind_others_are_worked_for_some_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connections, "BEHIND_AT_ONCE", 2)
    async with scene_of() as scene:
        clients = [await scene.client(f"127.0.1.{number + 1}") for number in range(4)]
        for client in clients:
            client.say()
            client.say("/later")
            assert await client.answered()
        assert await (await scene.client("127.0.1.9")).ask()
        assert scene.program.waiting == 2
        scene.program.may_answer.set()
        assert all([await client.answered() for client in clients])


async def test_who_is_gone_before_its_turn_behind_others_does_not_wait_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All that wait count as tasks, of which uvicorn allows so many: newcomers got 503."""
    monkeypatch.setattr(http_connections, "BEHIND_AT_ONCE", 1)
    async with scene_of() as scene:
        for number in range(MOST):
            client = await scene.client(f"127.0.1.{number + 1}")
            client.say()
            client.say("/later")
            assert await client.answered()
        await asyncio.wait_for(scene.program.asked.wait(), WITHIN)
        for client in scene.clients:
            client.writer.transport.abort()
        tasks = scene.server._server.server_state.tasks  # type: ignore[union-attr]
        async with asyncio.timeout(WITHIN):
            while len(tasks) > 1:
                await asyncio.sleep(0.01)
        assert scene.program.waiting == 1
        scene.program.may_answer.set()
        async with asyncio.timeout(WITHIN):
            while tasks:
                await asyncio.sleep(0.01)
        client = await scene.client()
        client.say()
        client.say()
        assert await client.answered()
        assert await client.answered(), "and the next has a turn"


async def test_a_connection_that_was_reset_leaves_no_timer() -> None:
    """It looked at a socket that was gone, and each made a line of the log."""
    async with scene_of() as scene:
        client = await scene.client()
        assert await client.ask()
        connections = scene.server._server.server_state.connections  # type: ignore[union-attr]
        (connection,) = connections
        reset = struct.pack("ii", 1, 0)
        client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        client.writer.transport.abort()
        async with asyncio.timeout(WITHIN):
            while connections:
                await asyncio.sleep(0.01)
        assert connection.timeout_keep_alive_task is None


async def test_who_is_gone_has_the_place_until_the_work_is_done() -> None:
    async with scene_of() as scene:
        for _ in range(OF_ONE):
            client = await scene.client("127.0.1.1")
            client.say("/later")
            await asyncio.wait_for(scene.program.asked.wait(), WITHIN)
            scene.program.asked.clear()
            client.writer.transport.abort()
        assert not await (await scene.client("127.0.1.1")).ask()
        scene.program.may_answer.set()
        async with asyncio.timeout(WITHIN):
            while not await (await scene.client("127.0.1.1")).ask():
                pass


async def test_who_does_not_take_an_answer_gives_way() -> None:
    async with scene_of() as scene:
        readers = [await scene.client("127.0.1.1") for _ in range(OF_ONE)]
        for client in readers:
            client.say("/big")
            await asyncio.wait_for(scene.program.asked.wait(), WITHIN)
            scene.program.asked.clear()
        async with asyncio.timeout(WITHIN):
            while not await (
                await scene.client("127.0.1.1")
            ).ask():  # the buffers of both sockets are full soon
                pass


@pytest.mark.parametrize("path", ["/big", "/post"])
async def test_what_is_slow_is_closed(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    for name in ("REQUEST_WITHIN", "TAKEN_WITHIN"):
        monkeypatch.setattr(http_connections, name, 0.2)
    monkeypatch.setattr(http_connections, "SWEEP_EVERY", 0.05)
    async with scene_of() as scene:
        idle, slow = await scene.client(), await scene.client()
        assert await idle.ask()
        slow.say(path, head="Content-Length: 9\r\n" if path == "/post" else "")
        await asyncio.wait_for(scene.program.asked.wait(), WITHIN)
        places = scene.server._door._room  # type: ignore[union-attr]
        async with asyncio.timeout(WITHIN):
            while len(places) > 1:
                await asyncio.sleep(0.01)
        assert await idle.ask()  # its time is that of keep-alive


@pytest.mark.parametrize(
    "half",
    [
        b"GET / HTTP/1.1\r\nHost: here.test\r\n\r\nGET / HT",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
    ],
    ids=["behind a whole one", "answered before its end"],
)
async def test_half_a_request_is_slow(monkeypatch: pytest.MonkeyPatch, half: bytes) -> None:
    monkeypatch.setattr(http_connections, "REQUEST_WITHIN", 0.2)
    monkeypatch.setattr(http_connections, "SWEEP_EVERY", 0.05)
    async with scene_of() as scene:
        client = await scene.client()
        client.writer.write(half)
        assert await client.answered()
        await client.gone()
