"""Registrations and calls without sound: ours, Kamailio's and Sippy's, round by round in turn."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.bench import sipp
from tests.bench.kamailio import Kamailio, kamailio
from tests.bench.measure import LOAD_CORE, Unavailable, cpu_seconds, on_core, quantile, settle
from tests.bench.ours import DOMAIN, Ours, ringback, users_file
from tests.bench.report import Fact, Row, tell
from tests.bench.sippy import Sippy, sippy
from tests.live import free_port

USERS = 1_000
REALM = "sip.twilio.com"
REGISTER_RATE, CALL_RATE, SPARSE_RATE = 1_500.0, 200.0, 60.0
"""A second. Our server's core has a fifth of its time to do: nothing queues, at peers neither. Sparse calls are those
of a server that mostly sleeps: each pays for a core that wakes up with cold caches."""
ROUND = 6.0
"""Seconds of load in a round."""

FUNCTION = """
exports.handler = function (context, event, callback) {
  const twiml = new Twilio.twiml.VoiceResponse();
  twiml.dial({ answerOnBridge: true }).sip('sip:uas@127.0.0.1:%d');
  callback(null, twiml);
};
"""


class Kind(NamedTuple):
    """A line of calls; whose host name says what answers them."""

    name: str
    domain: str = DOMAIN
    rate: float = CALL_RATE
    has_sippy: bool = False


CALLS_OF = {
    "call": Kind("two-leg call by a TwiML Bin", has_sippy=True),
    "call-sparse": Kind(f"the same, {SPARSE_RATE:.0f} a second", rate=SPARSE_RATE, has_sippy=True),
    "webhook": Kind("two-leg call by an HTTP webhook", "webhook.example.com"),
    "function": Kind("two-leg call by a Function", "function.example.com"),
}
LINES = ("register", *CALLS_OF)


@dataclass
class Scene:
    """What runs: the callee, our server with its domains, and the peers that can."""

    ours: Ours
    folder: Path
    kamailio: Kamailio | None = None
    sippy: Sippy | None = None
    missing: dict[str, str] = field(default_factory=dict)

    def cost(
        self, scenario: str, pid: int, address: tuple[str, int], domain: str, rate: float
    ) -> tuple[float, sipp.Outcome]:
        """Microseconds of CPU for one operation of a round, and what became of them."""
        users = users_file(self.folder, USERS, domain)
        before = cpu_seconds(pid)
        outcome = sipp.run(
            scenario,
            address,
            count=int(rate * ROUND),
            rate=rate,
            users=users,
            auth_uri=domain,
            limit=int(rate * 10),
        )
        settle(pid)
        used = cpu_seconds(pid) - before
        return 1e6 * used / max(1, outcome.done), outcome


@contextmanager
def scene() -> Iterator[Scene]:
    """Everything started and configured."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        target = stack.enter_context(sipp.answering())
        dial = f'<Dial answerOnBridge="true"><Sip>sip:uas@127.0.0.1:{target}</Sip></Dial>'
        ours = stack.enter_context(ringback())
        port = stack.enter_context(_webhook(f"<Response>{dial}</Response>"))
        ours.configure(
            USERS,
            bench=ours.bin("bench", dial),
            webhook=f"http://127.0.0.1:{port}/voice",
            function=ours.function("bench", FUNCTION % target),
        )
        made = Scene(ours, folder)
        try:
            made.kamailio = stack.enter_context(kamailio(target=target, users=USERS, realm=DOMAIN))
        except Unavailable as why:
            made.missing["Kamailio"] = str(why)
        try:
            made.sippy = stack.enter_context(sippy(target=target))
        except Unavailable as why:
            made.missing["Sippy"] = str(why)
        settle(ours.pid)
        yield made


@contextmanager
def _webhook(document: str) -> Iterator[int]:
    """A program on the load's core; its CPU is not ours."""
    port = free_port()
    with on_core(LOAD_CORE):
        process = subprocess.Popen([sys.executable, "-m", "tests.bench.webhook", str(port), document])
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


def measure(lines: list[str], rounds: int) -> tuple[list[Row], list[Fact]]:
    """The rows of these lines."""
    rows: list[Row] = []
    facts: list[Fact] = []
    with scene() as here:
        if "register" in lines:
            rows += _registrations(here, rounds)
        for line in CALLS_OF:
            if line in lines:
                given, more = _calls(here, line, rounds)
                rows += given
                facts += more
    return rows, facts


def _registrations(here: Scene, rounds: int) -> list[Row]:
    ours: list[float] = []
    theirs: list[float] = []
    lost = 0
    for number in range(rounds + 1):  # the first one registers anew and warms up; the others refresh
        tell("register", number, rounds)
        cost, outcome = here.cost("register", here.ours.pid, here.ours.server.sip, DOMAIN, REGISTER_RATE)
        lost += outcome.failed
        if number:
            ours.append(cost)
        if here.kamailio is not None:
            peer = here.kamailio
            cost, _ = here.cost("register", peer.pid, peer.address, DOMAIN, REGISTER_RATE)
            if number:
                theirs.append(cost)
    note = here.missing.get("Kamailio", "") or (f"{lost} failed" if lost else "")
    return [Row(f"REGISTER with digest, {USERS:,} users", ours, "Kamailio registrar", theirs, note)]


def _calls(here: Scene, line: str, rounds: int) -> tuple[list[Row], list[Fact]]:
    kind = CALLS_OF[line]
    ours: list[float] = []
    proxied: list[float] = []
    bridged: list[float] = []
    delays: list[float] = []
    lost = 0
    here.cost("uac", here.ours.pid, here.ours.server.sip, kind.domain, SPARSE_RATE)  # warms up
    for number in range(1, rounds + 1):
        tell(line, number, rounds)
        cost, outcome = here.cost("uac", here.ours.pid, here.ours.server.sip, kind.domain, kind.rate)
        ours.append(cost)
        delays += outcome.delays
        lost += outcome.failed
        if here.kamailio is not None:
            peer = here.kamailio
            proxied.append(here.cost("uac", peer.pid, peer.address, DOMAIN, kind.rate)[0])
        if here.sippy is not None and kind.has_sippy:
            other = here.sippy
            bridged.append(here.cost("uac", other.pid, other.address, DOMAIN, kind.rate)[0])
    failed = f"{lost} failed" if lost else ""
    rows = [
        Row(kind.name, ours, "Kamailio stateful proxy", proxied, failed or here.missing.get("Kamailio", ""))
    ]
    if kind.has_sippy:
        rows.append(Row(kind.name, ours, "Sippy B2BUA", bridged, here.missing.get("Sippy", "")))
    low, high = quantile(delays, 0.5) * 1000, quantile(delays, 0.99) * 1000
    return rows, [
        Fact(f"post-dial delay, {kind.name}", f"p50 {low:.0f} ms, p99 {high:.0f} ms (INVITE to 180)")
    ]
