"""RFC 3263: NAPTR and SRV of a name server on loopback, and the servers behind them that fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import dns.flags
import dns.message
import dns.rrset
import pytest

from ringback.shell.dns_lookup import HostsFile, Lookups
from ringback.shell.resolver import Resolver
from ringback.shell.sip_stack import SipStack
from ringback.sip import effects as sip
from ringback.sip.flow import Flow
from ringback.sip.message import Request, parse
from ringback.sip.timers import Timers
from ringback.sip.uri import Uri

URI = Uri.parse("sip:+15550100@carrier.test")


class NameServer(asyncio.DatagramProtocol):
    """Answers out of ``zone``: (name, type) -> records."""

    def __init__(self, zone: dict[tuple[str, str], list[str]]) -> None:
        self.zone = zone

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        name, kind = str(query.question[0].name), query.question[0].rdtype.name
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        records = self.zone.get((name, kind))
        if records:
            response.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *records))
        else:
            soa = dns.rrset.from_text("test.", 900, "IN", "SOA", "ns.test. root.test. 1 1 1 1 30")
            response.authority.append(soa)
        self.transport.sendto(response.to_wire(), address)


class Server(asyncio.DatagramProtocol):
    """A SIP server over UDP that answers each INVITE with ``status``; 0: it keeps silent."""

    def __init__(self, status: int, *headers: tuple[str, str]) -> None:
        self.status = status
        self.headers = headers
        self.got: list[str] = []

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    @property
    def port(self) -> int:
        return int(self.transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        request = parse(data)
        assert isinstance(request, Request)
        self.got.append(request.method)
        if request.method == "INVITE" and self.status:
            headers = [("Contact", f"<sip:carrier@127.0.0.1:{self.port}>"), *self.headers]
            self.transport.sendto(request.reply(self.status, to_tag="t", headers=headers).render(), address)


class Caller:
    """A SipStack of which only the calls matter."""

    def __init__(self, nameserver: tuple[str, int]) -> None:
        self.outcome: asyncio.Queue[sip.Effect] = asyncio.Queue()
        resolver = Resolver(names=Lookups([nameserver]), hosts=HostsFile("/nonexistent"), chance=lambda: 0.0)
        self.stack = SipStack(self, "test", resolver=resolver)  # type: ignore[arg-type]
        self.stack.agent.timers = Timers(hop_patience=0.3)
        self.stack.transports.listen_udp("127.0.0.1", 0)

    def stream_closed(self, connection: int) -> None:
        """Nothing to do."""

    def on(self, effect: sip.Effect, now: float) -> list[Any]:
        if isinstance(effect, sip.Established | sip.Ended):
            self.outcome.put_nowait(effect)
        return []

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None

    async def call(self) -> sip.Effect:
        hops = await self.stack.resolver.resolve(URI)
        host, port = self.stack.transports.local_address_for(hops[0])
        _, effects = self.stack.agent.invite(
            uri=URI,
            hops=hops,
            from_="<sip:a@here.test>",
            to="<sip:b@carrier.test>",
            contact=f"<sip:a@{host}:{port}>",
            body=b"offer",
            owner=self,
            now=time.monotonic(),
            sent_by=f"{host}:{port}",
        )
        self.stack.carry_out(effects)
        async with asyncio.timeout(25):
            return await self.outcome.get()


class World:
    """The name server, SIP servers and the caller."""

    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], list[str]] = {}
        self.transports: list[asyncio.BaseTransport] = []
        self.caller: Caller

    async def server(self, status: int, *headers: tuple[str, str]) -> Server:
        loop = asyncio.get_running_loop()
        transport, server = await loop.create_datagram_endpoint(
            lambda: Server(status, *headers), local_addr=("127.0.0.1", 0)
        )
        self.transports.append(transport)
        return server

    def carriers(self, *servers: Server) -> None:
        """SRV records in this order of priority, found by NAPTR."""
        self.zone["carrier.test.", "NAPTR"] = ['10 10 "s" "SIP+D2U" "" _sip._udp.carrier.test.']
        self.zone["_sip._udp.carrier.test.", "SRV"] = [
            f"{index} 0 {server.port} one.carrier.test." for index, server in enumerate(servers)
        ]
        self.zone["one.carrier.test.", "A"] = ["127.0.0.1"]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: NameServer(made.zone), local_addr=("127.0.0.1", 0)
    )
    made.transports.append(transport)
    made.caller = Caller(transport.get_extra_info("sockname"))
    yield made
    await made.caller.stack.close()
    for each in made.transports:
        each.close()


async def test_rfc3263_4_1_and_4_2_naptr_and_srv_find_the_server(world: World) -> None:
    first, second = await world.server(200), await world.server(200)
    world.carriers(first, second)
    assert isinstance(await world.caller.call(), sip.Established)
    assert first.got and not second.got


async def test_rfc3263_4_3_silence_leads_to_the_next_server(world: World) -> None:
    silent, good = await world.server(0), await world.server(200)
    world.carriers(silent, good)
    assert isinstance(await world.caller.call(), sip.Established)
    assert "INVITE" in silent.got and "INVITE" in good.got


async def test_rfc3263_4_3_503_leads_to_the_next_server(world: World) -> None:
    full, good = await world.server(503, ("Retry-After", "120")), await world.server(200)
    world.carriers(full, good)
    assert isinstance(await world.caller.call(), sip.Established)
    assert full.got[0] == "INVITE"


async def test_rfc3263_4_3_the_next_call_does_not_wait_for_the_dead_server(world: World) -> None:
    silent, good = await world.server(0), await world.server(200)
    world.carriers(silent, good)
    await world.caller.call()
    silent.got.clear()
    assert isinstance(await world.caller.call(), sip.Established)
    assert "INVITE" not in silent.got


async def test_rfc3261_21_5_4_who_said_retry_after_is_left_in_peace(world: World) -> None:
    full, good = (
        await world.server(503, ("Retry-After", "120 (maintenance);duration=60")),
        await world.server(200),
    )
    world.carriers(full, good)
    await world.caller.call()
    full.got.clear()
    await world.caller.call()
    assert full.got == []


async def test_rfc3263_4_3_any_other_refusal_is_final(world: World) -> None:
    busy, good = await world.server(486), await world.server(200)
    world.carriers(busy, good)
    ended = await world.caller.call()
    assert isinstance(ended, sip.Ended) and ended.status == 486
    assert good.got == []


async def test_rfc3263_4_3_when_all_are_dead_they_are_tried_again(world: World) -> None:
    one, two = await world.server(503), await world.server(503)
    world.carriers(one, two)
    ended = await world.caller.call()
    assert isinstance(ended, sip.Ended) and ended.status == 503
    one.status = 200
    assert isinstance(await world.caller.call(), sip.Established)


def test_rfc3263_4_2_the_way_back_is_the_flow() -> None:
    flow = Flow("TCP", ("192.0.2.1", 5060), ("192.0.2.2", 40_000), 6)
    assert flow.hop().connection == 6
