"""From a plan's targets to the branches of a leg: the ways there, and our addresses towards each."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import takewhile
from typing import Any, Final

from ringback.call.effects import Note, Place
from ringback.call.outgoing_leg import Branch
from ringback.shell.addresses import contact, sent_by
from ringback.shell.live import LiveCall
from ringback.shell.resolver import ResolutionFailed, Resolver
from ringback.shell.transport import SipTransports
from ringback.shell.vault import Vault
from ringback.sip.authorization import Login
from ringback.sip.flow import Hop
from ringback.sip.headers import NameAddr
from ringback.sip.identity import ANONYMOUS, asserting
from ringback.sip.uri import Uri

API_VERSION = "2010-04-01"

ADDRESSES_KEPT: Final = 4_000
"""Callers, and as many callees, whose From and To are remembered: the phones of an exchange dial one another."""


class Placing:
    """Makes branches."""

    def __init__(self, transports: SipTransports, resolver: Resolver, vault: Vault) -> None:
        self._transports = transports
        self._resolver = resolver
        self._vault = vault

    def known(self, call: LiveCall, place: Place) -> list[Branch] | None:
        """The branches of targets whose ways are known (registered phones, IP addresses); None if DNS is to be asked."""
        branches: list[Branch] = []
        for target in place.targets:
            uri = Uri.parse(target["uri"])
            hops = _hops(target) if target["hop"] else self._resolver.known(uri)
            if not hops:
                return None
            branches.append(self._branch(call, place, target, uri, hops))
        return branches

    async def found(self, call: LiveCall, place: Place) -> tuple[list[Branch], list[Note]]:
        """The branches of all targets that have a way, and a line for each that has none."""
        branches: list[Branch] = []
        notes: list[Note] = []
        for target in place.targets:
            uri = Uri.parse(target["uri"])
            if target["hop"]:
                hops: tuple[Hop, ...] = _hops(target)
            else:
                try:
                    hops = tuple(await self._resolver.resolve(uri))
                except ResolutionFailed as problem:
                    notes.append(Note("sip", f"{target['uri']}: {problem}", "error", 13254))
                    continue
            branches.append(self._branch(call, place, target, uri, hops))
        return branches, notes

    async def ways(self, uri: Uri) -> tuple[Hop, ...]:
        """The hops of a URI; none if it cannot be resolved."""
        try:
            return tuple(await self._resolver.resolve(uri))
        except ResolutionFailed:
            return ()

    def local(self, hop: Hop) -> tuple[str, int]:
        """The address and port of ours to show a peer at this hop."""
        return self._transports.local_address_for(hop)

    def refresh(self, branch: Branch, hops: tuple[Hop, ...]) -> None:
        """Aim a branch (anew, after a redirect): our addresses follow, for each family of addresses in its turn."""
        first = tuple(takewhile(lambda hop: (":" in hop.host) == (":" in hops[0].host), hops))
        branch.hops, branch.other = first, None
        if len(first) < len(hops):
            branch.other = replace(branch)
            self.refresh(branch.other, hops[len(first) :])
        if hops:
            host, port = self.local(hops[0])
            branch.address, branch.sent_by = host, sent_by(host, port)
            branch.contact = contact(host, port, hops[0].transport)

    def _branch(
        self, call: LiveCall, place: Place, target: dict[str, Any], uri: Uri, hops: tuple[Hop, ...]
    ) -> Branch:
        setup = call.setup
        headers = (
            ("X-Twilio-CallSid", setup.sid),
            ("X-Twilio-AccountSid", setup.account_sid),
            ("X-Twilio-ApiVersion", API_VERSION),
            *[(name, value) for name, value in target["headers"]],
            *_identity(target, place.from_domain),
        )
        login = None
        if target["username"]:
            login = Login(target["username"], self._vault.reveal(target["password"]))
        branch = Branch(
            uri=uri,
            hops=hops,
            address="",
            sent_by="",
            contact="",
            from_=(
                ANONYMOUS
                if target["identity"][0]
                else _caller(place.display_name, place.from_user, place.from_domain)
            ),
            to=_callee(_address_of_record(setup.to, target) or uri),
            headers=headers,
            route=tuple(target["route"]),
            login=login,
            follow_redirects=target["follow_redirects"],
            turn=target["turn"],
        )
        self.refresh(branch, hops)
        for hop, route in _by_other_edges(target):
            *_, last = branch.in_turn()
            last.other = replace(branch, route=tuple(route))
            self.refresh(last.other, (_hop(hop),))
        return branch


@lru_cache(maxsize=ADDRESSES_KEPT)
def _caller(display_name: str, user: str, domain: str) -> NameAddr:
    return NameAddr(display_name, Uri(user=user, host=domain))


@lru_cache(maxsize=ADDRESSES_KEPT)
def _callee(uri: Uri) -> NameAddr:
    return NameAddr("", uri.replace(params={}, headers=()))


def _identity(target: dict[str, Any], domain: str) -> list[tuple[str, str]]:
    """What a carrier is told of the caller, in a trusted network (RFC 3325 section 9)."""
    withheld, asserted = target["identity"]
    if not asserted:
        return []
    return asserting(_caller("", asserted, domain), withheld)


def _address_of_record(to: str, target: dict[str, Any]) -> Uri | None:
    """Whom a registered phone is called as: To names the user, not the contact (RFC 3261 section 8.1.1.2)."""
    return Uri.parse(to) if target["hop"] and to.startswith("sip:") else None


def _hops(target: dict[str, Any]) -> tuple[Hop, ...]:
    spare = [hop for hop, route in target.get("spare", ()) if route == target["route"]]
    return tuple(_hop(plain) for plain in (target["hop"], *spare))


def _by_other_edges(target: dict[str, Any]) -> list[Any]:
    """Hop and route of a phone's flows through other edges (RFC 5626 section 5.3)."""
    return [way for way in target.get("spare", ()) if way[1] != target["route"]]


def _hop(plain: list[Any]) -> Hop:
    transport, host, port, connection, server_name, local = plain
    return Hop(transport, host, port, connection, server_name, tuple(local) if local else None)
