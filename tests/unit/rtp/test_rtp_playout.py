"""The playout buffer of a mixer's member."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from ringback.rtp.playout import CAPACITY, DELAY, FADE, FRAME, JOIN, MOST, PlayoutBuffer


def ramp(start: int, size: int = FRAME) -> array[int]:
    return array("h", [(start + n) % 30000 + 1 for n in range(size)])


SILENCE = array("h", bytes(2 * FRAME))


def test_nothing_written_is_silence() -> None:
    assert PlayoutBuffer().read() == SILENCE


def test_audio_comes_out_after_the_delay_in_order_of_timestamps() -> None:
    subject = PlayoutBuffer()
    start = 0xFFFFFFFF - 100
    for n in (0, 2, 1):
        subject.write(1, (start + n * FRAME) & 0xFFFFFFFF, ramp(n * FRAME))
    assert [subject.read() for _ in range(DELAY // FRAME)] == [SILENCE] * 2
    assert [subject.read() for _ in range(3)] == [ramp(0), ramp(FRAME), ramp(2 * FRAME)]
    assert [subject.read() for _ in range(4)][-1] == SILENCE


def test_what_is_lost_sounds_like_what_was_before_and_fades_away() -> None:
    turn, peak = 2 * math.pi * 440 / 8000, 8000
    line = array("h", [round(peak * math.sin(turn * n)) for n in range(20 * FRAME)])
    subject, heard = PlayoutBuffer(), array("h")
    for n in range(20):
        if n not in (3, 6, 7, 11, 12, 13, 14):
            subject.write(1, n * FRAME, line[n * FRAME : (n + 1) * FRAME])
        heard += subject.read()
    heard = heard[DELAY:]
    frames = [heard[n * FRAME : (n + 1) * FRAME] for n in range(18)]
    louds = [max(map(abs, frame)) / peak for frame in frames]
    assert [n for n in range(18) if louds[n] < 0.8] == [7, 12, 13, 14]
    assert louds[11] > louds[12] > louds[13] > louds[14] == 0
    assert frames[4][JOIN:] == line[4 * FRAME + JOIN : 5 * FRAME]
    assert max(abs(one - two) for one, two in pairwise(heard[: 15 * FRAME])) <= peak * turn * 1.3


def test_odd_sizes_and_many_rounds() -> None:
    subject = PlayoutBuffer()
    heard, written = array("h"), array("h")
    for n in range(200):
        piece = ramp(n * 240, 240)
        subject.write(1, 77 + n * 240, piece)
        written += piece
        for _ in range(2 if n % 2 else 1):
            heard += subject.read()
    assert heard[DELAY:] == written[: len(heard) - DELAY]


def test_a_late_packet_is_dropped_and_five_in_a_row_start_anew() -> None:
    subject = PlayoutBuffer()
    subject.write(1, 10_000, ramp(0))
    for n in range(5):
        subject.write(1, n * FRAME, ramp(0))
    assert subject.read() == SILENCE
    subject.write(1, 5 * FRAME, ramp(5))
    assert [subject.read() for _ in range(3)] == [SILENCE, SILENCE, ramp(5)]


def test_a_leap_or_a_new_source_starts_anew() -> None:
    for ssrc, timestamp in ((1, 50_000_000), (2, 160)):
        subject = PlayoutBuffer()
        subject.write(1, 0, ramp(0))
        subject.write(ssrc, timestamp, ramp(7))
        assert [subject.read() for _ in range(3)] == [SILENCE, SILENCE, ramp(7)]


def test_a_packet_larger_than_the_room_is_cut() -> None:
    subject = PlayoutBuffer()
    subject.write(1, 0, ramp(0, CAPACITY))
    frames = [subject.read() for _ in range((CAPACITY + FADE) // FRAME + 1)]
    assert frames[2] == ramp(0)
    assert frames[-1] == SILENCE


def far_end(
    rate: float, seconds: float, voice: Callable[[int], array[int]]
) -> Iterator[tuple[int, array[int]]]:
    """Each frame that is played, and the number of the newest packet, where a source's clock ticks so often a second."""
    subject = PlayoutBuffer()
    sent = 0
    for tick in range(round(50 * seconds)):
        while sent * FRAME / rate <= tick * FRAME / 8000:
            subject.write(1, sent * FRAME, voice(sent))
            sent += 1
        yield sent, subject.read()


@pytest.mark.parametrize("rate", [7990.0, 7999.0, 8000.0, 8001.0, 8010.0])
def test_ten_minutes_of_a_clock_that_is_fast_or_slow_neither_add_delay_nor_gaps(rate: float) -> None:
    heard = list(far_end(rate, 600, lambda n: array("h", [n + 1]) * FRAME))[DELAY // FRAME :]
    assert {frame[0] > 0 < frame[-1] for _, frame in heard} == {True}
    assert {0 <= newest - frame[-1] <= MOST // FRAME for newest, frame in heard} == {True}


@pytest.mark.parametrize("rate", [7990.0, 8010.0])
def test_a_clock_that_is_fast_or_slow_makes_no_clicks(rate: float) -> None:
    turn, peak = 2 * math.pi * 440 / 8000, 8000
    frames = far_end(
        rate, 60, lambda n: array("h", [round(peak * math.sin(turn * (n * FRAME + m))) for m in range(FRAME)])
    )
    heard = [sample for _, frame in frames for sample in frame]
    assert max(abs(one - two) for one, two in pairwise(heard)) <= peak * turn * 1.1


def test_sound_that_a_network_held_up_is_played_and_its_delay_is_given_back() -> None:
    subject = PlayoutBuffer()
    heard: list[int] = []
    for tick in range(500):
        stuck = 100 <= tick < 108
        for number in [] if stuck else range(100, 109) if tick == 108 else [tick]:
            subject.write(1, number * FRAME, array("h", [number + 1]) * FRAME)
        heard.append(subject.read()[-1])
    assert set(range(90, 120)) <= set(heard)
    assert heard[-1] > 500 - MOST // FRAME


def test_after_silence_a_packet_at_the_wrong_time_waits_as_the_first_did() -> None:
    for timestamp in (3 * FRAME, 12 * FRAME):  # late, and with more delay than is needed
        subject = PlayoutBuffer()
        subject.write(1, 0, ramp(0))
        for _ in range(6):
            subject.read()
        subject.write(1, timestamp, ramp(7))
        assert [subject.read() for _ in range(3)] == [SILENCE, SILENCE, ramp(7)]
