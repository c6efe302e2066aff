"""Whose packets are believed: learning a peer's address and locking it against strangers.

    LEARNING --a packet from the announced address, or from the signalling host--> LOCKED (vouched)
    LEARNING --five packets in a row from elsewhere, where NAT is evident--> LOCKED (guessed)
    LOCKED (guessed) --a packet that would have locked at once--> LOCKED (vouched)
    LOCKED --configure(): a new offer or answer--> LEARNING

Phones behind NAT announce an address in SDP from which nothing ever comes, so the sender's real address
is learnt (RFC 4961 symmetric RTP, RFC 7362 latching). Latching lets whoever sends first steal the audio;
so only an address that the signalling vouches for locks at once, and only packets of a negotiated payload type
count. NAT is evident for the announced host itself, when another port of it sends, and for any host, when
the announced one is of no use outside its own network and the signalling comes from elsewhere. A guess gives way
to what is vouched for, once: else five packets ahead of the phone's first would take its call for good.
"""

from __future__ import annotations

import ipaddress
from enum import Enum
from functools import lru_cache
from typing import Final

from ringback.rtp.limits import MAX_CANDIDATES

Address = tuple[str, int]

CONSISTENT_PACKETS: Final = 5
"""Packets in sequence from one source before a source that nothing vouches for is believed."""


class Verdict(Enum):
    """What to do with a packet."""

    STRANGER = "drop and count"
    ACCEPT = "from the locked source"
    LOCKED = "accept; this very packet locked the source"


@lru_cache(maxsize=1_000)
def nat_is_evident(announced: str, signalling: str | None) -> bool:
    """Whether SDP announces a host that cannot be where its packets come from, both IP literals.

    It is private, shared or local (RFC 1918, 6598, 4193, 3927), and SIP comes from another one.
    """
    return signalling not in (None, announced) and not ipaddress.ip_address(announced).is_global


class SourceLock:
    """The lock of one port. Hosts are IP literals in canonical form."""

    __slots__ = (
        "_candidates",
        "_kept",
        "_kept_is_trusted",
        "_nat",
        "_payload_types",
        "_remote",
        "_signalling_host",
        "_source",
        "_trusted",
    )

    def __init__(self) -> None:
        self._remote: Address | None = None
        self._signalling_host: str | None = None
        self._nat = False
        self._payload_types: frozenset[int] = frozenset()
        self._source: Address | None = None
        self._kept: Address | None = None
        self._kept_is_trusted = False
        self._trusted = False
        self._candidates: dict[Address, tuple[int, int, int]] = {}

    def configure(
        self, remote: Address, signalling_host: str | None, payload_types: frozenset[int] | set[int]
    ) -> None:
        """A new offer or answer: learn again.

        When the announced address is the old one, the source learnt before stays the target of what we send and
        (unless it was a guess) may lock again at once: a phone on hold sends nothing that could teach us its
        address anew.
        """
        if remote != self._remote:
            self._kept, self._kept_is_trusted = None, False
        elif self._source is not None:
            self._kept, self._kept_is_trusted = self._source, self._trusted
        self._remote = remote
        self._signalling_host = signalling_host
        self._nat = nat_is_evident(remote[0], signalling_host)
        self._payload_types = frozenset(payload_types)
        self._source = None
        self._trusted = False
        self._candidates.clear()

    @property
    def source(self) -> Address | None:
        """The locked source."""
        return self._source

    @property
    def target(self) -> Address | None:
        """Where to send: the locked source, else the one learnt before, else the announced address."""
        return self._source or self._kept or self._remote

    def offer(self, source: Address, payload_type: int, ssrc: int, sequence: int) -> Verdict:
        """Judge a packet by where it comes from."""
        if source == self._source:
            return Verdict.ACCEPT
        if self._remote is None or self._trusted:
            return Verdict.STRANGER
        if payload_type not in self._payload_types:
            self._candidates.pop(source, None)
            return Verdict.STRANGER
        if self._is_vouched_for(source):
            return self._lock(source, trusted=True)
        if self._source is not None or not (self._nat or source[0] == self._remote[0]):
            return Verdict.STRANGER
        if self._is_consistent(source, ssrc, sequence):
            return self._lock(source, trusted=False)
        return Verdict.STRANGER

    def _is_vouched_for(self, source: Address) -> bool:
        """The announced address; any port of the signalling host, where that is another host."""
        if source == self._remote or (source == self._kept and self._kept_is_trusted):
            return True
        return self._remote is not None and self._remote[0] != source[0] == self._signalling_host

    def _is_consistent(self, source: Address, ssrc: int, sequence: int) -> bool:
        known_ssrc, known_sequence, count = self._candidates.pop(source, (ssrc, sequence - 1 & 0xFFFF, 0))
        in_order = known_ssrc == ssrc and sequence == (known_sequence + 1) & 0xFFFF
        count = count + 1 if in_order else 1
        if len(self._candidates) >= MAX_CANDIDATES:
            # the one that is furthest from being believed, and of those the one unheard for longest
            del self._candidates[min(self._candidates, key=lambda known: self._candidates[known][2])]
        self._candidates[source] = (ssrc, sequence, count)
        return count >= CONSISTENT_PACKETS

    def _lock(self, source: Address, *, trusted: bool) -> Verdict:
        self._source = source
        self._trusted = trusted
        self._candidates.clear()
        return Verdict.LOCKED
