"""Wireshark reads what went over a wire: its dissectors know SIP and SDP by themselves, and nothing of ours."""

from __future__ import annotations

import ipaddress
import shutil
import struct
import subprocess
from collections.abc import Iterable, Sequence
from typing import NamedTuple

LINKTYPE_RAW = 101
"""Packets begin with their IP header."""
_UDP = 17
_BETWEEN, _AMONG = "\x1f", "\x1e"
LISTED = tuple(
    """Via Route Record-Route From To Call-ID CSeq Contact Max-Forwards Require Supported Unsupported Allow Allow-Events
    Expires Min-Expires RSeq RAck Session-Expires Min-SE Event Subscription-State Refer-To Referred-by Replaces Reason
    Content-Type Content-Length Retry-After Timestamp Authorization Proxy-Authorization WWW-Authenticate
    Proxy-Authenticate P-Asserted-Identity P-Preferred-Identity Privacy Path Server User-Agent Accept""".split()
)
"""Fields that are compared as they stand."""
_FIELDS = (
    *("sip.Method", "sip.Status-Code", "sip.r-uri", "sip.Via.branch", "sip.from.tag", "sip.to.tag"),
    *("sip.CSeq.seq", "sip.CSeq.method", "sip.resend", "_ws.malformed", "_ws.expert.message", "sdp.version"),
    *(f"sip.{name}" for name in LISTED),
)


class Packet(NamedTuple):
    """A datagram: seconds, where from, where to, and its bytes."""

    at: float
    source: tuple[str, int]
    target: tuple[str, int]
    data: bytes


class Reading(NamedTuple):
    """What Wireshark makes of a datagram; a field has a value for each time that it stands there."""

    fields: dict[str, list[str]]

    def one(self, name: str) -> str:
        """The first value of a field, "" where there is none."""
        return next(iter(self.fields[name]), "")

    @property
    def complaints(self) -> list[str]:
        """What it holds to be wrong."""
        return self.fields["_ws.malformed"] + self.fields["_ws.expert.message"]

    @property
    def is_repeated(self) -> bool:
        """Whether it takes this for a retransmission."""
        return self.one("sip.resend") in ("1", "True")


def is_installed() -> bool:
    """Whether there is a tshark."""
    return shutil.which("tshark") is not None


def _capture(packets: Iterable[Packet]) -> bytes:
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0x40000, LINKTYPE_RAW)]
    for at, source, target, data in packets:
        ours, theirs = ipaddress.ip_address(source[0]), ipaddress.ip_address(target[0])
        size = 8 + len(data)
        udp = struct.pack("!HHHH", source[1], target[1], size, 0) + data
        if ours.version == 4:
            head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, 0, 0, 64, _UDP, 0)
        else:
            head = struct.pack("!IHBB", 6 << 28, size, _UDP, 64)
        packet = head + ours.packed + theirs.packed + udp
        seconds, rest = divmod(round(at * 1e6), 1_000_000)
        out.append(struct.pack("<IIII", seconds, rest, len(packet), len(packet)) + packet)
    return b"".join(out)


def read(packets: Sequence[Packet]) -> list[Reading]:
    """What Wireshark reads in each packet, in their order."""
    command = ["tshark", "-r", "-", "-n", "-T", "fields", "-o", "sip.display_raw_text:FALSE"]
    command += [
        *("-d", "udp.port==1-65535,sip"),
        *("-E", f"separator={_BETWEEN}"),
        *("-E", f"aggregator={_AMONG}"),
    ]
    command += ["-E", "occurrence=a", *(word for field in _FIELDS for word in ("-e", field))]
    ran = subprocess.run(command, input=_capture(packets), capture_output=True, check=False, timeout=60)
    lines = ran.stdout.decode("utf-8", "replace").split("\n")[:-1]
    assert len(lines) == len(packets), ran.stderr.decode()
    readings = []
    for line in lines:
        values = [value.split(_AMONG) if value else [] for value in line.split(_BETWEEN)]
        readings.append(Reading(dict(zip(_FIELDS, values, strict=True))))
    return readings
