"""Host names of webhooks, on names of the tests' own."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import dns.rdata
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from ringback.shell.dns_lookup import FailureKind, HostsFile, ResolutionFailed
from ringback.shell.http_names import HttpNames


class FakeNames:
    def __init__(self, records: dict[tuple[str, str], str], failing: dict[str, FailureKind]) -> None:
        self.records, self.failing = records, failing
        self.asked: list[str] = []

    async def lookup(self, name: str, kind: str) -> Sequence[dns.rdata.Rdata]:
        self.asked.append(kind)
        if kind in self.failing:
            raise ResolutionFailed(name, self.failing[kind])
        found = self.records.get((name, kind))
        return [dns.rdata.from_text("IN", kind, found)] if found else ()

    async def close(self) -> None:
        """Nothing is open."""


class FakeSystem(AbstractResolver):
    def __init__(self) -> None:
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        raise OSError("Name or service not known")

    async def close(self) -> None:
        """Nothing is open."""


def names_of(
    tmp_path: Path,
    records: dict[tuple[str, str], str] | None = None,
    failing: dict[str, FailureKind] | None = None,
) -> tuple[HttpNames, FakeNames, FakeSystem]:
    (tmp_path / "hosts").write_text("192.0.2.7 program\n2001:db8::7 program\n")
    names, system = FakeNames(records or {}, failing or {}), FakeSystem()
    return HttpNames(names=names, hosts=HostsFile(str(tmp_path / "hosts")), system=system), names, system


async def test_hosts_and_localhost_need_no_server(tmp_path: Path) -> None:
    found, names, system = names_of(tmp_path)
    both = await found.resolve("program", 80, socket.AF_UNSPEC)
    assert [(one["host"], one["port"], one["family"]) for one in both] == [
        ("192.0.2.7", 80, socket.AF_INET),
        ("2001:db8::7", 80, socket.AF_INET6),
    ]
    assert [one["host"] for one in await found.resolve("program", 80, socket.AF_INET6)] == ["2001:db8::7"]
    assert [one["host"] for one in await found.resolve("x.localhost", 80)] == ["127.0.0.1"]
    assert names.asked == system.asked == []


@pytest.mark.parametrize("literal", ["192.0.2.7", "2001:db8::7"])
async def test_an_address_needs_no_name_server(tmp_path: Path, literal: str) -> None:
    found, names, system = names_of(tmp_path, failing={"A": "timeout", "AAAA": "timeout"})
    assert [one["host"] for one in await found.resolve(literal, 80, socket.AF_UNSPEC)] == [literal]
    assert names.asked == system.asked == []


async def test_the_dns_gives_both_families(tmp_path: Path) -> None:
    records = {("a.example", "A"): "192.0.2.1", ("a.example", "AAAA"): "2001:db8::1"}
    found, _, _ = names_of(tmp_path, records)
    both = await found.resolve("a.example", 80, socket.AF_UNSPEC)
    assert [one["host"] for one in both] == ["192.0.2.1", "2001:db8::1"]


async def test_one_answer_is_enough(tmp_path: Path) -> None:
    found, _, _ = names_of(tmp_path, {("a.example", "A"): "192.0.2.1"}, {"AAAA": "timeout"})
    assert [one["host"] for one in await found.resolve("a.example", 80, socket.AF_UNSPEC)] == ["192.0.2.1"]


async def test_silent_servers_are_an_error_that_says_so_and_hold_no_thread(tmp_path: Path) -> None:
    found, _, system = names_of(tmp_path, failing={"A": "timeout", "AAAA": "timeout"})
    with pytest.raises(OSError, match="the name servers do not answer"):
        await found.resolve("a.example", 80, socket.AF_UNSPEC)
    assert system.asked == []


@pytest.mark.parametrize("failing", [{}, {"A": "server-failure", "AAAA": "server-failure"}])
async def test_what_the_dns_does_not_know_the_system_may(
    tmp_path: Path, failing: dict[str, FailureKind]
) -> None:
    found, _, system = names_of(tmp_path, failing=failing)
    with pytest.raises(OSError, match="Name or service not known"):
        await found.resolve("printer", 80, socket.AF_UNSPEC)
    assert system.asked == ["printer"]
