"""The addresses of SIP's transports, and how they close."""

from __future__ import annotations

import asyncio
import socket

import pytest
from integration.transport_scene import OPTIONS, PATIENCE, Stations, event_loop_policy, get, station

from ringback.shell.transport import TransportLimits
from ringback.sip.flow import Hop

__all__ = ["event_loop_policy", "station"]

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


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
