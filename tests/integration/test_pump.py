"""The pump's contract, on both twins: real sockets on the loopback, no sleep."""

from __future__ import annotations

import cmath
import os
import select
import socket
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
from pump_scene import HERE, PORTS, TELEPHONE_EVENT, WAIT, Ear, Setup, is_pure, setup

from ringback.media import PortsExhausted, Pump, UnknownPort, UsageError, create_pump
from ringback.media.g711 import ALAW_TO_ULAW, ULAW_TO_ALAW, decode_ulaw
from ringback.rtp.dtmf import DtmfReceiver, Event
from ringback.rtp.packet import Packet, sequence_step, timestamp_step
from ringback.rtp.rtcp import (
    Bye,
    Description,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    middle,
    ntp_of,
    parse_compound,
    render_compound,
)

__all__ = ["is_pure", "setup"]

OWN = 22000 + os.getpid() % 250 * 8
"""Eight ports of this very process, where a test needs to know which are free."""


# Rest


def threads() -> set[str]:
    """Of this process."""
    return {task.name for task in Path("/proc/self/task").iterdir()}


def naps(thread: str) -> int:
    """How often a thread went to sleep so far."""
    status = Path("/proc/self/task", thread, "status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def rests(pump: Pump, thread: str) -> bool:
    """Whether a while of 15 ticks passes in which the pump does nothing; waits for that."""
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        before = naps(thread)
        select.select([pump.fileno()], [], [], 0.3)
        if naps(thread) == before:
            return True
    return False


def test_a_pump_without_ports_rests_and_wakes_for_the_next(is_pure: bool) -> None:
    """Two pumps that looked around 50 times a second took half a percent of a core of an idle server."""
    before = threads()
    pump = create_pump(PORTS, pure=is_pure)
    (thread,) = threads() - before
    try:
        assert rests(pump, thread)
        for number in range(2):
            port, mixer = pump.open(HERE), pump.open_mixer()
            pump.play(port.id, number, b"\xff" * 480, 1)
            ear = Ear(pump)
            assert ear.kind("played") == [("played", port.id, number, False)]
            pump.close_port(port.id)
            pump.play_mixer(mixer, number, b"\xff" * 480)
            assert ear.kind("mixer_played") == [("mixer_played", mixer, number)]
            pump.close_mixer(mixer)
            assert rests(pump, thread)
            mixer = pump.open_mixer()
            pump.play_mixer(mixer, number, b"\xff" * 480)
            assert ear.kind("mixer_played", 2)
            pump.close_mixer(mixer)
            assert rests(pump, thread)
    finally:
        pump.close()


# Ports


def test_a_port_is_even_and_its_neighbour_is_bound_too(setup: Setup) -> None:
    port = setup.pump.open(HERE)
    assert port.port % 2 == 0
    assert PORTS[0] <= port.port < PORTS[1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, pytest.raises(OSError, match="in use"):
        udp.bind((HERE, port.port + 1))


def test_ports_run_out_and_come_back(is_pure: bool) -> None:
    pump = create_pump((OWN, OWN + 3), pure=is_pure)
    try:
        first, second = pump.open(HERE), pump.open(HERE)
        with pytest.raises(PortsExhausted):
            pump.open(HERE)
        pump.close_port(first.id)
        third = pump.open(HERE)
        assert (third.port, third.id == first.id) == (first.port, False)
        assert second.port != third.port
    finally:
        pump.close()


def test_a_port_in_use_by_another_program_is_stepped_over(is_pure: bool) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((HERE, OWN + 5))
        pump = create_pump((OWN + 4, OWN + 7), pure=is_pure)
        try:
            assert pump.open(HERE).port == OWN + 6
        finally:
            pump.close()


def test_closed_handles_are_refused_and_undoing_is_silent(setup: Setup) -> None:
    port, _ = setup.leg()
    setup.pump.close_port(port.id)
    with pytest.raises(UnknownPort):
        setup.pump.play(port.id, 1, b"", 1)
    with pytest.raises(UnknownPort):
        setup.pump.close_port(port.id)
    with pytest.raises(UnknownPort):
        setup.pump.mix(setup.pump.open_mixer(), port.id)
    setup.pump.stop(port.id)
    setup.pump.untap(77)
    setup.pump.unmix(port.id, port.id)
    setup.pump.disconnect(port.id, port.id)
    setup.pump.close_mixer(-1)


def test_impossible_orders_are_refused(setup: Setup) -> None:
    port, phone = setup.leg()
    with pytest.raises(UsageError):
        setup.pump.connect(port.id, port.id)
    with pytest.raises(UsageError):
        setup.pump.send_digits(port.id, "12x", 1)
    with pytest.raises(UsageError):
        setup.configure(port, ("example.com", 4000))
    with pytest.raises(UsageError):
        setup.configure(port, phone.address, payload_type=200)
    with pytest.raises(UsageError):
        setup.configure(port, phone.address, codec="opus")
    with pytest.raises(UsageError):
        setup.pump.open("not an address")
    setup.pump.tap(port.id, 5, "inbound")
    with pytest.raises(UsageError):
        setup.pump.tap(port.id, 5, "outbound")


def test_a_closed_pump_refuses(is_pure: bool) -> None:
    pump = create_pump(PORTS, pure=is_pure)
    pump.open(HERE)
    pump.close()
    pump.close()
    with pytest.raises(UsageError):
        pump.open(HERE)


# Relay


def test_relay_keeps_order_time_and_loss_under_a_source_of_ours(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    sent = [phone_a.say(a, bytes([n]) * 160) for n in range(5)]
    phone_a.sequence = (phone_a.sequence + 2) & 0xFFFF  # two are lost before us
    phone_a.timestamp = (phone_a.timestamp + 320) & 0xFFFFFFFF
    sent.append(phone_a.say(a, b"\x09" * 160))
    heard = [phone_b.hear() for _ in sent]
    assert [packet.payload for packet in heard] == [packet.payload for packet in sent]
    assert len({packet.ssrc for packet in heard}) == 1
    assert heard[0].ssrc != phone_a.ssrc
    assert [packet.marker for packet in heard] == [True, False, False, False, False, False]
    for earlier, later, before, after in zip(heard, heard[1:], sent, sent[1:], strict=False):
        assert sequence_step(earlier.sequence, later.sequence) == sequence_step(
            before.sequence, after.sequence
        )
        assert timestamp_step(earlier.timestamp, later.timestamp) == timestamp_step(
            before.timestamp, after.timestamp
        )


def test_relay_goes_both_ways_from_the_ports_own_address(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    phone_b.say(b, b"\x01" * 160)
    data, source = phone_a.rtp.recvfrom(2048)
    assert (Packet.parse(data).payload, source) == (b"\x01" * 160, (HERE, a.port))
    phone_a.say(a, b"\x02" * 160)
    assert phone_b.hear().payload == b"\x02" * 160


def test_relay_transcodes_between_the_two_laws(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg(codec="PCMA", payload_type=8)
    setup.pump.connect(a.id, b.id)
    audio = bytes(range(160))
    phone_a.say(a, audio)
    assert (packet := phone_b.hear()).payload == audio.translate(ULAW_TO_ALAW)
    assert packet.payload_type == 8
    phone_b.say(b, audio, payload_type=8)
    assert (packet := phone_a.hear()).payload == audio.translate(ALAW_TO_ULAW)
    assert packet.payload_type == 0


def test_relay_strips_what_only_concerned_the_first_leg(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    packet = Packet(0, 7, 7, 7, b"\x11" * 160, False, (1, 2, 3), (0xBEDE, b"\x10\x00\x00\x00"))
    padded = bytearray(packet.render() + b"\x00\x00\x00\x04")
    padded[0] |= 0x20
    phone_a.rtp.sendto(bytes(padded), (HERE, a.port))
    data = phone_b.rtp.recv(2048)
    assert (len(data), data[0]) == (172, 0x80)
    assert Packet.parse(data).payload == b"\x11" * 160


@pytest.mark.parametrize("size", [1, 80, 240, 480, 1400])
def test_relay_keeps_packet_sizes(setup: Setup, size: int) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    phone_a.say(a, b"\x22" * size)
    assert phone_b.hear().payload == b"\x22" * size


def test_a_new_source_of_the_peer_goes_on_in_the_same_stream(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    phone_a.say(a)
    first = phone_b.hear()
    phone_a.ssrc, phone_a.sequence, phone_a.timestamp = 99, 4000, 123456
    phone_a.say(a)
    second = phone_b.hear()
    assert second.ssrc == first.ssrc
    assert sequence_step(first.sequence, second.sequence) == 1
    assert timestamp_step(first.timestamp, second.timestamp) >= 160
    assert second.marker


def test_nothing_is_sent_when_the_direction_forbids_it(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg(send=False)
    c, phone_c = setup.leg()
    setup.pump.connect(a.id, b.id)
    phone_a.say(a)
    setup.ear.wait(lambda event: event[:2] == ("heard", a.id))
    assert setup.pump.stats(b.id).packets_out == 0
    setup.configure(b, phone_b.address)
    setup.configure(a, phone_a.address, receive=False)
    setup.pump.connect(a.id, c.id)
    phone_a.say(a, b"\x01" * 160)
    setup.configure(a, phone_a.address, receive=True)
    phone_a.say(a, b"\x02" * 160)
    assert phone_c.hear_until(lambda packet: packet.payload[0] == 2).ssrc


def test_no_datagram_upsets_the_pump(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    good = Packet(0, 1, 1, 1, b"\x33" * 160).render()
    bad = [
        b"",
        b"\x80",
        good[:11],
        b"\x40" + good[1:],
        b"\x8f" + good[1:20],  # fifteen sources that are not there
        b"\x90" + good[1:12] + b"\xbe\xde\xff\xff",  # an extension of 256 kB
        b"\x90" + good[1:12] + b"\xbe",
        b"\xa0" + good[1:-1] + b"\xff",  # more padding than packet
        b"\xa0" + good[1:-1] + b"\x00",
        good[:1] + b"\x63" + good[2:],  # a payload type that nobody negotiated
        good + bytes(2000),
        bytes(65000),
    ]
    for data in bad:
        phone_a.rtp.sendto(data, (HERE, a.port))
        phone_a.rtcp.sendto(data, (HERE, a.port + 1))
    phone_a.say(a, b"\x44" * 160)
    assert phone_b.hear().payload == b"\x44" * 160
    stats = setup.pump.stats(a.id)
    assert (stats.packets_in, stats.strangers) == (1, 1)
    assert stats.malformed >= len(bad) - 1


def test_disconnect_ends_the_relay(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    c, phone_c = setup.leg()
    setup.pump.connect(a.id, b.id)
    setup.pump.disconnect(a.id, c.id)  # not connected: nothing happens
    phone_a.say(a, b"\x01" * 160)
    assert phone_b.hear().payload[0] == 1
    setup.pump.disconnect(a.id, b.id)
    phone_a.say(a, b"\x02" * 160)
    setup.pump.connect(a.id, c.id)
    phone_a.say(a, b"\x03" * 160)
    assert phone_c.hear_until(lambda packet: packet.payload[0] == 3).payload[0] == 3
    assert setup.pump.stats(b.id).packets_out == 1


# Playing


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


# Digits


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


def test_stop_ends_digits(setup: Setup) -> None:
    a, phone_a = setup.leg()
    setup.pump.send_digits(a.id, "0" * 50, 4)
    phone_a.hear()
    setup.pump.stop(a.id)
    assert setup.ear.kind("played")[0] == ("played", a.id, 4, True)


# Taps


def test_taps_give_both_tracks_as_mulaw_frames(setup: Setup) -> None:
    a, phone_a = setup.leg(codec="PCMA", payload_type=8)
    setup.pump.tap(a.id, 1, "inbound")
    setup.pump.tap(a.id, 2, "outbound")
    setup.pump.play(a.id, 1, b"\x05" * 320, 1)
    audio = bytes(range(240))
    phone_a.say(a, audio, payload_type=8)
    phone_a.say(a, audio, payload_type=8)
    frames = setup.ear.kind("frames", 5)
    inbound = [event for event in frames if event[1] == 1]
    assert b"".join(event[2] for event in inbound) == (audio + audio).translate(ALAW_TO_ULAW)
    assert [len(event[2]) for event in frames] == [160] * 5
    assert [event[3] - inbound[0][3] for event in inbound] == [0, 20, 40]
    outbound = [event[2] for event in frames if event[1] == 2]
    assert (
        outbound == [(b"\x05" * 160).translate(ULAW_TO_ALAW).translate(ALAW_TO_ULAW)] * 2
        or outbound == [b"\x05" * 160] * 2
    )


def test_an_outbound_tap_hears_the_relay_and_untap_ends_it(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg(codec="PCMA", payload_type=8)
    setup.pump.connect(a.id, b.id)
    setup.pump.tap(b.id, 9, "outbound")
    phone_a.say(a, b"\x0c" * 160)
    ((_, tap_id, audio, at),) = setup.ear.kind("frames")
    assert (tap_id, audio) == (9, (b"\x0c" * 160).translate(ULAW_TO_ALAW).translate(ALAW_TO_ULAW))
    assert at >= 0
    setup.pump.untap(9)
    phone_a.say(a)
    phone_b.hear()
    phone_b.hear()
    setup.ear.seen += setup.pump.events()
    assert len(setup.ear.kind("frames")) == 1


# Mixers


def test_each_member_hears_all_others(setup: Setup) -> None:
    legs = [setup.leg() for _ in range(3)]
    mixer = setup.pump.open_mixer()
    for port, _ in legs:
        setup.pump.mix(mixer, port.id)
    levels = [0x9F, 0xAF, 0xBF]  # constant samples: easy to add up
    values = [decode_ulaw(bytes([level]))[0] for level in levels]
    for _ in range(10):
        for (port, phone), level in zip(legs, levels, strict=True):
            phone.say(port, bytes([level]) * 160)
    for index, (_, phone) in enumerate(legs):
        expected = sum(values) - values[index]
        packet = phone.hear_until(
            lambda packet, expected=expected: (
                abs(decode_ulaw(packet.payload)[80] - expected) < 0.04 * expected
            )
        )
        assert packet.payload_type == 0


def test_muted_members_are_not_heard_and_deaf_ones_hear_silence(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    c, phone_c = setup.leg()
    mixer = setup.pump.open_mixer()
    setup.pump.mix(mixer, a.id)
    setup.pump.mix(mixer, b.id)
    setup.pump.mix(mixer, c.id, deaf=True)
    for _ in range(10):
        phone_a.say(a, b"\x9f" * 160)
    phone_b.hear_until(lambda packet: packet.payload == b"\x9f" * 160)
    assert {phone_c.hear().payload for _ in range(8)} == {b"\xff" * 160}
    setup.pump.set_muted(mixer, a.id, True)
    for _ in range(10):
        phone_a.say(a, b"\x9f" * 160)
    phone_b.hear_until(lambda packet: packet.payload == b"\xff" * 160)
    assert {phone_b.hear().payload for _ in range(5)} == {b"\xff" * 160}
    with pytest.raises(UnknownPort):
        setup.pump.unmix(mixer, a.id)
        setup.pump.set_muted(mixer, a.id, False)


def test_a_beep_is_heard_by_all_and_its_end_is_told(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg(codec="PCMA", payload_type=8)
    mixer = setup.pump.open_mixer()
    setup.pump.mix(mixer, a.id)
    setup.pump.mix(mixer, b.id)
    setup.pump.play_mixer(mixer, 31, b"\xa0" * 160)
    phone_a.hear_until(lambda packet: packet.payload == b"\xa0" * 160)
    phone_b.hear_until(lambda packet: packet.payload == (b"\xa0" * 160).translate(ULAW_TO_ALAW))
    assert setup.ear.kind("mixer_played")[0] == ("mixer_played", mixer, 31)
    setup.pump.close_mixer(mixer)
    with pytest.raises(UnknownPort):
        setup.pump.play_mixer(mixer, 32, b"")


def test_connecting_leaves_the_mixer_and_mixing_cuts_the_connection(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    mixer = setup.pump.open_mixer()
    setup.pump.mix(mixer, a.id)
    setup.pump.connect(a.id, b.id)
    with pytest.raises(UnknownPort):
        setup.pump.set_muted(mixer, a.id, True)
    phone_a.say(a, b"\x01" * 160)
    assert phone_b.hear().payload[0] == 1
    setup.pump.mix(mixer, a.id)
    phone_a.say(a, b"\x02" * 160)
    phone_a.hear()  # the mixer speaks to it now
    assert setup.pump.stats(b.id).packets_out == 1


# Silence, numbers, RTCP


def test_silence_is_told_once_and_so_is_its_end(setup: Setup) -> None:
    a, phone_a = setup.leg()
    assert setup.ear.kind("silent")[0][2] == pytest.approx(0.3, abs=0.25)
    phone_a.say(a)
    setup.ear.wait(lambda event: event == ("heard", a.id))
    setup.ear.kind("silent", 2)
    phone_a.say(a)
    setup.ear.wait(lambda event: event == ("heard", a.id), 2)


def test_a_held_port_is_not_silent(setup: Setup) -> None:
    held, _ = setup.leg(receive=False)
    watched, _ = setup.leg()
    setup.ear.wait(lambda event: event[:2] == ("silent", watched.id))
    assert not [event for event in setup.ear.seen if event[:2] == ("silent", held.id)]


def test_statistics_count_what_came_and_what_is_missing(setup: Setup) -> None:
    a, phone_a = setup.leg()
    for _ in range(5):
        phone_a.say(a)
    phone_a.sequence = (phone_a.sequence + 3) & 0xFFFF
    phone_a.timestamp = (phone_a.timestamp + 480) & 0xFFFFFFFF
    phone_a.say(a)
    setup.pump.play(a.id, 1, bytes(320), 1)
    setup.ear.kind("played")
    setup.ear.kind("heard")
    stats = setup.pump.close_port(a.id)
    assert (stats.packets_in, stats.bytes_in, stats.lost) == (6, 960, 3)
    assert (stats.packets_out, stats.bytes_out) == (2, 320)
    assert stats.source == phone_a.address
    assert stats.mos is not None
    assert 1.0 <= stats.mos < 4.0  # a third was lost
    assert stats.first_packet_at is not None
    assert stats.last_packet_at is not None
    assert 0 <= stats.first_packet_at <= stats.last_packet_at < WAIT


def test_an_unused_port_has_no_opinion(setup: Setup) -> None:
    a, _ = setup.leg()
    stats = setup.pump.stats(a.id)
    assert (stats.mos, stats.first_packet_at, stats.source, stats.rtt, stats.remote) == (None,) * 5


def test_rfc3550_reports_go_out_and_the_peers_are_read(setup: Setup) -> None:
    a, phone_a = setup.leg()
    phone_a.say(a)
    setup.pump.play(a.id, 1, b"\x01" * 160, 1)
    ours = phone_a.hear().ssrc
    report, description = parse_compound(phone_a.rtcp.recv(2048))[:2]
    assert isinstance(report, SenderReport)
    assert (report.ssrc, report.packets, report.octets) == (ours, 1, 160)
    assert abs(report.ntp - ntp_of(time.time())) < 60 << 32
    assert [block.ssrc for block in report.blocks] == [phone_a.ssrc]
    assert isinstance(description, Description)
    assert description.names[0][0] == ours
    block = ReportBlock(ours, 64, 7, 1, 80, middle(report.ntp), 0)
    now = ntp_of(time.time())
    data = render_compound([SenderReport(phone_a.ssrc, now, 0, 1, 160, (block,))])
    phone_a.rtcp.sendto(data, (HERE, a.port + 1))
    last_sr = 0
    while last_sr != middle(now):
        report = parse_compound(phone_a.rtcp.recv(2048))[0]
        assert isinstance(report, SenderReport | ReceiverReport)
        last_sr = report.blocks[0].last_sr
    stats = setup.pump.stats(a.id)
    assert stats.remote == (0.25, 7, 0.01)
    assert stats.rtt is not None
    assert 0 <= stats.rtt < WAIT


def test_rfc3550_a_closed_port_says_bye(setup: Setup) -> None:
    a, phone_a = setup.leg()
    setup.pump.play(a.id, 1, bytes(160), 1)
    phone_a.hear()
    setup.pump.close_port(a.id)
    while True:
        reports = parse_compound(phone_a.rtcp.recv(2048))
        if any(isinstance(report, Bye) for report in reports):
            return


def test_commands_from_many_threads(setup: Setup) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for n in range(30):
                port, other = setup.pump.open(HERE), setup.pump.open(HERE)
                setup.configure(port, (HERE, 9))
                setup.pump.play(port.id, n, bytes(1600), 0)
                setup.pump.connect(port.id, other.id)
                setup.pump.tap(other.id, port.id, "outbound")
                setup.pump.stats(port.id)
                setup.pump.close_port(port.id)
                setup.pump.close_port(other.id)
        except BaseException as error:  # noqa: BLE001 - given to the main thread
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []


# Not the pure one: a thread that needs Python's lock must not keep others from it.
@pytest.mark.parametrize("is_pure", ["core"], indirect=True)
def test_the_compiled_pumps_thread_runs_in_real_time_where_that_is_allowed(setup: Setup) -> None:
    a, phone_a = setup.leg()
    setup.pump.play(a.id, 1, b"\x01" * 160, 1)
    phone_a.hear()  # the thread runs
    threads = {
        (task / "comm").read_text().strip(): int(task.name) for task in Path("/proc/self/task").iterdir()
    }
    policy = os.sched_getscheduler(threads["ringback-pump"]) & ~os.SCHED_RESET_ON_FORK
    assert policy == (os.SCHED_RR if _may_have_real_time() else os.SCHED_OTHER)


def _may_have_real_time() -> bool:
    """Tried by a thread that ends at once."""
    allowed = []

    def attempt() -> None:
        try:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(10))
        except OSError:
            return
        allowed.append(True)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return bool(allowed)


def test_many_ports_play_evenly_beside_a_relay(setup: Setup) -> None:
    """A tick of many ports is done in slices; each port gets each frame all the same, and the relay goes on."""
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    players = [setup.leg() for _ in range(150)]
    for port, _ in players:
        setup.pump.play(port.id, port.id, bytes(160 * 5), 1)
    for n in range(20):
        phone_a.say(a, bytes([n]) * 160)
        assert phone_b.hear().payload[0] == n
    setup.ear.kind("played", len(players))
    for port, phone in players:
        heard = [phone.hear() for _ in range(5)]
        assert [sequence_step(heard[0].sequence, packet.sequence) for packet in heard] == [0, 1, 2, 3, 4]
        assert [timestamp_step(heard[0].timestamp, packet.timestamp) for packet in heard] == [
            0, 160, 320, 480, 640,
        ]  # fmt: skip
        assert setup.pump.stats(port.id).packets_out == 5


def test_a_socket_with_a_queue_is_emptied(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    for n in range(100):
        phone_a.say(a, bytes([n]) * 160)
    assert [phone_b.hear().payload[0] for _ in range(100)] == list(range(100))
