"""SIPp as the load: scenarios of ours, numbers out of its statistics files."""

from __future__ import annotations

import csv
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.bench.measure import LOAD_CORE, Unavailable, on_core
from tests.live import free_port

SCENARIOS = Path(__file__).parent / "scenarios"
BUFFER = str(4 * 1024 * 1024)
"""Bytes of receive buffer: what is measured is work, not drops."""


class Outcome(NamedTuple):
    """What became of a run."""

    done: int
    failed: int
    delays: list[float]
    """Seconds from the first request to the answer that the scenario marks."""


def _program() -> str:
    path = shutil.which("sipp")
    if path is None:
        raise Unavailable("SIPp is not installed")
    return path


@contextmanager
def answering(scenario: str = "uas") -> Iterator[int]:
    """A SIPp that answers calls; its port."""
    port = free_port()
    line = [_program(), "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", "127.0.0.1", "-p", str(port)]
    line += ["-nostdin", "-buff_size", BUFFER, "-timeout", "900s"]
    with on_core(LOAD_CORE), tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
        time.sleep(0.5)
        if process.poll() is not None:
            raise Unavailable(f"SIPp ends at once with status {process.returncode}")
        try:
            yield port
        finally:
            process.terminate()
            process.wait(10)


def run(
    scenario: str,
    target: tuple[str, int],
    *,
    count: int,
    rate: float,
    users: Path | None = None,
    service: str = "100",
    limit: int = 0,
    auth_uri: str = "",
    timeout: float = 120.0,
) -> Outcome:
    """``count`` calls of a scenario, ``rate`` a second. A run that does not end in time counts what it did."""
    with tempfile.TemporaryDirectory() as name, on_core(LOAD_CORE):
        folder = Path(name)
        # SIPp puts its port of control beside the SIP port; each run gets a port of its own.
        line = [_program(), f"{target[0]}:{target[1]}", "-sf", str(SCENARIOS / f"{scenario}.xml")]
        line += ["-i", "127.0.0.1", "-p", str(free_port()), "-s", service, "-nostdin", "-buff_size", BUFFER]
        line += ["-r", f"{rate:g}", "-m", str(count), "-timeout", f"{timeout:g}s", "-timer_resol", "5"]
        line += ["-recv_timeout", "8s"]
        line += ["-l", str(limit or int(rate * 30))]
        line += ["-trace_stat", "-stf", "stat.csv", "-fd", "1", "-trace_rtt", "-rtt_freq", "1"]
        line += ["-auth_uri", auth_uri] if auth_uri else []
        if users is not None:
            line += ["-inf", str(users)]
        subprocess.run(
            line,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout + 30,
            check=False,
        )
        return _outcome(folder)


def _outcome(folder: Path) -> Outcome:
    with (folder / "stat.csv").open(newline="") as file:
        last = list(csv.DictReader(file, delimiter=";"))[-1]
    delays: list[float] = []
    for path in folder.glob("*_rtt.csv"):
        with path.open() as file:
            rows = [line.split(";") for line in file.read().splitlines()[1:]]
        delays += [float(row[1]) / 1000 for row in rows if len(row) > 2]
    return Outcome(int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"]), delays)
