"""Which accepted stream gives way when there is no room for another.

    accepted --> silent --a message--> heard --the guard vouches for it--> proven
       \\--no room: the silent stream that waited longest is cut, or the stranger unheard for longest-->
       \\--nobody to cut: all are proven--> refused

Of the silent and the heard, the more give way: who has just come has time to speak, however many strangers spoke before, and
who spoke stays, however many say nothing.

A stream is a stranger's until its address and port are vouched for: it registered, it called with the right password,
we called it. However many strangers come, from however many addresses, no proven stream is cut for them. Of HTTP, where
nobody is vouched for, the connections whose request is answered are kept (ringback.app.http_connections).
"""

from __future__ import annotations

import socket
from collections import OrderedDict
from typing import Final, Protocol

from .guard import Guard, Source
from .timers import Clock
from .transport_limits import TransportLimits

SHARE_KEPT: Final = 0.75
"""Of all places, for streams that are kept while they are worked for: the others are for newcomers."""

LEAST_CUT: Final = 4_096  # bytes; a stream that holds less is not the one whose cut would help


class Guest(Protocol):
    """A stream, as far as its place is concerned."""

    number: int
    held: int
    counted: bool

    @property
    def source(self) -> Source:
        """Address and port of the peer."""
        ...

    def abort(self) -> None:
        """Close at once, also in the handshake."""
        ...


class _Strangers:
    """Those of one address, or all: the ones to cut first stand first."""

    __slots__ = ("count", "heard", "silent")

    def __init__(self) -> None:
        self.silent: OrderedDict[int, Guest] = OrderedDict()
        self.heard: OrderedDict[int, Guest] = OrderedDict()
        self.count = 0  # with the proven ones

    def first(self) -> Guest | None:
        """The one that gives way."""
        more = self.silent if len(self.silent) >= len(self.heard) else self.heard
        return next(iter(more.values()), None)

    @property
    def kept(self) -> int:
        """Those that give way to nobody."""
        return self.count - len(self.silent) - len(self.heard)

    def drop(self, number: int) -> None:
        self.silent.pop(number, None)
        self.heard.pop(number, None)

    def hear(self, guest: Guest) -> None:
        self.silent.pop(guest.number, None)
        self.heard[guest.number] = guest
        self.heard.move_to_end(guest.number)


class StreamRoom:
    """Counts accepted streams: in total, of strangers, and by address. Without a guard, all are trusted."""

    def __init__(self, limits: TransportLimits, guard: Guard | None, clock: Clock) -> None:
        self._limits = limits
        self._strangers = min(limits.strangers, max(1, limits.streams // 2))
        self._guard = guard
        self._clock = clock
        self._all = _Strangers()
        self._by_source: dict[str, _Strangers] = {}
        self._held = 0

    def __len__(self) -> int:
        """Streams that were accepted, those in handshake too."""
        return self._all.count

    def is_proven(self, guest: Guest) -> bool:
        """Whether a stream is no stranger's (any more)."""
        number = guest.number
        if number not in self._all.silent and number not in self._all.heard:
            return True
        if self._guard is None or not self._guard.is_vouched(guest.source, self._clock.now()):
            return False
        self._all.drop(number)
        self._by_source[source_of(guest.source[0])].drop(number)
        self._held -= guest.held
        guest.held = 0
        return True

    def enter(self, guest: Guest) -> list[Guest] | None:
        """Count a stream that was accepted.

        Returns those that are to be cut for it, which are counted no more; None when there is no room for it.
        """
        source = source_of(guest.source[0])
        guard = self._guard
        if guard is not None and not guard.may_connect(guest.source, self._clock.now()):
            return None
        own, everybody = self._by_source.get(source), self._all
        cut: list[Guest] = []
        if own is not None and own.count >= self._limits.streams_per_source and not self._cut(own, cut):
            return None
        if everybody.count >= self._limits.streams and not self._cut(everybody, cut):
            return None
        cut += self._cut_beyond(self._strangers - 1)
        own = self._by_source.setdefault(source, _Strangers())
        for place in (own, everybody):
            place.count += 1
            if guard is not None:
                place.silent[guest.number] = guest
        return cut

    def _cut(self, among: _Strangers, cut: list[Guest]) -> bool:
        """Have the first stranger go; False when there is none."""
        while (guest := among.first()) is not None:
            if self._cut_or_prove(guest, cut):
                return True
        return False

    def _cut_or_prove(self, guest: Guest | None, cut: list[Guest]) -> bool:
        if guest is None or self.is_proven(guest):
            return False
        self.leave(guest)
        cut.append(guest)
        return True

    def leave(self, guest: Guest) -> None:
        """A stream that had entered is gone; to be told once."""
        source = source_of(guest.source[0])
        own = self._by_source[source]
        for place in (own, self._all):
            place.drop(guest.number)
            place.count -= 1
        if not own.count:
            del self._by_source[source]
        self._held -= guest.held
        guest.held = 0

    def hear(self, guest: Guest) -> None:
        """A stream said something sensible."""
        if not self.is_proven(guest):
            self._all.hear(guest)
            self._by_source[source_of(guest.source[0])].hear(guest)

    def keep(self, guest: Guest) -> None:
        """A stream is worked for: it gives way to nobody until it is released.

        Of one address no more are kept than places are left for all others: few addresses never have every place. Of all no
        more are kept than leave a quarter of the places to newcomers, who then are worked for, too, and give way in turn.
        """
        own = self._by_source[source_of(guest.source[0])]
        for place in (own, self._all):
            place.hear(guest)
        if own.kept < int(SHARE_KEPT * self._limits.streams) - self._all.kept:
            for place in (own, self._all):
                place.drop(guest.number)

    def release(self, guest: Guest) -> list[Guest]:
        """A stream that was kept may give way again: it was heard now. Returns those that are to be cut for it."""
        self._all.hear(guest)
        self._by_source[source_of(guest.source[0])].hear(guest)
        return self._cut_beyond(self._strangers)

    def _cut_beyond(self, most: int) -> list[Guest]:
        """Have strangers go until so many are left."""
        cut: list[Guest] = []
        everybody = self._all
        while len(everybody.silent) + len(everybody.heard) > most:
            self._cut_or_prove(everybody.first(), cut)
        return cut

    def weigh(self, guest: Guest, held: int) -> bool:
        """A stream makes us hold so many bytes: False when strangers hold too much, and this one is to be cut."""
        if (not held and not guest.held) or self.is_proven(guest):
            return True
        self._held += held - guest.held
        guest.held = held
        return self._held <= self._limits.strangers_held or held < LEAST_CUT


def source_of(host: str) -> str:
    """What limits count as one source: an address, of IPv6 the network of 64 bits that one customer has."""
    if ":" not in host:
        return host
    return socket.inet_pton(socket.AF_INET6, host.partition("%")[0])[:8].hex()
