"""Host names of webhooks and audio files.

IP literal, *.localhost, /etc/hosts -> that address
the DNS, asked by us                -> its addresses; no answer from the name servers is an error within 3 s
no such name there                  -> the system's way (search lists, names of the local network)

The system alone would not do: it asks in a few threads, each of which a dead name server holds for 10 s and more, and
names that need no server wait behind them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from errno import ETIMEDOUT
from ipaddress import ip_address
from typing import Final

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult

from ringback.shell.dns_lookup import HostsFile, Lookups, ResolutionFailed
from ringback.shell.resolver import Names

_KINDS: Final = {socket.AF_INET: ("A",), socket.AF_INET6: ("AAAA",)}


class HttpNames(AbstractResolver):
    """Finds addresses for aiohttp. To be made in the running loop."""

    def __init__(
        self,
        *,
        names: Names | None = None,
        hosts: HostsFile | None = None,
        system: AbstractResolver | None = None,
    ) -> None:
        self._names = names or Lookups()
        self._hosts = hosts or HostsFile()
        self._system = system or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of a host, IPv4 first; raises OSError where there are none."""
        kinds = _KINDS.get(family, ("A", "AAAA"))
        addresses = [
            found for found in self._local(host) if (":" in found) == ("AAAA" in kinds) or len(kinds) > 1
        ]
        if not addresses:
            addresses = await self._ask(host, kinds)
        if not addresses:
            return await self._system.resolve(host, port, family)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    def _local(self, host: str) -> Sequence[str]:
        """Addresses that need no DNS."""
        with suppress(ValueError):
            return [str(ip_address(host))]
        known = self._hosts.addresses(host)
        if not known and (host == "localhost" or host.endswith(".localhost")):  # RFC 6761 section 6.3
            return ["127.0.0.1", "::1"]
        return known

    async def _ask(self, host: str, kinds: Sequence[str]) -> list[str]:
        """What the DNS knows; raises OSError when the name servers say nothing."""
        answers = await asyncio.gather(
            *(self._names.lookup(host, kind) for kind in kinds), return_exceptions=True
        )
        found: list[str] = []
        silence: ResolutionFailed | None = None
        for answer in answers:
            if isinstance(answer, ResolutionFailed):
                silence = answer if answer.kind == "timeout" else silence
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found += [str(record.address) for record in answer]
        if not found and silence is not None:
            raise OSError(ETIMEDOUT, "the name servers do not answer") from silence
        return found

    async def close(self) -> None:
        """Give up the questions that are open."""
        await self._names.close()
        await self._system.close()
