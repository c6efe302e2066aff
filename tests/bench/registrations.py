"""What a registration keeps: memory that further thousands of phones take for good, when their transactions are gone."""

from __future__ import annotations

import tempfile
import time
import urllib.request
from base64 import b64encode
from pathlib import Path

import msgspec

from tests.bench import sipp
from tests.bench.measure import resident_kib, settle
from tests.bench.ours import Ours, ringback, users_file
from tests.bench.report import Fact, Row

LINES = ("registration",)
PHONES = 1_000
PARTS = 3
DOMAINS = 3
"""Of each part: each phone registers with each. The first part fills tables and pools that grow once; what it leaves free the
second uses, and so on, so the others are measured together, with the transactions of each gone before the next."""
RATE = 400.0
FORGOTTEN_WITHIN = 60.0
"""Seconds: transactions last 32."""


def measure(lines: list[str], rounds: int) -> tuple[list[Row], list[Fact]]:
    """One run; memory is no noise."""
    with tempfile.TemporaryDirectory() as folder, ringback() as ours:
        parts = [[f"memory{part}-{number}" for number in range(DOMAINS)] for part in range(PARTS)]
        ours.configure(PHONES, **dict.fromkeys([name for names in parts for name in names], ""))
        first, *_, last = (_kept(ours, Path(folder), names) for names in parts)
    each = (last - first) / (PHONES * DOMAINS * (PARTS - 1))
    return [], [Fact("memory of a registration", f"{each:.1f} KiB")]


def _kept(ours: Ours, folder: Path, names: list[str]) -> int:
    """KiB of the server when the phones have registered with these domains, and the transactions are gone."""
    for name in names:
        domain = f"{name}.example.com"
        users = users_file(folder, PHONES, domain)
        outcome = sipp.run("register", ours.server.sip, count=PHONES, rate=RATE, users=users, auth_uri=domain)
        if outcome.done != PHONES:
            raise RuntimeError(f"{outcome.done} of {PHONES} phones registered with {domain}")
    settle(ours.pid)
    ends_at = time.monotonic() + FORGOTTEN_WITHIN
    while _transactions(ours):
        if time.monotonic() > ends_at:
            raise RuntimeError(f"transactions are left after {FORGOTTEN_WITHIN:.0f} s")
        time.sleep(1)
    return resident_kib(ours.pid, children=False)


def _transactions(ours: Ours) -> int:
    server = ours.server
    secret = b64encode(f"{server.account_sid}:{server.auth_token}".encode()).decode()
    request = urllib.request.Request(
        f"{server.api}/ringback/v1/vitals", headers={"Authorization": f"Basic {secret}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return int(msgspec.json.decode(answer.read())["transactions"])
