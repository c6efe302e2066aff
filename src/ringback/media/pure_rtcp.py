"""RTCP of a port of the pure pump: whose reports are believed, and where ours go (RFC 3550 section 6, RFC 3605)."""

from __future__ import annotations

import socket

from ringback.media.pump import Address, RemoteReport
from ringback.rtp.outbound import OutboundStream
from ringback.rtp.reception import Reception
from ringback.rtp.report import Reporter, jitter_seconds
from ringback.rtp.rtcp import parse_compound
from ringback.rtp.source import SourceLock


class PureRtcp:
    """Reports of one port. Times are monotonic seconds, but ``wall``, which is Unix time."""

    def __init__(self, udp: socket.socket, cname: str, stream: OutboundStream, lock: SourceLock) -> None:
        self._udp = udp
        self._stream = stream
        self._lock = lock
        self._reporter = Reporter(cname)
        self._remote: Address | None = None
        self._announced: Address | None = None
        self._source: Address | None = None
        self._is_locked = False

    def configure(self, remote: Address, announced: Address | None) -> None:
        """The addresses of an offer: of the media, and of its RTCP where that was said."""
        if self._remote != remote:
            self._source = None
        self._remote, self._announced = remote, announced
        self._is_locked = False

    def unlock(self) -> None:
        """The media comes from somewhere else now, and so may the reports."""
        self._is_locked = False

    def receive(self, data: bytes, source: Address, now: float, wall: float) -> bool:
        """Take a compound; False for a stranger's, which is not read. Raises RtpSyntaxError."""
        if not self._is_believed(source):
            return False
        reports = parse_compound(data)
        self._source, self._is_locked = source, True
        self._reporter.receive(reports, self._stream.ssrc, now, wall)
        return True

    def _is_believed(self, source: Address) -> bool:
        """The first that comes from the media's host, or was announced, until a new offer or another source."""
        if self._remote is None:
            return False
        if self._is_locked:
            return source == self._source
        media, announced = self._lock.source, self._announced
        if media is not None:
            return source[0] == media[0] or source == announced
        target = self._lock.target
        return source[0] in (target and target[0], announced and announced[0])

    def send(self, reception: Reception | None, now: float, wall: float, *, bye: bool = False) -> None:
        """Report, if there is anything to tell and somebody to tell it to."""
        target = self._target()
        if target is None or not 0 < target[1] < 65536 or target[0] in ("0.0.0.0", "::"):
            return
        if reception is None and self._stream.packets == 0:
            return
        send(self._udp, self._reporter.compound(self._stream, reception, now, wall, bye=bye), target)

    def _target(self) -> Address | None:
        source = self._lock.source
        if self._source is not None:
            return self._source
        if self._remote is None:
            return None
        announced = self._announced or (self._remote[0], self._remote[1] + 1)
        if source is not None and source[0] != announced[0]:
            return source[0], source[1] + 1
        return announced

    @property
    def round_trip(self) -> float | None:
        """Seconds; None until a report told it."""
        return self._reporter.round_trip

    @property
    def remote(self) -> RemoteReport | None:
        """How the peer receives us, by its last report."""
        block = self._reporter.remote
        if block is None:
            return None
        return RemoteReport(block.fraction_lost / 256, block.lost, jitter_seconds(block.jitter))


def send(udp: socket.socket, data: bytes, target: Address) -> None:
    """A datagram that cannot be sent is lost, as any may be."""
    try:
        udp.sendto(data, target)
    except OSError:
        return
