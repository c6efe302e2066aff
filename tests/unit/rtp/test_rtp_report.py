"""RTCP of one port."""

from __future__ import annotations

import pytest

from ringback.rtp.outbound import OutboundStream
from ringback.rtp.reception import Reception
from ringback.rtp.report import Reporter
from ringback.rtp.rtcp import (
    Bye,
    Description,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    middle,
    ntp_of,
    parse_compound,
)


def heard(ssrc: int, sequence: int) -> Reception:
    """A source of which one packet came."""
    reception = Reception(ssrc, sequence)
    reception.receive(sequence)
    return reception


def test_a_silent_port_gives_a_receiver_report() -> None:
    stream, reporter = OutboundStream(5, 0, 0), Reporter("name")
    reports = parse_compound(reporter.compound(stream, heard(9, 100), 1.0, 1000.0))
    assert isinstance(reports[0], ReceiverReport)
    assert reports[0].blocks[0].ssrc == 9
    assert reports[1] == Description(((5, "name"),))


def test_a_sender_report_only_when_something_was_sent_since_the_last() -> None:
    stream, reporter = OutboundStream(5, 0, 1000), Reporter("name")
    stream.frame(160, 160, 1.0)
    first = parse_compound(reporter.compound(stream, None, 1.5, 1000.0, bye=True))
    assert first[0] == SenderReport(5, ntp_of(1000.0), 1000 + 4000, 1, 160)
    assert first[2] == Bye((5,))
    assert isinstance(parse_compound(reporter.compound(stream, None, 2.0, 1001.0))[0], ReceiverReport)


def test_the_round_trip_of_rfc3550_figure_2() -> None:
    """The example of RFC 3550 section 6.4.1: A 0xb710:8000, DLSR 0x0005:4000, LSR 0xb705:2000, so 6.125 s."""
    reporter = Reporter("name")
    arrival = (0xB7108000 / 65536.0) + (2**32 - 2208988800) // 65536 * 65536
    shift = (0xB7108000 - middle(ntp_of(arrival))) & 0xFFFFFFFF
    wall = arrival + shift / 65536.0
    block = ReportBlock(5, 64, 3, 1, 80, 0xB7052000, 0x00054000)
    reporter.receive([ReceiverReport(9, (block,))], 5, 1.0, wall)
    assert reporter.round_trip == pytest.approx(6.125, abs=0.001)
    assert reporter.remote == block


def test_blocks_about_others_and_absurd_round_trips_are_ignored() -> None:
    reporter = Reporter("name")
    reporter.receive([ReceiverReport(9, (ReportBlock(6, 1, 1, 1, 1, 1, 1),))], 5, 1.0, 1000.0)
    assert reporter.remote is None
    future = (middle(ntp_of(1000.0)) + 65536) & 0xFFFFFFFF
    reporter.receive([ReceiverReport(9, (ReportBlock(5, 1, 1, 1, 1, future, 0),))], 5, 1.0, 1000.0)
    assert reporter.round_trip is None
    assert reporter.remote is not None


def test_the_peers_sender_report_is_echoed_with_its_age() -> None:
    reporter = Reporter("name")
    reporter.receive([SenderReport(9, 0x1111_2222_3333_4444, 0, 0, 0), Bye((9,))], 5, 10.0, 1000.0)
    report = parse_compound(reporter.compound(OutboundStream(5, 0, 0), heard(9, 1), 10.5, 1000.5))[0]
    assert isinstance(report, ReceiverReport)
    assert (report.blocks[0].last_sr, report.blocks[0].delay) == (0x2222_3333, 32768)


def test_rfc3550_6_4_a_source_that_said_nothing_since_the_last_report_has_no_block() -> None:
    stream, reporter, reception = OutboundStream(5, 0, 0), Reporter("name"), heard(9, 100)
    counts = []
    for now in (1.0, 2.0, 3.0):
        counts.append(len(parse_compound(reporter.compound(stream, reception, now, 1000.0))[0].blocks))
        if now == 2.0:
            reception.receive(101)
    assert counts == [1, 0, 1]


def test_a_report_that_was_due_before_the_peers_came_counts_no_negative_age() -> None:
    reporter = Reporter("name")
    reporter.receive([SenderReport(9, 0x1111_2222_3333_4444, 0, 0, 0)], 5, 10.001, 1000.0)
    report = parse_compound(reporter.compound(OutboundStream(5, 0, 0), heard(9, 1), 10.0, 1000.0))[0]
    assert (report.blocks[0].last_sr, report.blocks[0].delay) == (0x2222_3333, 0)
