"""Packets: relayed by the pump alone, by a whole server, by rtpengine and by the least that can be done; prompts."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from tests.bench.dialler import Dialler
from tests.bench.measure import (
    LOAD_CORE,
    SERVER_CORE,
    Unavailable,
    cpu_seconds,
    on_core,
    resident_kib,
    settle,
)
from tests.bench.ours import DOMAIN, Ours, ringback
from tests.bench.report import Fact, Row, tell
from tests.bench.rtpengine import rtpengine

CALLS = 100
CROWD = 1_000
SECONDS = 6.0
LINES = ("relay-pump", "relay", "prompt", "crowd")


class Talk(NamedTuple):
    """What phones saw; seconds."""

    sent: int
    came: int
    delay: float
    jitter_p50: float
    jitter_p99: float

    @property
    def lost(self) -> float:
        """Share of packets that never came."""
        return 1 - self.came / max(1, self.sent)


class Phones:
    """The C program of phones, on the load's core."""

    def __init__(self, program: Path, count: int, seconds: float) -> None:
        with on_core(LOAD_CORE):
            self._process = _start([str(program), "phones", str(count), f"{seconds:g}"])
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in: IO[str] = self._process.stdin
        self._out: IO[str] = self._process.stdout
        self.ports = [int(word) for word in self._out.readline().split()]

    def talk(self, targets: list[int]) -> Talk:
        """Send until the time is over."""
        print(*targets, file=self._in, flush=True)
        sent, came, *delays = self._out.readline().split()
        self.close()
        return Talk(int(sent), int(came), *(float(delay) for delay in delays))

    def close(self) -> None:
        """End."""
        self._in.close()
        self._process.wait(30)
        self._out.close()


def _start(line: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


Relaying = Callable[[Phones], tuple[int, list[int]]]
"""Makes a relay for phones: the process to measure, and where each phone sends."""


@contextmanager
def _child(line: list[str]) -> Iterator[Relaying]:
    """A program on the server's core that prints ports and reads where to send."""
    with on_core(SERVER_CORE):
        process = _start(line)
    assert process.stdin is not None and process.stdout is not None
    theirs, ours = process.stdin, process.stdout

    def relaying(phones: Phones) -> tuple[int, list[int]]:
        ports = [int(word) for word in ours.readline().split()]
        print(*phones.ports, file=theirs, flush=True)
        time.sleep(0.5)
        return process.pid, ports

    try:
        yield relaying
    finally:
        theirs.close()
        process.wait(10)
        ours.close()


def _cost(program: Path, calls: int, relaying: Relaying) -> tuple[float, Talk]:
    """Microseconds of CPU for a packet that was relayed."""
    phones = Phones(program, 2 * calls, SECONDS)
    pid, targets = relaying(phones)
    settle(pid, 2.0)
    before = cpu_seconds(pid)
    talk = phones.talk(targets)
    if talk.lost > 0.01:
        print(f"{talk.lost:.1%} of the packets did not come back; the cost is that of those that did.")
    return 1e6 * (cpu_seconds(pid) - before) / max(1, talk.came), talk


def measure(lines: list[str], rounds: int) -> tuple[list[Row], list[Fact]]:
    """The rows of these lines."""
    rows: list[Row] = []
    facts: list[Fact] = []
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "rtp"
        source = Path(__file__).with_name("rtp.c")
        subprocess.run(["cc", "-O2", "-o", str(program), str(source)], check=True, timeout=60)
        if {"relay-pump", "relay"} & set(lines):
            rows += _relays(program, lines, rounds)
        if "prompt" in lines:
            rows += _prompts(program, rounds)
        if "crowd" in lines:
            facts += _crowd(program)
    return rows, facts


def _relays(program: Path, lines: list[str], rounds: int) -> list[Row]:
    alone: list[float] = []
    whole: list[float] = []
    floor: list[float] = []
    engine: list[float] = []
    missing = ""
    count = str(2 * CALLS)
    for number in range(1, rounds + 1):
        tell("relay", number, rounds)
        with _child([str(program), "floor", count]) as relaying:
            floor.append(_cost(program, CALLS, relaying)[0])
        try:
            with rtpengine() as peer:
                engine.append(_cost(program, CALLS, lambda p, peer=peer: (peer.pid, peer.relay(p.ports)))[0])  # type: ignore[misc]
        except Unavailable as why:
            missing = str(why)
        if "relay-pump" in lines:
            with _child([sys.executable, "-m", "tests.bench.pump", count]) as relaying:
                alone.append(_cost(program, CALLS, relaying)[0])
        if "relay" in lines:
            with _bridged() as (ours, dialler):
                whole.append(_cost(program, CALLS, lambda p, o=ours, d=dialler: (o.pid, _dial(d, p)))[0])  # type: ignore[misc]
                dialler.hang_up()
    rows: list[Row] = []
    for name, costs in (("the pump alone", alone), ("in a whole server", whole)):
        if costs:
            rows.append(Row(f"relayed packet, {name}", costs, "recvfrom + sendto in C", floor))
            rows.append(Row(f"relayed packet, {name}", costs, "rtpengine", engine, missing))
    return rows


@contextmanager
def _bridged() -> Iterator[tuple[Ours, Dialler]]:
    """A server whose domain dials back to the dialler."""
    with ringback() as ours:
        dialler = Dialler(ours.server.sip, DOMAIN)
        dial = f'<Dial answerOnBridge="true"><Sip>sip:uas@127.0.0.1:{dialler.callee_port}</Sip></Dial>'
        ours.configure(0, bench=ours.bin("bench", dial))
        yield ours, dialler


def _dial(dialler: Dialler, phones: Phones) -> list[int]:
    targets: list[int] = []
    for number, (one, other) in enumerate(zip(phones.ports[::2], phones.ports[1::2], strict=True)):
        targets += dialler.call(number, one, other)
    return targets


def _prompts(program: Path, rounds: int) -> list[Row]:
    """Callers who hear a prompt and say nothing; a packet is one that was sent to them."""
    ours: list[float] = []
    floor: list[float] = []
    for number in range(1, rounds + 1):
        tell("prompt", number, rounds)
        with _child([str(program), "floor", str(2 * CALLS)]) as relaying:
            floor.append(_cost(program, CALLS, relaying)[0])
        with ringback() as server, ExitStack() as stack:
            dialler = Dialler(server.server.sip, DOMAIN)
            stack.callback(dialler.hang_up)
            say = '<Say loop="0">All our lines are busy. Please hold the line, the next one is yours.</Say>'
            server.configure(0, bench=server.bin("bench", say))
            phones = Phones(program, CALLS, 0.1)
            for number, port in enumerate(phones.ports):
                dialler.call(number, port)
            settle(server.pid)
            before = cpu_seconds(server.pid)
            time.sleep(SECONDS)
            ours.append(1e6 * (cpu_seconds(server.pid) - before) / (CALLS * SECONDS / 0.020))
            phones.talk([9] * CALLS)
    note = "from the cache, 100 at once; the peer receives as well"
    return [Row("packet of a prompt, in a whole server", ours, "recvfrom + sendto in C", floor, note)]


def _crowd(program: Path) -> list[Fact]:
    """A thousand relayed calls at once."""
    with _bridged() as (ours, dialler):
        empty = resident_kib(ours.pid)
        phones = Phones(program, 2 * CROWD, SECONDS)
        began = time.monotonic()
        targets = _dial(dialler, phones)
        took = time.monotonic() - began
        settle(ours.pid)
        memory = resident_kib(ours.pid) - empty
        before = cpu_seconds(ours.pid)
        talk = phones.talk(targets)
        busy = (cpu_seconds(ours.pid) - before) / SECONDS
        dialler.hang_up()
    return [
        Fact(
            f"{CROWD:,} relayed calls at once",
            f"{talk.sent / SECONDS:,.0f} packets/s, {talk.lost:.2%} lost, delay {talk.delay * 1e3:.2f} ms, "
            f"added jitter p50 {talk.jitter_p50 * 1e3:.2f} ms, p99 {talk.jitter_p99 * 1e3:.2f} ms, "
            f"{busy:.0%} of a core",
        ),
        Fact("memory of a call (two legs, with media)", f"{memory / CROWD:.0f} KiB"),
        Fact(f"{CROWD:,} calls set up one after the other", f"{1e3 * took / CROWD:.1f} ms each"),
    ]
