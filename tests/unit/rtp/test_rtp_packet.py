"""Parsing and rendering one RTP packet."""

from __future__ import annotations

import pytest

from ringback.rtp.errors import RtpSyntaxError
from ringback.rtp.packet import Packet, sequence_step, timestamp_step

PLAIN = bytes.fromhex("8000 0001 00000010 deadbeef".replace(" ", "")) + b"\x55" * 4


def test_fields() -> None:
    assert Packet.parse(PLAIN) == Packet(0, 1, 16, 0xDEADBEEF, b"\x55" * 4)


@pytest.mark.parametrize(
    "packet",
    [
        Packet(0, 0, 0, 0, b""),
        Packet(127, 65535, 0xFFFFFFFF, 0xFFFFFFFF, b"\x00" * 160, True),
        Packet(8, 5, 6, 7, b"x", False, (1, 2, 0xFFFFFFFF), (0xBEDE, b"\x01\x02\x03\x04")),
    ],
)
def test_render_then_parse(packet: Packet) -> None:
    assert Packet.parse(packet.render()) == packet


def test_padding_is_stripped() -> None:
    data = bytearray(PLAIN + b"\x00\x00\x03")
    data[0] |= 0x20
    assert Packet.parse(bytes(data)).payload == b"\x55" * 4


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (PLAIN[:11], "bytes"),
        (PLAIN + bytes(1500), "bytes"),
        (b"\x40" + PLAIN[1:], "version"),
        (b"\x8f" + PLAIN[1:], "sources"),
        (b"\x90" + PLAIN[1:14], "extension's header"),
        (b"\x90" + PLAIN[1:12] + b"\x00\x00\x00\x01", "extension is cut"),
        (b"\xa0" + PLAIN[1:-1] + b"\x00", "padding"),
        (b"\xa0" + PLAIN[1:-1] + b"\x05", "padding"),
    ],
)
def test_what_is_no_packet_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(RtpSyntaxError, match=reason):
        Packet.parse(data)


@pytest.mark.parametrize(
    ("earlier", "later", "step"), [(1, 2, 1), (65535, 0, 1), (0, 65535, -1), (0, 0x8000, -0x8000), (9, 9, 0)]
)
def test_sequence_step(earlier: int, later: int, step: int) -> None:
    assert sequence_step(earlier, later) == step


@pytest.mark.parametrize(("earlier", "later", "step"), [(0xFFFFFFFF, 159, 160), (159, 0xFFFFFFFF, -160)])
def test_timestamp_step(earlier: int, later: int, step: int) -> None:
    assert timestamp_step(earlier, later) == step
