"""RTP and RTCP by the clauses of RFC 3550; bytes are written by hand from the RFC's drawings."""

from __future__ import annotations

import struct

import pytest

from ringback.rtp.errors import RtpSyntaxError
from ringback.rtp.packet import Packet
from ringback.rtp.reception import Reception
from ringback.rtp.rtcp import (
    Bye,
    Description,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    parse_compound,
    render_compound,
)


def test_rfc3550_5_1_fixed_header() -> None:
    data = bytes([0b10000010, 0b10001000]) + struct.pack("!HIIII", 7, 8, 9, 10, 11) + b"audio"
    assert Packet.parse(data) == Packet(8, 7, 8, 9, b"audio", True, (10, 11))
    assert Packet(8, 7, 8, 9, b"audio", True, (10, 11)).render() == data


def test_rfc3550_5_1_padding_count_includes_itself() -> None:
    data = bytes([0b10100000, 0]) + struct.pack("!HII", 7, 8, 9) + b"audio\x00\x00\x03"
    assert Packet.parse(data).payload == b"audio"


def test_rfc3550_5_3_1_extension_counts_words_after_its_header() -> None:
    data = bytes([0b10010000, 0]) + struct.pack("!HIIHH", 7, 8, 9, 0xABCD, 2) + b"12345678" + b"audio"
    packet = Packet.parse(data)
    assert (packet.extension, packet.payload) == ((0xABCD, b"12345678"), b"audio")


def test_rfc3550_6_1_a_compound_begins_with_a_report() -> None:
    description = render_compound([Description(((1, "x"),))])
    with pytest.raises(RtpSyntaxError):
        parse_compound(description)


def test_rfc3550_6_4_1_sender_report() -> None:
    header = struct.pack("!BBHI", 0b10000001, 200, 12, 0x11223344)
    sender = struct.pack("!IIIII", 0xE0000000, 0x80000000, 160, 10, 1600)
    block = struct.pack("!IBBHIIII", 0x55667788, 128, 0xFF, 0xFFFE, 0x00010005, 40, 0x00008000, 65536)
    data = header + sender + block
    expected = SenderReport(
        0x11223344,
        0xE000000080000000,
        160,
        10,
        1600,
        (ReportBlock(0x55667788, 128, -2, 0x00010005, 40, 0x8000, 65536),),
    )
    assert parse_compound(data) == [expected]
    assert render_compound([expected]) == data


def test_rfc3550_6_4_2_empty_receiver_report() -> None:
    data = struct.pack("!BBHI", 0b10000000, 201, 1, 7)
    assert parse_compound(data) == [ReceiverReport(7)]
    assert render_compound([ReceiverReport(7)]) == data


@pytest.mark.parametrize("name", ["", "a", "ab", "abc", "abcd", "abcde"])
def test_rfc3550_6_5_items_end_with_one_to_four_zeros(name: str) -> None:
    data = render_compound([ReceiverReport(1), Description(((1, name),))])
    zeros = data[8 + 4 + 4 + 2 + len(name) :]  # behind the report, the header, the source, type and length
    assert 1 <= len(zeros) <= 4
    assert zeros == bytes(len(zeros))
    assert len(data) % 4 == 0
    assert parse_compound(data)[1] == Description(((1, name),))


def test_rfc3550_6_6_bye_with_reason() -> None:
    data = struct.pack("!BBHI", 128, 201, 1, 7) + struct.pack("!BBHI", 129, 203, 3, 7) + b"\x05hello\x00\x00"
    assert parse_compound(data) == [ReceiverReport(7), Bye((7,), "hello")]
    assert render_compound([ReceiverReport(7), Bye((7,), "hello")]) == data


def received(*sequences: int) -> Reception:
    subject = Reception(1, sequences[0])
    for sequence in sequences:
        subject.receive(sequence)
    return subject


def test_rfc3550_a1_first_packet_counts() -> None:
    subject = received(100)
    assert (subject.received, subject.expected, subject.lost) == (1, 1, 0)


def test_rfc3550_a1_the_sequence_number_wraps() -> None:
    subject = received(65534, 65535, 0, 1)
    assert (subject.extended, subject.expected, subject.lost) == (65537, 4, 0)


def test_rfc3550_a1_a_reordered_packet_does_not_move_the_highest() -> None:
    subject = received(10, 12, 11)
    assert (subject.highest, subject.received, subject.lost) == (12, 3, 0)


def test_rfc3550_a1_one_great_jump_is_not_believed_but_two_in_a_row_are() -> None:
    subject = received(10, 11)
    assert subject.receive(20000) is False
    assert (subject.highest, subject.received) == (11, 2)
    assert subject.receive(30000) is False
    assert subject.receive(30001) is True
    assert (subject.highest, subject.received, subject.lost) == (30001, 1, 0)


def test_rfc3550_a3_lost_and_fraction() -> None:
    subject = received(1, 2, 5, 6)
    assert subject.lost == 2
    assert subject.fraction_lost() == 2 * 256 // 6
    subject.receive(7)
    assert subject.fraction_lost() == 0
    assert subject.lost == 2


def test_rfc3550_a3_duplicates_make_the_loss_negative_and_the_fraction_zero() -> None:
    subject = received(1, 2, 2, 2)
    assert (subject.lost, subject.fraction_lost()) == (-2, 0)


def test_rfc3550_a8_jitter() -> None:
    """J += (|D| - J) / 16, computed here in floating point from section 6.4.1."""
    subject, jitter, before = Reception(1, 0), 0.0, None
    for n in range(200):
        arrival = 0.02 * n + (0.005 if n % 3 == 0 else 0.0)
        transit = int(arrival * 8000) - 160 * n
        if before is not None:
            jitter += (abs(transit - before) - jitter) / 16
        before = transit
        subject.time(160 * n, arrival)
    assert subject.jitter == pytest.approx(jitter, abs=1.5)
    assert subject.jitter > 10


def test_rfc3550_a8_a_steady_stream_has_no_jitter() -> None:
    subject = Reception(1, 0)
    for n in range(100):
        subject.time((0xFFFFFF00 + 160 * n) & 0xFFFFFFFF, 50.0 + 0.02 * n)
    assert subject.jitter == 0


def test_rfc3550_a8_timestamps_that_begin_anew_are_no_jitter() -> None:
    subject = Reception(1, 0)
    for n in range(200):
        subject.time((160 * n + (0x60000000 if n >= 100 else 0)) & 0xFFFFFFFF, 50.0 + 0.02 * n)
    assert subject.jitter == 0
