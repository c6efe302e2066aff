"""One steady stream from changing origins."""

from __future__ import annotations

import pytest

from ringback.rtp.outbound import OutboundStream

A = (1, 0xAAAA)


def stream() -> OutboundStream:
    return OutboundStream(5, 65535, 0xFFFFFFB0)


def test_frames_go_on_across_the_wraps() -> None:
    subject = stream()
    stamps = [subject.frame(160, 160, 0.02 * n) for n in range(3)]
    assert stamps == [(65535, 0xFFFFFFB0, True), (0, 80, False), (1, 240, False)]
    assert (subject.packets, subject.octets) == (3, 480)


def test_a_pause_advances_the_timestamp_and_marks_the_next_frame() -> None:
    subject = stream()
    subject.frame(160, 160, 1.0)
    assert subject.frame(160, 160, 3.0) == (0, 0xFFFFFFB0 + 16000 - 2**32, True)


def test_a_late_tick_does_not_break_a_talk_spurt() -> None:
    subject = stream()
    subject.frame(160, 160, 1.0)
    assert subject.frame(160, 160, 1.029).marker is False


def test_a_relayed_packet_follows_a_frame() -> None:
    subject = stream()
    subject.frame(160, 160, 1.0)
    first = subject.relay(A, 700, 9000, False, 160, 160, 1.02)
    second = subject.relay(A, 702, 9320, False, 160, 160, 1.06)
    assert (first, second) == ((0, 80, True), (2, 400, False))
    assert subject.frame(160, 160, 1.08) == (3, 560, True)


def test_reordered_packets_keep_their_place_and_older_ones_are_dropped() -> None:
    subject = stream()
    base = subject.relay(A, 100, 1000, False, 160, 160, 0.0)
    assert base is not None
    later = subject.relay(A, 102, 1320, False, 160, 160, 0.01)
    middle = subject.relay(A, 101, 1160, False, 160, 160, 0.02)
    assert (later, middle) == ((1, 240, False), (0, 80, False))
    assert subject.relay(A, 99, 840, False, 160, 160, 0.03) is None
    assert subject.frame(160, 160, 0.04).sequence == 2


@pytest.mark.parametrize(("sequence", "timestamp"), [(5000, 1160), (101, 1160 + 100_000)])
def test_a_leap_of_the_same_source_is_bridged(sequence: int, timestamp: int) -> None:
    subject = stream()
    subject.relay(A, 100, 1000, False, 160, 160, 0.0)
    assert subject.relay(A, sequence, timestamp, False, 160, 160, 0.02) == (0, 80, True)


def test_a_long_relay_wraps_many_times() -> None:
    subject = OutboundStream(5, 10, 0)
    for n in range(200_000):
        stamp = subject.relay(A, n & 0xFFFF, 160 * n & 0xFFFFFFFF, False, 160, 160, 0.02 * n)
        assert stamp is not None
    assert stamp.sequence == (199_999 + 10) & 0xFFFF


def test_packets_of_an_event_share_its_start_and_audio_resumes_after_it() -> None:
    subject = stream()
    subject.frame(160, 160, 0.0)
    start = subject.begin_event(0.02)
    stamps = [subject.event(start, 160 * (n + 1), n == 0, 0.02 * (n + 1)) for n in range(5)]
    assert {stamp.timestamp for stamp in stamps} == {80}
    assert [stamp.sequence for stamp in stamps] == [0, 1, 2, 3, 4]
    assert [stamp.marker for stamp in stamps] == [True, False, False, False, False]
    assert subject.frame(160, 160, 0.2) == (5, 80 + 1440, True)


def test_the_timestamp_of_a_moment() -> None:
    subject = OutboundStream(1, 1, 1000)
    assert subject.timestamp_at(5.0) == 1000
    subject.frame(160, 160, 5.0)
    assert subject.timestamp_at(5.5) == 5000
