"""What the kernel does for the pump, and tells it: strangers kept from a steady call, ICMP, packets thrown away."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pump_scene import HERE, PORTS, WAIT, Phone, Setup, is_pure, on_ipv6, settled, setup, stranger

from ringback.media import Port, create_pump
from ringback.rtp.packet import Packet

__all__ = ["is_pure", "on_ipv6", "setup"]

EVIL = b"\x66" * 160


def test_of_a_flood_each_packet_is_counted_whoever_threw_it_away(setup: Setup) -> None:
    a, _ = setup.leg()
    thief = stranger(setup)
    for _ in range(5_000):
        thief.say(a, EVIL)
    until = time.monotonic() + WAIT
    while (stats := setup.pump.stats(a.id)).strangers + stats.discarded < 5_000:
        assert time.monotonic() < until, stats
    stats = setup.pump.close_port(a.id)
    assert (stats.strangers + stats.discarded, stats.packets_in) == (5_000, 0)


def talk(setup: Setup, a: Port, phone_a: Phone, phone_b: Phone, until: Callable[[], bool]) -> int:
    """Relay packets until something is so; how many it took."""
    for n in range(1, 100_000):
        phone_a.say(a, bytes([n % 251]) * 160)
        assert phone_b.hear().payload[0] == n % 251
        if until():
            return n
    raise AssertionError("it never was")


def refused(thief: Phone, port: Port, host: str = HERE) -> bool:
    """Whether the kernel says that nobody listens."""
    thief.rtp.connect((host, port.port))
    thief.rtp.settimeout(0.01)
    try:
        thief.rtp.send(Packet(0, 1, 1, 1, EVIL).render())
        thief.rtp.recv(100)
    except ConnectionRefusedError:
        return True
    except TimeoutError:
        pass
    return False


@pytest.mark.parametrize("is_pure", ["core"], indirect=True)
def test_the_kernel_keeps_strangers_from_a_call_that_is_steady(setup: Setup) -> None:
    """Their packets do not fill the buffer; a new offer, or silence, lets them be heard of again."""
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    thief = stranger(setup)
    setup.pump.connect(a.id, b.id)
    assert talk(setup, a, phone_a, phone_b, lambda: refused(thief, a)) >= 50
    before = setup.pump.stats(a.id).strangers
    assert refused(thief, a)
    assert setup.pump.stats(a.id).strangers == before
    phone_b.say(b, b"\x05" * 160)
    assert phone_a.hear().payload[0] == 5
    until = time.monotonic() + WAIT
    while refused(thief, a):  # for a second after the last packet
        assert time.monotonic() < until
    assert settled(setup, a, setup.pump.stats(a.id).packets_in + before + 1).strangers > before
    talk(setup, a, phone_a, phone_b, lambda: refused(thief, a))
    setup.configure(a, thief.address)
    thief.rtp.send(Packet(0, 1, 1, 1, b"\x07" * 160).render())
    assert phone_b.hear().payload[0] == 7


def wild(setup: Setup, reached_at: str) -> tuple[Port, Phone, Phone]:
    """A port on all our addresses, at the one where its phone reaches it; and whom it is connected to."""
    port, phone_a = setup.pump.open("0.0.0.0"), stranger(setup, HERE)
    b, phone_b = setup.leg()
    setup.configure(port, phone_a.address)
    setup.pump.connect(port.id, b.id)
    return Port(port.id, reached_at, port.port), phone_a, phone_b


@pytest.mark.parametrize("reached_at", [HERE, "127.0.0.5"])
def test_a_peer_is_heard_at_each_of_our_addresses_and_strangers_at_none(
    setup: Setup, is_pure: bool, reached_at: str
) -> None:
    port, phone_a, phone_b = wild(setup, reached_at)
    thieves = [stranger(setup), stranger(setup, HERE)]

    def heard() -> int:
        """How many of the strangers were counted."""
        before = setup.pump.stats(port.id)
        for thief in thieves:
            thief.say(port, EVIL)
        phone_a.say(port, b"\x06" * 160)
        assert phone_b.hear().payload[0] == 6
        assert setup.pump.stats(port.id).packets_in == before.packets_in + 1
        return setup.pump.stats(port.id).strangers - before.strangers

    if is_pure:
        talk(setup, port, phone_a, phone_b, lambda: setup.pump.stats(port.id).packets_in == 100)
        assert heard() == 2
        return
    until = time.monotonic() + WAIT  # the compiled pump asks the kernel for it after a while
    talk(setup, port, phone_a, phone_b, lambda: heard() == 0 or time.monotonic() > until)
    before = setup.pump.stats(port.id).discarded
    assert [heard() for _ in range(20)] == [0] * 20
    assert setup.pump.stats(port.id).discarded == before + 40
    assert (
        f" 00000000:{port.port:04X} 00000000:0000 " in Path("/proc/net/udp").read_text()
    )  # and not connected
    setup.configure(port, phone_a.address)
    assert heard() == 2
    assert not refused(thieves[0], port, reached_at)


@pytest.mark.parametrize("reached_at", [HERE, "127.0.0.5"])
def test_keeping_strangers_away_costs_no_packet_of_the_peer(setup: Setup, reached_at: str) -> None:
    """Packets fly all the time while the kernel is asked, and each new offer has it asked again."""
    port, phone_a, phone_b = wild(setup, reached_at)
    setup.pump.play(port.id, 1, b"\x01" * 160, 0)  # so that it is looked after each 20 ms
    begun = time.monotonic()
    while time.monotonic() < begun + 1.0:
        for n in range(200):
            burst = [(16 * n + m) % 251 for m in range(16)]
            for byte in burst:
                phone_a.say(port, bytes([byte]) * 160)
            assert [phone_b.hear().payload[0] for _ in burst] == burst
        setup.configure(port, phone_a.address)


def test_a_peer_whose_port_is_closed_costs_no_packet_of_another(setup: Setup) -> None:
    """Its ICMP answers are errors of the socket, and nothing else."""
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    for n in range(120):
        phone_b.say(b, bytes([n]) * 160)
        phone_a.hear()
        phone_a.say(a, bytes([n]) * 160)
        assert phone_b.hear().payload[0] == n
    begun = time.monotonic()
    talk(setup, a, phone_a, phone_b, lambda: time.monotonic() > begun + 0.3)
    address = phone_b.address
    phone_b.rtp.close()
    for n in range(20):
        phone_a.say(a, bytes([n]) * 160)
    settled(setup, a, setup.pump.stats(a.id).packets_in)
    phone_b.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    phone_b.rtp.bind(address)
    phone_b.rtp.settimeout(WAIT)
    phone_a.say(a, b"\xfe" * 160)
    assert phone_b.hear_until(lambda packet: packet.payload[0] == 0xFE, limit=25)
    phone_b.say(b, b"\xfd" * 160)
    assert phone_a.hear_until(lambda packet: packet.payload[0] == 0xFD, limit=25)
    assert setup.pump.stats(a.id).strangers == 0


def test_the_kernel_keeps_strangers_away_by_ipv6_as_well(
    is_pure: bool, on_ipv6: tuple[socket.socket, socket.socket]
) -> None:
    """By all sixteen bytes of the address and the port: the stranger differs in the port alone."""
    if is_pure:
        pytest.skip("the compiled pump's")
    udp, thief = on_ipv6
    pump = create_pump(PORTS, pure=is_pure)
    try:
        port = pump.open("::")
        Setup(pump).configure(port, udp.getsockname()[:2])
        until = time.monotonic() + WAIT
        sent = 0
        while (stats := pump.stats(port.id)).discarded == 0:
            assert time.monotonic() < until, stats
            udp.sendto(Packet(0, sent & 0xFFFF, 1, 1, b"\x01" * 160).render(), ("::1", port.port))
            sent += 1
            thief.sendto(Packet(0, 1, 1, 1, EVIL).render(), ("::1", port.port))
            while (stats := pump.stats(port.id)).packets_in < sent:
                assert time.monotonic() < until, stats
        for n in range(20):
            udp.sendto(Packet(0, (sent + n) & 0xFFFF, 1, 1, b"\x02" * 160).render(), ("::1", port.port))
        while (stats := pump.stats(port.id)).packets_in < sent + 20:
            assert time.monotonic() < until, stats
    finally:
        pump.close()
