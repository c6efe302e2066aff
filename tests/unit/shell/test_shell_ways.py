"""Where a SIP address that a program dials may not lead."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from ringback.call.outgoing_leg import Branch
from ringback.shell.ways import Ways
from ringback.sip.flow import Hop
from ringback.sip.headers import NameAddr, parse_name_addr
from ringback.sip.uri import Uri

MINE, OTHER = "AC1", "AC2"
ME: NameAddr = parse_name_addr("<sip:me@a.test>")


class Scene:
    """Carriers at 192.0.2.1, on this machine and over IPv6, which send from other addresses as well."""

    def __init__(self, carriers_account: str) -> None:
        self.targets = ["sip:192.0.2.1", "sip:127.0.0.1:5070", "sip:[2001:db8::1]"]
        self.placed: list[Branch] = []
        self.notes: list[Any] = []
        source = SimpleNamespace(trunk={"account_sid": carriers_account})
        configuration = SimpleNamespace(
            carrier_targets=lambda: [
                {"account_sid": carriers_account, "target": target} for target in self.targets
            ],
            trunk_for_source=lambda host, port: source if host in ("192.0.2.2", "::1") else None,
        )
        calls = SimpleNamespace(get=lambda sid: self.call, report=lambda call, note: self.notes.append(note))
        placing = SimpleNamespace(known=self.known, found=self.found, ways=self.ways)
        self.ways_: Any = Ways(calls, placing, SimpleNamespace(configuration=configuration), None, None)  # type: ignore[arg-type]
        self.ways_._fit = lambda call, branches: branches
        self.ways_._call = lambda call, branches: self.placed.extend(branches)
        self.call: Any = None
        self.branches: list[Branch] = []

    def known(self, call: Any, place: Any) -> list[Branch]:
        return self.branches

    async def found(self, call: Any, place: Any) -> tuple[list[Branch], list[Any]]:
        return list(self.branches), []

    async def ways(self, uri: Uri) -> tuple[Hop, ...]:
        return (Hop("UDP", uri.host, uri.port or 5060),)

    async def dial(self, to: str, host: str, *, is_registered: bool = False) -> list[Branch]:
        setup = SimpleNamespace(to=to, account_sid=MINE)
        self.call = SimpleNamespace(sid="CA1", setup=setup)
        uri = Uri.parse(f"sip:x@{f'[{host}]' if ':' in host else host}")
        hops = (Hop("UDP", host, 5070),)
        self.branches = [
            Branch(uri, hops, "", "", "", ME, ME, follow_redirects=not is_registered),
        ]
        work: list[Any] = []
        self.ways_._calls.work = lambda call, coroutine, name: work.append(coroutine)
        self.ways_.place(self.call, None)
        self.has_waited = bool(work)
        for coroutine in work:
            await coroutine
        return self.placed


@pytest.mark.parametrize(
    "host", ["192.0.2.1", "192.0.2.2", "127.0.0.1", "0.0.0.0", "2001:db8::1", "2001:db8:0::0:1", "::1", "::"]
)
async def test_a_sip_address_leads_to_no_carrier_of_another_account(host: str) -> None:
    scene = Scene(OTHER)
    assert await scene.dial("sip:+1900@x", host) == []
    assert [note.code for note in scene.notes] == [13255]


@pytest.mark.parametrize(
    ("carriers_account", "to", "host", "is_registered"),
    [
        (MINE, "sip:+1900@x", "192.0.2.1", False),  # its own
        (
            OTHER,
            "+15005550001",
            "192.0.2.1",
            False,
        ),  # a number, whose caller ID is checked: the owner's carrier
        (OTHER, "sip:bob@x", "192.0.2.3", False),
        (OTHER, "sip:bob@x", "192.0.2.1", True),  # a phone behind the same address
    ],
)
async def test_what_leads_elsewhere_is_called(
    carriers_account: str, to: str, host: str, is_registered: bool
) -> None:
    scene = Scene(carriers_account)
    assert len(await scene.dial(to, host, is_registered=is_registered)) == 1
    assert scene.notes == []
    assert scene.has_waited is (to == "sip:bob@x" and not is_registered)


async def test_the_names_of_carriers_are_looked_up_together() -> None:
    """One after another, those that nobody answers for would add up."""
    scene, all_asked = Scene(OTHER), asyncio.Barrier(3)
    scene.targets = ["sip:192.0.2.7", "sip:192.0.2.8", "sip:192.0.2.1"]
    ways = scene.ways

    async def slow(uri: Uri) -> tuple[Hop, ...]:
        await all_asked.wait()
        return await ways(uri)

    scene.ways_._placing.ways = slow
    async with asyncio.timeout(10):
        assert await scene.dial("sip:+1900@x", "192.0.2.1") == []
