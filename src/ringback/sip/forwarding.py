"""What a back-to-back user agent hands on of a call's bounds: Max-Forwards (RFC 3261 16.6) and Max-Breadth (RFC 5393).

The two legs share no dialog, Call-ID or Via, so these are all that stops a call that is forwarded in a circle. A
request that comes back as it was sent is refused by the agent itself (482, admission.py).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ringback.sip.errors import PeerError
from ringback.sip.limits import MAX_DELTA_SECONDS
from ringback.sip.message import Request

FULL: Final = 70
"""Max-Forwards of a call that begins here, RFC 3261 section 8.1.1.6."""


class Bounds(NamedTuple):
    """For each branch of the new leg; ``max_breadth`` is None when the caller gave none."""

    max_forwards: int
    max_breadth: int | None

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Max-Breadth, where it bounds the call."""
        return [] if self.max_breadth is None else [("Max-Breadth", str(self.max_breadth))]


def bounds(request: Request | None, branches: int) -> Bounds:
    """Divide what the caller's INVITE leaves among parallel branches (RFC 5393 section 5.3.3).

    None: the call begins here. Raises PeerError: 483 when no hop is left, 440 when there are more branches than may
    be tried at once.
    """
    if request is None:
        return Bounds(FULL, None)
    forwards = FULL if request.max_forwards is None else min(request.max_forwards, FULL)
    if forwards < 1:
        raise PeerError(483, "Too Many Hops")
    if not request.has("Max-Breadth"):
        return Bounds(forwards - 1, None)
    value = (request.get("Max-Breadth") or "").strip(" \t")
    if not (value.isascii() and value.isdigit()):
        return Bounds(forwards - 1, None)
    breadth = min(int(value[:12]), MAX_DELTA_SECONDS)
    if breadth < branches:
        raise PeerError(440, "Max-Breadth Exceeded")
    return Bounds(forwards - 1, breadth // max(branches, 1))
