"""One target in a process of its own: `python -m fuzz.turn TARGET SEED SECONDS FILE`, in tests/.

It takes so many seconds of CPU, all threads together: a busy machine makes a turn longer, never smaller. The same seed
gives the same inputs in the same order, so a longer turn covers a shorter one whole. Prints how many inputs it had; raises
with the input that broke the target, and how to see it again. FILE has the input of the moment, for when there is nobody left
to raise: a crash, or the SIGXCPU of an input that never ends.
"""

from __future__ import annotations

import faulthandler
import mmap
import random
import resource
import signal
import struct
import sys
import time
from pathlib import Path

from fuzz.judge import MOST_GROWTH, WEIGHED, growth, judge_memory, judge_time, seconds
from fuzz.mutation import HUGE, Mutator
from fuzz.target import Target
from fuzz.targets import TARGETS

ENDLESS = 30
"""Seconds of CPU beyond its share after which the process is ended."""

HEAD = struct.Struct("<QI")
"""Before the input in FILE: which one it is, and its length."""


class Shown:
    """The input of the moment, where others find it when this process died over it."""

    def __init__(self, path: Path) -> None:
        size = HEAD.size + 2 * HUGE
        path.write_bytes(bytes(size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), size)

    def put(self, number: int, data: bytes) -> None:
        """Show an input."""
        HEAD.pack_into(self._memory, 0, number, len(data))
        self._memory[HEAD.size : HEAD.size + len(data)] = data

    @staticmethod
    def read(path: Path, name: str, seed: int) -> str:
        """What was shown last."""
        content = path.read_bytes() if path.exists() else b""
        if len(content) < HEAD.size:
            return f"{name}: not one input"
        number, length = HEAD.unpack_from(content)
        return told(name, number, seed, content[HEAD.size : HEAD.size + length])


def told(name: str, number: int, seed: int, data: bytes) -> str:
    """An input, and how to see it again."""
    return f"{name}: input {number} of RINGBACK_FUZZ_SEED={seed}: {data!r}"


def turn(target: Target, seed: int, lasting: float, shown: Shown) -> int:
    """Inputs that a target took in ``lasting`` seconds of CPU. Raises what it raised, Violation, AssertionError."""
    for data in target.seeds:
        target.run(data)
    mutator = Mutator(target.seeds, random.Random(f"{seed} {target.name}"), target.separator)
    before = growth()
    until = time.process_time() + lasting
    done = 0
    while time.process_time() < until:
        data = mutator.next()
        shown.put(done, data)
        try:
            judge_time(target, data, seconds(target.run, data))
            if done % WEIGHED == 0 and target.is_guided:
                judge_memory(target, data)
        except Exception as problem:
            problem.add_note(told(target.name, done, seed, data))
            raise
        done += 1
    assert done > 20 * lasting, f"{done} inputs in {lasting} s are too few to say anything"
    assert growth() - before < MOST_GROWTH
    return done


if __name__ == "__main__":
    _, NAME, SEED, SECONDS, FILE = sys.argv
    most = int(time.process_time() + float(SECONDS)) + ENDLESS
    faulthandler.enable()
    faulthandler.register(signal.SIGXCPU, chain=True)
    resource.setrlimit(resource.RLIMIT_CPU, (most, most + 1))
    print(turn(TARGETS[NAME], int(SEED), float(SECONDS), Shown(Path(FILE))))
