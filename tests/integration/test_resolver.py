"""The resolver against a name server on loopback, made of dnspython."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from ringback.shell.dns_lookup import FAILURE_TTL, Lookups
from ringback.shell.resolver import ResolutionFailed, Resolver
from ringback.sip.uri import Uri

ZONE = {
    ("sip.test.", "NAPTR"): (60, ['10 10 "s" "SIP+D2T" "" _sip._tcp.sip.test.']),
    ("_sip._tcp.sip.test.", "SRV"): (60, ["1 1 5070 alias.test."]),
    ("alias.test.", "CNAME"): (20, ["host.test."]),
    ("host.test.", "A"): (60, ["192.0.2.8"]),
    ("brief.test.", "A"): (0, ["192.0.2.9"]),
    ("many.test.", "A"): (60, [f"192.0.2.{n}" for n in range(1, 200)]),
}


class NameServer(asyncio.DatagramProtocol):
    """Answers out of ZONE; `refuse` makes it fail, `mute` makes it silent."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refuse = False
        self.mute = False

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = str(question.name), question.rdtype.name
        self.asked.append(f"{name} {kind}")
        if self.mute:
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if self.refuse:
            response.set_rcode(dns.rcode.SERVFAIL)
            self.transport.sendto(response.to_wire(), address)
            return
        while (name, "CNAME") in ZONE:
            response.answer.append(dns.rrset.from_text(name, 20, "IN", "CNAME", *ZONE[name, "CNAME"][1]))
            name = ZONE[name, "CNAME"][1][0]
        if (name, kind) in ZONE:
            ttl, records = ZONE[name, kind]
            response.answer.append(dns.rrset.from_text(name, ttl, "IN", kind, *records))
        else:
            soa = dns.rrset.from_text("test.", 900, "IN", "SOA", "ns.test. root.test. 1 1 1 1 30")
            response.authority.append(soa)
            if not any(known == name for known, _ in ZONE):
                response.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(response.to_wire(max_size=65535), address)


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    yield protocol
    transport.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def lookups(server: NameServer, clock: Clock) -> AsyncIterator[Lookups]:
    lookups = Lookups([server.transport.get_extra_info("sockname")], clock=clock)
    yield lookups
    await lookups.close()


async def test_rfc3263_4_1_naptr_srv_cname_and_address(lookups: Lookups) -> None:
    resolver = Resolver(names=lookups)
    (hop,) = await resolver.resolve(Uri.parse("sip:+1555@sip.test"))
    assert (hop.transport, hop.host, hop.port) == ("TCP", "192.0.2.8", 5070)


async def test_answers_are_kept_as_long_as_their_ttl(
    lookups: Lookups, server: NameServer, clock: Clock
) -> None:
    for _ in range(3):
        assert [str(r.address) for r in await lookups.lookup("alias.test", "A")] == ["192.0.2.8"]  # type: ignore[attr-defined]
    assert server.asked == ["alias.test. A"]
    clock.time = 21  # the CNAME had 20 s
    await lookups.lookup("ALIAS.test.", "A")
    assert len(server.asked) == 2


async def test_ttl_zero_is_not_kept(lookups: Lookups, server: NameServer) -> None:
    await lookups.lookup("brief.test", "A")
    await lookups.lookup("brief.test", "A")
    assert len(server.asked) == 2


@pytest.mark.parametrize("name,kind", [("nowhere.test", "A"), ("host.test", "SRV")])
async def test_absence_is_kept_as_the_soa_says(
    lookups: Lookups, server: NameServer, clock: Clock, name: str, kind: str
) -> None:
    assert await lookups.lookup(name, kind) == ()
    clock.time = 29
    assert await lookups.lookup(name, kind) == ()
    assert len(server.asked) == 1
    clock.time = 31
    await lookups.lookup(name, kind)
    assert len(server.asked) == 2


async def test_failing_servers_are_left_alone_for_a_moment(
    lookups: Lookups, server: NameServer, clock: Clock
) -> None:
    server.refuse = True
    for _ in range(2):
        with pytest.raises(ResolutionFailed) as failed:
            await lookups.lookup("host.test", "A")
        assert failed.value.kind == "server-failure"
        assert str(failed.value).endswith(": no name server can tell its address")
    assert len(server.asked) == 1
    server.refuse = False
    clock.time = FAILURE_TTL + 1
    assert len(await lookups.lookup("host.test", "A")) == 1


async def test_the_same_question_is_asked_once_at_a_time(lookups: Lookups, server: NameServer) -> None:
    answers = await asyncio.gather(*(lookups.lookup("brief.test", "A") for _ in range(20)))
    assert all(len(answer) == 1 for answer in answers)
    assert len(server.asked) == 1


async def test_one_who_gives_up_does_not_take_the_answer_from_others(lookups: Lookups) -> None:
    impatient = asyncio.create_task(lookups.lookup("brief.test", "A"))
    patient = asyncio.create_task(lookups.lookup("brief.test", "A"))
    await asyncio.sleep(0)  # both have asked
    impatient.cancel()
    assert len(await patient) == 1


async def test_a_silent_server_costs_no_more_than_the_timeout(lookups: Lookups, server: NameServer) -> None:
    server.mute = True
    resolver = Resolver(names=lookups, timeout=0.2)
    with pytest.raises(ResolutionFailed) as failed:
        await resolver.resolve(Uri.parse("sip:host.test"))
    assert failed.value.kind == "timeout"


async def test_answers_are_bounded(lookups: Lookups) -> None:
    assert len(await lookups.lookup("many.test", "A")) == 32


@pytest.mark.parametrize("name", ["a..test", "x" * 64 + ".test", ".".join(["abcdefgh"] * 40)])
async def test_names_that_are_none(lookups: Lookups, server: NameServer, name: str) -> None:
    with pytest.raises(ResolutionFailed) as failed:
        await lookups.lookup(name, "A")
    assert failed.value.kind == "invalid"
    assert server.asked == []
