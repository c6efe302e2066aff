"""The E-model's score."""

from __future__ import annotations

import pytest

from ringback.rtp.quality import mos, mos_of, rating


def test_the_ends_of_the_scale() -> None:
    assert (mos(-5.0), mos(0.0), mos(100.0), mos(120.0)) == (1.0, 1.0, 4.5, 4.5)


@pytest.mark.parametrize(
    ("r", "score"), [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)]
)
def test_g107_table_b1(r: float, score: float) -> None:
    """ITU-T G.107 annex B, table B.1."""
    assert mos(r) == pytest.approx(score, abs=0.01)


def test_the_default_connection() -> None:
    assert rating(0.0, 0.0) == pytest.approx(93.2)
    assert mos(rating(0.0, 0.0)) == pytest.approx(4.41, abs=0.01)


def test_delay_hurts_more_beyond_its_knee() -> None:
    before = rating(0.1, 0) - rating(0.15, 0)
    after = rating(0.3, 0) - rating(0.35, 0)
    assert before == pytest.approx(1.2)
    assert after == pytest.approx(1.2 + 5.5)


def test_loss_of_five_percent_with_concealment() -> None:
    assert rating(0.0, 0.05) == pytest.approx(93.2 - 95 * 5 / 30.1)


def test_more_loss_jitter_or_delay_is_never_better() -> None:
    scores = [mos_of(loss=loss / 100, jitter=0.0, round_trip=None) for loss in range(101)]
    assert scores == sorted(scores, reverse=True)
    assert mos_of(loss=0, jitter=0.1, round_trip=0.0) < mos_of(loss=0, jitter=0.0, round_trip=0.0)
    assert mos_of(loss=0, jitter=0.0, round_trip=0.8) < mos_of(loss=0, jitter=0.0, round_trip=0.1)
    assert min(scores) >= 1.0
