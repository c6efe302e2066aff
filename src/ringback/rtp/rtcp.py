"""RTCP: sender and receiver reports, source descriptions and goodbyes in compounds, RFC 3550 section 6.

        0                   1                   2                   3
        0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
       +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
header |V=2|P|  count  |      type     |     length in words - 1       |
       +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from ringback.rtp.errors import RtpSyntaxError
from ringback.rtp.limits import MAX_DATAGRAM, MAX_RTCP_ITEMS

SR: Final = 200  # RFC 3550 section 12.1
RR: Final = 201
SDES: Final = 202
BYE: Final = 203

_CNAME: Final = 1  # RFC 3550 section 12.2
_VERSION: Final = 2
_NTP_EPOCH: Final = 2208988800  # seconds from 1900 to 1970, RFC 868
_BLOCK_SIZE: Final = 24
_SENDER_SIZE: Final = 24


class ReportBlock(NamedTuple):
    """How well one source is received, RFC 3550 section 6.4.1."""

    ssrc: int
    fraction_lost: int
    """256ths since the last report."""
    lost: int
    highest: int
    jitter: int
    """Timestamp units."""
    last_sr: int
    """Middle 32 bits of the NTP time of the last sender report; 0 for none."""
    delay: int
    """Since that report, in 65536ths of a second."""


class SenderReport(NamedTuple):
    """SR, RFC 3550 section 6.4.1; `ntp` is the 64-bit time."""

    ssrc: int
    ntp: int
    timestamp: int
    packets: int
    octets: int
    blocks: tuple[ReportBlock, ...] = ()


class ReceiverReport(NamedTuple):
    """RR, RFC 3550 section 6.4.2."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()


class Description(NamedTuple):
    """SDES with the CNAMEs alone, RFC 3550 section 6.5."""

    names: tuple[tuple[int, str], ...]


class Bye(NamedTuple):
    """BYE, RFC 3550 section 6.6."""

    sources: tuple[int, ...]
    reason: str = ""


Report = SenderReport | ReceiverReport | Description | Bye


def ntp_of(wall: float) -> int:
    """The 64-bit NTP time of Unix time `wall` (seconds), RFC 3550 section 4."""
    return int((wall + _NTP_EPOCH) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF


def middle(ntp: int) -> int:
    """The middle 32 bits of an NTP time: 65536ths of a second."""
    return (ntp >> 16) & 0xFFFFFFFF


def parse_compound(data: bytes) -> list[Report]:
    """Read one datagram; unknown packet types are skipped, RFC 3550 section 6.1. Raises RtpSyntaxError."""
    if not 8 <= len(data) <= MAX_DATAGRAM:
        raise RtpSyntaxError(f"{len(data)} bytes")
    if data[1] not in (SR, RR):
        raise RtpSyntaxError(f"a compound beginning with type {data[1]}")  # RFC 3550 appendix A.2
    reports: list[Report] = []
    start = 0
    for _ in range(MAX_RTCP_ITEMS):
        if start == len(data):
            return reports
        if start + 4 > len(data):
            break
        first, kind, words = struct.unpack_from("!BBH", data, start)
        end = start + 4 * (words + 1)
        if first >> 6 != _VERSION or end > len(data):
            break
        body = _unpadded(data[start + 4 : end], bool(first & 0x20), last=end == len(data))
        report = _read(kind, first & 0x1F, body)
        if report is not None:
            reports.append(report)
        start = end
    raise RtpSyntaxError("the compound is cut or too long")


def _unpadded(body: bytes, has_padding: bool, *, last: bool) -> bytes:
    if not has_padding:
        return body
    if not last or not body or not 0 < body[-1] <= len(body) or body[-1] % 4:
        raise RtpSyntaxError("padding")
    return body[: -body[-1]]


def _read(kind: int, count: int, body: bytes) -> Report | None:
    try:
        match kind:
            case 200:
                ssrc, ntp, timestamp, packets, octets = struct.unpack_from("!IQIII", body)
                blocks = _blocks(body, _SENDER_SIZE, count)
                return SenderReport(ssrc, ntp, timestamp, packets, octets, blocks)
            case 201:
                (ssrc,) = struct.unpack_from("!I", body)
                return ReceiverReport(ssrc, _blocks(body, 4, count))
            case 202:
                return _description(body, count)
            case 203:
                sources = struct.unpack_from(f"!{count}I", body)
                return Bye(sources, _reason(body[4 * count :]))
    except struct.error as error:
        raise RtpSyntaxError(f"packet of type {kind} is cut") from error
    return None


def _blocks(body: bytes, start: int, count: int) -> tuple[ReportBlock, ...]:
    blocks = []
    for index in range(count):
        ssrc, losses, highest, jitter, last_sr, delay = struct.unpack_from(
            "!IIIIII", body, start + index * _BLOCK_SIZE
        )
        lost = losses & 0xFFFFFF
        lost -= (lost & 0x800000) << 1  # 24 signed bits
        blocks.append(ReportBlock(ssrc, losses >> 24, lost, highest, jitter, last_sr, delay))
    return tuple(blocks)


def _description(body: bytes, count: int) -> Description:
    names: list[tuple[int, str]] = []
    position = 0
    for _ in range(count):
        (ssrc,) = struct.unpack_from("!I", body, position)
        position += 4
        for _ in range(MAX_RTCP_ITEMS):
            kind = _byte(body, position)
            if kind == 0:
                position += 4 - position % 4
                break
            size = _byte(body, position + 1)
            text = body[position + 2 : position + 2 + size]
            if len(text) < size:
                raise RtpSyntaxError("a description's item is cut")
            if kind == _CNAME:
                names.append((ssrc, text.decode("utf-8", "replace")))
            position += 2 + size
        else:
            raise RtpSyntaxError("a description of too many items")
    return Description(tuple(names))


def _byte(body: bytes, position: int) -> int:
    if position >= len(body):
        raise RtpSyntaxError("a description is cut")
    return body[position]


def _reason(rest: bytes) -> str:
    if not rest:
        return ""
    if rest[0] >= len(rest):
        raise RtpSyntaxError("the reason is cut")
    return rest[1 : 1 + rest[0]].decode("utf-8", "replace")


def render_compound(reports: Sequence[Report]) -> bytes:
    """The datagram; the caller puts an SR or RR first, RFC 3550 section 6.1."""
    return b"".join(_render(report) for report in reports)


def _render(report: Report) -> bytes:
    match report:
        case SenderReport():
            sender = struct.pack(
                "!IQIII",
                report.ssrc,
                report.ntp,
                report.timestamp,
                report.packets & 0xFFFFFFFF,
                report.octets & 0xFFFFFFFF,
            )
            return _packet(SR, len(report.blocks), sender + _render_blocks(report.blocks))
        case ReceiverReport():
            ssrc = struct.pack("!I", report.ssrc)
            return _packet(RR, len(report.blocks), ssrc + _render_blocks(report.blocks))
        case Description():
            chunks = []
            for source, name in report.names:
                text = name.encode()
                chunk = struct.pack("!IBB", source, _CNAME, len(text)) + text
                chunks.append(chunk + bytes(4 - len(chunk) % 4))
            return _packet(SDES, len(report.names), b"".join(chunks))
        case Bye():
            body = struct.pack(f"!{len(report.sources)}I", *report.sources)
            if report.reason:
                text = report.reason.encode()
                body += bytes([len(text)]) + text
                body += bytes(-len(body) % 4)
            return _packet(BYE, len(report.sources), body)


def _render_blocks(blocks: Sequence[ReportBlock]) -> bytes:
    return b"".join(
        struct.pack(
            "!IIIIII",
            block.ssrc,
            block.fraction_lost << 24 | block.lost & 0xFFFFFF,
            block.highest & 0xFFFFFFFF,
            block.jitter,
            block.last_sr,
            block.delay,
        )
        for block in blocks
    )


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", _VERSION << 6 | count, kind, len(body) // 4) + body
