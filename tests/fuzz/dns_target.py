"""Answers of name servers: whatever they say, a SIP URI has hops to try, or a typed failure."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from typing import Any

import dns.exception
import dns.message
import dns.nameserver
from fuzz.target import Target

from ringback.shell.dns_lookup import HostsFile, Lookups, ResolutionFailed
from ringback.shell.resolver import HOPS_MAX, Resolver
from ringback.sip.uri import Uri

URIS = tuple(map(Uri.parse, ("sip:a@example.com", "sips:a@example.com", "sip:a@example.com;transport=tcp")))


class _Server(dns.nameserver.Nameserver):
    """Answers every question with the same damaged records. The first three bytes count them (answer, authority,
    additional), the fourth has flags and the result."""

    data = b""

    def __str__(self) -> str:
        return "damaged"

    def kind(self) -> str:
        return "damaged"

    def is_always_max_size(self) -> bool:
        return True

    def answer_nameserver(self) -> str:
        return "192.0.2.53"

    def answer_port(self) -> int:
        return 53

    async def async_query(self, request: dns.message.QueryMessage, *_: Any, **__: Any) -> dns.message.Message:
        head, records = self.data[:4].ljust(4, b"\0"), self.data[4:4_000]
        counts = b"".join(bytes((0, count & 7)) for count in head[:3])
        wire = request.to_wire()
        question = wire[12 : 12 + len(request.question[0].name.to_wire() or b"") + 4]
        wire = wire[:2] + bytes((0x81 | head[3] & 4, head[3] & 0x83)) + b"\0\1" + counts + question + records
        try:
            return dns.message.from_wire(wire, ignore_trailing=not head[3] & 8)
        except (dns.exception.DNSException, ValueError) as error:
            raise dns.exception.FormError(str(error)) from error


class _Names:
    """A resolver of ours that asks this server, and a loop for it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.server = _Server()

    async def resolve(self, data: bytes) -> None:
        self.server.data = data
        lookups = Lookups([("192.0.2.53", 53)])
        lookups._resolver.nameservers = [self.server]
        resolver = Resolver(names=lookups, hosts=HostsFile("/nonexistent"), chance=lambda: 0.5)
        with contextlib.suppress(ResolutionFailed):
            hops = await resolver.resolve(URIS[len(data) % len(URIS)])
            assert 0 < len(hops) <= HOPS_MAX
            for hop in hops:
                ipaddress.ip_address(hop.host)
                assert 0 < hop.port < 65_536
        await resolver.close()


_names: list[_Names] = []


def answer(data: bytes) -> None:
    """One answer to all questions of a URI."""
    if not _names:
        _names.append(_Names())
    _names[0].loop.run_until_complete(_names[0].resolve(data))


def _record(kind: int, data: bytes, name: bytes = b"\xc0\x0c") -> bytes:
    return name + kind.to_bytes(2, "big") + b"\0\1\0\0\0\x3c" + len(data).to_bytes(2, "big") + data


def _name(text: str) -> bytes:
    return b"".join(bytes((len(part),)) + part.encode() for part in text.split(".")) + b"\0"


_SRV = b"\0\1\0\2\x13\xc4" + _name("pbx.example.net")
_NAPTR = b"\0\1\0\1" + b"\1s" + b"\7SIP+D2U" + b"\0" + _name("_sip._udp.example.com")
_SOA = _name("ns.example.com") + _name("x.example.com") + (1).to_bytes(4, "big") * 5
_A, _AAAA = _record(1, bytes((192, 0, 2, 9))), _record(28, bytes(15) + b"\1")
SEEDS = (
    b"\1\0\0\0" + _A,
    b"\2\0\0\0" + _A + _AAAA,
    b"\3\0\0\0" + _record(33, _SRV) + _record(33, b"\0\1\0\0\0\0\0") + _A,
    b"\4\0\0\0" + _record(35, _NAPTR) + _record(33, _SRV) + _record(33, b"\0\1" * 3 + _name("b.c")) + _A,
    b"\2\0\0\0"
    + _record(5, _name("a.example.com"))
    + _record(1, bytes((192, 0, 2, 9)), _name("a.example.com")),
    b"\0\1\0\3" + _record(6, _SOA),
    b"\0\0\0\2",
)
TARGETS = (Target("dns answer", answer, SEEDS, share=2),)
