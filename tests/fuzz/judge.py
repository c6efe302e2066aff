"""What holds of every target for every input: its errors, its time and its memory."""

from __future__ import annotations

import gc
import resource
import time
import tracemalloc
from collections.abc import Callable

from fuzz.target import Target

SLOWEST = 0.025
"""Seconds of CPU that one input may cost: a loop that is held longer delays every other call."""

REFERENCE = 0.0017
"""Seconds of CPU that ``_work`` takes on a machine of 2024 whose core has nothing else to do."""

MOST_MEMORY = 16 * 1024 * 1024
"""Bytes that one input may take while it is worked on: some hundred times the largest message."""

MOST_GROWTH = 64 * 1024 * 1024
"""Bytes that a whole run may add to the process: the caches have bounds, and nothing else may stay."""

WEIGHED = 400
"""One input in so many is weighed by tracemalloc, which makes everything slow."""


class Violation(AssertionError):
    """An input did what none may do."""


def growth() -> int:
    """The most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def seconds(run: Callable[[bytes], None], data: bytes) -> float:
    """CPU time of this thread for one input."""
    began_at = time.thread_time()
    run(data)
    return time.thread_time() - began_at


def _work(data: bytes) -> None:
    """As parsers do: pieces of a text, looked up and put together."""
    known: dict[bytes, int] = {}
    for piece in data.split(b","):
        known[piece] = known.get(piece.strip(), 0) + 1
    b",".join(known)


def slowness() -> float:
    """How many times longer than on the machine of ``REFERENCE`` things take here and now; 1 where it is faster."""
    data = b",".join(b"%d" % number for number in range(20_000))
    return max(1.0, min(seconds(_work, data) for _ in range(3)) / REFERENCE)


def judge_time(target: Target, data: bytes, took: float) -> float:
    """The time that counts: the best of four, on a core that nobody else uses. Raises Violation."""
    if took > SLOWEST:
        gc.collect()
        took = min(took, *(seconds(target.run, data) for _ in range(3))) / slowness()
        if took > SLOWEST:
            raise Violation(f"{target.name}: {took * 1000:.1f} ms for {len(data)} bytes: {data[:200]!r}")
    return took


def judge_memory(target: Target, data: bytes) -> int:
    """Bytes that an input takes while it is worked on. Raises Violation."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        target.run(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if peak - before > MOST_MEMORY:
        raise Violation(f"{target.name}: {peak - before} bytes for {len(data)} bytes: {data[:200]!r}")
    return peak - before
