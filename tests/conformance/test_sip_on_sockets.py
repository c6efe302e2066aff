"""What the transports know and answer by themselves: STUN keep-alives, and who takes TCP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from aioice import stun as aioice

from ringback.shell.transport import SipTransports
from ringback.sip import stun
from ringback.sip.flow import Hop


@pytest.fixture
async def transports() -> AsyncIterator[SipTransports]:
    made = SipTransports(lambda *_: None, lambda *_: None, lambda *_: None, lambda *_: None)
    yield made
    await made.close(0.1)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_rfc5626_8_stun_is_answered_on_the_sip_port(transports: SipTransports, host: str) -> None:
    address = transports.listen_udp(host, 0)
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.setblocking(False)
        phone.bind((host, 0))
        request = aioice.Message(aioice.Method.BINDING, aioice.Class.REQUEST)
        await loop.sock_sendto(phone, bytes(request), address)
        async with asyncio.timeout(20):
            answer = aioice.parse_message(await loop.sock_recv(phone, 1000))
        assert answer.transaction_id == request.transaction_id
        assert answer.attributes["XOR-MAPPED-ADDRESS"] == phone.getsockname()[:2]
        strange = aioice.Message(aioice.Method.BINDING, aioice.Class.REQUEST)
        strange.attributes["CHANGE-REQUEST"] = 6
        await loop.sock_sendto(phone, bytes(strange), address)
        async with asyncio.timeout(20):
            refused = aioice.parse_message(await loop.sock_recv(phone, 1000))
        assert refused.transaction_id == strange.transaction_id
        assert refused.attributes["ERROR-CODE"] == (420, "Unknown Attribute")
    assert transports.counters.keep_alives == 2
    assert transports.counters.garbage == 0
    assert not stun.is_stun(b"")


async def test_rfc3261_18_1_1_who_took_tcp_once_is_known_to_take_it(transports: SipTransports) -> None:
    got = asyncio.Event()

    async def on_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        got.set()

    server = await asyncio.start_server(on_stream, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        hop = Hop("UDP", host, port)
        assert not transports.takes_tcp(hop)
        transports.send(Hop("TCP", host, port), b"OPTIONS sip:x SIP/2.0\r\n\r\n")
        async with asyncio.timeout(20):
            await got.wait()
        assert transports.takes_tcp(hop)
        assert not transports.takes_tcp(hop.replace(port=port + 1))
