"""What is watched of a server while it is under load, and what is made of it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

MB = 1e6


class Sample(NamedTuple):
    """One look; ``at`` is of the monotonic clock. Memory is proportional (PSS), in bytes; threads are the kernel's."""

    at: float
    memory: int
    children: int
    descriptors: int
    threads: int
    tasks: int
    lateness: float
    calls: int
    transactions: int
    garbage: int


def proportional(pid: int) -> int:
    """Bytes of memory of a process, shared pages by their share; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1_024 for line in lines if line.startswith("Pss:"))


def children_of(pid: int) -> list[int]:
    """The processes that a server started."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, file.read_text().split())
    return found


def sample(pid: int, vitals: dict[str, Any]) -> Sample:
    """Look at a process, with what it says of itself."""
    return Sample(
        at=time.monotonic(),
        memory=proportional(pid),
        children=sum(map(proportional, children_of(pid))),
        descriptors=int(vitals["descriptors"]),
        threads=len(list(Path(f"/proc/{pid}/task").iterdir())),
        tasks=int(vitals["tasks"]),
        lateness=float(vitals["lateness"]),
        calls=int(vitals["calls"]),
        transactions=int(vitals["transactions"]),
        garbage=int(vitals["garbage"]),
    )


@dataclass(frozen=True)
class Slope:
    """A straight line through samples by least squares: growth an hour, and its standard error."""

    growth: float
    error: float

    def __str__(self) -> str:
        return f"{self.growth / MB:+.2f} ± {self.error / MB:.2f} MB an hour"


def slope(points: Sequence[tuple[float, float]]) -> Slope:
    """The slope of (seconds, bytes); at least three points."""
    count = len(points)
    middle_x = sum(x for x, _ in points) / count
    middle_y = sum(y for _, y in points) / count
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    steep = sum((x - middle_x) * (y - middle_y) for x, y in points) / spread
    left = sum((y - middle_y - steep * (x - middle_x)) ** 2 for x, y in points)
    return Slope(3_600 * steep, 3_600 * math.sqrt(left / (count - 2) / spread))
