"""Keep-alives over UDP: the answer to a STUN Binding request on the SIP port (RFC 5626 section 8, RFC 8489).

Only what a flow's owner needs: its address as seen from here, so that it notices when a NAT gives it another.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

COOKIE: Final = b"\x21\x12\xa4\x42"  # RFC 8489 section 5
_BINDING_REQUEST: Final = b"\x00\x01"
_BINDING_SUCCESS: Final = b"\x01\x01"
_XOR_MAPPED_ADDRESS: Final = b"\x00\x20"  # RFC 8489 section 14.2
HEAD: Final = 20
MAX_REQUEST: Final = 548  # RFC 8489 section 6.1: a request fits the smallest path when its MTU is not known


def is_stun(data: bytes) -> bool:
    """Whether a datagram is STUN and no SIP: its first two bits are zero, and the cookie is there."""
    return HEAD <= len(data) <= MAX_REQUEST and data[0] < 0x40 and data[4:8] == COOKIE


def answer(data: bytes, source: tuple[str, int]) -> bytes | None:
    """The answer to a Binding request from ``source`` (IP literal, port); None for anything else."""
    length = int.from_bytes(data[2:4], "big")
    if not is_stun(data) or data[:2] != _BINDING_REQUEST or length % 4 or length != len(data) - HEAD:
        return None
    try:
        address = ip_address(source[0].partition("%")[0])
    except ValueError:
        return None
    packed = address.packed
    mask = data[4:HEAD]  # the cookie, and for IPv6 the transaction ID too
    xored = bytes([byte ^ other for byte, other in zip(packed, mask, strict=False)])
    port = (source[1] ^ int.from_bytes(COOKIE[:2], "big")).to_bytes(2, "big")
    family = b"\x00\x01" if address.version == 4 else b"\x00\x02"
    value = family + port + xored
    attribute = _XOR_MAPPED_ADDRESS + len(value).to_bytes(2, "big") + value
    return _BINDING_SUCCESS + len(attribute).to_bytes(2, "big") + data[4:HEAD] + attribute
