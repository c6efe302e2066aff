"""What an exchange of offer and answer comes to, and how one description is matched against what we do."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal, get_args

import msgspec

from .description import Direction, Media, Session
from .errors import SdpRefused
from .limits import MAX_PTIME, MIN_PTIME

Codec = Literal["PCMU", "PCMA"]
CODECS: tuple[str, ...] = get_args(Codec)
DEFAULT_PTIME = 20  # milliseconds, RFC 3551 section 4.5
CLOCK_RATE = 8000  # of G.711 and of the telephone-event that goes with it

PLAIN_PROTOCOLS = ("RTP/AVP", "RTP/AVPF")  # AVPF's feedback is optional to send, RFC 4585 section 3
SECURE_PROTOCOLS = ("RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF")

_BITS: Mapping[Direction, int] = {"inactive": 0, "sendonly": 1, "recvonly": 2, "sendrecv": 3}
_BY_BITS: Sequence[Direction] = ("inactive", "sendonly", "recvonly", "sendrecv")
_MIRROR: Mapping[Direction, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}


class Negotiated(msgspec.Struct, frozen=True):
    """The stream that both sides agreed on, as seen from our side.

    codec                     what both send first; G.711 only
    payload_type              its number in packets to us
    remote_payload_type       its number in packets that we send
    dtmf_payload_type         telephone-event in packets that we send; None: the peer does not take it
    dtmf_receive_payload_type telephone-event in packets to us; None: not agreed
    remote, remote_rtcp       (IP, port) to send to; remote_rtcp is None where no valid port is left.
                              An unspecified address ("0.0.0.0", "::") comes only with a direction that
                              does not send
    direction                 ours
    ptime                     milliseconds of audio that the peer wants in a packet, 10 to 60
    receive                   every (payload type, codec) that the peer may send to us
    """

    codec: Codec
    payload_type: int
    remote_payload_type: int
    dtmf_payload_type: int | None
    dtmf_receive_payload_type: int | None
    remote: tuple[str, int]
    remote_rtcp: tuple[str, int] | None
    direction: Direction
    ptime: int
    receive: tuple[tuple[int, Codec], ...]

    @property
    def sends(self) -> bool:
        """We may send audio."""
        return self.direction in ("sendrecv", "sendonly")

    @property
    def receives(self) -> bool:
        """We may get audio."""
        return self.direction in ("sendrecv", "recvonly")

    @property
    def held(self) -> bool:
        """The peer takes no audio from us: it holds the call. RFC 3264 section 8.4."""
        return not self.sends


class Match(msgspec.Struct, frozen=True):
    """What one m= line and we have in common, in the order of the line."""

    codecs: tuple[tuple[int, Codec], ...]
    dtmf: int | None


class Target(msgspec.Struct, frozen=True):
    """Where a described stream is received. `reachable` is False for c=0.0.0.0 and c=::."""

    remote: tuple[str, int]
    rtcp: tuple[str, int] | None
    reachable: bool


def match(
    media: Media, codecs: Sequence[str], telephone_event: bool, assumed_dtmf: int | None = None
) -> Match:
    """Common formats of `media` and of us; `assumed_dtmf` is a number that means telephone-event
    even without an rtpmap line (ours, in an answer: phones forget the line there)."""
    found: list[tuple[int, Codec]] = []
    seen: set[str] = set()
    dtmf: int | None = None
    rtpmaps = media.rtpmaps()
    for payload_type, rtpmap in rtpmaps.items():
        if rtpmap.clock_rate != CLOCK_RATE or rtpmap.channels != 1:
            continue
        if rtpmap.encoding in codecs and rtpmap.encoding not in seen:
            seen.add(rtpmap.encoding)
            found.append((payload_type, "PCMU" if rtpmap.encoding == "PCMU" else "PCMA"))
        elif rtpmap.encoding == "TELEPHONE-EVENT" and dtmf is None and payload_type not in (0, 8):
            dtmf = payload_type
    if dtmf is None and assumed_dtmf not in rtpmaps and str(assumed_dtmf) in media.formats:
        dtmf = assumed_dtmf
    return Match(tuple(found), dtmf if telephone_event else None)


def choose(
    session: Session, codecs: Sequence[str], telephone_event: bool, first: int = 0
) -> tuple[int, Match]:
    """Index of the audio stream that we can take part in, and what we have in common.

    Where several fit (an encrypted and a plain one, two languages), the one at index `first`, which is
    in use, wins; else the first in the offer. Raises SdpRefused.
    """
    audio = [i for i, m in enumerate(session.media) if m.kind == "audio" and m.port]
    if not audio:
        raise SdpRefused("no-audio", "no audio stream is offered")
    if first in audio:  # the one in use, then the offer's order
        audio.remove(first)
        audio.insert(0, first)
    plain = [i for i in audio if session.media[i].protocol.upper() in PLAIN_PROTOCOLS]
    if not plain:
        if any(session.media[i].protocol.upper() in SECURE_PROTOCOLS for i in audio):
            raise SdpRefused("secure-media", "only encrypted audio is offered")
        raise SdpRefused("no-audio", "no audio over RTP is offered")
    for i in plain:
        common = match(session.media[i], codecs, telephone_event)
        if common.codecs:
            return i, common
    raise SdpRefused("no-codec", f"none of {', '.join(codecs)} is offered")


def target(session: Session, media: Media, own_address: str) -> Target:
    """Address and ports to send a stream to. Raises SdpRefused for an address that we cannot use.

    A host name in c= is refused: nobody who looks names up takes part in a negotiation.
    """
    connection = session.connection_of(media)
    if connection is None:
        raise SdpRefused("address", "the stream has no c= line")
    host = _host(connection.address)
    reachable = not host.is_unspecified
    if reachable and host.version != _host(own_address).version:
        raise SdpRefused("address", "the stream's address is of another IP version")
    rtcp = media.rtcp
    rtcp_host, rtcp_port = host.text, media.port + 1  # RFC 3550 section 11
    if rtcp is not None:
        rtcp_port = rtcp.port
        if rtcp.address:
            other = _host(rtcp.address)
            rtcp_host = other.text if other.version == host.version else host.text
    return Target(
        (host.text, media.port),
        (rtcp_host, rtcp_port) if reachable and rtcp_port < 65536 else None,
        reachable,
    )


_BROADCAST = ipaddress.IPv4Address("255.255.255.255")


class Host(msgspec.Struct, frozen=True):
    """An IP address that a stream can be sent to, as it is written everywhere."""

    text: str
    version: int
    is_unspecified: bool


@lru_cache(maxsize=1_000)
def own_host(text: str) -> str:
    """An address of ours as it is written everywhere. Raises ValueError."""
    return str(ipaddress.ip_address(text))


@lru_cache(maxsize=1_000)
def _host(text: str) -> Host:
    """Read once: what `ipaddress` says of one takes as long as the rest of a stream's negotiation."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise SdpRefused("address", "the stream's address is not an IP address") from None
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    if address.is_multicast or address == _BROADCAST:
        raise SdpRefused("address", "the stream's address is of a group")
    return Host(str(address), address.version, address.is_unspecified)


def our_direction(wanted: Direction, theirs: Direction, reachable: bool) -> Direction:
    """Our side of a stream: what we want, as far as they let us. RFC 3264 sections 6.1 and 8.4.

    c=0.0.0.0 takes their receiving away, whatever the direction says (the hold of RFC 2543).
    """
    allowed = _BITS[_MIRROR[theirs]] & (3 if reachable else 2)
    return _BY_BITS[_BITS[wanted] & allowed]


def packet_time(media: Media) -> int:
    """Milliseconds of audio that the peer wants in a packet: its ptime within its maxptime and our limits."""
    wanted = media.ptime or DEFAULT_PTIME
    most = media.maxptime or MAX_PTIME
    wanted = min(wanted, most, MAX_PTIME) // 10 * 10
    return max(wanted, MIN_PTIME)
