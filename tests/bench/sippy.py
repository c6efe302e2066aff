"""Sippy's B2BUA as a peer: another exchange in Python that owns both legs."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.bench.measure import SERVER_CORE, Unavailable, on_core, settle
from tests.live import free_port

PROGRAM = Path(__file__).parent / ".peers" / "bin" / "b2bua_simple"


class Sippy(NamedTuple):
    """A running one."""

    pid: int
    address: tuple[str, int]


@contextmanager
def sippy(*, target: int) -> Iterator[Sippy]:
    """On the server's core, each call's second leg to ``target``."""
    if not PROGRAM.exists():
        raise Unavailable("Sippy is not installed: run tests/bench/install.sh")
    port = free_port()
    line = [str(PROGRAM), "-f", "-l", "127.0.0.1", "-p", str(port), "-n", f"127.0.0.1:{target}"]
    line += ["-L", "/dev/null"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        quiet = {**os.environ, "SIPLOG_BEND": "none", "SIPLOG_LVL": "CRIT"}
        with log.open("w") as file:
            with on_core(SERVER_CORE):
                process = subprocess.Popen(line, stdout=file, stderr=file, cwd=folder, env=quiet)
            time.sleep(2.0)
            if process.poll() is not None:
                raise Unavailable(f"Sippy ends at once: {log.read_text()[-200:]}")
            try:
                settle(process.pid)
                yield Sippy(process.pid, ("127.0.0.1", port))
            finally:
                process.kill()
                process.wait(10)
