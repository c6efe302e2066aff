"""The pump's contract, on both twins: when it rests, and the ports that it gives. Real sockets on the loopback, no sleep."""

from __future__ import annotations

import os
import select
import socket
import time
from pathlib import Path

import pytest
from pump_scene import HERE, PORTS, WAIT, Ear, Setup, is_pure, setup

from ringback.media import PortsExhausted, Pump, UnknownPort, UsageError, create_pump

__all__ = ["is_pure", "setup"]

OWN = 22000 + os.getpid() % 250 * 8
"""Eight ports of this very process, where a test needs to know which are free."""


def threads() -> set[str]:
    """Of this process."""
    return {task.name for task in Path("/proc/self/task").iterdir()}


def naps(thread: str) -> int:
    """How often a thread went to sleep so far."""
    status = Path("/proc/self/task", thread, "status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def rests(pump: Pump, thread: str) -> bool:
    """Whether a while of 15 ticks passes in which the pump does nothing; waits for that."""
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        before = naps(thread)
        select.select([pump.fileno()], [], [], 0.3)
        if naps(thread) == before:
            return True
    return False


def test_a_pump_without_ports_rests_and_wakes_for_the_next(is_pure: bool) -> None:
    """Two pumps that looked around 50 times a second took half a percent of a core of an idle server."""
    before = threads()
    pump = create_pump(PORTS, pure=is_pure)
    (thread,) = threads() - before
    try:
        assert rests(pump, thread)
        for number in range(2):
            port, mixer = pump.open(HERE), pump.open_mixer()
            pump.play(port.id, number, b"\xff" * 480, 1)
            ear = Ear(pump)
            assert ear.kind("played") == [("played", port.id, number, False)]
            pump.close_port(port.id)
            pump.play_mixer(mixer, number, b"\xff" * 480)
            assert ear.kind("mixer_played") == [("mixer_played", mixer, number)]
            pump.close_mixer(mixer)
            assert rests(pump, thread)
            mixer = pump.open_mixer()
            pump.play_mixer(mixer, number, b"\xff" * 480)
            assert ear.kind("mixer_played", 2)
            pump.close_mixer(mixer)
            assert rests(pump, thread)
    finally:
        pump.close()


def test_a_port_is_even_and_its_neighbour_is_bound_too(setup: Setup) -> None:
    port = setup.pump.open(HERE)
    assert port.port % 2 == 0
    assert PORTS[0] <= port.port < PORTS[1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, pytest.raises(OSError, match="in use"):
        udp.bind((HERE, port.port + 1))


def test_ports_run_out_and_come_back(is_pure: bool) -> None:
    pump = create_pump((OWN, OWN + 3), pure=is_pure)
    try:
        first, second = pump.open(HERE), pump.open(HERE)
        with pytest.raises(PortsExhausted):
            pump.open(HERE)
        pump.close_port(first.id)
        third = pump.open(HERE)
        assert (third.port, third.id == first.id) == (first.port, False)
        assert second.port != third.port
    finally:
        pump.close()


def test_a_port_in_use_by_another_program_is_stepped_over(is_pure: bool) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((HERE, OWN + 5))
        pump = create_pump((OWN + 4, OWN + 7), pure=is_pure)
        try:
            assert pump.open(HERE).port == OWN + 6
        finally:
            pump.close()


def test_closed_handles_are_refused_and_undoing_is_silent(setup: Setup) -> None:
    port, _ = setup.leg()
    setup.pump.close_port(port.id)
    with pytest.raises(UnknownPort):
        setup.pump.play(port.id, 1, b"", 1)
    with pytest.raises(UnknownPort):
        setup.pump.close_port(port.id)
    with pytest.raises(UnknownPort):
        setup.pump.mix(setup.pump.open_mixer(), port.id)
    setup.pump.stop(port.id)
    setup.pump.untap(77)
    setup.pump.unmix(port.id, port.id)
    setup.pump.disconnect(port.id, port.id)
    setup.pump.close_mixer(-1)


def test_impossible_orders_are_refused(setup: Setup) -> None:
    port, phone = setup.leg()
    with pytest.raises(UsageError):
        setup.pump.connect(port.id, port.id)
    with pytest.raises(UsageError):
        setup.pump.send_digits(port.id, "12x", 1)
    with pytest.raises(UsageError):
        setup.configure(port, ("example.com", 4000))
    with pytest.raises(UsageError):
        setup.configure(port, phone.address, payload_type=200)
    with pytest.raises(UsageError):
        setup.configure(port, phone.address, codec="opus")
    with pytest.raises(UsageError):
        setup.pump.open("not an address")
    setup.pump.tap(port.id, 5, "inbound")
    with pytest.raises(UsageError):
        setup.pump.tap(port.id, 5, "outbound")


def test_a_closed_pump_refuses(is_pure: bool) -> None:
    pump = create_pump(PORTS, pure=is_pure)
    pump.open(HERE)
    pump.close()
    pump.close()
    with pytest.raises(UsageError):
        pump.open(HERE)
