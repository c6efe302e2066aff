"""RTCP compounds."""

from __future__ import annotations

import pytest

from ringback.rtp.errors import RtpSyntaxError
from ringback.rtp.rtcp import (
    Bye,
    Description,
    ReceiverReport,
    Report,
    ReportBlock,
    SenderReport,
    middle,
    ntp_of,
    parse_compound,
    render_compound,
)

BLOCK = ReportBlock(0xAABBCCDD, 25, -3, 0x0001FFFF, 80, 0x11112222, 65536)


@pytest.mark.parametrize(
    "reports",
    [
        [ReceiverReport(1)],
        [ReceiverReport(1, (BLOCK, BLOCK._replace(lost=0x7FFFFF)))],
        [
            SenderReport(7, 0x0123456789ABCDEF, 9, 10, 11, (BLOCK,)),
            Description(((7, "a"), (8, "name"))),
            Bye((7,)),
        ],
        [ReceiverReport(1), Bye((1, 2), "the end")],
        [ReceiverReport(1), Description(((1, "xy"),))],
    ],
)
def test_render_then_parse(reports: list[Report]) -> None:
    data = render_compound(reports)
    assert len(data) % 4 == 0
    assert parse_compound(data) == reports


def test_unknown_types_are_skipped() -> None:
    application = bytes.fromhex("80cc0002") + b"\x00" * 8
    data = render_compound([ReceiverReport(1)]) + application + render_compound([Bye((1,))])
    assert parse_compound(data) == [ReceiverReport(1), Bye((1,))]


def test_padding_of_the_last_packet_is_dropped() -> None:
    data = render_compound([ReceiverReport(1), Bye((1,))])
    padded = data[:-8] + bytes([data[-8] | 0x20, 203, 0, 2]) + data[-4:] + b"\x00\x00\x00\x04"
    assert parse_compound(padded) == [ReceiverReport(1), Bye((1,))]


GOOD = render_compound([SenderReport(7, 1, 2, 3, 4, (BLOCK,)), Description(((7, "name"),)), Bye((7,), "x")])


@pytest.mark.parametrize("size", range(len(GOOD)))
def test_every_cut_is_refused(size: int) -> None:
    starts = {0, 52, 68}  # a compound may end where a packet ends
    if size in starts - {0}:
        assert parse_compound(GOOD[:size])
    else:
        with pytest.raises(RtpSyntaxError):
            parse_compound(GOOD[:size])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes.fromhex("80ca000100000000"),  # begins with SDES
        bytes.fromhex("40c9000100000001"),  # version 1
        bytes.fromhex("81c9000100000001"),  # a block that is not there
        bytes.fromhex("80c9000100000001" + "81ca0001" + "00000001"),  # a chunk without an end
        bytes.fromhex("80c9000100000001" + "82cb0001" + "00000001"),  # two sources announced, one there
        bytes.fromhex("80c9000100000001" + "81cb0002" + "00000001" + "ff000000"),  # a reason too long
        bytes.fromhex("a0c90001000000ff"),  # padding beyond the packet
        bytes.fromhex("80c9000100000001") * 65,
        bytes.fromhex("80c9000100000001") * 200,
    ],
)
def test_what_is_no_compound_is_refused(data: bytes) -> None:
    with pytest.raises(RtpSyntaxError):
        parse_compound(data)


def test_ntp_time() -> None:
    assert ntp_of(0.5) == (2208988800 << 32) + (1 << 31)
    assert middle(0x1111_2222_3333_4444) == 0x2222_3333
