"""What a leg's last line says of its sound."""

from __future__ import annotations

import pytest

from ringback.media.pump import PortStats, quality
from ringback.shell.sound import describe


@pytest.mark.parametrize(
    ("received", "lost", "words"),
    [
        (0, 0, "heard 0 packets, lost 0, jitter 0.0 ms; sent 7 packets"),
        (100, 0, "heard 100 packets, lost 0, jitter 0.0 ms, MOS 4.40; sent 7 packets"),
        (100, -3, "heard 100 packets, lost 0, jitter 0.0 ms, MOS 4.40; sent 7 packets"),
        (
            190,
            10,
            "heard 190 packets, lost 10, jitter 0.0 ms, MOS 3.90 (2.15 without loss concealment); sent 7 packets",
        ),
    ],
)
def test_a_line_has_the_score_of_phones_that_conceal_losses_and_of_others(
    received: int, lost: int, words: str
) -> None:
    """G.107 with a delay of 20 ms: R is 93.2 - 0.48 - 95 * 5 / (5 + Bpl), for 5 % with Bpl 25.1 and 4.3 of G.113."""
    mos = quality(lost=lost, received=received, jitter=0.0, round_trip=None)
    stats = PortStats(received, 0, 7, 0, lost, 0.0, mos, None, None, None, None, 0, 0, 0, None)
    assert describe(stats) == words
