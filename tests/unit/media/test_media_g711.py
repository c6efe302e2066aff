"""G.711 against values of the recommendation and its own inverse."""

from __future__ import annotations

import pytest

from ringback.media import g711


@pytest.mark.parametrize(
    ("code", "sample"),
    [(0xFF, 0), (0x7F, 0), (0x80, 32124), (0x00, -32124), (0xFE, 8), (0x7E, -8), (0xF0, 120)],
)
def test_mulaw_values(code: int, sample: int) -> None:
    """ITU-T G.711 tables 2a and 2b, in 16-bit scale (times four)."""
    assert g711.ULAW_TO_LINEAR[code] == sample


@pytest.mark.parametrize(
    ("code", "sample"), [(0xD5, 8), (0x55, -8), (0xAA, 32256), (0x2A, -32256), (0xD4, 24), (0xC5, 264)]
)
def test_alaw_values(code: int, sample: int) -> None:
    """ITU-T G.711 tables 1a and 1b, in 16-bit scale (times eight)."""
    assert g711.ALAW_TO_LINEAR[code] == sample


def test_every_code_survives_a_round() -> None:
    for code in range(256):
        if code != 0x7F:  # mu-law has two zeros
            assert g711.encode_ulaw(g711.decode_ulaw(bytes([code]))) == bytes([code])
        assert g711.encode_alaw(g711.decode_alaw(bytes([code]))) == bytes([code])


def test_every_sample_is_coded_within_half_a_step() -> None:
    for sample in range(-32768, 32768):
        ulaw = g711.ULAW_TO_LINEAR[g711.LINEAR_TO_ULAW[sample + 32768]]
        alaw = g711.ALAW_TO_LINEAR[g711.LINEAR_TO_ALAW[sample + 32768]]
        assert abs(ulaw - sample) <= (abs(sample) + 132) / 32 + (643 if abs(sample) > 32124 else 0)
        assert abs(alaw - sample) <= max(8, (abs(sample) + 1) / 32)


def test_silence() -> None:
    assert g711.ULAW_TO_LINEAR[g711.ULAW_SILENCE] == 0
    assert abs(g711.ALAW_TO_LINEAR[g711.ALAW_SILENCE]) == 8
