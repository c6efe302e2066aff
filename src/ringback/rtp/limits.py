"""Limits on what a peer controls, each with its reason."""

from __future__ import annotations

from typing import Final

MAX_DATAGRAM: Final = 1500
"""Bytes of a datagram: an Ethernet frame's payload; G.711 at 60 ms needs 492, so more is no telephony."""

MAX_RTCP_ITEMS: Final = 64
"""Packets in one compound, and items in one SDES: a call has two sources."""

MAX_DIGITS: Final = 256
"""Digits of one order to send: at 0.2 s each nearly a minute."""

MAX_FRAMES: Final = 400
"""Frames of 20 ms (or packets with less) at once that are told to Python, or taken of a port that may be ours: what a network
held up for eight seconds."""

FRAME_RATE: Final = 500
"""Frames a second beyond that: packets of 10 ms with telephone events beside them are 150. Others are not told, since a stream
costs the event loop a tenth of a millisecond for each; and two ports of ours that were announced to each other would send one
packet round for ever."""

MAX_DIGITS_AT_ONCE: Final = 32
"""Digits that a peer may press at once: what a network held up. Each is an event of a call, and ten thousand stop the server."""

DIGIT_RATE: Final = 25
"""Digits a second beyond that: ITU-T Q.24 wants 80 ms for one with the pause after it, half of which a sender may save."""

MAX_CANDIDATES: Final = 8
"""Sources watched before the lock: enough that a few strangers cannot push the real one out."""
