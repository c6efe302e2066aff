"""One target in a process of its own, for some seconds: `python -m fuzz.turn TARGET SEED SECONDS`, in tests/.

The same seed gives the same inputs in the same order, so a longer turn covers a shorter one whole. Prints how many
inputs it had; raises with the input that broke the target, and how to see it again.
"""

from __future__ import annotations

import random
import sys
import time

from fuzz.judge import MOST_GROWTH, WEIGHED, growth, judge_memory, judge_time, seconds
from fuzz.mutation import Mutator
from fuzz.targets import TARGETS


def turn(name: str, seed: int, lasting: float) -> int:
    """Inputs that a target took in ``lasting`` seconds. Raises what it raised, Violation, AssertionError."""
    target = TARGETS[name]
    for data in target.seeds:
        target.run(data)
    mutator = Mutator(target.seeds, random.Random(f"{seed} {name}"), target.separator)
    before = growth()
    until = time.monotonic() + lasting
    done = 0
    while time.monotonic() < until:
        data = mutator.next()
        try:
            judge_time(target, data, seconds(target.run, data))
            if done % WEIGHED == 0 and target.is_guided:
                judge_memory(target, data)
        except Exception as problem:
            problem.add_note(f"{name}: input {done} of RINGBACK_FUZZ_SEED={seed}: {data!r}")
            raise
        done += 1
    assert done > 20 * lasting, f"{done} inputs in {lasting} s are too few to say anything"
    assert growth() - before < MOST_GROWTH
    return done


if __name__ == "__main__":
    _, NAME, SEED, SECONDS = sys.argv
    print(turn(NAME, int(SEED), float(SECONDS)))
