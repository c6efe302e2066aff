"""How many calls a second before one in a hundred fails, and how late the event loop is on the way there."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from pathlib import Path

from tests.bench import sipp
from tests.bench.measure import cpu_seconds, quantile, settle
from tests.bench.ours import DOMAIN, ringback, users_file
from tests.bench.report import Fact, Row, tell

LINES = ("capacity",)
RATES = (50, 100, 150, 200, 250, 300, 350, 400, 500, 600, 800, 1000)
SECONDS = 5.0
FAILURES = 0.01
PINGS = 25
"""OPTIONS a second; strangers get fifty messages a second read."""
PHONES = 1_000


class Lag(threading.Thread):
    """Asks OPTIONS beside the load: the time to the answer is what an event waits in the loop.

    The server reads strangers after all others, so under overload it is what is left for them: 2 s is no answer.
    """

    def __init__(self, server: tuple[str, int]) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._over = threading.Event()
        self.delays: list[float] = []

    def run(self) -> None:
        """Until told."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.0.1", 0))
            udp.settimeout(2.0)
            port, number = udp.getsockname()[1], 0
            while not self._over.wait(1 / PINGS):
                number += 1
                udp.sendto(_options(port, number), self._server)
                sent_at = time.monotonic()
                try:
                    while f"lag{number}@".encode() not in udp.recv(4096):
                        pass
                except TimeoutError:
                    self.delays.append(2.0)
                else:
                    self.delays.append(time.monotonic() - sent_at)

    def stop(self) -> None:
        """End, and wait for it."""
        self._over.set()
        self.join(5)


def _options(port: int, number: int) -> bytes:
    return (
        f"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK-lag{number}\r\n"
        f"From: <sip:lag@127.0.0.1>;tag=lag\r\nTo: <sip:127.0.0.1>\r\nCall-ID: lag{number}@127.0.0.1\r\n"
        f"CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def measure(lines: list[str], rounds: int) -> tuple[list[Row], list[Fact]]:
    """The highest rate of one climb; every step is a fact."""
    facts: list[Fact] = []
    with tempfile.TemporaryDirectory() as folder, sipp.answering() as target, ringback() as ours:
        dial = f'<Dial answerOnBridge="true"><Sip>sip:uas@127.0.0.1:{target}</Sip></Dial>'
        ours.configure(PHONES, bench=ours.bin("bench", dial))
        users = users_file(Path(folder), PHONES, DOMAIN)
        settle(ours.pid)
        sipp.run(
            "register", ours.server.sip, count=PHONES, rate=200, users=users, auth_uri=DOMAIN, timeout=30
        )
        settle(ours.pid)
        best = 0.0
        for rate in RATES:
            tell(f"{rate} calls a second")
            lag = Lag(ours.server.sip)
            before = cpu_seconds(ours.pid)
            lag.start()
            began = time.monotonic()
            outcome = sipp.run(
                "uac", ours.server.sip, count=int(rate * SECONDS), rate=rate, users=users, timeout=30
            )
            took = time.monotonic() - began
            lag.stop()
            busy = (cpu_seconds(ours.pid) - before) / took
            share = 1 - outcome.done / (rate * SECONDS)
            facts.append(
                Fact(
                    f"{rate} calls a second",
                    f"{share:.1%} failed, {busy:.0%} of a core, post-dial delay p50 "
                    f"{quantile(outcome.delays, 0.5) * 1e3:.0f} p99 {quantile(outcome.delays, 0.99) * 1e3:.0f} ms, "
                    f"OPTIONS of a stranger p99 {quantile(lag.delays, 0.99) * 1e3:.0f} ms",
                )
            )
            if share > FAILURES:
                break
            best = rate
    facts.append(Fact("calls a second offered at 1 % failures", f"{best:.0f}"))
    return [], facts
