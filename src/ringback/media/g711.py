"""G.711 by table: mu-law and A-law to 16-bit samples and back, and each to the other (ITU-T G.711)."""

from __future__ import annotations

from array import array
from typing import Final

ULAW_SILENCE: Final = 0xFF
ALAW_SILENCE: Final = 0xD5

_BIAS: Final = 132  # 33 in the 14-bit scale of G.711 table 2a


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


def _ulaw_codes() -> bytes:
    """The code of each sample from -32768 to 32767: sixteen steps in each of eight segments, each twice as wide."""
    runs = b"".join(
        bytes([~(segment << 4 | step) & 0xFF]) * (8 << segment) for segment in range(8) for step in range(16)
    )
    positive = runs[_BIAS - 128 :].ljust(0x8001, runs[-1:])  # magnitudes 0 to 32768; the last are clipped
    negative = bytes(code & 0x7F for code in positive)
    return negative[:0:-1] + positive[:-1]


def _alaw_codes() -> bytes:
    """As `_ulaw_codes`; the first two segments are equally wide, and -1 is the negative zero."""
    codes = [(segment << 4 | step) ^ 0x55 for segment in range(8) for step in range(16)]
    runs = b"".join(bytes([code]) * (16 << max(0, place // 16 - 1)) for place, code in enumerate(codes))
    return runs[::-1] + bytes(code | 0x80 for code in runs)


ULAW_TO_LINEAR: Final = array("h", (_expand_ulaw(code) for code in range(256)))
ALAW_TO_LINEAR: Final = array("h", (_expand_alaw(code) for code in range(256)))
LINEAR_TO_ULAW: Final = _ulaw_codes()
"""By sample + 32768."""
LINEAR_TO_ALAW: Final = _alaw_codes()
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
