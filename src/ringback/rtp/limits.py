"""Limits on what a peer controls, each with its reason."""

from __future__ import annotations

from typing import Final

MAX_DATAGRAM: Final = 1500
"""Bytes of a datagram: an Ethernet frame's payload; G.711 at 60 ms needs 492, so more is no telephony."""

MAX_RTCP_ITEMS: Final = 64
"""Packets in one compound, and items in one SDES: a call has two sources."""

MAX_DIGITS: Final = 256
"""Digits of one order to send: at 0.2 s each nearly a minute."""

MAX_CANDIDATES: Final = 8
"""Sources watched before the lock: enough that a few strangers cannot push the real one out."""
