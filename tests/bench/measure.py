"""CPU time of process trees, cores, and medians: how everything here is measured.

A number is CPU time (user and system, all threads, all child processes) that a program used between two moments,
divided by the operations it completed between them. Wall-clock time never enters a ratio.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

SERVER_CORE, LOAD_CORE = 0, 1
CORES = sorted(os.sched_getaffinity(0))
TICK = os.sysconf("SC_CLK_TCK")


class Stat(NamedTuple):
    """What /proc/PID/stat says of a process."""

    parent: int
    ticks: int


class Unavailable(Exception):
    """A peer that cannot run here; the text says why."""


def _stat(pid: int) -> Stat | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    # proc(5): utime, stime, and those of children that ended and were waited for.
    return Stat(int(fields[1]), sum(int(field) for field in fields[11:15]))


def tree(root: int) -> dict[int, Stat]:
    """The process and all that come from it."""
    stats = {int(name): stat for name in os.listdir("/proc") if name.isdigit() and (stat := _stat(int(name)))}
    wanted = {root} & stats.keys()
    while more := {pid for pid, stat in stats.items() if stat.parent in wanted} - wanted:
        wanted |= more
    return {pid: stats[pid] for pid in wanted}


def cpu_seconds(root: int) -> float:
    """CPU time of a tree of processes so far."""
    return sum(stat.ticks for stat in tree(root).values()) / TICK


def resident_kib(root: int, *, children: bool = True) -> int:
    """Memory of a process, and of those that come from it, theirs alone or shared in proportion, in KiB."""
    total = 0
    for pid in tree(root) if children else {root}:
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except OSError:
            continue
    return total


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started inside runs on this core, and so do its children; the innermost counts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core if core in CORES else CORES[-1]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def settle(root: int, within: float = 5.0) -> None:
    """Wait until a tree of processes is idle: start-up must not be counted."""
    ends_at = time.monotonic() + within
    while time.monotonic() < ends_at:
        before = cpu_seconds(root)
        time.sleep(0.3)
        if cpu_seconds(root) - before < 0.02:
            return


def quantile(values: list[float], share: float) -> float:
    """The value that this share of the values does not exceed; NaN if there are none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
