"""RFC 3263 on records of the tests' own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import dns.rdata
import pytest

from ringback.shell.dns_lookup import HostsFile
from ringback.shell.resolver import HOPS_MAX, ResolutionFailed, Resolver
from ringback.sip.flow import Hop
from ringback.sip.uri import Uri

ZONE = """
a.example A 192.0.2.1
six.example AAAA 2001:db8::1
both.example A 192.0.2.2
both.example AAAA 2001:db8::2
_sip._udp.srv.example SRV 10 0 5070 a.example.
_sip._udp.srv.example SRV 20 0 5071 both.example.
_sip._tcp.srv.example SRV 10 0 5072 a.example.
_sips._tcp.srv.example SRV 10 0 5073 a.example.
srv.example A 192.0.2.99
naptr.example NAPTR 20 10 s SIP+D2U "" _sip._udp.srv.example.
naptr.example NAPTR 10 20 S SIP+D2T "" _sip._tcp.srv.example.
naptr.example NAPTR 10 10 s SIPS+D2T "" _sips._tcp.srv.example.
naptr.example NAPTR 1 1 s SIP+D2S "" _sip._sctp.srv.example.
naptr.example NAPTR 1 1 u E2U+sip "!^.*$!sip:x@y!" .
lame.example NAPTR 1 1 s SIP+D2U "" _sip._udp.nowhere.example.
lame.example A 192.0.2.5
_sip._udp.closed.example SRV 0 0 0 .
closed.example A 192.0.2.6
_sip._udp.half.example SRV 1 0 5060 nowhere.example.
_sip._udp.half.example SRV 2 0 5061 a.example.
"""


class FakeNames:
    """Names out of a zone text. `failing` is a set of (name, kind) or of names that the servers fail on."""

    def __init__(self, zone: str = ZONE, failing: set[str] | None = None) -> None:
        self.records: dict[tuple[str, str], list[dns.rdata.Rdata]] = {}
        self.failing = failing or set()
        self.asked: list[tuple[str, str]] = []
        for line in zone.strip().splitlines():
            name, kind, text = line.split(None, 2)
            self.records.setdefault((name, kind), []).append(dns.rdata.from_text("IN", kind, text))

    async def lookup(self, name: str, kind: str) -> Sequence[dns.rdata.Rdata]:
        self.asked.append((name, kind))
        if name in self.failing or kind in self.failing:
            raise ResolutionFailed(name, "timeout")
        return self.records.get((name, kind), ())

    async def close(self) -> None:
        self.asked.clear()


@pytest.fixture
def hosts(tmp_path: Path) -> HostsFile:
    path = tmp_path / "hosts"
    path.write_text(
        "127.0.0.1 localhost\n192.0.2.50 pbx PBX.office # ours\nfe80::1 six\n2001:db8::50 pbx\nx y\n"
    )
    return HostsFile(str(path))


@pytest.fixture
def names() -> FakeNames:
    return FakeNames()


@pytest.fixture
def resolver(names: FakeNames, hosts: HostsFile) -> Resolver:
    return Resolver(names=names, hosts=hosts, chance=lambda: 0.0)


def brief(hops: list[Hop]) -> list[str]:
    return [f"{hop.transport} {hop.host} {hop.port}" for hop in hops]


@pytest.mark.parametrize(
    "uri,expected",
    [
        # literals
        ("sip:192.0.2.9", ["UDP 192.0.2.9 5060"]),
        ("sip:x@192.0.2.9:5080", ["UDP 192.0.2.9 5080"]),
        ("sip:192.0.2.9;transport=tcp", ["TCP 192.0.2.9 5060"]),
        ("sip:192.0.2.9;transport=TLS", ["TLS 192.0.2.9 5061"]),
        ("sips:192.0.2.9", ["TLS 192.0.2.9 5061"]),
        ("sips:192.0.2.9:5070;transport=tcp", ["TLS 192.0.2.9 5070"]),
        ("sip:[2001:db8::9]:5062", ["UDP 2001:db8::9 5062"]),
        ("sip:a.example;maddr=192.0.2.77", ["UDP 192.0.2.77 5060"]),
        ("sip:srv.example;maddr=[2001:db8::77]", ["UDP 2001:db8::77 5060"]),
        # RFC 6761
        ("sip:x@ringback.localhost", ["UDP 127.0.0.1 5060"]),
        ("sip:localhost:5070;transport=tcp", ["TCP 127.0.0.1 5070"]),
        ("sip:LocalHost.", ["UDP 127.0.0.1 5060"]),
        # /etc/hosts
        ("sip:pbx", ["UDP 192.0.2.50 5060", "UDP 2001:db8::50 5060"]),
        ("sip:Pbx.Office:5066", ["UDP 192.0.2.50 5066"]),
        # explicit port: no SRV
        ("sip:srv.example:5060", ["UDP 192.0.2.99 5060"]),
        ("sip:both.example:5088", ["UDP 192.0.2.2 5088", "UDP 2001:db8::2 5088"]),
        ("sip:six.example:5088;transport=tcp", ["TCP 2001:db8::1 5088"]),
        # transport, no port: SRV of it
        ("sip:srv.example;transport=udp", ["UDP 192.0.2.1 5070", "UDP 192.0.2.2 5071", "UDP 2001:db8::2 5071"]),
        ("sip:srv.example;transport=tcp", ["TCP 192.0.2.1 5072"]),
        ("sip:srv.example;transport=tls", ["TLS 192.0.2.1 5073"]),
        ("sips:srv.example", ["TLS 192.0.2.1 5073"]),
        # transport, no SRV: the host
        ("sip:a.example;transport=tls", ["TLS 192.0.2.1 5061"]),
        # NAPTR
        (
            "sip:naptr.example",
            ["TLS 192.0.2.1 5073", "TCP 192.0.2.1 5072", "UDP 192.0.2.1 5070", "UDP 192.0.2.2 5071", "UDP 2001:db8::2 5071"],
        ),
        # NAPTR that leads nowhere
        ("sip:lame.example", ["UDP 192.0.2.5 5060"]),
        # no NAPTR: SRV of all transports
        (
            "sip:srv.example",
            ["UDP 192.0.2.1 5070", "UDP 192.0.2.2 5071", "UDP 2001:db8::2 5071", "TCP 192.0.2.1 5072", "TLS 192.0.2.1 5073"],
        ),
        # neither
        ("sip:a.example", ["UDP 192.0.2.1 5060"]),
        ("sip:half.example", ["UDP 192.0.2.1 5061"]),
    ],
)  # fmt: skip
async def test_hops(resolver: Resolver, uri: str, expected: list[str]) -> None:
    assert brief(await resolver.resolve(Uri.parse(uri))) == expected


@pytest.mark.parametrize(
    "uri,kind",
    [
        ("tel:+15551234567", "unsupported"),
        ("mailto:a@b.example", "unsupported"),
        ("sip:a.example;transport=sctp", "unsupported"),
        ("sip:a.example;transport=ws", "unsupported"),
        ("sip:nowhere.example", "not-found"),
        ("sip:nowhere.example:5060", "not-found"),
        ("sip:closed.example;transport=udp", "not-found"),
    ],
)
async def test_failures_are_typed(resolver: Resolver, uri: str, kind: str) -> None:
    with pytest.raises(ResolutionFailed) as failed:
        await resolver.resolve(Uri.parse(uri))
    assert failed.value.kind == kind


@pytest.mark.parametrize("uri", ["sip:192.0.2.9", "sip:ringback.localhost", "sip:pbx", "sip:[::1]"])
async def test_known_addresses_ask_nobody(resolver: Resolver, names: FakeNames, uri: str) -> None:
    await resolver.resolve(Uri.parse(uri))
    assert names.asked == []


@pytest.mark.parametrize(
    "uri,expected",
    [
        ("sips:srv.example", "srv.example"),
        ("sip:Srv.Example.;transport=tls", "srv.example"),
        ("sips:192.0.2.9", ""),
        ("sip:srv.example;transport=tcp", ""),
    ],
)
async def test_rfc5922_4_tls_verifies_the_name_in_the_uri(
    resolver: Resolver, uri: str, expected: str
) -> None:
    assert {hop.server_name for hop in await resolver.resolve(Uri.parse(uri))} == {expected}


async def test_rfc3263_4_2_servers_that_fail_on_naptr_and_srv_still_give_the_address(
    hosts: HostsFile,
) -> None:
    resolver = Resolver(names=FakeNames(failing={"NAPTR", "SRV"}), hosts=hosts)
    assert brief(await resolver.resolve(Uri.parse("sip:a.example"))) == ["UDP 192.0.2.1 5060"]


async def test_servers_that_fail_on_ipv6_still_give_the_address(hosts: HostsFile) -> None:
    resolver = Resolver(names=FakeNames(failing={"AAAA"}), hosts=hosts)
    assert brief(await resolver.resolve(Uri.parse("sip:both.example"))) == ["UDP 192.0.2.2 5060"]


async def test_dead_name_servers_are_a_timeout(hosts: HostsFile) -> None:
    resolver = Resolver(names=FakeNames(failing={"NAPTR", "SRV", "A", "AAAA"}), hosts=hosts)
    with pytest.raises(ResolutionFailed) as failed:
        await resolver.resolve(Uri.parse("sip:a.example"))
    assert failed.value.kind == "timeout"


async def test_families_in_the_order_of_liking(names: FakeNames, hosts: HostsFile) -> None:
    six = Resolver(names=names, hosts=hosts, families=(6, 4))
    assert brief(await six.resolve(Uri.parse("sip:both.example:5060"))) == [
        "UDP 2001:db8::2 5060",
        "UDP 192.0.2.2 5060",
    ]
    four = Resolver(names=names, hosts=hosts, families=(4,))
    assert brief(await four.resolve(Uri.parse("sip:both.example:5060"))) == ["UDP 192.0.2.2 5060"]
    with pytest.raises(ResolutionFailed):
        await four.resolve(Uri.parse("sip:six.example:5060"))


async def test_rfc3263_4_1_transports_that_we_do_not_have_are_not_taken(
    names: FakeNames, hosts: HostsFile
) -> None:
    resolver = Resolver(names=names, hosts=hosts, transports=("UDP",))
    assert {hop.transport for hop in await resolver.resolve(Uri.parse("sip:naptr.example"))} == {"UDP"}
    with pytest.raises(ResolutionFailed):
        await resolver.resolve(Uri.parse("sips:srv.example"))


WEIGHTED = """
_sip._udp.w.example SRV 1 0 5060 z.example.
_sip._udp.w.example SRV 1 10 5061 z.example.
_sip._udp.w.example SRV 1 30 5062 z.example.
_sip._udp.w.example SRV 0 1 5063 z.example.
z.example A 192.0.2.1
"""


@pytest.mark.parametrize(
    "chance,expected",
    [
        (lambda: 0.0, [5063, 5060, 5061, 5062]),
        (lambda: 0.5, [5063, 5062, 5061, 5060]),
        (lambda: 0.999, [5063, 5062, 5061, 5060]),
        (lambda: 0.2, [5063, 5061, 5062, 5060]),
    ],
)
async def test_rfc2782_weights_share_by_chance(
    chance: Callable[[], float], expected: list[int], hosts: HostsFile
) -> None:
    resolver = Resolver(names=FakeNames(WEIGHTED), hosts=hosts, chance=chance)
    hops = await resolver.resolve(Uri.parse("sip:w.example;transport=udp"))
    assert [hop.port for hop in hops] == expected


async def test_hops_are_bounded_and_different(hosts: HostsFile) -> None:
    zone = "\n".join(f"_sip._udp.m.example SRV 1 0 {5000 + n // 2} z.example." for n in range(60))
    resolver = Resolver(names=FakeNames(zone + "\nz.example A 192.0.2.1"), hosts=hosts)
    hops = await resolver.resolve(Uri.parse("sip:m.example;transport=udp"))
    assert 1 < len(hops) <= HOPS_MAX
    assert len(set(hops)) == len(hops)


def test_hosts_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("192.0.2.1 a\n")
    hosts = HostsFile(str(path))
    assert hosts.addresses("a") == ["192.0.2.1"]
    path.write_text("192.0.2.22 a\n")
    assert hosts.addresses("A.") == ["192.0.2.22"]
    path.unlink()
    assert hosts.addresses("a") == []
