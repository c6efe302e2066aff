"""Packets of strangers, on both twins of the pump: none is relayed, recorded, mixed or taken for a digit.

Before the lock the announced address and the signalling host may lock at once, others by five packets in a row where
NAT is evident; after it nobody may, until a new offer.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from pump_scene import (
    ELSEWHERE,
    HERE,
    PORTS,
    WAIT,
    Ear,
    Phone,
    Setup,
    is_pure,
    locked,
    on_ipv6,
    settled,
    setup,
    stranger,
)

from ringback.media import Port, PortStats, create_pump
from ringback.rtp.limits import DIGIT_RATE, FRAME_RATE, MAX_DIGITS_AT_ONCE, MAX_FRAMES
from ringback.rtp.packet import Packet
from ringback.rtp.rtcp import ReceiverReport, ReportBlock, SenderReport, parse_compound, render_compound

__all__ = ["is_pure", "on_ipv6", "setup"]

SIGNALLING = "127.0.0.8"
PRIVATE = ("192.168.1.7", 4000)
"""What a phone behind NAT announces."""
PUBLIC = ("198.41.0.4", 4000)
"""What a phone or carrier without NAT announces; nothing is sent to it here."""
EVIL = b"\x66" * 160


# Before the lock


def test_before_any_offer_nobody_is_heard(setup: Setup) -> None:
    port, other = setup.pump.open(HERE), setup.leg()[0]
    setup.pump.connect(port.id, other.id)
    thief = stranger(setup, HERE)
    for _ in range(6):
        thief.say(port, EVIL)
    stats = settled(setup, port, 6)
    assert (stats.strangers, stats.packets_in, stats.source) == (6, 0, None)
    assert setup.pump.stats(other.id).packets_out == 0


def test_the_announced_address_locks_at_once(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    phone_a.say(a, b"\x01" * 160)
    assert phone_b.hear().payload[0] == 1
    assert setup.pump.stats(a.id).source == phone_a.address


def test_the_signalling_host_locks_at_once(setup: Setup) -> None:
    a, phone_a = setup.leg(ELSEWHERE, announced=PRIVATE, signalling_host=ELSEWHERE)
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    phone_a.say(a, b"\x07" * 160)
    assert phone_b.hear().payload[0] == 7


@pytest.mark.parametrize(
    ("announced", "signalling"),
    [(PUBLIC, SIGNALLING), (PUBLIC, None), (PRIVATE, None), (PRIVATE, PRIVATE[0])],
)
def test_where_no_nat_is_evident_nobody_else_locks(
    setup: Setup, announced: tuple[str, int], signalling: str | None
) -> None:
    a, thief = setup.leg(ELSEWHERE, announced=announced, signalling_host=signalling)
    b, _ = setup.leg()
    setup.pump.connect(a.id, b.id)
    for _ in range(50):
        thief.say(a, EVIL)
    stats = settled(setup, a, 50)
    assert (stats.strangers, stats.packets_in, stats.source) == (50, 0, None)
    assert setup.pump.stats(b.id).packets_out == 0


def test_where_nat_is_evident_five_packets_in_a_row_are_believed(setup: Setup) -> None:
    a, phone_a = setup.leg(ELSEWHERE, announced=PRIVATE, signalling_host=SIGNALLING)
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    for n in range(4):
        phone_a.say(a, bytes([n]) * 160)
    assert settled(setup, a, 4).source is None
    phone_a.say(a, b"\x04" * 160)
    phone_a.say(a, b"\x05" * 160)
    assert [phone_b.hear().payload[0], phone_b.hear().payload[0]] == [4, 5]
    locked(setup, a, phone_a)
    phone_b.say(b, b"\x09" * 160)
    assert phone_a.hear().payload[0] == 9  # and what we send goes there


def test_another_port_of_the_announced_host_needs_five_packets(setup: Setup) -> None:
    a, phone_a = setup.leg(announced=(HERE, 9), signalling_host=HERE)
    for _ in range(4):
        phone_a.say(a)
    assert settled(setup, a, 4).source is None
    phone_a.say(a)
    locked(setup, a, phone_a)


def test_five_packets_of_another_payload_type_or_out_of_order_are_not_enough(setup: Setup) -> None:
    a, phone_a = setup.leg(announced=PRIVATE, signalling_host=SIGNALLING)
    for _ in range(6):
        phone_a.say(a, payload_type=8)
    for _ in range(6):
        phone_a.say(a)
        phone_a.sequence = (phone_a.sequence + 1) & 0xFFFF
    for n in range(6):
        phone_a.ssrc = n
        phone_a.say(a)
    for payload_type in (0, 0, 0, 8):  # the fourth of the row takes the number that the fifth has again
        phone_a.say(a, payload_type=payload_type)
    phone_a.sequence = (phone_a.sequence - 1) & 0xFFFF
    for _ in range(4):
        phone_a.say(a)
    assert settled(setup, a, 26).source is None
    phone_a.say(a)
    locked(setup, a, phone_a)
    stats = setup.pump.stats(a.id)
    assert (stats.strangers, stats.packets_in) == (26, 1)


def test_interleaved_strangers_do_not_add_up(setup: Setup) -> None:
    a, one = setup.leg(announced=PRIVATE, signalling_host=SIGNALLING)
    others = [one, stranger(setup), stranger(setup, "127.0.0.9")]
    for phone in others:
        phone.ssrc, phone.sequence = 5, 1
    for _ in range(4):
        for phone in others:
            phone.say(a, EVIL)
    assert settled(setup, a, 12).source is None
    for n in range(5, 11):  # a row of six, each from another address
        others[n % 3].sequence = n
        others[n % 3].say(a, EVIL)
        others[n % 3].sequence = 1000 * n
    stats = settled(setup, a, 18)
    assert stats.packets_in <= 2  # the fifth of a row of its own


def test_a_crowd_of_strangers_does_not_push_a_source_out_that_is_on_its_way(setup: Setup) -> None:
    a, phone_a = setup.leg(ELSEWHERE, announced=PRIVATE, signalling_host=SIGNALLING)
    phone_a.say(a)
    phone_a.say(a)
    crowd = [stranger(setup) for _ in range(20)]
    for n in range(1, 4):
        for thief in crowd:
            thief.say(a, EVIL)
        settled(setup, a, 20 * n)
        for thief in crowd:
            thief.sequence = 7
        phone_a.say(a)
    locked(setup, a, phone_a)


# After the lock


def attack(setup: Setup, port: Port, thief: Phone) -> None:
    for payload_type in (0, 8, 101, 13, 99):
        for _ in range(6):
            thief.say(port, EVIL, payload_type=payload_type)
    for _ in range(3):
        thief.event(port, 5, True, 800)


@pytest.mark.parametrize("where", ["the announced host", "the signalling host", "elsewhere"])
def test_after_the_lock_nobody_else_is_relayed_recorded_mixed_or_taken_for_a_digit(
    setup: Setup, where: str
) -> None:
    a, phone_a = setup.leg(signalling_host=SIGNALLING)
    b, phone_b = setup.leg()
    thief = stranger(setup, {"elsewhere": ELSEWHERE, "the signalling host": SIGNALLING}.get(where, HERE))
    setup.pump.connect(a.id, b.id)
    setup.pump.tap(a.id, 1, "inbound")
    setup.pump.tap(b.id, 2, "outbound")
    phone_a.say(a, b"\x01" * 160)
    locked(setup, a, phone_a)
    attack(setup, a, thief)
    phone_a.say(a, b"\x02" * 160)
    assert [phone_b.hear().payload[0], phone_b.hear().payload[0]] == [1, 2]
    frames = setup.ear.kind("frames", 4)
    assert {event[2][0] for event in frames} == {1, 2}
    mixer = setup.pump.open_mixer()
    setup.pump.mix(mixer, a.id)
    setup.pump.mix(mixer, b.id)
    attack(setup, a, thief)
    for _ in range(10):
        phone_a.say(a, b"\x9f" * 160)
    mixed = [phone_b.hear().payload[80]]
    while mixed[-1] != 0x9F:
        mixed.append(phone_b.hear().payload[80])
    assert set(mixed) <= {0xFF, 0x9F}
    assert not [event for event in setup.ear.seen if event[0] == "digit"]
    stats = setup.pump.stats(a.id)
    assert (stats.packets_in, stats.source) == (12, phone_a.address)


def test_strangers_before_the_lock_leave_nothing_behind(setup: Setup) -> None:
    a, phone_a = setup.leg(ELSEWHERE, announced=PRIVATE, signalling_host=ELSEWHERE)
    b, phone_b = setup.leg()
    thief = stranger(setup, HERE)
    setup.pump.connect(a.id, b.id)
    setup.pump.tap(a.id, 1, "inbound")
    for _ in range(4):
        thief.say(a, EVIL)
    phone_a.say(a, b"\x01" * 160)
    for _ in range(10):
        thief.say(a, EVIL)
    phone_a.say(a, b"\x02" * 160)
    assert [phone_b.hear().payload[0], phone_b.hear().payload[0]] == [1, 2]
    assert [event[2][0] for event in setup.ear.kind("frames", 2)] == [1, 2]
    assert setup.pump.stats(a.id).source == phone_a.address


def test_a_guess_gives_way_to_the_announced_address_once(setup: Setup) -> None:
    a, phone_a = setup.leg(announced=None, signalling_host=SIGNALLING)
    thief = stranger(setup, ELSEWHERE)
    for _ in range(5):
        thief.say(a)
    locked(setup, a, thief)
    phone_a.say(a)
    locked(setup, a, phone_a)
    for phone in (thief, stranger(setup, SIGNALLING)):
        for _ in range(6):
            phone.say(a)
    phone_a.say(a)
    settled(setup, a, 7)
    assert [event[2] for event in setup.ear.kind("locked")] == [thief.address, phone_a.address]
    assert setup.pump.stats(a.id).source == phone_a.address


def test_silence_unlocks_nothing(setup: Setup) -> None:
    a, phone_a = setup.leg(announced=PRIVATE, signalling_host=HERE)
    moved = stranger(setup, HERE)
    phone_a.say(a)
    locked(setup, a, phone_a)
    setup.ear.kind("silent")
    for _ in range(6):
        moved.say(a)
    assert settled(setup, a, 7).packets_in == 1
    setup.configure(a, PRIVATE, signalling_host=HERE)  # what a phone asks for that has moved
    moved.say(a)
    locked(setup, a, moved)


def test_a_new_offer_unlocks(setup: Setup) -> None:
    a, phone_a = setup.leg()
    phone_a.say(a)
    locked(setup, a, phone_a)
    moved = stranger(setup)
    setup.configure(a, moved.address)
    moved.say(a)
    locked(setup, a, moved)
    phone_a.say(a, EVIL)
    setup.pump.play(a.id, 1, b"\x01" * 160, 1)
    assert moved.hear().payload == b"\x01" * 160
    assert setup.pump.stats(a.id).source == moved.address


def test_an_offer_of_the_same_address_keeps_the_learnt_target(setup: Setup) -> None:
    a, phone_a = setup.leg(announced=PRIVATE, signalling_host=HERE)
    phone_a.say(a)
    setup.ear.kind("locked")
    setup.configure(a, PRIVATE, receive=False, signalling_host=HERE)  # the phone holds and sends no more
    setup.pump.play(a.id, 1, b"\x0a" * 160, 1)
    assert phone_a.hear().payload == b"\x0a" * 160


def test_a_flood_of_strangers_leaves_a_call_alone(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    thief = stranger(setup)
    phone_a.say(a, b"\x00" * 160)
    locked(setup, a, phone_a)
    for n in range(1, 51):
        for _ in range(100):
            thief.say(a, EVIL)
        phone_a.say(a, bytes([n]) * 160)
        assert phone_b.hear_until(lambda packet, n=n: packet.payload[0] == n, limit=2)
    assert setup.pump.stats(a.id).packets_in == 51


def test_ipv6(is_pure: bool, on_ipv6: tuple[socket.socket, socket.socket]) -> None:
    """Two ports of one host; where the second was not announced, its packets are a stranger's."""
    udp, thief = on_ipv6
    pump = create_pump(PORTS, pure=is_pure)
    try:
        port = pump.open("::1")
        Setup(pump).configure(port, ("0:0:0:0:0:0:0:1", udp.getsockname()[1]), signalling_host="fd00::1")
        for n in range(4):
            thief.sendto(Packet(0, n, 1, 1, EVIL).render(), ("::1", port.port))
        udp.sendto(Packet(0, 1, 1, 1, b"\x01" * 160).render(), ("::1", port.port))
        assert Ear(pump).kind("locked")[0][2] == ("::1", udp.getsockname()[1])
        for n in range(4, 9):
            thief.sendto(Packet(0, n, 1, 1, EVIL).render(), ("::1", port.port))
        pump.play(port.id, 1, b"\x01" * 160, 1)
        assert Packet.parse(udp.recv(2048)).payload == b"\x01" * 160
        assert pump.stats(port.id).packets_in == 1
    finally:
        pump.close()


# RTCP


def reporting(
    setup: Setup, port: Port, phone: Phone
) -> tuple[Callable[[Phone, int], None], Callable[[], Any]]:
    """How a phone reports losses to a port, and what was believed of it last."""
    setup.pump.play(port.id, 1, bytes(160), 1)
    ours = phone.hear().ssrc

    def report(sender: Phone, lost: int) -> None:
        block = ReportBlock(ours, lost, lost, 1, 80, 0, 0)
        sender.rtcp.sendto(render_compound([ReceiverReport(1, (block,))]), (HERE, port.port + 1))

    def believed(lost: int) -> PortStats:
        until = time.monotonic() + WAIT
        while True:
            stats = setup.pump.stats(port.id)
            if stats.remote is not None and stats.remote.lost == lost:
                return stats
            assert time.monotonic() < until, stats

    return report, believed


def test_rtcp_of_a_stranger_is_dropped(setup: Setup) -> None:
    a, phone_a = setup.leg()
    report, believed = reporting(setup, a, phone_a)
    report(stranger(setup), 100)
    report(phone_a, 1)
    assert believed(1).strangers == 1


def test_rtcp_is_locked_to_its_first_source_until_a_new_offer(setup: Setup) -> None:
    a, phone_a = setup.leg(announced=PRIVATE, signalling_host=HERE)
    setup.configure(a, PRIVATE, signalling_host=HERE)
    phone_a.say(a)
    locked(setup, a, phone_a)
    report, believed = reporting(setup, a, phone_a)
    neighbour = stranger(setup, HERE)
    report(phone_a, 1)
    believed(1)
    report(neighbour, 100)
    report(phone_a, 2)
    assert believed(2).strangers == 1
    while not isinstance(parse_compound(phone_a.rtcp.recv(2048))[0], SenderReport | ReceiverReport):
        pass  # reports go to where they come from
    setup.configure(a, PRIVATE, signalling_host=HERE)
    report(neighbour, 3)
    believed(3)


def test_rtcp_of_the_announced_host_ends_where_the_sound_comes_from_elsewhere(setup: Setup) -> None:
    a, phone_a = setup.leg(ELSEWHERE, announced=(HERE, 9), signalling_host=ELSEWHERE)
    setup.configure(a, (HERE, 9), signalling_host=ELSEWHERE)
    phone_a.say(a)
    locked(setup, a, phone_a)
    report, believed = reporting(setup, a, phone_a)
    report(stranger(setup, HERE), 100)
    report(phone_a, 1)
    assert believed(1).strangers == 1


# A peer that is believed, and sends more than any telephone


def most(at_once: int, rate: int, began_at: float) -> float:
    """How many there may have been since then."""
    return at_once + rate * (time.monotonic() - began_at) + 2


def test_no_more_sound_is_told_than_a_telephone_sends(setup: Setup) -> None:
    a, phone_a = setup.leg()
    setup.pump.tap(a.id, 7, "inbound")
    began_at = time.monotonic()
    for batch in range(1, 41):
        for _ in range(25):  # no more than a socket holds
            phone_a.say(a, bytes(480))
        assert settled(setup, a, 25 * batch).packets_in == 25 * batch
    setup.ear.kind("frames", MAX_FRAMES - 3)
    setup.pump.untap(7)
    setup.ear.seen += setup.pump.events()
    assert len(setup.ear.kind("frames")) <= most(MAX_FRAMES, FRAME_RATE, began_at)


def test_no_more_digits_are_told_than_somebody_presses(setup: Setup) -> None:
    a, phone_a = setup.leg()
    phone_a.say(a)
    locked(setup, a, phone_a)
    began_at = time.monotonic()
    for batch in range(1, 11):
        for _ in range(40):
            phone_a.timestamp = (phone_a.timestamp + 160) & 0xFFFFFFFF
            phone_a.ssrc += 1  # what was told must not be forgotten with the source
            phone_a.event(a, 5, ended=True, duration=800)
        settled(setup, a, 1 + 40 * batch)
    assert (
        MAX_DIGITS_AT_ONCE
        <= len(setup.ear.kind("digit", MAX_DIGITS_AT_ONCE))
        <= most(MAX_DIGITS_AT_ONCE, DIGIT_RATE, began_at)
    )


def test_ports_that_are_each_others_peer_do_not_send_one_packet_round_for_ever(setup: Setup) -> None:
    a, b = setup.pump.open(HERE), setup.pump.open(HERE)
    setup.configure(a, (b.host, b.port))
    setup.configure(b, (a.host, a.port))
    setup.pump.connect(a.id, b.id)
    began_at = time.monotonic()
    setup.pump.play(b.id, 1, bytes(160), 1)
    while not (stats := setup.pump.stats(a.id)).malformed:
        assert time.monotonic() < began_at + WAIT
    assert stats.packets_in <= most(MAX_FRAMES, FRAME_RATE, began_at)
