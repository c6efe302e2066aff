"""Digits as telephone events and as tones; the clauses of RFC 4733 are in tests/conformance."""

from __future__ import annotations

import pytest

from ringback.rtp import tones
from ringback.rtp.dtmf import DIGIT_TICKS, DIGITS, Digit, DtmfReceiver, DtmfSender, Event, Phase, checked
from ringback.rtp.errors import UsageError
from ringback.rtp.limits import MAX_DIGITS


def test_what_cannot_be_sent_is_refused() -> None:
    for digits in ("12x", "1 2", "é", "1" * (MAX_DIGITS + 1)):
        with pytest.raises(UsageError):
            checked(digits)
    assert checked("1a*wW#") == "1A*wW#"


def test_no_digits_are_done_at_once() -> None:
    assert DtmfSender("").tick() is None


@pytest.mark.parametrize(("pause", "ticks"), [("w", 25), ("W", 50)])
def test_pauses(pause: str, ticks: int) -> None:
    subject = DtmfSender(pause)
    assert [subject.tick() for _ in range(ticks)] == [(Phase.WAIT, pause, n, None) for n in range(ticks)]
    assert subject.tick() is None


def test_what_the_sender_spells_the_receiver_reads_whatever_is_lost() -> None:
    for lost in range(7):
        sender, receiver, heard, at = DtmfSender("1189#"), DtmfReceiver(), [], 0
        start = 0
        while (tick := sender.tick()) is not None:
            at += 1
            if tick.number == 0:
                start = at * 160
            if tick.event is not None and tick.number != lost:
                heard += receiver.receive(start, tick.event.render(), at * 0.02)
        assert heard == [Digit(digit, 100) for digit in "1189#"]


def test_cut_and_foreign_events_are_ignored() -> None:
    receiver = DtmfReceiver()
    assert receiver.receive(0, b"\x01\x80\x00", 0.0) == []
    assert receiver.receive(0, Event(16, True, 10, 800).render(), 0.0) == []  # a hook flash
    assert receiver.receive(0, b"", 0.0) == []


def test_a_peer_whose_timestamps_stand_still_is_understood_after_a_second() -> None:
    receiver = DtmfReceiver()
    payload = Event(1, True, 10, 800).render()
    assert receiver.receive(7, payload, 0.0) == [("1", 100)]
    assert receiver.receive(7, payload, 0.04) == []
    assert receiver.receive(7, payload, 1.5) == [("1", 100)]


def test_tones_have_both_frequencies_and_do_not_clip() -> None:
    for digit in DIGITS:
        samples = tones.samples(digit)
        assert len(samples) == 800
        assert 10_000 < max(map(abs, samples)) < 14_001


def test_a_held_key_is_one_digit_though_packets_are_missing_for_a_moment() -> None:
    receiver, digits = DtmfReceiver(), []
    for n in range(1, 100):  # two seconds, with a hole of 0.3 s
        if not 20 <= n < 35:
            digits += receiver.receive(7, Event(5, n == 99, 10, n * 160).render(), n * 0.02)
        digits += receiver.expire(n * 0.02)
    assert [digit for digit, _ in digits] == ["5"]


def test_digits_that_are_added_while_others_are_spelt_are_spelt_after_them() -> None:
    sender = DtmfSender("1")
    spelt = []
    while (tick := sender.tick()) is not None:
        if tick.number == 0:
            spelt.append(tick.digit)
        if tick.number == 3 and len(spelt) < 3:
            sender.add("2")
    assert spelt == ["1", "2", "2"]
    full = DtmfSender("3" * MAX_DIGITS)
    full.add("4")
    assert sum(1 for _ in iter(full.tick, None)) == MAX_DIGITS * DIGIT_TICKS
