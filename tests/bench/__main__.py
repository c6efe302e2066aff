"""``python -m tests.bench [line ...]``: what an operation costs us, beside a peer measured in the same run.

Lines: register call call-sparse webhook function relay-pump relay prompt crowd registration capacity; without any, all of them.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from tests.bench import capacity, registrations, relay, signalling
from tests.bench.report import Fact, Row, show

Measured = tuple[list[Row], list[Fact]]
GROUPS: list[tuple[tuple[str, ...], Callable[[list[str], int], Measured]]] = [
    (signalling.LINES, signalling.measure),
    (relay.LINES, relay.measure),
    (registrations.LINES, registrations.measure),
    (capacity.LINES, capacity.measure),
]


def main() -> None:
    """Measure and print."""
    every = [line for lines, _ in GROUPS for line in lines]
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.splitlines()[0])
    parser.add_argument("lines", nargs="*", choices=[*every, []], metavar="LINE", help=" ".join(every))
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, 11), metavar="N", help="default 3")
    given = parser.parse_args()
    install = ["sh", str(Path(__file__).parent / "install.sh")]
    subprocess.run(install, check=False, timeout=600, env={**os.environ, "PYTHON": sys.executable})
    console = Console(width=130)
    busy = os.getloadavg()[0]
    console.print(
        f"{os.cpu_count()} cores, load {busy:.1f} before the start; {given.rounds} rounds. "
        f"Python {platform.python_version()} of {sys.base_prefix}."
    )
    rows: list[Row] = []
    facts: list[Fact] = []
    for lines, measure in GROUPS:
        wanted = [line for line in lines if line in (given.lines or every)]
        if wanted:
            console.print(f"measuring {', '.join(wanted)} ...")
            more_rows, more_facts = measure(wanted, given.rounds)
            rows += more_rows
            facts += more_facts
    show(rows, facts, console)


if __name__ == "__main__":
    main()
