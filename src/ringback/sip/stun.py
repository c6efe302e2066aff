"""Keep-alives over UDP: the answer to a STUN Binding request on the SIP port (RFC 5626 section 4.4.2, RFC 8489).

Only what a flow's owner needs: its address as seen from here, so that it notices when a NAT gives it another. Nobody proves
who he is with it, so credentials are passed over. An answer is at most ``EXCESS`` bytes longer than what it answers.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from zlib import crc32

COOKIE: Final = b"\x21\x12\xa4\x42"  # RFC 8489 section 5
_BINDING_REQUEST: Final = b"\x00\x01"
_BINDING_SUCCESS: Final = b"\x01\x01"
_BINDING_ERROR: Final = b"\x01\x11"
_XOR_MAPPED_ADDRESS: Final = 0x0020  # RFC 8489 section 14.2
_ERROR_CODE: Final = 0x0009
_UNKNOWN_ATTRIBUTES: Final = 0x000A
_UNKNOWN: Final = b"\x00\x00\x04\x14Unknown Attribute"  # 420, RFC 8489 section 14.8
_INTEGRITY: Final = frozenset((0x0008, 0x001C))
"""MESSAGE-INTEGRITY and its successor: what follows them counts for nothing (RFC 8489 section 14.5)."""
_FINGERPRINT: Final = 0x8028
_FINGERPRINT_MASK: Final = 0x5354554E  # RFC 8489 section 14.7
_OPTIONAL: Final = 0x8000  # from here on attributes need not be understood, RFC 8489 section 14
_KNOWN: Final = (
    frozenset((0x0001, 0x0006, 0x0009, 0x000A, 0x0014, 0x0015, 0x001D, 0x001E, 0x0020)) | _INTEGRITY
)
"""What RFC 8489 section 18.3 names and requires to be understood; what is not expected in a request is passed over."""
HEAD: Final = 20
MAX_REQUEST: Final = 548  # RFC 8489 section 6.1: a request fits the smallest path when its MTU is not known
EXCESS: Final = 32


def is_stun(data: bytes) -> bool:
    """Whether a datagram is STUN and no SIP: its first two bits are zero, and the cookie is there."""
    return HEAD <= len(data) <= MAX_REQUEST and data[0] < 0x40 and data[4:8] == COOKIE


def answer(data: bytes, source: tuple[str, int]) -> bytes | None:
    """The answer to a Binding request from ``source`` (IP literal, port); None for anything else.

    420 names the attributes that had to be understood and are not (RFC 8489 section 6.3.1).
    """
    length = int.from_bytes(data[2:4], "big")
    if not is_stun(data) or data[:2] != _BINDING_REQUEST or length % 4 or length != len(data) - HEAD:
        return None
    unknown = _unknown_attributes(data)
    if unknown is None:
        return None
    if unknown:
        listed = b"".join([kind.to_bytes(2, "big") for kind in unknown])
        attributes = _attribute(_ERROR_CODE, _UNKNOWN) + _attribute(_UNKNOWN_ATTRIBUTES, listed)
        return _BINDING_ERROR + len(attributes).to_bytes(2, "big") + data[4:HEAD] + attributes
    try:
        address = ip_address(source[0].partition("%")[0])
    except ValueError:
        return None
    packed = address.packed
    mask = data[4:HEAD]  # the cookie, and for IPv6 the transaction ID too
    xored = bytes([byte ^ other for byte, other in zip(packed, mask, strict=False)])
    port = (source[1] ^ int.from_bytes(COOKIE[:2], "big")).to_bytes(2, "big")
    family = b"\x00\x01" if address.version == 4 else b"\x00\x02"
    attributes = _attribute(_XOR_MAPPED_ADDRESS, family + port + xored)
    return _BINDING_SUCCESS + len(attributes).to_bytes(2, "big") + data[4:HEAD] + attributes


def _unknown_attributes(data: bytes) -> list[int] | None:
    """Those that had to be understood, each once; None for what is no STUN after all (RFC 8489 sections 6.3, 14.7)."""
    unknown: list[int] = []
    is_covered = True
    at = HEAD
    while at < len(data):
        kind, length = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 4], "big")
        end = at + 4 + length + -length % 4
        if end > len(data):
            return None
        if kind == _FINGERPRINT:
            right = (crc32(data[:at]) ^ _FINGERPRINT_MASK).to_bytes(4, "big")
            return unknown if data[at + 4 :] == right else None  # the last one, or none
        if is_covered and kind < _OPTIONAL and kind not in _KNOWN and kind not in unknown:
            unknown.append(kind)
        is_covered = is_covered and kind not in _INTEGRITY
        at = end
    return unknown


def _attribute(kind: int, value: bytes) -> bytes:
    padding = b"\0" * (-len(value) % 4)
    return kind.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value + padding
