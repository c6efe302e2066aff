"""SIP over TCP on loopback, on asyncio's loop and on uvloop."""

from __future__ import annotations

import asyncio
import socket

import pytest
from integration.transport_scene import OPTIONS, PATIENCE, Stations, event_loop_policy, get, station

from ringback.shell.transport import TransportLimits
from ringback.sip.flow import Hop
from ringback.sip.message import Request, Response
from ringback.sip.routing import response_hop

__all__ = ["event_loop_policy", "station"]

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


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


async def test_rfc3261_18_2_2_an_answer_goes_to_the_port_of_its_via_when_its_stream_is_gone(
    station: Stations,
) -> None:
    a, phone = station(), station()
    listens_at = phone.transports.listen_tcp("127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*a.transports.listen_tcp("127.0.0.1", 0))
    writer.write((OPTIONS % 1).replace(b"127.0.0.1:5060", b"127.0.0.1:%d" % listens_at[1]))
    request, flow = await get(a.messages)
    assert isinstance(request, Request)
    writer.close()
    await get(a.closed)
    hop = response_hop(request.via, flow)
    a.send(hop, request.reply(200).render(), "taken")
    answer, _ = await get(phone.messages)
    assert isinstance(answer, Response)
    assert answer.cseq.number == 1
    stranger = Hop("TCP", *station().transports.listen_tcp("127.0.0.1", 0), flow.connection + 2)
    a.send(
        stranger, request.reply(200).render(), ""
    )  # of no transaction: nobody without a password is called back
    assert await get(a.unreachable) == (stranger, "")


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
