"""Both twins of the pump are given the same datagrams, many of them mutilated, and must say and do the same."""

from __future__ import annotations

import random
import socket
import time
from typing import Any

import pytest
from pump_scene import WAIT, Setup

from ringback.media import Port, PortStats, create_pump
from ringback.rtp.dtmf import Event
from ringback.rtp.errors import RtpSyntaxError
from ringback.rtp.packet import Packet, sequence_step
from ringback.rtp.rtcp import ReceiverReport, ReportBlock, SenderReport, parse_compound, render_compound

pytest.importorskip("ringback.media._core")

HERE, ELSEWHERE = "127.0.0.1", "127.0.0.9"
LAST = b"\x77" * 40
Datagram = tuple[int, bytes]
"""Which phone sends it, and its bytes."""


def script(seed: int) -> list[Datagram]:
    """A conversation that keeps the peer's stream going and throws everything else in between."""
    dice = random.Random(seed)
    made: list[Datagram] = []
    sequence, timestamp, ssrc = dice.randrange(65536), dice.randrange(1 << 32), 0xABCD
    for _ in range(150):
        kind = dice.randrange(12)
        size = dice.choice([0, 1, 80, 160, 160, 160, 240, 1400])
        payload = dice.randbytes(size)
        payload_type, sender = 0, 0
        if kind == 0:
            payload_type = dice.choice([8, 13, 18, 96, 127])
        elif kind in (1, 2):
            payload_type = 101
            # always ended: one that lasts would end by the clock when a twin is slow
            payload = Event(dice.randrange(18), True, 10, dice.randrange(65536)).render()
            payload = payload[: dice.choice([4, 4, 4, 3, 0])]
        elif kind == 3:
            sender = 1
        elif kind == 4:
            sequence += dice.choice([2, 50, 2999, 3001, 30000, -3, -150])
        elif kind == 5:
            timestamp += dice.choice([160, 79_999, 900_000, -320])
        elif kind == 6 and dice.random() < 0.3:
            ssrc = dice.randrange(1 << 32)
        extension = (dice.randrange(65536), bytes(4 * dice.randrange(3))) if dice.random() < 0.1 else None
        csrc = tuple(range(dice.randrange(3))) if dice.random() < 0.1 else ()
        data = Packet(
            payload_type,
            sequence & 0xFFFF,
            timestamp & 0xFFFFFFFF,
            ssrc,
            payload,
            dice.random() < 0.1,
            csrc,
            extension,
        ).render()
        made.append((sender, mutilated(data, dice) if kind == 7 else data))
        sequence += 1
        if payload_type != 101 or dice.random() < 0.3:
            timestamp += max(size, 160)
    # the end: consistent audio, enough to lock and to be heard whatever was before
    for _ in range(8):
        sequence, timestamp = sequence + 1, timestamp + 160
        made.append((0, Packet(0, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, 0xE0D, LAST).render()))
    return made


def mutilated(data: bytes, dice: random.Random) -> bytes:
    cut = bytearray(data[: dice.randrange(len(data) + 1)])
    for _ in range(dice.randrange(4)):
        if cut:
            cut[dice.randrange(min(len(cut), 20))] = dice.randrange(256)
    return bytes(cut)


def report(dice: random.Random) -> bytes:
    block = ReportBlock(1, dice.randrange(256), dice.randrange(-100, 100), 5, 6, 7, 8)
    data = render_compound(
        [dice.choice([SenderReport(1, 2, 3, 4, 5, (block,)), ReceiverReport(1, (block,))])]
    )
    return mutilated(data, dice) if dice.random() < 0.5 else data


def perform(pure: bool, datagrams: list[Datagram], announced: str) -> tuple[list[Any], list[Any], PortStats]:
    """What the far end heard, the events and the numbers."""
    pump = create_pump((30000, 30998), pure=pure, report_after=1000.0, silent_after=1000.0)
    udps = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    try:
        for udp, host in zip(udps, (HERE, ELSEWHERE, HERE), strict=True):
            udp.bind((host, 0))
            udp.settimeout(WAIT)
        mouth, stranger, ear = udps
        a, b = pump.open(HERE), pump.open(HERE)
        port = mouth.getsockname()[1]

        def offer(one: Port, remote: tuple[str, int]) -> None:
            Setup(pump).configure(one, remote, dtmf_payload_type=96, signalling_host="127.0.0.8")

        offer(a, (announced, port))
        offer(b, ear.getsockname())
        pump.connect(a.id, b.id)
        for expected, (sender, data) in enumerate(datagrams, 1):
            if (
                expected % 40 == 0
            ):  # else the kernel would keep the stranger from the compiled one, after a while
                offer(a, (announced, port))
            (stranger if sender else mouth).sendto(data, (HERE, a.port))
            until = time.monotonic() + WAIT
            # one at a time, because a full socket buffer would drop some
            while (now := pump.stats(a.id)).packets_in + now.strangers + now.malformed < expected:
                assert time.monotonic() < until
        heard = []
        while True:
            packet = Packet.parse(ear.recv(2048))
            heard.append(packet)
            if [one.payload for one in heard[-3:]] == [LAST] * 3:
                break
        stats = pump.close_port(a.id)
        events = [event[0:1] + event[2:] for event in pump.events() if event[0] in ("digit", "heard")]
        first = heard[0].sequence
        told = [(p.payload_type, p.marker, sequence_step(first, p.sequence), p.payload) for p in heard]
        return told, events, stats
    finally:
        pump.close()
        for udp in udps:
            udp.close()


@pytest.mark.parametrize("announced", [HERE, "192.168.1.7"])
@pytest.mark.parametrize("seed", range(6))
def test_twins_do_the_same(seed: int, announced: str) -> None:
    datagrams = script(seed)
    pure, core = perform(True, datagrams, announced), perform(False, datagrams, announced)
    assert core[0] == pure[0]
    assert core[1] == pure[1]
    for field in ("packets_in", "bytes_in", "lost", "strangers", "malformed"):
        assert getattr(core[2], field) == getattr(pure[2], field), field


def listen(pure: bool, datagrams: list[bytes]) -> PortStats:
    """The numbers of a port that was sent RTCP, the last of which is sound."""
    pump = create_pump((30000, 30998), pure=pure, report_after=1000.0)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.bind((HERE, 0))
            port = pump.open(HERE)
            pump.configure(
                port.id,
                remote=(HERE, 9),
                rtcp_remote=phone.getsockname(),
                payload_type=0,
                codec="PCMU",
                dtmf_payload_type=None,
                dtmf_receive_payload_type=None,
                send=False,
                receive=True,
                signalling_host=None,
            )
            for data in datagrams:
                phone.sendto(data, (HERE, port.port + 1))
            until = time.monotonic() + WAIT
            phone.sendto(b"", (HERE, port.port))  # RTP, and malformed: not in the way
            while pump.stats(port.id).malformed < 1 + sum(not is_sound(data) for data in datagrams):
                assert time.monotonic() < until
            return pump.close_port(port.id)
    finally:
        pump.close()


def is_sound(data: bytes) -> bool:
    try:
        parse_compound(data)
    except RtpSyntaxError:
        return False
    return True


@pytest.mark.parametrize("seed", range(6))
def test_twins_refuse_the_same_reports(seed: int) -> None:
    dice = random.Random(seed)
    datagrams = [report(dice) for _ in range(200)] + [b"\x00"]
    pure, core = listen(True, datagrams), listen(False, datagrams)
    assert (core.malformed, core.strangers) == (pure.malformed, pure.strangers)
    assert pure.malformed > 10


def test_twins_refuse_a_bye_whose_reason_is_cut() -> None:
    """RFC 3550 section 6.6: its length is before it."""
    head = bytes.fromhex("80c900010000000181cb000300000001")
    sound, cut = head + b"\x04done\0\0\0", head + b"\x08done\0\0\0"
    assert is_sound(sound)
    assert not is_sound(cut)
    for pure in (True, False):
        assert listen(pure, [sound, cut]).malformed == 2, "the cut one, and what ends the test"
