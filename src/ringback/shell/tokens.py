"""Random tokens of SIP: tags, branches and Call-IDs, that nobody may guess (RFC 3261 section 19.3)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

TOKEN_BYTES: Final = 8
DRAWN: Final = 512
"""Tokens that one request to the system gives; a call uses six."""


def tokens() -> Iterator[str]:
    """16 hexadecimal digits at a time, from the system's source of randomness."""
    while True:
        drawn = os.urandom(TOKEN_BYTES * DRAWN).hex()
        for start in range(0, len(drawn), 2 * TOKEN_BYTES):
            yield drawn[start : start + 2 * TOKEN_BYTES]
