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


def judge_time(target: Target, data: bytes, took: float) -> float:
    """The time that counts: the best of four, since machines have other things to do. Raises Violation."""
    if took > SLOWEST:
        gc.collect()
        took = min(took, *(seconds(target.run, data) for _ in range(3)))
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
