"""SIP over real sockets on loopback, on asyncio's loop and on uvloop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trustme
import uvloop

from ringback.shell.guard import Guard
from ringback.shell.stream_room import source_of
from ringback.shell.tls import (
    CertificateError,
    CertificateFiles,
    ClientContexts,
    ensure_certificate,
    server_context,
)
from ringback.shell.transport import SipTransports, TransportLimits
from ringback.sip.errors import SipSyntaxError
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import Request, Response

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")

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


# -- UDP


async def test_udp_there_and_back(station: Stations) -> None:
    a, b = station(), station()
    a_address, b_address = a.transports.listen_udp("127.0.0.1", 0), b.transports.listen_udp("127.0.0.1", 0)
    a.send(Hop("UDP", *b_address), OPTIONS % 1, "t1")
    message, flow = await get(b.messages)
    assert isinstance(message, Request) and message.method == "OPTIONS"
    assert flow == Flow("UDP", b_address, a_address, 0)
    b.send(flow.hop(), message.reply(200).render(), "t2")
    response, back = await get(a.messages)
    assert isinstance(response, Response) and response.status == 200
    assert back.remote == b_address


async def test_udp_ipv6(station: Stations) -> None:
    a = station()
    try:
        address = a.transports.listen_udp("::1", 0)
    except OSError:
        pytest.skip("no IPv6 here")
    a.send(Hop("UDP", *address), OPTIONS % 1)
    _, flow = await get(a.messages)
    assert flow.remote == address


async def test_udp_answers_from_the_socket_that_was_asked(station: Stations) -> None:
    a, phone = station(), station()
    first, second = a.transports.listen_udp("127.0.0.1", 0), a.transports.listen_udp("127.0.0.1", 0)
    phone.transports.listen_udp("127.0.0.1", 0)
    for address in (second, first):
        phone.send(Hop("UDP", *address), OPTIONS % 1)
        _, flow = await get(a.messages)
        assert flow.local == address
        a.send(flow.hop(), OPTIONS % 2)
        assert (await get(phone.messages))[1].remote == address


async def test_udp_garbage_is_told_and_survived(station: Stations) -> None:
    a = station()
    address = a.transports.listen_udp("127.0.0.1", 0)
    with udp_socket() as phone:
        phone.sendto(b"GET / HTTP/1.1\r\n\r\n", address)
        phone.sendto((OPTIONS % 1).replace(b"Call-ID: c1", b"Call-ID c1"), address)
        error, _ = await get(a.garbage)
        assert error.message is None
        error, _ = await get(a.garbage)
        assert isinstance(error.message, Request)
        phone.sendto(OPTIONS % 2, address)
        assert (await get(a.messages))[0].cseq.number == 2


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\0", b"jaK\0", b"\0\0\0\0", b"\r\n" * 20, b"  \r\n "])
async def test_udp_keep_alives_are_no_garbage(station: Stations, data: bytes) -> None:
    a = station()
    address = a.transports.listen_udp("127.0.0.1", 0)
    with udp_socket() as phone:
        phone.sendto(data, address)
        phone.sendto(OPTIONS % 1, address)
        await get(a.messages)
    assert a.garbage.empty()
    assert a.counters.keep_alives == 1


async def test_udp_more_than_a_batch_arrives(station: Stations) -> None:
    a = station(TransportLimits(datagrams_per_turn=3))
    address = a.transports.listen_udp("127.0.0.1", 0)
    with udp_socket() as phone:
        for number in range(20):
            phone.sendto(OPTIONS % number, address)
        assert [(await get(a.messages))[0].cseq.number for _ in range(20)] == list(range(20))


async def test_a_batch_gives_the_loop_its_turn(station: Stations) -> None:
    a = station(TransportLimits(datagrams_per_turn=3))
    address = a.transports.listen_udp("127.0.0.1", 0)
    with udp_socket() as phone:
        for number in range(20):
            phone.sendto(OPTIONS % number, address)
    seen: list[int] = []
    while not seen or seen[-1] < 20:
        await asyncio.sleep(0)
        seen.append(a.messages.qsize())
    assert max(later - earlier for earlier, later in zip([0, *seen], seen, strict=False)) <= 3


async def test_a_failing_user_does_not_stop_the_socket(station: Stations) -> None:
    loop = asyncio.get_running_loop()
    errors: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: errors.append(context))
    got: asyncio.Queue[int] = asyncio.Queue()

    def on_message(message: Request | Response, flow: Flow) -> None:
        if message.cseq.number == 1:
            raise ValueError("broken")
        got.put_nowait(message.cseq.number)

    transports = SipTransports(on_message, lambda *_: None, lambda _: None, lambda *_: None)
    address = transports.listen_udp("127.0.0.1", 0)
    tcp = transports.listen_tcp("127.0.0.1", 0)
    with udp_socket() as phone:
        phone.sendto(OPTIONS % 1, address)
        phone.sendto(OPTIONS % 2, address)
        assert await get(got) == 2
    _, writer = await asyncio.open_connection(*tcp)
    writer.write(OPTIONS % 1 + OPTIONS % 3)
    assert await get(got) == 3
    writer.close()
    await transports.close(1.0)
    assert [type(context["exception"]) for context in errors] == [ValueError, ValueError]


async def test_icmp_errors_are_ignored(station: Stations) -> None:
    a = station()
    address = a.transports.listen_udp("127.0.0.1", 0)
    with udp_socket() as gone:
        dead = gone.getsockname()
    for _ in range(3):
        a.send(Hop("UDP", *dead), OPTIONS % 1, "t")
    a.send(Hop("UDP", *address), OPTIONS % 2, "t")
    assert (await get(a.messages))[0].cseq.number == 2
    assert a.unreachable.empty()


@pytest.mark.parametrize(
    "hop",
    [
        Hop("UDP", "127.0.0.1", 0),
        Hop("UDP", "127.0.0.1", 70000),
        Hop("UDP", "2001:db8::1", 5060),
        Hop("UDP", "phone.example.com", 5060),
        Hop("UDP", "255.255.255.255", 5060),
        Hop("TCP", "phone.example.com", 5060),
        Hop("TCP", "127.0.0.1", 70000),
        Hop("TLS", "127.0.0.1", 1),
        Hop("SCTP", "127.0.0.1", 5060),
        Hop("TCP", "127.0.0.1", 5060, connection=77),
        Hop("TLS", "127.0.0.1", 5060, connection=78),
    ],
)
async def test_what_cannot_be_sent_is_told_later(station: Stations, hop: Hop) -> None:
    a = station()
    a.transports.listen_udp("127.0.0.1", 0)
    a.send(hop, OPTIONS % 1, "key")
    assert a.unreachable.empty()  # never from within send
    assert await get(a.unreachable) == (hop, "key")
    assert a.counters.unreachable == 1


async def test_udp_message_too_long(station: Stations) -> None:
    a = station()
    address = a.transports.listen_udp("127.0.0.1", 0)
    a.send(Hop("UDP", *address), b"x" * 70_000, "key")
    assert (await get(a.unreachable))[1] == "key"


async def test_udp_full_socket_queues_in_order_and_drops_beyond(station: Stations) -> None:
    a = station(TransportLimits(datagram_queue=5, datagrams_per_turn=2))
    a.transports.listen_udp("127.0.0.1", 0)
    (udp,) = a.transports._udp.values()
    full = True
    real = udp._sock

    class Full:
        """The socket, full for as long as the test says."""

        def sendto(self, data: bytes, address: tuple[str, int]) -> int:
            if full:
                raise BlockingIOError(11, "full")
            return real.sendto(data, address)

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    udp._sock = Full()  # type: ignore[assignment]
    with udp_socket() as phone:
        hop = Hop("UDP", *phone.getsockname())
        for number in range(8):
            a.send(hop, b"%d" % number)
        assert a.counters.datagrams_dropped == 3
        full = False
        a.send(hop, b"behind")  # dropped too: nothing overtakes the queue
        assert [await receive(phone) for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
        a.send(hop, b"next")
        assert await receive(phone) == b"next"


# -- TCP


async def test_tcp_opens_reuses_and_answers_on_the_stream(station: Stations) -> None:
    a, b = station(), station()
    address = b.transports.listen_tcp("127.0.0.1", 0)
    hop = Hop("TCP", *address)
    for number in range(3):
        a.send(hop, OPTIONS % number, "t")
    flows = set()
    for number in range(3):
        message, flow = await get(b.messages)
        assert message.cseq.number == number
        flows.add(flow)
    (flow,) = flows
    assert flow.transport == "TCP" and flow.local == address and flow.connection % 2 == 1
    assert isinstance(message, Request)
    b.send(flow.hop(), message.reply(200).render(), "t")
    response, back = await get(a.messages)
    assert isinstance(response, Response)
    assert back.remote == address and back.connection % 2 == 0
    a.send(back.hop(), OPTIONS % 9, "t")
    assert (await get(b.messages))[1] == flow
    assert a.counters.streams_opened == b.counters.streams_accepted == 1


async def test_tcp_accepted_streams_are_found_by_destination(station: Stations) -> None:
    a = station()
    address = a.transports.listen_tcp("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*address)
    writer.write(OPTIONS % 1)
    _, flow = await get(a.messages)
    a.send(Hop("TCP", *flow.remote), b"hello")
    assert await reader.readexactly(5) == b"hello"
    writer.close()
    assert await get(a.closed) == flow.connection
    assert a.transports.flow(flow.connection) is None


async def test_tcp_messages_in_pieces_and_together(station: Stations) -> None:
    a = station()
    _, writer = await asyncio.open_connection(*a.transports.listen_tcp("127.0.0.1", 0))
    data = OPTIONS % 1 + OPTIONS % 2 + OPTIONS % 3
    for start in range(0, len(data), 100):
        writer.write(data[start : start + 100])
        await writer.drain()
    assert [(await get(a.messages))[0].cseq.number for _ in range(3)] == [1, 2, 3]
    writer.close()


async def test_tcp_ping_gets_a_pong(station: Stations) -> None:
    a = station()
    reader, writer = await asyncio.open_connection(*a.transports.listen_tcp("127.0.0.1", 0))
    writer.write(b"\r\n\r\n")
    async with asyncio.timeout(PATIENCE):
        assert await reader.readexactly(2) == b"\r\n"
    writer.close()


async def test_tcp_malformed_message_can_be_refused_and_the_stream_goes_on(station: Stations) -> None:
    a = station()
    reader, writer = await asyncio.open_connection(*a.transports.listen_tcp("127.0.0.1", 0))
    writer.write((OPTIONS % 1).replace(b"Call-ID: c1", b"Call-ID c1") + OPTIONS % 2)
    error, flow = await get(a.garbage)
    assert isinstance(error.message, Request)
    a.send(flow.hop(), error.message.reply(error.status).render())
    async with asyncio.timeout(PATIENCE):
        assert (await reader.readline()).startswith(b"SIP/2.0 400 ")
    assert (await get(a.messages))[0].cseq.number == 2
    writer.close()


async def test_tcp_lost_framing_closes_the_stream(station: Stations) -> None:
    a = station()
    reader, writer = await asyncio.open_connection(*a.transports.listen_tcp("127.0.0.1", 0))
    writer.write(OPTIONS % 1 + b"GET / HTTP/1.1\r\n\r\n" + OPTIONS % 2)
    assert (await get(a.messages))[0].cseq.number == 1
    await get(a.garbage)
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    await get(a.closed)
    assert a.messages.empty()
    writer.close()


async def test_tcp_dead_accepted_stream_is_not_opened_again(station: Stations) -> None:
    a = station()
    _, writer = await asyncio.open_connection(*a.transports.listen_tcp("127.0.0.1", 0))
    writer.write(OPTIONS % 1)
    _, flow = await get(a.messages)
    writer.close()
    await get(a.closed)
    a.send(flow.hop(), OPTIONS % 2, "t")
    assert await get(a.unreachable) == (flow.hop(), "t")
    assert a.counters.streams_opened == 0


async def test_tcp_dead_stream_of_ours_is_opened_again(station: Stations) -> None:
    a, b = station(), station()
    a.send(Hop("TCP", *b.transports.listen_tcp("127.0.0.1", 0)), OPTIONS % 1)
    message, flow = await get(b.messages)
    assert isinstance(message, Request)
    b.send(flow.hop(), message.reply(200).render())
    _, ours = await get(a.messages)
    b.transports._streams._open[flow.connection].close()
    assert await get(a.closed) == ours.connection
    a.send(ours.hop(), OPTIONS % 2)
    message, again = await get(b.messages)
    assert message.cseq.number == 2
    assert again.connection != flow.connection


async def test_tcp_nobody_listens(station: Stations) -> None:
    a = station()
    with socket.socket() as gone:
        gone.bind(("127.0.0.1", 0))
        hop = Hop("TCP", *gone.getsockname())
    for key in ("t1", "t2"):
        a.send(hop, OPTIONS % 1, key)
    assert [await get(a.unreachable), await get(a.unreachable)] == [(hop, "t1"), (hop, "t2")]
    a.send(hop, OPTIONS % 1, "t3")  # tried anew
    assert (await get(a.unreachable))[1] == "t3"


async def test_tcp_what_waits_for_a_connection_is_bounded(station: Stations) -> None:
    a, b = station(TransportLimits(opening_buffer=2000)), station()
    hop = Hop("TCP", *b.transports.listen_tcp("127.0.0.1", 0))
    sent = 2000 // len(OPTIONS % 1)
    for number in range(1, sent + 2):
        a.send(hop, OPTIONS % number, str(number))
    assert await get(a.unreachable) == (hop, str(sent + 1))
    assert [(await get(b.messages))[0].cseq.number for _ in range(sent)] == list(range(1, sent + 1))


async def test_tcp_slow_reader_is_cut_off(station: Stations) -> None:
    a = station(TransportLimits(write_buffer=100_000))
    _, writer = await asyncio.open_connection(*a.transports.listen_tcp("127.0.0.1", 0), limit=1)
    writer.write(OPTIONS % 1)
    _, flow = await get(a.messages)
    for _ in range(500):
        a.send(flow.hop(), b"x" * 60_000, "t")
        if a.counters.slow_readers:
            break
    assert (await get(a.unreachable)) == (flow.hop(), "t")
    assert await get(a.closed) == flow.connection
    writer.close()


async def test_streams_of_one_source_are_bounded(station: Stations) -> None:
    a = station(TransportLimits(streams_per_source=2))
    address = a.transports.listen_tcp("127.0.0.1", 0)
    writers = []
    for number in (1, 2):
        _, writer = await asyncio.open_connection(*address)
        writer.write(OPTIONS % number)
        writers.append(writer)
        await get(a.messages)
    reader, refused = await asyncio.open_connection(*address)
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    assert a.counters.streams_refused == 1
    writers[0].close()
    await get(a.closed)
    _, writer = await asyncio.open_connection(*address)
    writer.write(OPTIONS % 3)
    assert (await get(a.messages))[0].cseq.number == 3
    for one in (refused, writer, writers[1]):
        one.close()


async def test_a_silent_stranger_gives_way_to_another_and_nobody_known_does(station: Stations) -> None:
    guard = Guard()
    a = station(TransportLimits(streams_per_source=2), guard=guard)
    address = a.transports.listen_tcp("127.0.0.1", 0)
    known_reader, known = await asyncio.open_connection(*address)
    known.write(OPTIONS % 1)
    _, flow = await get(a.messages)
    guard.vouch((flow.remote[0], flow.remote[1]), time.monotonic())
    silent, others = None, []
    for number in range(5):
        reader, writer = await asyncio.open_connection(*address)
        others.append(writer)
        if silent is not None:
            async with asyncio.timeout(PATIENCE):
                with contextlib.suppress(ConnectionError):
                    assert await silent.read() == b""
        if number < 4:
            silent = reader
    assert a.counters.streams_cut == 4 and len(a.transports._streams.room) == 2
    a.send(flow.hop(), b"\r\n")
    async with asyncio.timeout(PATIENCE):
        assert await known_reader.read(2) == b"\r\n"
    await hang_up(known, *others)


async def test_a_handshake_that_is_begun_and_left_gives_way(
    station: Stations, server_tls: ssl.SSLContext
) -> None:
    a = station(TransportLimits(streams_per_source=2), guard=Guard())
    address = a.transports.listen_tls("127.0.0.1", 0, server_tls)
    opened = [await asyncio.open_connection(*address) for _ in range(6)]
    async with asyncio.timeout(PATIENCE):
        for reader, _ in opened[:4]:
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        while len(a.transports._streams._arriving) > 2:
            await asyncio.sleep(0)
    assert a.counters.streams_cut == 4 and len(a.transports._streams.room) == 2
    await hang_up(*(writer for _, writer in opened))


async def test_an_ipv6_network_is_one_source(station: Stations) -> None:
    assert source_of("2001:db8:1:2::1") == source_of("2001:db8:1:2:ffff::9") != source_of("2001:db8:1:3::1")
    assert source_of("192.0.2.1") != source_of("192.0.2.2")
    a = station(TransportLimits(streams_per_source=1))
    try:
        address = a.transports.listen_tcp("::1", 0)
    except OSError:
        pytest.skip("no IPv6 here")
    _, writer = await asyncio.open_connection(*address)
    writer.write(OPTIONS % 1)
    _, flow = await get(a.messages)
    reader, refused = await asyncio.open_connection(*address)
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    writer.close()
    refused.close()
    assert await get(a.closed) == flow.connection
    assert not len(a.transports._streams.room)


async def test_all_streams_are_bounded(station: Stations) -> None:
    a, b = station(TransportLimits(streams=1)), station()
    address = a.transports.listen_tcp("127.0.0.1", 0)
    _, first = await asyncio.open_connection(*address)
    first.write(OPTIONS % 1)
    await get(a.messages)
    reader, second = await asyncio.open_connection(*address)
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    # Those that we open are counted by themselves: strangers cannot keep us from calling out.
    one, two = b.transports.listen_tcp("127.0.0.1", 0), b.transports.listen_tcp("127.0.0.1", 0)
    a.send(Hop("TCP", *one), OPTIONS % 1, "t1")
    a.send(Hop("TCP", *two), OPTIONS % 2, "t2")
    assert (await get(a.unreachable))[1] == "t2"
    assert (await get(b.messages))[0].cseq.number == 1
    first.close()
    second.close()


@pytest.mark.parametrize(
    "data,limit",
    [(b"", 30), (b"\r\n\r\n", 30), (b"OPTIONS sip:x", 30), (OPTIONS % 1 + b"OPT", 30), (OPTIONS % 1, 3900)],
    ids=["silent", "only pings", "first in pieces", "second in pieces", "idle"],
)
async def test_streams_that_waste_time_are_closed(station: Stations, data: bytes, limit: float) -> None:
    clock = Clock()
    a = station(clock=clock)
    reader, writer = await asyncio.open_connection(*a.transports.listen_tcp("127.0.0.1", 0))
    streams = a.transports._streams
    async with asyncio.timeout(PATIENCE):
        while not len(streams):
            await asyncio.sleep(0)
        (stream,) = streams._open.values()
        clock.time = 1001.0
        writer.write(data)
        while data and stream.active_at != 1001.0:
            await asyncio.sleep(0)
    clock.time = 1000 + limit - 1
    streams._sweep()
    assert stream.is_open
    clock.time = 1001 + limit + 1
    streams._sweep()
    async with asyncio.timeout(PATIENCE):
        while await reader.read(100):
            pass
    assert a.counters.streams_expired == 1
    writer.close()


async def test_a_stream_that_keeps_up_pings_stays_open(station: Stations) -> None:
    clock = Clock()
    a = station(clock=clock)
    reader, writer = await asyncio.open_connection(*a.transports.listen_tcp("127.0.0.1", 0))
    writer.write(OPTIONS % 1)
    _, flow = await get(a.messages)
    for _ in range(3):
        clock.time += 3000
        writer.write(b"\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            await reader.readexactly(2)
        a.transports._streams._sweep()
    assert a.transports.flow(flow.connection) == flow
    writer.close()


async def test_a_closed_stream_that_does_not_read_is_aborted(station: Stations) -> None:
    a = station(TransportLimits(write_buffer=100_000_000))
    with socket.create_connection(a.transports.listen_tcp("127.0.0.1", 0)) as phone:
        phone.sendall(OPTIONS % 1)
        _, flow = await get(a.messages)
        for _ in range(300):
            a.send(flow.hop(), b"x" * 60_000)
        phone.sendall(b"rubbish\r\n\r\n")
        await get(a.garbage)
        a.transports._streams._sweep()
        assert a.closed.empty()
        a.transports._streams._sweep()
        assert await get(a.closed) == flow.connection


# -- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("sip.example.com").configure_cert(context)
    return context


@pytest.fixture
def contexts(authority: trustme.CA, tmp_path: Path) -> ClientContexts:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return ClientContexts(path)


async def test_tls_verified_by_name(
    station: Stations, server_tls: ssl.SSLContext, contexts: ClientContexts
) -> None:
    a, b = station(client_context=contexts), station()
    address = b.transports.listen_tls("127.0.0.1", 0, server_tls)
    a.send(Hop("TLS", *address, server_name="sip.example.com"), OPTIONS % 1)
    message, flow = await get(b.messages)
    assert flow.transport == "TLS"
    assert isinstance(message, Request)
    b.send(flow.hop(), message.reply(200).render())
    assert (await get(a.messages))[1].transport == "TLS"


async def test_tls_wrong_name_is_unreachable(
    station: Stations, server_tls: ssl.SSLContext, contexts: ClientContexts
) -> None:
    a, b = station(client_context=contexts), station()
    hop = Hop("TLS", *b.transports.listen_tls("127.0.0.1", 0, server_tls), server_name="other.example.com")
    a.send(hop, OPTIONS % 1, "t")
    assert await get(a.unreachable) == (hop, "t")
    assert b.messages.empty()


async def test_tls_unverified_stream_is_not_used_for_a_verified_hop(
    station: Stations, server_tls: ssl.SSLContext, contexts: ClientContexts
) -> None:
    a, b = station(client_context=contexts), station()
    address = b.transports.listen_tls("127.0.0.1", 0, server_tls)
    a.send(Hop("TLS", *address), OPTIONS % 1)
    await get(b.messages)
    a.send(Hop("TLS", *address, server_name="other.example.com"), OPTIONS % 2, "t")
    assert (await get(a.unreachable))[1] == "t"


async def test_tls_stream_of_ours_is_verified_again_when_opened_again(
    station: Stations, server_tls: ssl.SSLContext, contexts: ClientContexts
) -> None:
    names: list[str] = []

    def context(name: str) -> ssl.SSLContext:
        names.append(name)
        return contexts(name)

    a, b = station(client_context=context), station()
    a.send(
        Hop("TLS", *b.transports.listen_tls("127.0.0.1", 0, server_tls), server_name="sip.example.com"),
        OPTIONS % 1,
    )
    message, flow = await get(b.messages)
    assert isinstance(message, Request)
    b.send(flow.hop(), message.reply(200).render())
    _, ours = await get(a.messages)
    b.transports._streams._open[flow.connection].close()
    await get(a.closed)
    a.send(ours.hop(), OPTIONS % 2)
    await get(b.messages)
    assert names == ["sip.example.com", "sip.example.com"]


async def test_tls_handshake_that_does_not_come(station: Stations, server_tls: ssl.SSLContext) -> None:
    a = station(TransportLimits(handshake_after=0.1, streams_per_source=1))
    address = a.transports.listen_tls("127.0.0.1", 0, server_tls)
    reader, writer = await asyncio.open_connection(*address)
    other, refused = await asyncio.open_connection(*address)
    async with asyncio.timeout(PATIENCE):
        assert await other.read() == b""  # one in handshake counts against its source
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    async with asyncio.timeout(PATIENCE):
        while a.transports._streams.room:
            await asyncio.sleep(0)
    assert a.counters.handshakes_failed == 1
    await hang_up(writer, refused)


async def test_tls_plain_text_is_refused(station: Stations, server_tls: ssl.SSLContext) -> None:
    a = station()
    reader, writer = await asyncio.open_connection(*a.transports.listen_tls("127.0.0.1", 0, server_tls))
    writer.write(OPTIONS % 1)
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionError):
            await reader.read()
    assert a.messages.empty() and a.transports.streams == 0
    writer.close()


# -- addresses


async def test_local_address_is_what_was_bound(station: Stations) -> None:
    a = station()
    udp, tcp = a.transports.listen_udp("127.0.0.1", 0), a.transports.listen_tcp("127.0.0.1", 0)
    assert a.transports.local_address_for(Hop("UDP", "127.0.0.1", 9)) == udp
    assert a.transports.local_address_for(Hop("TCP", "127.0.0.1", 9)) == tcp
    assert a.transports.local_address_for(Hop("TLS", "127.0.0.1", 9)) == ("127.0.0.1", 5061)


async def test_local_address_of_a_wildcard_is_that_of_the_route(station: Stations) -> None:
    a = station()
    udp, tcp = a.transports.listen_udp("0.0.0.0", 0), a.transports.listen_tcp("0.0.0.0", 0)
    assert a.transports.local_address_for(Hop("UDP", "127.0.0.1", 9)) == ("127.0.0.1", udp[1])
    assert a.transports.local_address_for(Hop("TCP", "127.0.0.1", 9)) == ("127.0.0.1", tcp[1])
    _, writer = await asyncio.open_connection("127.0.0.1", tcp[1])
    writer.write(OPTIONS % 1)
    _, flow = await get(a.messages)
    assert a.transports.local_address_for(flow.hop()) == ("127.0.0.1", tcp[1])
    writer.close()


async def test_public_address_is_told_to_strangers_only(station: Stations) -> None:
    a = station(public_address="203.0.113.7")
    udp = a.transports.listen_udp("127.0.0.1", 0)
    assert a.transports.local_address_for(Hop("UDP", "198.51.100.1", 5060)) == ("203.0.113.7", udp[1])
    assert a.transports.local_address_for(Hop("UDP", "127.0.0.1", 5060)) == udp
    assert a.transports.local_address_for(Hop("UDP", "192.168.1.9", 5060))[0] == "127.0.0.1"


# -- closing


async def test_close_lets_out_what_was_sent(station: Stations) -> None:
    a, b = station(), station()
    a.transports.listen_udp("127.0.0.1", 0)
    a.send(Hop("TCP", *b.transports.listen_tcp("127.0.0.1", 0)), OPTIONS % 1)
    a.send(Hop("UDP", *b.transports.listen_udp("127.0.0.1", 0)), OPTIONS % 2)
    await a.transports.close(PATIENCE)
    assert {(await get(b.messages))[0].cseq.number for _ in range(2)} == {1, 2}
    a.send(Hop("TCP", "127.0.0.1", 9), OPTIONS % 3, "late")
    assert (await get(a.unreachable))[1] == "late"


async def test_close_does_not_wait_for_a_reader_that_does_not_read(station: Stations) -> None:
    a = station(TransportLimits(write_buffer=100_000_000))
    address = a.transports.listen_tcp("127.0.0.1", 0)
    with socket.create_connection(address) as phone:
        phone.sendall(OPTIONS % 1)
        _, flow = await get(a.messages)
        for _ in range(300):
            a.send(flow.hop(), b"x" * 60_000)
        async with asyncio.timeout(PATIENCE):
            await a.transports.close(0.05)
        assert a.transports.streams == 0


async def test_a_port_that_is_taken_is_an_error(station: Stations) -> None:
    a = station()
    for listen in (a.transports.listen_udp, a.transports.listen_tcp):
        address = listen("127.0.0.1", 0)
        with pytest.raises(OSError, match="in use"):
            listen(*address)


# -- certificates


def make(directory: Path, **changes: Any) -> CertificateFiles:
    options: dict[str, Any] = {"public_address": "203.0.113.7", "base_domain": "ringback.example", **changes}
    return ensure_certificate(directory, **options)


async def test_first_certificate_serves_its_names(station: Stations, tmp_path: Path) -> None:
    files = make(tmp_path / "tls")
    for path in files:
        assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700
    b = station()
    address = b.transports.listen_tls("127.0.0.1", 0, server_context(files))
    a = station(client_context=ClientContexts(files.certificate))
    for number, name in enumerate(
        ("ringback.example", "shop.sip.ringback.example", "x.ringback.example", "203.0.113.7")
    ):
        a.send(Hop("TLS", *address, server_name=name), OPTIONS % number)
        assert (await get(b.messages))[0].cseq.number == number
    a.send(Hop("TLS", *address, server_name="ringback.example.net"), OPTIONS % 1, "no")
    assert (await get(a.unreachable))[1] == "no"


async def test_old_protocols_are_refused(station: Stations, tmp_path: Path) -> None:
    a = station()
    address = a.transports.listen_tls("127.0.0.1", 0, server_context(make(tmp_path)))
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname = False
    old.verify_mode = ssl.CERT_NONE
    with pytest.warns(DeprecationWarning):
        old.minimum_version = ssl.TLSVersion.TLSv1_1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection(*address, ssl=old)


def test_certificate_is_kept_and_made_anew_when_it_must(tmp_path: Path) -> None:
    first = make(tmp_path).certificate.read_bytes()
    assert make(tmp_path).certificate.read_bytes() == first
    moved = make(tmp_path, public_address="203.0.113.8").certificate.read_bytes()
    assert moved != first
    later = datetime.now(UTC) + timedelta(days=3640)
    assert make(tmp_path, public_address="203.0.113.8", now=later).certificate.read_bytes() != moved
    files = make(tmp_path)
    files.key.unlink()  # a stop between the two files
    assert make(tmp_path).key.exists()


def test_operators_files_are_used_and_never_touched(tmp_path: Path, authority: trustme.CA) -> None:
    certificate = authority.issue_cert("sip.example.com")
    chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
    (tmp_path / "sip.crt").write_bytes(chain)
    with pytest.raises(CertificateError):
        make(tmp_path)  # the key is missing
    (tmp_path / "sip.key").write_bytes(trustme.CA().issue_cert("x").private_key_pem.bytes())
    with pytest.raises(CertificateError, match="not the key"):
        make(tmp_path)
    (tmp_path / "sip.key").write_bytes(certificate.private_key_pem.bytes())
    files = make(tmp_path)
    assert files.certificate.read_bytes() == chain
    server_context(files)
    files.certificate.unlink()
    with pytest.raises(CertificateError):
        make(tmp_path)
    files.certificate.write_bytes(b"rubbish")
    with pytest.raises(CertificateError):
        make(tmp_path)
    with pytest.raises(CertificateError):
        server_context(files)
