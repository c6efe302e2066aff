"""The playout buffer of a mixer's member."""

from __future__ import annotations

from array import array

from ringback.rtp.playout import CAPACITY, DELAY, FRAME, PlayoutBuffer


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
    assert subject.read() == SILENCE


def test_a_lost_packet_is_a_gap() -> None:
    subject = PlayoutBuffer()
    subject.write(1, 0, ramp(0))
    subject.write(1, 2 * FRAME, ramp(2 * FRAME))
    frames = [subject.read() for _ in range(5)]
    assert frames[2:] == [ramp(0), SILENCE, ramp(2 * FRAME)]


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
        assert [subject.read() for _ in range(4)] == [SILENCE, SILENCE, ramp(7), SILENCE]


def test_a_packet_larger_than_the_room_is_cut() -> None:
    subject = PlayoutBuffer()
    subject.write(1, 0, ramp(0, CAPACITY))
    frames = [subject.read() for _ in range(CAPACITY // FRAME + 1)]
    assert frames[2] == ramp(0)
    assert frames[-1] == SILENCE
