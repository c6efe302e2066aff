"""One slice of one target in a process of its own: `python -m fuzz.worker TARGET RUNS SEED FOLDER ENGINE`.

The number of inputs done stands in FOLDER/count at every moment, so that nothing is lost when the process dies;
inputs that broke something are left in FOLDER/broken, those that seemed slow in FOLDER/slow, to be judged
without the instrumentation, which makes everything slower.
"""

from __future__ import annotations

import hashlib
import mmap
import random
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

COUNT = struct.Struct("<Q")


class Slice:
    """Counts, times and weighs inputs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        with (folder / "count").open("w+b") as file:
            file.write(bytes(COUNT.size))
            file.flush()
            self._shown = mmap.mmap(file.fileno(), COUNT.size)

    def keep(self, kind: str, data: bytes) -> Path:
        """Leave an input for the campaign."""
        place = self.folder / kind
        place.mkdir(exist_ok=True)
        path = place / hashlib.sha1(data, usedforsecurity=False).hexdigest()
        path.write_bytes(data)
        return path

    def run(self, run: Callable[[bytes], None], data: bytes, slowest: float) -> None:
        """One input."""
        began_at = time.thread_time()
        try:
            run(data)
        except BaseException as problem:
            path = self.keep("broken", data)
            print(f"broken by {path}: {problem!r:.300}", file=sys.stderr)
            raise
        finally:
            self.count += 1
            COUNT.pack_into(self._shown, 0, self.count)
        if time.thread_time() - began_at > slowest:
            self.keep("slow", data)


def guided(name: str, runs: int, seed: int, folder: Path) -> None:
    """Coverage-guided by atheris, where it is installed; never returns."""
    import atheris

    with atheris.instrument_imports(include=["ringback"]):
        from fuzz.judge import SLOWEST
        from fuzz.targets import TARGETS
    target = TARGETS[name]
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for data in target.seeds:
        (corpus / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
    piece = Slice(folder)
    options = [f"-runs={runs}", f"-seed={seed}", "-max_len=70000", "-len_control=20", "-rss_limit_mb=1024"]
    options += ["-malloc_limit_mb=256", "-print_final_stats=0", "-verbosity=0", "-timeout=20"]
    options += [f"-artifact_prefix={folder}/", str(corpus)]
    atheris.Setup([sys.argv[0], *options], lambda data: piece.run(target.run, data, SLOWEST))
    atheris.Fuzz()


def unguided(name: str, runs: int, seed: int, folder: Path) -> None:
    """By our own mutators."""
    from fuzz.judge import SLOWEST
    from fuzz.mutation import Mutator
    from fuzz.targets import TARGETS

    target = TARGETS[name]
    mutator, piece = Mutator(target.seeds, random.Random(seed), target.separator), Slice(folder)
    for _ in range(runs):
        piece.run(target.run, mutator.next(), SLOWEST)


if __name__ == "__main__":
    _, NAME, RUNS, SEED, FOLDER, ENGINE = sys.argv
    (guided if ENGINE == "guided" else unguided)(NAME, int(RUNS), int(SEED), Path(FOLDER))
