"""Telephone events by the clauses of RFC 4733."""

from __future__ import annotations

import pytest

from ringback.rtp.dtmf import Digit, DtmfReceiver, DtmfSender, Event, Phase, Tick


def ticks(digits: str) -> list[Tick]:
    sender, made = DtmfSender(digits), []
    while (tick := sender.tick()) is not None:
        made.append(tick)
    return made


def test_rfc4733_2_3_payload_format() -> None:
    assert Event(11, True, 10, 800).render() == bytes([11, 0b10001010, 800 >> 8, 800 & 0xFF])
    assert Event.parse(bytes([11, 0b11001010, 3, 32])) == Event(
        11, True, 10, 800
    )  # the reserved bit is ignored


@pytest.mark.parametrize(
    ("digit", "code"), [*((str(n), n) for n in range(10)), ("*", 10), ("#", 11), ("A", 12), ("D", 15)]
)
def test_rfc4733_3_2_event_codes(digit: str, code: int) -> None:
    first = ticks(digit)[0].event
    assert first is not None
    assert first.code == code
    assert DtmfReceiver().receive(0, Event(code, True, 10, 400).render(), 0.0) == [Digit(digit, 50)]


def test_rfc4733_2_5_1_2_duration_grows_with_each_update() -> None:
    durations = [tick.event.duration for tick in ticks("1") if tick.event and tick.phase is Phase.TONE]
    assert durations == [160, 320, 480, 640, 800]


def test_rfc4733_2_5_1_4_the_end_is_sent_three_times_alike() -> None:
    ends = [tick.event for tick in ticks("1") if tick.event and tick.event.ended]
    assert ends == [Event(1, True, 10, 800)] * 3


def test_rfc4733_2_5_1_4_repeated_ends_are_one_digit() -> None:
    receiver, payload = DtmfReceiver(), Event(5, True, 10, 800).render()
    heard = [digit for n in range(3) for digit in receiver.receive(1000, payload, 0.02 * n)]
    assert heard == [Digit("5", 100)]


def test_rfc4733_2_5_1_3_a_long_event_in_segments_is_one_digit() -> None:
    receiver = DtmfReceiver()
    assert receiver.receive(0, Event(5, False, 10, 0xFFFF).render(), 0.0) == []
    assert receiver.receive(0xFFFF, Event(5, False, 10, 160).render(), 0.02) == []
    assert receiver.receive(0xFFFF, Event(5, True, 10, 8001).render(), 1.0) == [
        Digit("5", (0xFFFF + 8001) // 8)
    ]


def test_rfc4733_2_5_2_2_a_new_event_ends_the_one_before_whose_end_was_lost() -> None:
    receiver = DtmfReceiver()
    receiver.receive(0, Event(1, False, 10, 480).render(), 0.0)
    assert receiver.receive(1600, Event(1, False, 10, 160).render(), 0.1) == [Digit("1", 60)]
    assert receiver.receive(1600, Event(1, True, 10, 320).render(), 0.2) == [Digit("1", 40)]


def test_rfc4733_2_5_2_2_an_event_without_its_end_ends_by_time() -> None:
    receiver = DtmfReceiver()
    receiver.receive(0, Event(1, False, 10, 480).render(), 5.0)
    assert receiver.expire(5.1) == []
    assert receiver.expire(5.3) == [Digit("1", 60)]
    assert receiver.expire(9.0) == []
    assert receiver.receive(0, Event(1, True, 10, 800).render(), 5.35) == []  # its late end


def test_rfc4733_2_2_1_a_late_packet_of_an_earlier_event_is_ignored() -> None:
    receiver = DtmfReceiver()
    receiver.receive(1000, Event(1, True, 10, 800).render(), 0.0)
    receiver.receive(3000, Event(2, False, 10, 160).render(), 0.1)
    assert receiver.receive(1000, Event(1, True, 10, 800).render(), 0.12) == []
    assert receiver.receive(3000, Event(2, True, 10, 800).render(), 0.2) == [Digit("2", 100)]


def test_rfc4733_2_2_1_timestamps_wrap() -> None:
    receiver = DtmfReceiver()
    assert receiver.receive(0xFFFFFF00, Event(1, True, 10, 800).render(), 0.0) == [Digit("1", 100)]
    assert receiver.receive(0x00000600, Event(1, True, 10, 800).render(), 0.2) == [Digit("1", 100)]
