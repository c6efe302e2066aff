"""Whether somebody speaks."""

from __future__ import annotations

import pytest

from ringback.media import tones
from ringback.media.voice import QUIET_AFTER, Voice

FRAME = 0.02


def run(voice: Voice, sound: bytes, now: float) -> list[tuple[float, bool]]:
    """The moments at which it begins and ends."""
    found = []
    for at in range(0, len(sound), 160):
        moment = now + at / 8000
        if voice.hear(sound[at : at + 160], moment):
            found.append((round(moment - now, 2), voice.speaks))
    return found


@pytest.mark.parametrize(("level", "speaks"), [(-60.0, False), (-46.0, False), (-38.0, True), (-10.0, True)])
def test_speech_is_loud_for_some_frames(level: float, speaks: bool) -> None:
    found = run(Voice(), tones.sine(400, 1.0, level), 0.0)
    assert found == ([(0.08, True)] if speaks else [])


def test_a_click_is_no_speech() -> None:
    assert run(Voice(), tones.sine(400, 2 * FRAME) + tones.silence(1.0), 0.0) == []


def test_pauses_between_words_do_not_end_it_and_a_longer_one_does() -> None:
    word = tones.sine(400, 0.5)
    sound = word + tones.silence(0.8) + word + tones.silence(2.0)
    (_, start), (end, stop) = run(Voice(), sound, 0.0)
    assert (start, stop) == (True, False)
    assert end == pytest.approx(1.8 + QUIET_AFTER, abs=2 * FRAME)


def test_a_far_end_that_sends_nothing_ends_by_the_clock() -> None:
    voice = Voice()
    run(voice, tones.sine(400, 0.5), 10.0)
    assert not voice.on_clock(10.5 + QUIET_AFTER - 0.1)
    assert voice.on_clock(10.5 + QUIET_AFTER)
    assert not voice.speaks
    assert not voice.on_clock(20.0)
