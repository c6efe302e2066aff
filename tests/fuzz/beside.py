"""Turns of the targets beside the other tests, of the time that nobody else wants: one more than there are cores, so that
the last do not run alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock
from typing import NamedTuple, Self

from fuzz.turn import Shown

TESTS = Path(__file__).resolve().parents[1]
CORES = len(os.sched_getaffinity(0))

QUOTA = Path("/sys/fs/cgroup/cpu.max")
QUOTA_OF_OLD = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
"""Of a container, in cgroups of version 2 and 1."""

LAST = ("chrt", "--idle", "0") if shutil.which("chrt") else ("nice", "-n", "19")
"""Has a program run when no other wants to: what waits for a packet does not wait for a fuzzer."""

PATIENCE = 1_200.0
"""Seconds that a turn may go without the CPU that it needs while others have it: as long as all other tests take on a slow
machine. Only what waits for ever needs a bound; what computes for ever is ended by its own clock."""


def _ration() -> int:
    """Whole cores' worth of CPU that a container may have; 0 where nobody counts, and what others leave is free."""
    for path in (QUOTA, QUOTA_OF_OLD):
        if path.exists():
            most, *period = path.read_text().split()
            return 0 if most in ("max", "-1") else max(1, int(most) // int(period[0] if period else 100_000))
    return 0


class Ended(NamedTuple):
    """A turn that is over: its exit status and what it printed."""

    status: int
    printed: str
    errors: str


class Beside:
    """A context in which turns run; ``turns`` has their ends by name. Where CPU is
    rationed, they wait for ``compete``."""

    def __init__(self, names: Iterable[str], seed: int, lasting: float) -> None:
        self.seed, self.lasting = seed, lasting
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = Lock()
        self._closed = False
        self._before: tuple[str, ...] = LAST
        self._folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        ration = _ration()
        self._may_begin = Event()
        if not ration:
            self._may_begin.set()
        self._pool = ThreadPoolExecutor(min(CORES, ration or CORES) + 1)
        self.turns: dict[str, Future[Ended]] = {name: self._pool.submit(self._turn, name) for name in names}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            self._may_begin.set()
            for process in self._running:
                process.kill()
        self._pool.shutdown(cancel_futures=True)
        shutil.rmtree(self._folder)

    def compete(self) -> None:
        """Nothing is left to run beside: turns get their fair share from now on, where that is allowed."""
        with self._lock:
            self._before = ()
            self._may_begin.set()
            for process in self._running:
                with suppress(OSError):  # it just ended; or a normal user's, who gives way for good
                    for thread in os.listdir(f"/proc/{process.pid}/task"):
                        os.sched_setscheduler(int(thread), os.SCHED_OTHER, os.sched_param(0))

    def _turn(self, name: str) -> Ended:
        self._may_begin.wait()
        shown = self._folder / name.replace(" ", "-")
        with self._lock:
            if self._closed:
                return Ended(-1, "", "not begun")
            line = [*self._before, sys.executable, "-m", "fuzz.turn", name]
            process = subprocess.Popen(
                [*line, str(self.seed), str(self.lasting), str(shown)],
                cwd=TESTS,
                env={**os.environ, "PYTHONHASHSEED": "0"},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            self._running.add(process)
        try:
            printed, errors = process.communicate(timeout=PATIENCE + 3 * self.lasting)
        except subprocess.TimeoutExpired:
            process.kill()
            printed, errors = process.communicate()
            errors += "it waits for ever\n"
        with self._lock:
            self._running.discard(process)
        if process.returncode < 0:  # nothing could be raised
            errors += f"ended by signal {-process.returncode} over {Shown.read(shown, name, self.seed)}"
        return Ended(process.returncode, printed, errors)
