"""Every target for a few seconds, or RINGBACK_FUZZ_SECONDS; `make fuzz` goes on for ten million inputs."""

from __future__ import annotations

import os
import random
import time

import pytest
from fuzz.judge import MOST_GROWTH, WEIGHED, growth, judge_memory, judge_time, seconds
from fuzz.mutation import Mutator
from fuzz.targets import TARGETS

SECONDS = float(os.environ.get("RINGBACK_FUZZ_SECONDS", "1.2"))
SEED = int(os.environ.get("RINGBACK_FUZZ_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)


@pytest.mark.timeout(120 + 3 * SECONDS)
@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks(name: str) -> None:
    target = TARGETS[name]
    mutator = Mutator(target.seeds, random.Random(f"{SEED} {name}"))
    for data in target.seeds:
        target.run(data)
    before = growth()
    until = time.monotonic() + SECONDS
    done = 0
    while time.monotonic() < until:
        data = mutator.next()
        try:
            judge_time(target, data, seconds(target.run, data))
            if done % WEIGHED == 0 and target.is_guided:
                judge_memory(target, data)
        except Exception as problem:
            problem.add_note(f"{name}: input {done} of RINGBACK_FUZZ_SEED={SEED}: {data!r}")
            raise
        done += 1
    assert done > 50 * SECONDS, f"{done} inputs in {SECONDS} s are too few to say anything"
    assert growth() - before < MOST_GROWTH
