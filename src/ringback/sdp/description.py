"""A session description as data, and its rendering. RFC 8866 (RFC 4566) section 5.

Everything that was parsed is kept verbatim, unknown attributes as well, so that `parse(x).render()` says
the same as `x`. Typed views (direction, rtpmaps, ptime, rtcp) are computed from the attributes on demand.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import msgspec

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

DIRECTIONS: dict[str, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "sendonly",
    "recvonly": "recvonly",
    "inactive": "inactive",
}


class Origin(msgspec.Struct, frozen=True):
    """The o= line, RFC 8866 section 5.2. Identifier and version stay text: only their equality counts."""

    username: str
    session_id: str
    version: str
    address_type: str
    address: str

    def __str__(self) -> str:
        return f"{self.username} {self.session_id} {self.version} IN {self.address_type} {self.address}"


class Connection(msgspec.Struct, frozen=True):
    """A c= line, RFC 8866 section 5.7. `suffix` is what follows the address of a multicast group ("/127")."""

    address_type: str
    address: str
    suffix: str = ""

    def __str__(self) -> str:
        return f"IN {self.address_type} {self.address}{self.suffix}"


class Attribute(msgspec.Struct, frozen=True):
    """An a= line, RFC 8866 section 5.13: a property (`value` is None) or a value."""

    name: str
    value: str | None = None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value}"


class Rtpmap(msgspec.Struct, frozen=True):
    """What a payload type carries, RFC 8866 section 6.6. `encoding` is in upper case, as codecs compare."""

    payload_type: int
    encoding: str
    clock_rate: int
    channels: int = 1


class RtcpAddress(msgspec.Struct, frozen=True):
    """An a=rtcp line, RFC 3605 section 2.1. `address` is "" when the line names the port only."""

    port: int
    address: str


# RFC 3551 section 6: the static audio payload types, which need no rtpmap.
STATIC_PAYLOADS: dict[int, Rtpmap] = {
    payload_type: Rtpmap(payload_type, encoding, rate)
    for payload_type, encoding, rate in (
        (0, "PCMU", 8000),
        (3, "GSM", 8000),
        (4, "G723", 8000),
        (5, "DVI4", 8000),
        (6, "DVI4", 16000),
        (7, "LPC", 8000),
        (8, "PCMA", 8000),
        (9, "G722", 8000),
        (12, "QCELP", 8000),
        (13, "CN", 8000),
        (15, "G728", 8000),
        (18, "G729", 8000),
    )
}


def _find(attributes: list[Attribute], name: str) -> str | None:
    for attribute in attributes:
        if attribute.name == name:
            return attribute.value or ""
    return None


def _direction(attributes: list[Attribute]) -> Direction | None:
    for attribute in attributes:
        direction = DIRECTIONS.get(attribute.name)
        if direction is not None:
            return direction
    return None


def _number(text: str | None) -> int | None:
    """A non-negative decimal number at the start of `text`; None for anything else."""
    if text is not None and text.isdigit() and text.isascii() and len(text) <= 10:
        return int(text)
    word = (text or "").split(maxsplit=1)[:1]
    # A phone that writes "20.0" or "20ms" is not worth a refused call; ten digits bound the conversion.
    digits = word[0].partition(".")[0] if word else ""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else None


class Media(msgspec.Struct):
    """One m= line with all that belongs to it, RFC 8866 section 5.14."""

    kind: str
    port: int
    protocol: str
    formats: list[str]
    port_count: int = 1
    connection: Connection | None = None
    attributes: list[Attribute] = []
    others: list[tuple[str, str]] = []  # i=, b=, k= lines, verbatim

    def attribute(self, name: str) -> str | None:
        """Value of the first attribute `name` ("" for a property), or None."""
        return _find(self.attributes, name)

    @property
    def direction(self) -> Direction | None:
        """The direction that this m= line states itself; see `Session.direction_of` for the default."""
        return _direction(self.attributes)

    @property
    def ptime(self) -> int | None:
        """Milliseconds of audio in a packet that the describer wants to receive, RFC 8866 section 6.4."""
        return _number(self.attribute("ptime"))

    @property
    def maxptime(self) -> int | None:
        """Most milliseconds that a packet may hold, RFC 8866 section 6.5."""
        return _number(self.attribute("maxptime"))

    @property
    def crypto(self) -> list[str]:
        """The crypto lines, verbatim (RFC 4568). They hold keys: never log them."""
        return [a.value or "" for a in self.attributes if a.name == "crypto"]

    @property
    def rtcp(self) -> RtcpAddress | None:
        """Where RTCP goes when that is not the next port up, RFC 3605."""
        value = self.attribute("rtcp")
        port = _number(value)
        if value is None or port is None or not 0 < port < 65536:
            return None
        words = value.split()
        return RtcpAddress(port, words[3] if len(words) >= 4 else "")

    def rtpmaps(self) -> dict[int, Rtpmap]:
        """What each payload type in `formats` carries, in the order of the m= line.

        Static types need no rtpmap line; a line that is there wins. Formats that are no payload types,
        dynamic ones without a line, and malformed lines are left out.
        """
        mapped: dict[int, Rtpmap] = {}
        for attribute in self.attributes:
            if attribute.name == "rtpmap" and attribute.value:
                rtpmap = _parse_rtpmap(attribute.value)
                if rtpmap is not None:
                    mapped.setdefault(rtpmap.payload_type, rtpmap)
        found: dict[int, Rtpmap] = {}
        for text in self.formats:
            payload_type = _number(text)
            if payload_type is None or payload_type > 127:
                continue
            known = mapped.get(payload_type) or STATIC_PAYLOADS.get(payload_type)
            if known is not None:
                found.setdefault(payload_type, known)
        return found

    def fmtp(self, payload_type: int) -> str | None:
        """Format parameters of a payload type, RFC 8866 section 6.15, or None."""
        prefix = str(payload_type)
        for attribute in self.attributes:
            if attribute.name == "fmtp" and attribute.value:
                number, _, parameters = attribute.value.partition(" ")
                if number == prefix:
                    return parameters.strip()
        return None

    def lines(self) -> list[str]:
        """The m= line and its section, without line ends."""
        port = f"{self.port}/{self.port_count}" if self.port_count != 1 else str(self.port)
        lines = [f"m={self.kind} {port} {self.protocol} {' '.join(self.formats)}".rstrip()]
        lines += [f"i={value}" for letter, value in self.others if letter == "i"]
        if self.connection is not None:
            lines.append(f"c={self.connection}")
        lines += [f"{letter}={value}" for letter, value in self.others if letter in "bk"]
        lines += [f"a={attribute}" for attribute in self.attributes]
        return lines


@lru_cache(maxsize=200)
def _parse_rtpmap(value: str) -> Rtpmap | None:
    number, _, rest = value.partition(" ")
    payload_type = _number(number)
    encoding, _, rest = rest.strip().partition("/")
    rate_text, _, channels_text = rest.partition("/")
    rate = _number(rate_text)
    if payload_type is None or payload_type > 127 or not encoding or not rate:
        return None
    return Rtpmap(payload_type, encoding.upper(), rate, _number(channels_text) or 1)


class Session(msgspec.Struct):
    """A whole session description, RFC 8866 section 5."""

    origin: Origin
    name: str = "-"
    connection: Connection | None = None
    attributes: list[Attribute] = []
    media: list[Media] = []
    others: list[tuple[str, str]] = []  # all other lines, verbatim

    def attribute(self, name: str) -> str | None:
        """Value of the first session attribute `name` ("" for a property), or None."""
        return _find(self.attributes, name)

    def direction_of(self, media: Media) -> Direction:
        """Direction of a stream: its own, else the session's, else sendrecv (RFC 8866 section 6.7)."""
        return media.direction or _direction(self.attributes) or "sendrecv"

    def connection_of(self, media: Media) -> Connection | None:
        """Address of a stream: its own c= line, else the session's (RFC 8866 section 5.7)."""
        return media.connection or self.connection

    def render(self) -> bytes:
        """The description in the order of RFC 8866 section 5, with CRLF line ends."""
        lines = ["v=0", f"o={self.origin}", f"s={self.name}"]
        lines += [f"{letter}={value}" for letter, value in self.others if letter in "iuep"]
        if self.connection is not None:
            lines.append(f"c={self.connection}")
        lines += [f"b={value}" for letter, value in self.others if letter == "b"]
        times = [f"{letter}={value}" for letter, value in self.others if letter in "tr"]
        lines += times or ["t=0 0"]
        lines += [f"{letter}={value}" for letter, value in self.others if letter in "zk"]
        lines += [f"a={attribute}" for attribute in self.attributes]
        for media in self.media:
            lines += media.lines()
        return ("\r\n".join(lines) + "\r\n").encode("utf-8", "surrogateescape")
