"""Digits by INFO, of phones that are set to it (application/dtmf-relay and application/dtmf, de facto)."""

from __future__ import annotations

import re

TYPES = ("application/dtmf-relay", "application/dtmf")

_SIGNAL = re.compile(rb"(?im)^\s*(?:signal\s*=\s*)?(1[01]|[0-9*#A-D])\s*$")
_CODES = {"10": "*", "11": "#"}
"""Some phones send the event number of RFC 4733 section 3.2."""


SAME_KEY_WITHIN = 5.0
"""Seconds that a key may be held: RTP tells it when it is let go, INFO as some phones please."""


class Keys:
    """Each key once, of phones that send them by RTP and by INFO as well: RTP is believed, once it was used."""

    __slots__ = ("_by_info", "_by_info_at", "_has_rtp")

    def __init__(self) -> None:
        self._has_rtp = False
        self._by_info, self._by_info_at = "", 0.0

    def by_rtp(self, digit: str, now: float) -> bool:
        """Whether a key that came by RTP is new; ``now`` in seconds of a steady clock."""
        is_known = digit == self._by_info and now - self._by_info_at < SAME_KEY_WITHIN
        self._has_rtp, self._by_info = True, ""
        return not is_known

    def by_info(self, digit: str, now: float) -> bool:
        """Whether a key that came by INFO is new."""
        if not self._has_rtp:
            self._by_info, self._by_info_at = digit, now
        return not self._has_rtp


def digit_of(content_type: str, body: bytes) -> str | None:
    """The digit that an INFO carries, or None if it is about something else."""
    if content_type.partition(";")[0].strip().lower() not in TYPES:
        return None
    found = _SIGNAL.search(body)
    if found is None:
        return None
    digit = found[1].decode("ascii").upper()
    return _CODES.get(digit, digit)
