"""What the tests of SIP over real sockets share: both event loops, transports whose news are kept, plain peers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import pytest
import trustme
import uvloop

from ringback.shell.transport import SipTransports, TransportLimits
from ringback.sip.errors import SipSyntaxError
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import Request, Response

T = TypeVar("T")
PATIENCE = 30.0  # seconds until a test gives up
OPTIONS = (
    b"OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
    b"From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c1\r\nCSeq: %d OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


@pytest.fixture(
    params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"], scope="module"
)
def event_loop_policy(request: pytest.FixtureRequest) -> Any:
    return request.param()


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time


class Station:
    """Transports, and queues of what they told."""

    def __init__(self, limits: TransportLimits | None = None, **options: Any) -> None:
        self.messages: asyncio.Queue[tuple[Request | Response, Flow]] = asyncio.Queue()
        self.garbage: asyncio.Queue[tuple[SipSyntaxError, Flow]] = asyncio.Queue()
        self.closed: asyncio.Queue[int] = asyncio.Queue()
        self.unreachable: asyncio.Queue[tuple[Hop, str]] = asyncio.Queue()
        self.transports = SipTransports(
            lambda message, flow: self.messages.put_nowait((message, flow)),
            lambda error, flow: self.garbage.put_nowait((error, flow)),
            self.closed.put_nowait,
            lambda hop, transaction: self.unreachable.put_nowait((hop, transaction)),
            limits,
            **options,
        )
        self.send = self.transports.send
        self.counters = self.transports.counters


class Stations:
    def __init__(self) -> None:
        self.all: list[Station] = []

    def __call__(self, limits: TransportLimits | None = None, **options: Any) -> Station:
        station = Station(limits, **options)
        self.all.append(station)
        return station


@pytest.fixture
async def station() -> AsyncIterator[Stations]:
    stations = Stations()
    yield stations
    for one in stations.all:
        await one.transports.close(1.0)


async def get(queue: asyncio.Queue[T]) -> T:
    async with asyncio.timeout(PATIENCE):
        return await queue.get()


async def hang_up(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def udp_socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    return sock


async def receive(sock: socket.socket) -> bytes:
    async with asyncio.timeout(PATIENCE):
        return await asyncio.get_running_loop().sock_recv(sock, 65535)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("sip.example.com").configure_cert(context)
    return context
