"""G.711 by table: mu-law and A-law to 16-bit samples and back, and each to the other (ITU-T G.711)."""

from __future__ import annotations

from array import array
from typing import Final

ULAW_SILENCE: Final = 0xFF
ALAW_SILENCE: Final = 0xD5

_BIAS: Final = 132  # 33 in the 14-bit scale of G.711 table 2a
_CLIP: Final = 32635


def _expand_ulaw(code: int) -> int:
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + _BIAS << (code >> 4 & 7)) - _BIAS
    return -magnitude if code & 0x80 else magnitude


def _expand_alaw(code: int) -> int:
    code ^= 0x55  # even bits are inverted on the line, G.711 section 3.2
    segment, mantissa = code >> 4 & 7, code & 0x0F
    magnitude = (mantissa << 4) + 8
    if segment:
        magnitude = magnitude + 0x100 << segment - 1
    return magnitude if code & 0x80 else -magnitude


def _compress_ulaw(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), _CLIP) + _BIAS
    segment = magnitude.bit_length() - 8
    return ~(sign | segment << 4 | magnitude >> segment + 3 & 0x0F) & 0xFF


def _compress_alaw(sample: int) -> int:
    sign = 0x80 if sample >= 0 else 0
    magnitude = min(sample if sample >= 0 else ~sample, 0x7FFF)
    segment = max(0, magnitude.bit_length() - 8)
    mantissa = magnitude >> (segment + 3 if segment else 4) & 0x0F
    return (sign | segment << 4 | mantissa) ^ 0x55


ULAW_TO_LINEAR: Final = array("h", (_expand_ulaw(code) for code in range(256)))
ALAW_TO_LINEAR: Final = array("h", (_expand_alaw(code) for code in range(256)))
LINEAR_TO_ULAW: Final = bytes(_compress_ulaw(sample - 0x8000) for sample in range(0x10000))
"""By sample + 32768."""
LINEAR_TO_ALAW: Final = bytes(_compress_alaw(sample - 0x8000) for sample in range(0x10000))
"""By sample + 32768."""
ULAW_TO_ALAW: Final = bytes(LINEAR_TO_ALAW[sample + 0x8000] for sample in ULAW_TO_LINEAR)
"""For bytes.translate."""
ALAW_TO_ULAW: Final = bytes(LINEAR_TO_ULAW[sample + 0x8000] for sample in ALAW_TO_LINEAR)
"""For bytes.translate."""


def decode_ulaw(data: bytes) -> array[int]:
    """Mu-law to samples."""
    return array("h", map(ULAW_TO_LINEAR.__getitem__, data))


def encode_ulaw(samples: array[int] | list[int]) -> bytes:
    """Samples (-32768 to 32767) to mu-law."""
    return bytes(LINEAR_TO_ULAW[sample + 0x8000] for sample in samples)


def decode_alaw(data: bytes) -> array[int]:
    """A-law to samples."""
    return array("h", map(ALAW_TO_LINEAR.__getitem__, data))


def encode_alaw(samples: array[int] | list[int]) -> bytes:
    """Samples (-32768 to 32767) to A-law."""
    return bytes(LINEAR_TO_ALAW[sample + 0x8000] for sample in samples)
