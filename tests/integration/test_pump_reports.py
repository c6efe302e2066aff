"""The pump's contract, on both twins: silence, numbers, RTCP, and what many threads and ports ask of it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from pump_scene import HERE, WAIT, Setup, is_pure, setup

from ringback.rtp.packet import sequence_step, timestamp_step
from ringback.rtp.rtcp import (
    Bye,
    Description,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    middle,
    ntp_of,
    parse_compound,
    render_compound,
)

__all__ = ["is_pure", "setup"]


def test_silence_is_told_once_and_so_is_its_end(setup: Setup) -> None:
    began_at = time.monotonic()
    a, phone_a = setup.leg()
    assert 0.28 <= setup.ear.kind("silent")[0][2] <= time.monotonic() - began_at
    phone_a.say(a)
    setup.ear.wait(lambda event: event == ("heard", a.id))
    setup.ear.kind("silent", 2)
    phone_a.say(a)
    setup.ear.wait(lambda event: event == ("heard", a.id), 2)


def test_a_held_port_is_not_silent(setup: Setup) -> None:
    held, _ = setup.leg(receive=False)
    watched, _ = setup.leg()
    setup.ear.wait(lambda event: event[:2] == ("silent", watched.id))
    assert not [event for event in setup.ear.seen if event[:2] == ("silent", held.id)]


def test_statistics_count_what_came_and_what_is_missing(setup: Setup) -> None:
    a, phone_a = setup.leg()
    for _ in range(5):
        phone_a.say(a)
    phone_a.sequence = (phone_a.sequence + 3) & 0xFFFF
    phone_a.timestamp = (phone_a.timestamp + 480) & 0xFFFFFFFF
    phone_a.say(a)
    setup.pump.play(a.id, 1, bytes(320), 1)
    setup.ear.kind("played")
    setup.ear.kind("heard")
    stats = setup.pump.close_port(a.id)
    assert (stats.packets_in, stats.bytes_in, stats.lost) == (6, 960, 3)
    assert (stats.packets_out, stats.bytes_out) == (2, 320)
    assert stats.source == phone_a.address
    assert stats.mos is not None
    assert 1.0 <= stats.mos < 4.0  # a third was lost
    assert stats.first_packet_at is not None
    assert stats.last_packet_at is not None
    assert 0 <= stats.first_packet_at <= stats.last_packet_at < WAIT


def test_an_unused_port_has_no_opinion(setup: Setup) -> None:
    a, _ = setup.leg()
    stats = setup.pump.stats(a.id)
    assert (stats.mos, stats.first_packet_at, stats.source, stats.rtt, stats.remote) == (None,) * 5


def test_rfc3550_reports_go_out_and_the_peers_are_read(setup: Setup) -> None:
    a, phone_a = setup.leg()
    phone_a.say(a)
    setup.pump.play(a.id, 1, b"\x01" * 160, 1)
    ours = phone_a.hear().ssrc
    report, description = parse_compound(phone_a.rtcp.recv(2048))[:2]
    while not isinstance(report, SenderReport) or not report.blocks:  # of the time before
        phone_a.say(a)
        setup.pump.play(a.id, 1, b"\x01" * 160, 1)
        report, description = parse_compound(phone_a.rtcp.recv(2048))[:2]
    assert (report.ssrc, report.octets) == (ours, 160 * report.packets)
    assert abs(report.ntp - ntp_of(time.time())) < 60 << 32
    assert [block.ssrc for block in report.blocks] == [phone_a.ssrc]
    assert isinstance(description, Description)
    assert description.names[0][0] == ours
    block = ReportBlock(ours, 64, 7, 1, 80, middle(report.ntp), 0)
    now = ntp_of(time.time())
    data = render_compound([SenderReport(phone_a.ssrc, now, 0, 1, 160, (block,))])
    phone_a.rtcp.sendto(data, (HERE, a.port + 1))
    last_sr = 0
    while last_sr != middle(now):
        phone_a.say(a)
        report = parse_compound(phone_a.rtcp.recv(2048))[0]
        assert isinstance(report, SenderReport | ReceiverReport)
        last_sr = report.blocks[0].last_sr if report.blocks else 0
    stats = setup.pump.stats(a.id)
    assert stats.remote == (0.25, 7, 0.01)
    assert stats.rtt is not None
    assert 0 <= stats.rtt < WAIT


def test_rfc3550_a_closed_port_says_bye(setup: Setup) -> None:
    a, phone_a = setup.leg()
    setup.pump.play(a.id, 1, bytes(160), 1)
    phone_a.hear()
    setup.pump.close_port(a.id)
    while True:
        reports = parse_compound(phone_a.rtcp.recv(2048))
        if any(isinstance(report, Bye) for report in reports):
            return


def test_commands_from_many_threads(setup: Setup) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for n in range(30):
                port, other = setup.pump.open(HERE), setup.pump.open(HERE)
                setup.configure(port, (HERE, 9))
                setup.pump.play(port.id, n, bytes(1600), 0)
                setup.pump.connect(port.id, other.id)
                setup.pump.tap(other.id, port.id, "outbound")
                setup.pump.stats(port.id)
                setup.pump.close_port(port.id)
                setup.pump.close_port(other.id)
        except BaseException as error:  # noqa: BLE001 - given to the main thread
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []


# Not the pure one: a thread that needs Python's lock must not keep others from it.
@pytest.mark.parametrize("is_pure", ["core"], indirect=True)
def test_the_compiled_pumps_thread_runs_in_real_time_where_that_is_allowed(setup: Setup) -> None:
    a, phone_a = setup.leg()
    setup.pump.play(a.id, 1, b"\x01" * 160, 1)
    phone_a.hear()  # the thread runs
    threads = {
        (task / "comm").read_text().strip(): int(task.name) for task in Path("/proc/self/task").iterdir()
    }
    policy = os.sched_getscheduler(threads["ringback-pump"]) & ~os.SCHED_RESET_ON_FORK
    assert policy == (os.SCHED_RR if _may_have_real_time() else os.SCHED_OTHER)


def _may_have_real_time() -> bool:
    """Tried by a thread that ends at once."""
    allowed = []

    def attempt() -> None:
        try:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(10))
        except OSError:
            return
        allowed.append(True)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return bool(allowed)


def test_many_ports_play_evenly_beside_a_relay(setup: Setup) -> None:
    """A tick of many ports is done in slices; each port gets each frame all the same, and the relay goes on."""
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    players = [setup.leg() for _ in range(150)]
    for port, _ in players:
        setup.pump.play(port.id, port.id, bytes(160 * 5), 1)
    for n in range(20):
        phone_a.say(a, bytes([n]) * 160)
        assert phone_b.hear().payload[0] == n
    setup.ear.kind("played", len(players))
    for port, phone in players:
        heard = [phone.hear() for _ in range(5)]
        assert [sequence_step(heard[0].sequence, packet.sequence) for packet in heard] == [0, 1, 2, 3, 4]
        assert [timestamp_step(heard[0].timestamp, packet.timestamp) for packet in heard] == [
            0, 160, 320, 480, 640,
        ]  # fmt: skip
        assert setup.pump.stats(port.id).packets_out == 5


def test_a_socket_with_a_queue_is_emptied(setup: Setup) -> None:
    a, phone_a = setup.leg()
    b, phone_b = setup.leg()
    setup.pump.connect(a.id, b.id)
    for n in range(100):
        phone_a.say(a, bytes([n]) * 160)
    assert [phone_b.hear().payload[0] for _ in range(100)] == list(range(100))
