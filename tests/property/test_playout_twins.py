"""The playout buffers of both twins give the same samples, whatever comes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.media.g711 import decode_ulaw
from ringback.rtp.playout import PlayoutBuffer

core = pytest.importorskip("ringback.media._core")

Step = tuple[int, int, bytes] | None


def talk(seed: int, rate: float, loss: float, late: float, size: int, seconds: float) -> list[Step]:
    """Packets of a phone and frames that are read, in order of time: its clock is wrong, and the network is bad."""
    dice = random.Random(seed)
    first, ssrc, script = dice.getrandbits(32), 1, []
    for number in range(round(rate * seconds / size)):
        if dice.random() < 0.005:
            ssrc, first = ssrc + dice.randrange(2), dice.getrandbits(32)
        if dice.random() < loss:
            continue
        at = number * size / rate + (dice.expovariate(1 / late) if late else 0.0)
        payload = bytes(dice.randrange(256) for _ in range(4)) * (size // 4)
        for _ in range(1 + (dice.random() < 0.01)):
            script.append((at, (ssrc, (first + number * size) & 0xFFFFFFFF, payload)))
    script += [(0.02 * n, None) for n in range(round(50 * seconds))]
    return [step for _, step in sorted(script, key=lambda timed: timed[0])]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([7900.0, 7990.0, 8000.0, 8010.0, 8100.0]),
    st.sampled_from([0.0, 0.02, 0.3]),
    st.sampled_from([0.0, 0.005, 0.05]),
    st.sampled_from([80, 160, 240, 480]),
)
def test_both_twins_play_the_same(seed: int, rate: float, loss: float, late: float, size: int) -> None:
    script, buffer, expected = talk(seed, rate, loss, late, size, 6.0), PlayoutBuffer(), []
    for step in script:
        if step is None:
            expected.append(buffer.read().tobytes())
        else:
            buffer.write(step[0], step[1], decode_ulaw(step[2]))
    assert core.played(script) == expected
