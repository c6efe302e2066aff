"""How many streams SIP may have, of whom, and for how long."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time

import pytest
from integration.transport_scene import (
    OPTIONS,
    PATIENCE,
    Clock,
    Stations,
    authority,
    event_loop_policy,
    get,
    hang_up,
    server_tls,
    station,
)

from ringback.shell.guard import Guard
from ringback.shell.stream_room import source_of
from ringback.shell.transport import TransportLimits
from ringback.sip.flow import Hop

__all__ = ["authority", "event_loop_policy", "server_tls", "station"]

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


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
