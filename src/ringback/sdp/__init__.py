"""Session descriptions (RFC 8866) and their negotiation (RFC 3264), without I/O."""

from .description import Attribute, Connection, Direction, Media, Origin, RtcpAddress, Rtpmap, Session
from .errors import PeerError, SdpError, SdpRefused, SdpSyntaxError, UsageError
from .negotiated import Codec, Negotiated
from .offer_answer import OfferAnswer
from .parser import parse

__all__ = [
    "Attribute",
    "Codec",
    "Connection",
    "Direction",
    "Media",
    "Negotiated",
    "OfferAnswer",
    "Origin",
    "PeerError",
    "RtcpAddress",
    "Rtpmap",
    "SdpError",
    "SdpRefused",
    "SdpSyntaxError",
    "Session",
    "UsageError",
    "parse",
]
