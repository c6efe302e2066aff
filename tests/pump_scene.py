"""Both twins of the pump, and phones around them: real sockets on the loopback, no sleep."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ringback.media import CoreMissing, Port, PortStats, Pump, create_pump
from ringback.rtp.dtmf import Event
from ringback.rtp.packet import Packet

PORTS = (21000, 21998)
WAIT = 20.0
"""Seconds for what comes at once on a machine that does nothing else."""
HERE = "127.0.0.1"
ELSEWHERE = "127.0.0.7"
TELEPHONE_EVENT = 101


class Ear:
    """Collects a pump's events until the wanted one came."""

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self.seen: list[tuple[Any, ...]] = []

    def wait(self, matches: Callable[[tuple[Any, ...]], bool], count: int = 1) -> list[tuple[Any, ...]]:
        until = time.monotonic() + WAIT
        while True:
            found = [event for event in self.seen if matches(event)]
            if len(found) >= count:
                return found
            left = until - time.monotonic()
            assert left > 0, f"{len(found)} of {count} came; all events: {self.seen[-20:]}"
            if select.select([self._pump.fileno()], [], [], left)[0]:
                self.seen += self._pump.events()

    def kind(self, name: str, count: int = 1) -> list[tuple[Any, ...]]:
        return self.wait(lambda event: event[0] == name, count)


class Phone:
    """A far end: an RTP and an RTCP socket, and a stream of its own."""

    def __init__(self, host: str = HERE) -> None:
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for udp in (self.rtp, self.rtcp):
            udp.bind((host, 0))
            udp.settimeout(WAIT)
        self.address = self.rtp.getsockname()
        self.rtcp_address = self.rtcp.getsockname()
        self.ssrc, self.sequence, self.timestamp = 0x1234_0000 + self.address[1], 65530, 0xFFFF_FF00

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()

    def say(
        self, port: Port, payload: bytes = b"\x55" * 160, payload_type: int = 0, marker: bool = False
    ) -> Packet:
        packet = Packet(payload_type, self.sequence, self.timestamp, self.ssrc, payload, marker)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + len(payload)) & 0xFFFFFFFF
        self.rtp.sendto(packet.render(), (port.host, port.port))
        return packet

    def event(
        self, port: Port, code: int, ended: bool, duration: int, payload_type: int = TELEPHONE_EVENT
    ) -> None:
        payload = Event(code, ended, 10, duration).render()
        packet = Packet(payload_type, self.sequence, self.timestamp, self.ssrc, payload)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.rtp.sendto(packet.render(), (port.host, port.port))

    def hear(self) -> Packet:
        return Packet.parse(self.rtp.recv(2048))

    def hear_until(self, matches: Callable[[Packet], bool], limit: int = 200) -> Packet:
        for _ in range(limit):
            packet = self.hear()
            if matches(packet):
                return packet
        raise AssertionError(f"not among {limit} packets")


class Setup:
    """A pump with configured ports and their phones."""

    def __init__(self, pump: Pump) -> None:
        self.pump = pump
        self.ear = Ear(pump)
        self.phones: list[Phone] = []

    def leg(
        self, host: str = HERE, announced: tuple[str, int] | None = None, **changes: Any
    ) -> tuple[Port, Phone]:
        phone = Phone(host)
        self.phones.append(phone)
        port = self.pump.open(HERE)
        self.configure(port, announced or phone.address, rtcp_remote=phone.rtcp_address, **changes)
        return port, phone

    def configure(self, port: Port, remote: tuple[str, int], **changes: Any) -> None:
        settings: dict[str, Any] = {
            "rtcp_remote": None,
            "payload_type": 0,
            "codec": "PCMU",
            "dtmf_payload_type": TELEPHONE_EVENT,
            "dtmf_receive_payload_type": TELEPHONE_EVENT,
            "send": True,
            "receive": True,
            "signalling_host": None,
        }
        self.pump.configure(port.id, remote=remote, **{**settings, **changes})


def stranger(setup: Setup, host: str = ELSEWHERE) -> Phone:
    phone = Phone(host)
    setup.phones.append(phone)
    return phone


def settled(setup: Setup, port: Port, count: int) -> PortStats:
    """The numbers once so many RTP packets were judged."""
    until = time.monotonic() + WAIT
    while True:
        stats = setup.pump.stats(port.id)
        if stats.packets_in + stats.strangers + stats.malformed >= count:
            return stats
        assert time.monotonic() < until, stats


def locked(setup: Setup, port: Port, phone: Phone) -> None:
    setup.ear.wait(lambda event: event == ("locked", port.id, phone.address))


def _has_core() -> bool:
    try:
        import ringback.media._core  # noqa: F401
    except ImportError:
        return False
    return True


@pytest.fixture(params=["pure", "core"])
def is_pure(request: pytest.FixtureRequest) -> bool:
    if request.param == "core" and not _has_core():
        try:
            create_pump(PORTS).close()  # an error, not a skip, where the core is required
        except CoreMissing as error:
            pytest.fail(str(error))
        pytest.skip("the compiled core is not built")
    return bool(request.param == "pure")


@pytest.fixture
def setup(is_pure: bool) -> Iterator[Setup]:
    pump = create_pump(PORTS, pure=is_pure, report_after=0.2, silent_after=0.3)
    made = Setup(pump)
    yield made
    pump.close()
    for phone in made.phones:
        phone.close()


@pytest.fixture
def on_ipv6() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The sockets of a peer and of a stranger at ::1, where the machine has that."""
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as thief,
    ):
        try:
            udp.bind(("::1", 0))
            thief.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 here")
        udp.settimeout(WAIT)
        yield udp, thief
