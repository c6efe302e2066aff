"""The pump's contract, on both twins: clips that it plays, and digits that it tells and sends."""

from __future__ import annotations

import cmath
import time
from itertools import pairwise

import pytest
from pump_scene import TELEPHONE_EVENT, Setup, is_pure, setup

from ringback.media import UnknownPort, UsageError
from ringback.media.g711 import ALAW_TO_ULAW, ULAW_TO_ALAW, decode_ulaw
from ringback.media.tones import hear_digits
from ringback.rtp.dtmf import DtmfReceiver, Event
from ringback.rtp.packet import sequence_step, timestamp_step

__all__ = ["is_pure", "setup"]


def test_play_sends_frames_of_20_ms_and_says_when_it_is_done(setup: Setup) -> None:
    a, phone_a = setup.leg()
    setup.pump.play(a.id, 42, bytes(range(200)) + b"\x00" * 150, 1)
    heard = [phone_a.hear() for _ in range(3)]
    assert b"".join(packet.payload for packet in heard) == bytes(range(200)) + b"\x00" * 150 + b"\xff" * 130
    assert [packet.marker for packet in heard] == [True, False, False]
    assert [sequence_step(heard[0].sequence, packet.sequence) for packet in heard] == [0, 1, 2]
    assert [timestamp_step(heard[0].timestamp, packet.timestamp) for packet in heard] == [0, 160, 320]
    assert setup.ear.kind("played")[0] == ("played", a.id, 42, False)


def test_play_is_paced(setup: Setup) -> None:
    a, phone_a = setup.leg()
    began = time.monotonic()
    setup.pump.play(a.id, 1, bytes(160 * 16), 1)
    for _ in range(16):
        phone_a.hear()
    assert time.monotonic() - began >= 0.28  # 15 intervals of 20 ms, the first began already


def test_play_loops_without_a_seam_until_stopped(setup: Setup) -> None:
    a, phone_a = setup.leg(codec="PCMA", payload_type=8)
    setup.pump.play(a.id, 7, b"\x01" * 100 + b"\x02" * 100, 0)
    heard = b"".join(phone_a.hear().payload for _ in range(5)).translate(ALAW_TO_ULAW)
    line = (b"\x01" * 100 + b"\x02" * 100) * 4
    assert heard == line.translate(ULAW_TO_ALAW).translate(ALAW_TO_ULAW)
    setup.pump.stop(a.id)
    assert setup.ear.kind("played")[0] == ("played", a.id, 7, True)


def test_play_twice_means_two_loops(setup: Setup) -> None:
    a, phone_a = setup.leg()
    setup.pump.play(a.id, 1, b"\x05" * 160, 2)
    assert [phone_a.hear().payload[0] for _ in range(2)] == [5, 5]
    setup.ear.wait(lambda event: event == ("played", a.id, 1, False))
    assert setup.pump.stats(a.id).packets_out == 2


def test_play_of_nothing_is_done_at_once(setup: Setup) -> None:
    a, _ = setup.leg()
    setup.pump.play(a.id, 3, b"", 0)
    assert setup.ear.kind("played")[0] == ("played", a.id, 3, False)


def test_play_replaces_what_plays(setup: Setup) -> None:
    a, phone_a = setup.leg()
    setup.pump.play(a.id, 1, b"\x01" * 1600, 0)
    phone_a.hear()
    setup.pump.play(a.id, 2, b"\x02" * 160, 1)
    assert phone_a.hear_until(lambda packet: packet.payload[0] == 2).payload == b"\x02" * 160
    assert setup.ear.kind("played", 2) == [("played", a.id, 1, True), ("played", a.id, 2, False)]


def test_play_goes_before_the_relay_in_one_steady_stream(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    phone_a.say(a, b"\x01" * 160)
    heard = [phone_b.hear()]
    setup.pump.play(b.id, 1, b"\x02" * 800, 1)
    phone_a.say(a, b"\x03" * 160)  # not heard: something plays
    heard += [phone_b.hear() for _ in range(5)]
    setup.ear.kind("played")
    phone_a.say(a, b"\x04" * 160)
    heard.append(phone_b.hear())
    assert [packet.payload[0] for packet in heard] == [1, 2, 2, 2, 2, 2, 4]
    assert len({packet.ssrc for packet in heard}) == 1
    steps = [sequence_step(one.sequence, two.sequence) for one, two in pairwise(heard)]
    assert steps == [1] * 6
    times = [timestamp_step(one.timestamp, two.timestamp) for one, two in pairwise(heard)]
    assert all(step >= 160 for step in times)
    assert [packet.marker for packet in heard] == [True, True, False, False, False, False, True]


def test_a_digit_is_told_once_with_its_length_and_relayed_under_the_peers_number(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg(dtmf_payload_type=96)
    setup.pump.connect(a.id, b.id)
    for duration in (160, 320, 480):
        phone_a.event(a, 5, False, duration)
    for _ in range(3):
        phone_a.event(a, 5, True, 640)
    heard = [phone_b.hear() for _ in range(6)]
    assert {packet.payload_type for packet in heard} == {96}
    assert len({packet.timestamp for packet in heard}) == 1
    assert Event.parse(heard[-1].payload) == Event(5, True, 10, 640)
    phone_a.timestamp = (phone_a.timestamp + 1600) & 0xFFFFFFFF
    phone_a.event(a, 11, True, 800)
    assert setup.ear.kind("digit", 2) == [("digit", a.id, "5", 80), ("digit", a.id, "#", 100)]


def test_a_digit_whose_end_is_lost_is_told_after_a_moment(setup: Setup) -> None:
    a, phone_a = setup.leg()
    phone_a.event(a, 10, False, 400)
    assert setup.ear.kind("digit") == [("digit", a.id, "*", 50)]


def test_a_long_digit_in_segments_is_one_and_a_new_digit_ends_the_one_before(setup: Setup) -> None:
    a, phone_a = setup.leg()
    phone_a.event(a, 1, False, 0xFFFF)  # RFC 4733 section 2.5.1.3
    phone_a.timestamp = (phone_a.timestamp + 0xFFFF) & 0xFFFFFFFF
    phone_a.event(a, 1, False, 801)
    phone_a.timestamp = (phone_a.timestamp + 1600) & 0xFFFFFFFF
    phone_a.event(a, 2, True, 400)
    phone_a.timestamp = (phone_a.timestamp - 1600) & 0xFFFFFFFF
    phone_a.event(a, 1, True, 1000)  # too late
    phone_a.event(a, 16, True, 1000)  # a hook flash is no digit
    phone_a.timestamp = (phone_a.timestamp + 3200) & 0xFFFFFFFF
    phone_a.event(a, 3, True, 400)
    assert setup.ear.kind("digit", 3) == [
        ("digit", a.id, "1", (0xFFFF + 801) // 8),
        ("digit", a.id, "2", 50),
        ("digit", a.id, "3", 50),
    ]


def test_digits_are_spelt_as_telephone_events(setup: Setup) -> None:
    a, phone_a = setup.leg()
    setup.pump.send_digits(a.id, "1wb", 8)
    receiver, digits, heard = DtmfReceiver(), [], []
    while len(digits) < 2:
        packet = phone_a.hear()
        assert packet.payload_type == TELEPHONE_EVENT
        heard.append(packet)
        digits += receiver.receive(packet.timestamp, packet.payload, time.monotonic())
    assert digits == [("1", 100), ("B", 100)]
    assert [packet.marker for packet in heard[:7]] == [True] + [False] * 6
    ends = [Event.parse(packet.payload) for packet in heard[:7]]
    assert [event.ended for event in ends if event] == [False] * 4 + [True] * 3
    between = timestamp_step(heard[0].timestamp, heard[7].timestamp)
    assert between >= 5600  # 0.2 s of the digit and 0.5 s of the pause
    assert setup.ear.kind("played")[0] == ("played", a.id, 8, False)


def test_digits_are_tones_where_the_peer_has_no_telephone_events(setup: Setup) -> None:
    a, phone_a = setup.leg(dtmf_payload_type=None, dtmf_receive_payload_type=None)
    setup.pump.send_digits(a.id, "5", 1)
    frames = [phone_a.hear() for _ in range(5)]
    assert {packet.payload_type for packet in frames} == {0}
    samples = decode_ulaw(b"".join(packet.payload for packet in frames))

    def power(frequency: float) -> float:
        turn = -2j * cmath.pi * frequency / 8000
        return abs(sum(sample * cmath.exp(turn * n) for n, sample in enumerate(samples))) / len(samples)

    assert min(power(770), power(1336)) > 2000 > 10 * max(power(697), power(1477), power(941))


def test_a_digit_is_relayed_as_a_tone_where_the_other_leg_has_no_events(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg(dtmf_payload_type=None)
    setup.pump.connect(a.id, b.id)
    phone_a.event(a, 9, True, 800)
    frames = [phone_b.hear() for _ in range(5)]
    assert {packet.payload_type for packet in frames} == {0}
    assert max(decode_ulaw(frames[0].payload)) > 8000


def test_quick_digits_are_all_relayed_as_tones(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg(dtmf_payload_type=None, dtmf_receive_payload_type=None)
    setup.pump.connect(a.id, b.id)
    for code in (1, 2, 3, 4):  # all in less time than one takes as a tone
        phone_a.event(a, code, True, 400)
        phone_a.timestamp = (phone_a.timestamp + 800) & 0xFFFFFFFF
    heard = b"".join(phone_b.hear().payload for _ in range(40))
    assert hear_digits(heard) == "1234"


@pytest.mark.parametrize("has_events", [True, False])
def test_keys_that_came_by_signalling_are_spelt_to_the_connected_port(setup: Setup, has_events: bool) -> None:
    number = 96 if has_events else None
    a, _ = setup.leg()
    b, phone_b = setup.leg(dtmf_payload_type=number, dtmf_receive_payload_type=number)
    setup.pump.press(a.id, "1")  # nobody is connected
    setup.pump.connect(a.id, b.id)
    for digit in "7*":
        setup.pump.press(a.id, digit)
    if has_events:
        receiver, digits = DtmfReceiver(), ""
        while len(digits) < 2:
            packet = phone_b.hear()
            assert packet.payload_type == 96
            digits += "".join(digit for digit, _ in receiver.receive(packet.timestamp, packet.payload, 0.0))
    else:
        digits = hear_digits(b"".join(phone_b.hear().payload for _ in range(20)))
    assert digits == "7*"
    for wrong in ("", "12", "w", "x"):
        with pytest.raises(UsageError):
            setup.pump.press(a.id, wrong)
    setup.pump.close_port(a.id)
    with pytest.raises(UnknownPort):
        setup.pump.press(a.id, "1")


def test_stop_ends_digits(setup: Setup) -> None:
    a, phone_a = setup.leg()
    setup.pump.send_digits(a.id, "0" * 50, 4)
    phone_a.hear()
    setup.pump.stop(a.id)
    assert setup.ear.kind("played")[0] == ("played", a.id, 4, True)
