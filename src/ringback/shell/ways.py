"""The ways of outgoing legs: from the targets that a script names to branches that are called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from itertools import compress
from typing import TYPE_CHECKING, Final

from ringback.call import effects as fx
from ringback.call.effects import error
from ringback.call.leg_effects import LegEffect
from ringback.call.outgoing_leg import Branch, OutgoingLeg
from ringback.shell.live import LiveCall
from ringback.shell.placing import Placing
from ringback.sip.errors import PeerError
from ringback.sip.flow import Hop
from ringback.sip.forwarding import bounds
from ringback.sip.uri import Uri
from ringback.store import Store

if TYPE_CHECKING:
    from ringback.shell.calls import Calls

LOOKED_UP_AT_ONCE: Final = 16
"""Carriers whose names are looked up for one call; one after another, each name that nobody answers for would add 4 s."""


class Ways:
    """Finds them, and has the legs call."""

    def __init__(
        self,
        calls: Calls,
        placing: Placing,
        store: Store,
        carry_out: Callable[[list[LegEffect]], None],
        now: Callable[[], float],
    ) -> None:
        self._calls = calls
        self._placing = placing
        self._store = store
        self._carry_out = carry_out
        self._now = now

    def place(self, call: LiveCall, place: fx.Place) -> None:
        """Call all targets of an outgoing leg: at once, if no name has to be asked for."""
        branches = self._placing.known(call, place)
        if branches is not None and not self._may_meet_others(call, branches):
            self._call(call, self._fit(call, branches))
        else:
            self._calls.work(call, self._find_and_place(call, place), "ways")

    async def _find_and_place(self, call: LiveCall, place: fx.Place) -> None:
        branches, notes = await self._placing.found(call, place)
        if self._calls.get(call.sid) is None:
            return  # it ended meanwhile: nothing would let go of a port that it gets now
        if self._may_meet_others(call, branches):
            for branch in [branch for branch in branches if branch.follow_redirects]:
                hops = tuple(hop for way in branch.in_turn() for hop in way.hops)
                if await self._carriers_at(hops) - {call.setup.account_sid}:
                    text = f"{branch.uri} leads to the carrier of another account"
                    notes.append(error("sip", text, 13255))
                    branches.remove(branch)
        for note in notes:
            self._calls.report(call, note)
        self._call(call, self._fit(call, branches))

    def _may_meet_others(self, call: LiveCall, branches: list[Branch]) -> bool:
        """Whether a SIP address that a program dials may be that of another account's carrier, which trusts this server."""
        if not (call.setup.to.startswith("sip:") and any(branch.follow_redirects for branch in branches)):
            return False  # a number, or a phone that registered
        targets = self._store.configuration.carrier_targets()
        return any(target["account_sid"] != call.setup.account_sid for target in targets)

    def _call(self, call: LiveCall, branches: list[Branch]) -> None:
        leg = call.leg
        assert isinstance(leg, OutgoingLeg)  # scripts of calls that came in place nobody
        self._carry_out(leg.place(branches, self._now()))

    def _fit(self, call: LiveCall, branches: list[Branch]) -> list[Branch]:
        """Give the branches what their caller's INVITE leaves of hops, and the sound their address family."""
        parent = self._calls.get(call.setup.parent_sid)
        session = None if parent is None else parent.leg.session
        try:
            left = bounds(None if session is None else session.request, len(branches))
        except PeerError as problem:
            self._calls.remark(call, error("sip", f"the call has come too far: {problem}", 32006))
            return []
        for branch in branches:
            for way in branch.in_turn():
                way.max_forwards = left.max_forwards
                way.headers = (*way.headers, *left.headers)
        return self._calls.sound.fit(call, branches)

    def follow(self, call: LiveCall, branch: Branch, uri: Uri) -> None:
        """A redirect: find the way and place the branch again."""
        self._calls.work(call, self._follow(call, branch, uri), "redirect")

    async def _follow(self, call: LiveCall, branch: Branch, uri: Uri) -> None:
        hops = await self._placing.ways(uri)
        if call.setup.to.startswith("sip:") and await self._leads_to_us_or_a_carrier(uri, hops):
            note = error(
                "sip",
                f"the redirect to {uri} is refused: it leads to a carrier or back to this server",
                32219,
            )
            self._calls.report(call, note)
            hops = ()
        self._placing.refresh(branch, hops)
        self._call(call, self._calls.sound.fit(call, [branch], more=True) if hops else [branch])

    async def _leads_to_us_or_a_carrier(self, uri: Uri, hops: tuple[Hop, ...]) -> bool:
        """Whether a far end sends us where only a number with a checked caller ID may go: that would be toll fraud."""
        if self._store.configuration.domain(uri.host) is not None:
            return True
        return bool(await self._carriers_at(hops))

    async def _carriers_at(self, hops: tuple[Hop, ...]) -> set[str]:
        """The accounts whose carriers are where these hops lead."""
        configuration, there = self._store.configuration, _places(hops)
        found = {
            str(source.trunk["account_sid"])
            for hop in hops
            if (source := configuration.trunk_for_source(_host(hop), hop.port)) is not None
        }
        owners: dict[str, set[str]] = {}
        for target in configuration.carrier_targets():
            owners.setdefault(str(target["target"]), set()).add(str(target["account_sid"]))
        few = asyncio.Semaphore(LOOKED_UP_AT_ONCE)

        async def is_there(target: str) -> bool:
            async with few:
                return bool(there & _places(await self._placing.ways(Uri.parse(target))))

        answers = await asyncio.gather(*map(is_there, owners))
        return found.union(*compress(owners.values(), answers))


def _places(hops: Iterable[Hop]) -> set[tuple[str, int]]:
    """Where hops lead: hosts whatever the port, but on this machine, where ports tell carriers apart."""
    return {(host, hop.port if ip_address(host).is_loopback else 0) for hop in hops for host in [_host(hop)]}


def _host(hop: Hop) -> str:
    """The host that a hop leads to: for the address that is none, the kernel takes this machine."""
    address = ip_address(hop.host.partition("%")[0])
    if not address.is_unspecified:
        return str(address)
    return "127.0.0.1" if address.version == 4 else "::1"
