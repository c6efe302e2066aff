"""From a SIP URI to the hops to try, in order: RFC 3263.

IP literal, *.localhost, /etc/hosts -> that address, no further questions
port in the URI                     -> A and AAAA of the host
transport in the URI                -> SRV of that transport, else A and AAAA
neither                             -> NAPTR, else SRV of every transport of ours, else A and AAAA
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol

from ringback.sip.flow import Hop
from ringback.sip.uri import Uri

from .dead_hops import DeadHops
from .dns_lookup import HostsFile, Lookups, ResolutionFailed

__all__ = ["HOPS_MAX", "ResolutionFailed", "Resolver"]

HOPS_MAX: Final = 12  # a caller waits for every hop that is dead; nobody waits for more than these
TIMEOUT: Final = 4.0  # seconds for a whole URI
PORTS: Final[Mapping[str, int]] = {"UDP": 5060, "TCP": 5060, "TLS": 5061}  # RFC 3261 section 19.1.2
SRV_PREFIXES: Final[Mapping[str, str]] = {"UDP": "_sip._udp.", "TCP": "_sip._tcp.", "TLS": "_sips._tcp."}
NAPTR_SERVICES: Final[Mapping[str, str]] = {"SIP+D2U": "UDP", "SIP+D2T": "TCP", "SIPS+D2T": "TLS"}


class Service(NamedTuple):
    """One server of an SRV answer."""

    transport: str
    host: str
    port: int


class Names(Protocol):
    """What is needed of the DNS; `Lookups` does it."""

    async def lookup(self, name: str, kind: str) -> Sequence[Any]:
        """Records, or (); raises ResolutionFailed."""
        ...

    async def close(self) -> None:
        """Give up what is open."""
        ...


class Resolver:
    """Finds hops. `nameservers` are (IP, port), None for the system's; `families` are 4 and 6 in order of liking;
    `chance` gives a number in [0, 1) for weighted SRV records."""

    def __init__(
        self,
        nameservers: Sequence[tuple[str, int]] | None = None,
        *,
        names: Names | None = None,
        hosts: HostsFile | None = None,
        families: Sequence[int] = (4, 6),
        transports: Sequence[str] = ("UDP", "TCP", "TLS"),
        chance: Callable[[], float] = random.random,
        timeout: float = TIMEOUT,
        dead_hops: DeadHops | None = None,
    ) -> None:
        self.dead_hops = dead_hops or DeadHops()
        self._names: Names = names or Lookups(nameservers)
        self._hosts = hosts or HostsFile()
        self._families = tuple(families)
        self._transports = tuple(transports)
        self._chance = chance
        self._timeout = timeout

    async def close(self) -> None:
        """Give up what is open."""
        await self._names.close()

    async def resolve(self, uri: Uri) -> list[Hop]:
        """The hops to try, best first, those that failed a moment ago last; never empty. Raises ResolutionFailed.

        TLS hops carry the URI's host as the name to verify (RFC 5922 section 4), never the name that the DNS
        gave for it.
        """
        transport = self._wanted_transport(uri)
        host = (uri.params.get("maddr") or uri.host).strip("[]").rstrip(".").lower()
        try:
            async with asyncio.timeout(self._timeout):
                services = await self._services(uri, host, transport)
        except TimeoutError:
            raise ResolutionFailed(str(uri.host), "timeout") from None
        name = "" if _is_literal(uri.host) else uri.host.rstrip(".").lower()
        hops = [
            Hop(
                service.transport,
                service.host,
                service.port,
                server_name=name if service.transport == "TLS" else "",
            )
            for service in services
        ]
        return self.dead_hops.ordered(dict.fromkeys(hops))[:HOPS_MAX]

    def known(self, uri: Uri) -> tuple[Hop, ...]:
        """The hop of a URI that names an IP address; none where names are to be looked up, or refused."""
        host, transport = uri.host.strip("[]").lower(), uri.transport or "UDP"
        if not uri.is_sip or "maddr" in uri.params or transport == "TLS" or not _is_literal(host):
            return ()
        if transport not in self._transports:
            return ()
        return (Hop(transport, host, uri.port if uri.port is not None else PORTS[transport]),)

    def _wanted_transport(self, uri: Uri) -> str | None:
        if not uri.is_sip:
            raise ResolutionFailed(uri.scheme, "unsupported", "not a SIP URI")
        transport = uri.transport
        if transport is not None and transport not in self._transports:
            raise ResolutionFailed(uri.host, "unsupported", f"transport {transport[:16]}")
        return transport

    async def _services(self, uri: Uri, host: str, transport: str | None) -> list[Service]:
        """Servers with their hosts as IP addresses."""
        plain = transport or "UDP"  # RFC 3263 section 4.1
        port = uri.port if uri.port is not None else PORTS[plain]
        known = [host] if _is_literal(host) else self._local_addresses(host)
        if known:
            return [Service(plain, address, port) for address in known]
        if uri.port is not None:
            return await self._addressed([Service(plain, host, port)])
        found = await (self._by_srv(host, [transport]) if transport else self._by_naptr(host))
        if found is not None:
            return await self._addressed(found)
        return await self._addressed([Service(plain, host, port)])

    def _local_addresses(self, host: str) -> list[str]:
        """Addresses that need no DNS: RFC 6761 section 6.3 and /etc/hosts."""
        if host == "localhost" or host.endswith(".localhost"):
            return ["127.0.0.1" if 4 in self._families else "::1"]
        addresses = self._hosts.addresses(host)
        return [
            a for family in self._families for a in addresses if ipaddress.ip_address(a).version == family
        ]

    async def _by_naptr(self, host: str) -> list[Service] | None:
        """NAPTR and, in case there is none, SRV of every transport, asked at once to save a round trip."""
        async with asyncio.TaskGroup() as group:
            naptr_task = group.create_task(self._lookup_or_nothing(host, "NAPTR"))
            srv_task = group.create_task(self._by_srv(host, self._transports))
        records = sorted(naptr_task.result(), key=lambda record: (record.order, record.preference))
        found: list[Service] = []
        for record in records:
            transport = NAPTR_SERVICES.get(record.service.decode("latin-1").upper())
            target = str(record.replacement).rstrip(".")
            if transport not in self._transports or record.flags.lower() != b"s" or not target:
                continue
            found += self._in_order(transport, await self._lookup_or_nothing(target, "SRV"))
        return found or srv_task.result()

    async def _by_srv(self, host: str, transports: Iterable[str]) -> list[Service] | None:
        """Servers of each transport in turn; None when there are no SRV records at all.

        RFC 2782: the single target "." says that the service is not offered; then the list may be empty.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [
                (transport, group.create_task(self._lookup_or_nothing(SRV_PREFIXES[transport] + host, "SRV")))
                for transport in transports
            ]
        if not any(task.result() for _, task in tasks):
            return None
        found: list[Service] = []
        for transport, task in tasks:
            found += self._in_order(transport, task.result())
        return found

    def _in_order(self, transport: str, records: Iterable[Any]) -> list[Service]:
        """By priority, and within one priority by chance according to weight: RFC 2782."""
        ordered: list[Service] = []
        rest = sorted(records, key=lambda record: (record.priority, record.weight))
        while rest:
            group = [record for record in rest if record.priority == rest[0].priority]
            pick = int(self._chance() * (sum(record.weight for record in group) + 1))
            for record in group:
                pick -= record.weight
                if pick <= 0:
                    break
            rest.remove(record)
            target = str(record.target).rstrip(".")
            if target and record.port:
                ordered.append(Service(transport, target, record.port))
        return ordered

    async def _lookup_or_nothing(self, name: str, kind: str) -> Sequence[Any]:
        """Records, or () also for servers that fail: some drop questions for types that they do not know."""
        try:
            return await self._names.lookup(name, kind)
        except ResolutionFailed:
            return ()

    async def _addressed(self, services: Sequence[Service]) -> list[Service]:
        """The services with addresses in the place of names. Raises ResolutionFailed when none has one."""
        services = services[:HOPS_MAX]
        failures: list[ResolutionFailed] = []
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._addresses(service.host, failures)) for service in services]
        found = [
            service._replace(host=address)
            for service, task in zip(services, tasks, strict=True)
            for address in task.result()
        ]
        if not found:
            if failures:
                raise failures[0]
            raise ResolutionFailed(services[0].host if services else "service", "not-found")
        return found

    async def _addresses(self, host: str, failures: list[ResolutionFailed]) -> list[str]:
        """Addresses of one host in our order of families; what goes wrong is added to `failures`."""
        local = [host] if _is_literal(host) else self._local_addresses(host)
        if local:
            return local

        async def one(kind: str) -> Sequence[Any]:
            try:
                return await self._names.lookup(host, kind)
            except ResolutionFailed as error:
                failures.append(error)
                return ()

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one("A" if family == 4 else "AAAA")) for family in self._families]
        return [str(record.address) for task in tasks for record in task.result()]


@lru_cache(maxsize=1_000)
def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
