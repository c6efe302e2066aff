"""Every target for RINGBACK_FUZZ_SECONDS (1.2; 20 in CI), on each core one; `make fuzz` goes on for ten million inputs.

The seed is the same each time, so that a change is judged by what it changes; RINGBACK_FUZZ_SEED gives other inputs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from fuzz.targets import TARGETS

SECONDS = float(os.environ.get("RINGBACK_FUZZ_SECONDS", "1.2"))
SEED = int(os.environ.get("RINGBACK_FUZZ_SEED", "1"))
CORES = len(os.sched_getaffinity(0))
TESTS = Path(__file__).resolve().parents[1]


def _turn(name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fuzz.turn", name, str(SEED), str(SECONDS)]
    return subprocess.run(
        command,
        cwd=TESTS,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120 + 3 * SECONDS,
    )


@pytest.fixture(scope="module")
def turns(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[subprocess.CompletedProcess[str]]]]:
    chosen = [
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.function.__name__ == test_no_input_breaks.__name__
    ]
    pool = ThreadPoolExecutor(CORES)
    yield {name: pool.submit(_turn, name) for name in chosen}
    pool.shutdown(cancel_futures=True)


@pytest.mark.timeout(120 + 3 * SECONDS * len(TARGETS))
@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks(
    name: str,
    turns: dict[str, Future[subprocess.CompletedProcess[str]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    ended = turns[name].result()
    assert ended.returncode == 0, ended.stderr[-6_000:]
    if SECONDS > 10:
        with capsys.disabled():
            print(f"\nfuzz: {name}: {int(ended.stdout):,} inputs", end=" ", flush=True)
