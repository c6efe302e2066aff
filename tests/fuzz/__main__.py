"""A fuzzing campaign: `make fuzz`, or `python -m fuzz [--inputs N] [--jobs N] [--only NAME] [--fresh]` in tests/.

It goes on where it was stopped, until all targets together have had so many inputs, and shows a table of them.
State, corpus and what broke stand in `.fuzz/`. Exit status 1 if anything broke.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from fuzz.judge import Violation, judge_memory, judge_time, seconds
from fuzz.targets import TARGETS
from fuzz.worker import COUNT
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
SLICE_SECONDS = 30.0
"""About so long a process runs; then its memory goes back, and the table is shown."""
FIRST_SLICE = 20_000
INPUTS = 10_000_000


class Campaign:
    """How far each target is; kept in a file after every slice."""

    def __init__(self, folder: Path, inputs: int, only: list[str]) -> None:
        self.folder = folder
        self.console = Console(width=130)
        self.guided = importlib.util.find_spec("atheris") is not None
        self.targets = {name: target for name, target in TARGETS.items() if not only or name in only}
        shares = sum(target.share for target in self.targets.values())
        self.wanted = {name: inputs * target.share // shares + 1 for name, target in self.targets.items()}
        self.file = folder / "state.json"
        self.done: dict[str, dict[str, Any]] = {}
        if self.file.exists():
            self.done = json.loads(self.file.read_text())
        for name in self.targets:
            self.done.setdefault(
                name, {"inputs": 0, "seconds": 0.0, "slices": 0, "broken": [], "slowest": 0.0}
            )

    def engine(self, name: str) -> str:
        """Which engine serves a target."""
        return "guided" if self.guided and self.targets[name].is_guided else "mutators"

    def left(self, name: str) -> int:
        """Inputs that a target still wants."""
        return max(0, self.wanted[name] - self.done[name]["inputs"])

    def slice(self, name: str) -> None:
        """Run one process for a target, and write down what it did."""
        state = self.done[name]
        rate = state["inputs"] / state["seconds"] if state["seconds"] else 0.0
        runs = min(self.left(name), max(FIRST_SLICE, int(rate * SLICE_SECONDS)) if rate else FIRST_SLICE)
        place = self.folder / name.replace(" ", "-").replace(",", "")
        place.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "fuzz.worker", name, str(runs)]
        command += [str(state["slices"] + 1), str(place), self.engine(name)]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]),
        }
        began_at = time.monotonic()
        with (place / "log").open("w") as log:
            ended = subprocess.run(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False
            )
        count_file = place / "count"
        count = COUNT.unpack(count_file.read_bytes())[0] if count_file.exists() else 0
        state["inputs"] += count
        state["seconds"] += time.monotonic() - began_at
        state["slices"] += 1
        broken = {
            str(path)
            for kind in ("broken", "crash-*", "oom-*", "timeout-*")
            for path in self._left(place, kind)
        }
        state["broken"] = sorted(broken)
        if ended.returncode and not broken:
            state["broken"] = [f"exit status {ended.returncode}: {place / 'log'}"]
        self._judge(name, place)
        self.file.write_text(json.dumps(self.done, indent=1))

    @staticmethod
    def _left(place: Path, kind: str) -> list[Path]:
        return list((place / kind).iterdir()) if (place / kind).is_dir() else list(place.glob(kind))

    def _judge(self, name: str, place: Path) -> None:
        """What seemed slow is timed here, without instrumentation; the newest inputs are weighed."""
        target, state = self.targets[name], self.done[name]
        for path in self._left(place, "slow"):
            data = path.read_bytes()
            try:
                state["slowest"] = max(state["slowest"], judge_time(target, data, seconds(target.run, data)))
                path.unlink()
            except Violation as problem:
                state["broken"].append(f"{path}: {problem!s:.120}")
        newest = sorted(self._left(place, "corpus"), key=lambda path: -path.stat().st_mtime)[:50]
        for path in newest if target.is_guided else ():
            try:
                state["heaviest"] = max(state.get("heaviest", 0), judge_memory(target, path.read_bytes()))
            except Violation as problem:
                state["broken"].append(f"{path}: {problem!s:.120}")

    def table(self) -> None:
        """Show how far it is."""
        table = Table(title=f"{sum(self.done[name]['inputs'] for name in self.targets):,} inputs")
        for column in (
            "target",
            "engine",
            "inputs",
            "of",
            "a second",
            "corpus",
            "slowest",
            "heaviest",
            "broken",
        ):
            table.add_column(column, justify="left" if column in ("target", "engine") else "right")
        for name in self.targets:
            state = self.done[name]
            rate = state["inputs"] / state["seconds"] if state["seconds"] else 0.0
            place = self.folder / name.replace(" ", "-").replace(",", "")
            table.add_row(
                name,
                self.engine(name),
                f"{state['inputs']:,}",
                f"{self.wanted[name]:,}",
                f"{rate:,.0f}",
                f"{len(self._left(place, 'corpus')):,}",
                f"{state['slowest'] * 1000:.0f} ms" if state["slowest"] else "",
                f"{state.get('heaviest', 0) / 1024:,.0f} kB",
                str(len(state["broken"])),
            )
        self.console.print(table)

    def run(self, jobs: int) -> int:
        """Until every target has what it wants; the exit status."""
        running: dict[Future[None], str] = {}
        with ThreadPoolExecutor(jobs) as pool:
            while True:
                # The target that is least far goes first, so that any moment is a fair one to stop at.
                order = sorted(self.targets, key=lambda name: self.done[name]["inputs"] / self.wanted[name])
                for name in order:
                    if len(running) < jobs and name not in running.values() and self._may_go_on(name):
                        running[pool.submit(self.slice, name)] = name
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    running.pop(future)
                    future.result()
                if os.isatty(1) or not running:
                    self.table()
                else:
                    total = sum(self.done[name]["inputs"] for name in self.targets)
                    self.console.print(f"{total:,} of {sum(self.wanted.values()):,} inputs")
        self.table()
        broken = [line for name in self.targets for line in self.done[name]["broken"]]
        for line in broken:
            self.console.print(f"broken: {line}")
        return 1 if broken else 0

    def _may_go_on(self, name: str) -> bool:
        return self.left(name) > 0 and not self.done[name]["broken"]


def main() -> int:
    """Read the command line and run."""
    words = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    words.add_argument("--inputs", type=int, default=int(os.environ.get("RINGBACK_FUZZ_INPUTS", INPUTS)))
    words.add_argument("--jobs", type=int, default=int(os.environ.get("RINGBACK_FUZZ_JOBS", "1")))
    words.add_argument("--folder", type=Path, default=ROOT / ".fuzz")
    words.add_argument("--only", action="append", default=[], choices=list(TARGETS))
    words.add_argument("--fresh", action="store_true", help="forget how far it was, and what was broken")
    given = words.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.fresh:
        (given.folder / "state.json").unlink(missing_ok=True)
        for path in given.folder.glob("*/broken/*"):
            path.unlink()
    return Campaign(given.folder, given.inputs, given.only).run(given.jobs)


if __name__ == "__main__":
    sys.exit(main())
