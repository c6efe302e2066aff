"""What a port says and hears in RTCP: both directions' quality and the round trip, RFC 3550 section 6.4."""

from __future__ import annotations

from typing import Final

from ringback.rtp.outbound import OutboundStream
from ringback.rtp.reception import CLOCK_RATE, Reception
from ringback.rtp.rtcp import (
    Bye,
    Description,
    ReceiverReport,
    Report,
    ReportBlock,
    SenderReport,
    middle,
    ntp_of,
    render_compound,
)

_UNITS: Final = 65536.0
_MAX_ROUND_TRIP: Final = 10.0  # seconds; more is a peer's mistake


class Reporter:
    """RTCP of one port."""

    __slots__ = ("_cname", "_last_sr", "_last_sr_at", "_packets_told", "remote", "round_trip")

    def __init__(self, cname: str) -> None:
        self._cname = cname
        self._last_sr = 0
        self._last_sr_at = 0.0
        self._packets_told = 0
        self.round_trip: float | None = None
        self.remote: ReportBlock | None = None
        """How the peer receives us, by its last report."""

    def compound(
        self,
        stream: OutboundStream,
        reception: Reception | None,
        now: float,
        wall: float,
        *,
        bye: bool = False,
    ) -> bytes:
        """The next compound: SR when something was sent since the last, else RR; then SDES.

        `now` is monotonic, `wall` is Unix time, both in seconds.
        """
        blocks = (self._block(reception, now),) if reception is not None and reception.has_news else ()
        first: Report
        if stream.packets > self._packets_told:  # RFC 3550 section 6.4
            first = SenderReport(
                stream.ssrc, ntp_of(wall), stream.timestamp_at(now), stream.packets, stream.octets, blocks
            )
            self._packets_told = stream.packets
        else:
            first = ReceiverReport(stream.ssrc, blocks)
        reports: list[Report] = [first, Description(((stream.ssrc, self._cname),))]
        if bye:
            reports.append(Bye((stream.ssrc,)))
        return render_compound(reports)

    def _block(self, reception: Reception, now: float) -> ReportBlock:
        delay = int(max(0.0, now - self._last_sr_at) * _UNITS) & 0xFFFFFFFF if self._last_sr else 0
        return ReportBlock(
            reception.ssrc,
            reception.fraction_lost(),
            reception.lost,
            reception.extended & 0xFFFFFFFF,
            reception.jitter,
            self._last_sr,
            delay,
        )

    def receive(self, reports: list[Report], ssrc: int, now: float, wall: float) -> None:
        """Take the peer's compound; `ssrc` is ours."""
        for report in reports:
            if isinstance(report, SenderReport):
                self._last_sr, self._last_sr_at = middle(report.ntp), now
            if isinstance(report, SenderReport | ReceiverReport):
                for block in report.blocks:
                    if block.ssrc == ssrc:
                        self._hear(block, wall)

    def _hear(self, block: ReportBlock, wall: float) -> None:
        self.remote = block
        if block.last_sr == 0:
            return
        # RFC 3550 section 6.4.1, figure 2
        round_trip = (middle(ntp_of(wall)) - block.last_sr - block.delay) & 0xFFFFFFFF
        if round_trip / _UNITS < _MAX_ROUND_TRIP:
            self.round_trip = round_trip / _UNITS


def jitter_seconds(units: int) -> float:
    """Timestamp units as seconds."""
    return units / CLOCK_RATE
