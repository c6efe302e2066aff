"""RTP, RTCP and digits; both twins of the pump and the SIP transport, reached through real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import time
from typing import Any

from fuzz import seeds
from fuzz.target import Target

from ringback.media.errors import CoreMissing
from ringback.media.pump import Port, PortStats, Pump
from ringback.media.twins import create_pump
from ringback.rtp.dtmf import DtmfReceiver
from ringback.rtp.errors import RtpSyntaxError
from ringback.rtp.packet import Packet
from ringback.rtp.reception import Reception
from ringback.rtp.rtcp import parse_compound, render_compound
from ringback.rtp.source import SourceLock
from ringback.shell.transport import SipTransports

BATCH = 48
"""Datagrams sent before the counters are looked at: far below what the socket's buffer holds."""

WITHIN = 10.0
"""Seconds of CPU in which a batch must be counted: a process that may not run counts nothing."""


def rtp(data: bytes) -> None:
    """A packet, and what counts and judges it."""
    try:
        packet = Packet.parse(data)
    except RtpSyntaxError:
        return
    assert Packet.parse(packet.render()) == packet
    reception, lock = Reception(packet.ssrc, 5), SourceLock()
    lock.configure(("192.168.2.7", 4000), "192.0.2.8", {0, 101})
    for at in range(4):
        lock.offer(("192.0.2.9", 4000), packet.payload_type, packet.ssrc, packet.sequence + at & 0xFFFF)
        reception.receive(packet.sequence + at & 0xFFFF)
        reception.time(packet.timestamp, at * 0.02)
    assert 0 <= reception.fraction_lost() <= 255
    assert -(1 << 23) <= reception.lost < 1 << 23


def rtcp(data: bytes) -> None:
    """A compound, read and written again."""
    try:
        reports = parse_compound(data)
    except RtpSyntaxError:
        return
    with contextlib.suppress(UnicodeEncodeError):
        if all(len(getattr(report, "reason", "").encode()) < 256 for report in reports):
            render_compound([report for report in reports if not hasattr(report, "names")])


def events(data: bytes) -> None:
    """Telephone-event payloads of four bytes each, one every 20 ms."""
    receiver = DtmfReceiver()
    digits = []
    for number, at in enumerate(range(0, min(len(data), 4_000), 4)):
        now = number * 0.02
        timestamp = int.from_bytes(data[at : at + 2], "big") * 160
        digits += receiver.receive(timestamp, data[at : at + 4], now)
        digits += receiver.expire(now + (data[at] & 1))
    assert len(digits) <= len(data) // 4 + 1
    assert all(digit.duration_ms >= 0 for digit in digits)


class _PumpIntake:
    """One port of a pump, and phones that throw things at it from two addresses."""

    def __init__(self, pure: bool, first: int) -> None:
        self.pump: Pump = create_pump((first, first + 399), pure=pure)
        self.phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.phone.bind(("127.0.0.1", 0))
        self.stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.stranger.bind(("127.0.0.9", 0))
        self.port: Port = self.pump.open("127.0.0.1")
        self.other: Port = self.pump.open("127.0.0.1")
        self.sent = self.checked = self.bad_reports = 0
        for port in (self.port, self.other):
            self._configure(port)

    def _configure(self, port: Port) -> None:
        self.pump.configure(
            port.id,
            remote=self.phone.getsockname(),
            rtcp_remote=None,
            payload_type=0,
            codec="PCMU",
            dtmf_payload_type=101,
            dtmf_receive_payload_type=101,
            send=True,
            receive=True,
            signalling_host=None,
        )

    def run(self, data: bytes) -> None:
        """Send; and after each batch judge the counters."""
        data = data[:1_472]
        sender = self.stranger if len(data) % 8 == 7 else self.phone
        sender.sendto(data, (self.port.host, self.port.port))
        self.sent += 1
        if self.sent % 2:
            # The compiled twin passes over descriptions (SDES), which nothing needs, without reading them.
            port = self.other if b"\xca" in data else self.port
            self.phone.sendto(data, (port.host, port.port + 1))
            try:
                parse_compound(data)
            except RtpSyntaxError:
                self.bad_reports += port is self.port
        if self.sent - self.checked >= BATCH:
            self.check()

    def check(self) -> None:
        """Every datagram was counted, once: as taken, as a stranger's or as malformed."""
        deadline = time.process_time() + WITHIN
        expected = self.sent + self.bad_reports
        while self._counted(self.pump.stats(self.port.id)) < expected and time.process_time() < deadline:
            time.sleep(0)
        stats = self.pump.stats(self.port.id)
        assert self._counted(stats) == expected, (stats, expected)
        assert stats.jitter >= 0
        assert stats.mos is None or 1.0 <= stats.mos <= 4.5
        self.checked = self.sent
        self._configure(
            self.port
        )  # a new offer: else the kernel would keep the stranger away, and nobody count it
        self.pump.events()

    @staticmethod
    def _counted(stats: PortStats) -> int:
        return stats.packets_in + stats.strangers + stats.malformed


# Ports where no server of a test has its own.
_intakes: dict[bool, _PumpIntake] = {}


def _intake(pure: bool) -> _PumpIntake:
    found = _intakes.get(pure)
    if found is None:
        found = _intakes[pure] = _PumpIntake(pure, 12_000 if pure else 12_400)
    return found


def compiled_pump(data: bytes) -> None:
    """The compiled pump's sockets."""
    _intake(False).run(data)


def pure_pump(data: bytes) -> None:
    """The pure pump's sockets."""
    _intake(True).run(data)


class _SipIntake:
    """The SIP transport on a UDP socket of its own, in a loop of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.problems: list[Any] = []
        self.loop.set_exception_handler(lambda loop, context: self.problems.append(context))
        self.taken = 0
        self.transports = self.loop.run_until_complete(self._open())
        self.address = self.transports.listen_udp("127.0.0.1", 0)
        self.phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.phone.bind(("127.0.0.1", 0))
        self.sent = itertools.count(1)
        self.last = 0

    async def _open(self) -> SipTransports:
        def take(*_: Any) -> None:
            self.taken += 1

        return SipTransports(take, take, take, take)

    def run(self, data: bytes) -> None:
        self.phone.sendto(data[:60_000], self.address)
        self.last = next(self.sent)
        if self.last % BATCH == 0:
            self.loop.run_until_complete(self._drain())

    async def _drain(self) -> None:
        counters = self.transports.counters
        deadline = time.process_time() + WITHIN
        while self._counted() < self.last and time.process_time() < deadline:
            await asyncio.sleep(0)
        assert self._counted() == self.last, counters
        assert self.taken == counters.messages_in + counters.garbage
        assert not self.problems, self.problems

    def _counted(self) -> int:
        counters = self.transports.counters
        return counters.messages_in + counters.garbage + counters.keep_alives


_sip: list[_SipIntake] = []


def udp(data: bytes) -> None:
    """The SIP port takes whatever comes, and goes on."""
    if not _sip:
        _sip.append(_SipIntake())
    _sip[0].run(data)


_STRANGE = (
    bytes.fromhex("000100002112a442") + bytes(range(12)),
    bytes.fromhex("8055") + bytes(20),
    b"jaK\0",
    b"\r\n\r\n",
    bytes(4),
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
)


def _has_core() -> bool:
    try:
        create_pump((12_800, 12_803), pure=False).close()
    except CoreMissing:
        return False
    return True


TARGETS = (
    Target("rtp packet", rtp, seeds.RTP, share=14),
    Target("rtcp compound", rtcp, seeds.RTCP, share=14),
    Target("rtp events", events, seeds.EVENTS, share=4),
    *(
        (Target("pump, compiled", compiled_pump, (*seeds.RTP, *seeds.RTCP), share=10, is_guided=False),)
        if _has_core()
        else ()
    ),
    Target("pump, pure", pure_pump, (*seeds.RTP, *seeds.RTCP), share=2, is_guided=False),
    Target("sip udp socket", udp, (*seeds.SIP, *_STRANGE), share=6, is_guided=False),
)
