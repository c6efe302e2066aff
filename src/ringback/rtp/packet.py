"""One RTP packet, RFC 3550 section 5.1.

 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|V=2|P|X|  CC   |M|     PT      |       sequence number         |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|                           timestamp                           |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|           synchronization source (SSRC) identifier            |
+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
|            contributing source (CSRC) identifiers             |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from ringback.rtp.errors import RtpSyntaxError
from ringback.rtp.limits import MAX_DATAGRAM

HEADER_SIZE: Final = 12
VERSION: Final = 2

_HEADER = struct.Struct("!BBHII")


class Packet(NamedTuple):
    """An RTP packet; padding is stripped, the header extension is (profile, words) or None."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
    csrc: tuple[int, ...] = ()
    extension: tuple[int, bytes] | None = None

    @classmethod
    def parse(cls, data: bytes) -> Packet:
        """Read one datagram; raises RtpSyntaxError, and on nothing else."""
        if not HEADER_SIZE <= len(data) <= MAX_DATAGRAM:
            raise RtpSyntaxError(f"{len(data)} bytes")
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        if first >> 6 != VERSION:
            raise RtpSyntaxError(f"version {first >> 6}")
        start = HEADER_SIZE + 4 * (first & 0x0F)
        if start > len(data):
            raise RtpSyntaxError("contributing sources are cut")
        csrc = struct.unpack_from(f"!{first & 0x0F}I", data, HEADER_SIZE)
        extension = None
        if first & 0x10:
            start, extension = _extension(data, start)
        end = len(data)
        if first & 0x20:
            padding = data[-1]
            if padding == 0 or start + padding > end:
                raise RtpSyntaxError(f"padding of {padding} bytes")
            end -= padding
        payload = bytes(data[start:end])
        return cls(second & 0x7F, sequence, timestamp, ssrc, payload, bool(second & 0x80), csrc, extension)

    def render(self) -> bytes:
        """The datagram, without padding."""
        first = VERSION << 6 | len(self.csrc)
        tail = b""
        if self.extension is not None:
            first |= 0x10
            profile, words = self.extension
            tail = struct.pack("!HH", profile, len(words) // 4) + words
        second = self.marker << 7 | self.payload_type
        header = _HEADER.pack(first, second, self.sequence, self.timestamp, self.ssrc)
        return header + struct.pack(f"!{len(self.csrc)}I", *self.csrc) + tail + self.payload


def _extension(data: bytes, start: int) -> tuple[int, tuple[int, bytes]]:
    """The header extension at `start` (RFC 3550 section 5.3.1) and where the payload begins."""
    if start + 4 > len(data):
        raise RtpSyntaxError("the extension's header is cut")
    profile, words = struct.unpack_from("!HH", data, start)
    end = start + 4 + 4 * words
    if end > len(data):
        raise RtpSyntaxError("the extension is cut")
    return end, (profile, bytes(data[start + 4 : end]))


def sequence_step(earlier: int, later: int) -> int:
    """How far `later` is ahead of `earlier` among 16-bit sequence numbers, -32768 to 32767."""
    return ((later - earlier + 0x8000) & 0xFFFF) - 0x8000


def timestamp_step(earlier: int, later: int) -> int:
    """How far `later` is ahead of `earlier` among 32-bit timestamps, signed."""
    return ((later - earlier + 0x80000000) & 0xFFFFFFFF) - 0x80000000
