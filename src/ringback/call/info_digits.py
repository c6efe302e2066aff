"""Digits by INFO, of phones that are set to it (application/dtmf-relay and application/dtmf, de facto)."""

from __future__ import annotations

import re

TYPES = ("application/dtmf-relay", "application/dtmf")

_SIGNAL = re.compile(rb"(?im)^\s*(?:signal\s*=\s*)?(1[01]|[0-9*#A-D])\s*$")
_CODES = {"10": "*", "11": "#"}
"""Some phones send the event number of RFC 4733 section 3.2."""


def digit_of(content_type: str, body: bytes) -> str | None:
    """The digit that an INFO carries, or None if it is about something else."""
    if content_type.partition(";")[0].strip().lower() not in TYPES:
        return None
    found = _SIGNAL.search(body)
    if found is None:
        return None
    digit = found[1].decode("ascii").upper()
    return _CODES.get(digit, digit)
