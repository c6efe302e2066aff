"""The hops of a first request, in order: the next when one fails, TCP for what is too large for UDP.

Effect: HopFailed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ringback.sip.effects import Effect, HopFailed
from ringback.sip.flow import Hop
from ringback.sip.headers import delta_seconds
from ringback.sip.message import Response

LARGE: Final = 1300
"""Bytes; a larger request goes by TCP, RFC 3261 section 18.1.1."""

TakesTcp = Callable[[Hop], bool]
"""Whether the host and port of a UDP hop are known to take SIP over TCP as well."""


class Hops:
    """Where one request may go. Never empty.

    Deviation: a large request goes by TCP only where that is known to be taken, since most phones and NATs take
    none, and RFC 3261 section 18.1.1 would have each wait for a connection that never opens; if it fails, UDP is
    tried. Pinned by test_rfc3261_18_1_1_a_large_request_goes_by_udp_where_tcp_is_not_known.
    """

    __slots__ = ("_hops", "_index", "_kept_on_udp", "_takes_tcp")

    def __init__(self, hops: Sequence[Hop], takes_tcp: TakesTcp | None) -> None:
        self._hops = hops
        self._index = 0
        self._takes_tcp = takes_tcp
        self._kept_on_udp: Hop | None = None

    @property
    def current(self) -> Hop:
        """The hop whose turn it is."""
        return self._hops[self._index]

    @property
    def has_more(self) -> bool:
        """Whether there is another to try."""
        return self._index + 1 < len(self._hops)

    def better_for(self, size: int) -> Hop | None:
        """The TCP hop to take in place of the current one for a request of so many bytes; None: it is right."""
        if size <= LARGE:
            return None
        hop = self.current
        if hop.transport != "UDP" or hop == self._kept_on_udp:
            return None
        by_tcp = Hop("TCP", hop.host, hop.port)
        if by_tcp not in self._hops and (self._takes_tcp is None or not self._takes_tcp(hop)):
            return None
        self._kept_on_udp = hop
        self._hops = (*self._hops[: self._index], by_tcp, *self._hops[self._index :])
        return by_tcp

    def next(self) -> bool:
        """Go on to the next; False when there is none."""
        if not self.has_more:
            return False
        self._index += 1
        return True

    def failed(self, kind: str, out: list[Effect]) -> None:
        """The current one gave no answer."""
        out.append(HopFailed(self.current, kind, 0))

    def refused(self, response: Response, out: list[Effect]) -> bool:
        """The current one answered 503; always True, as another may do better (RFC 3263 section 4.3)."""
        value = (response.get("Retry-After") or "").partition(";")[0].partition("(")[0].strip(" \t")
        out.append(HopFailed(self.current, "unavailable", delta_seconds(value, 0) if value else 0))
        return True
