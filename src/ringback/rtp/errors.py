"""Errors of the RTP package.

RtpError
+-- PeerError            they broke the protocol: the datagram is dropped and counted
|   +-- RtpSyntaxError   the one type that a parser raises
+-- UsageError           we did
"""

from __future__ import annotations


class RtpError(Exception):
    """Root of everything that this package raises."""


class PeerError(RtpError):
    """The peer broke the protocol."""


class RtpSyntaxError(PeerError):
    """A datagram is no RTP or RTCP packet; its text says why."""


class UsageError(RtpError):
    """The caller of this package asked for something impossible."""
