"""Every target for RINGBACK_FUZZ_SECONDS (1.2; 60 in CI) of CPU; `make fuzz` goes on for ten million inputs.

The seed is the same each time, so that a change is judged by what it changes; RINGBACK_FUZZ_SEED gives other inputs.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.beside import PATIENCE, TESTS, Beside
from fuzz.conftest import SECONDS
from fuzz.targets import TARGETS
from fuzz.turn import Shown


@pytest.mark.timeout(PATIENCE + 4 * SECONDS * len(TARGETS))
@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks(name: str, beside: Beside, capsys: pytest.CaptureFixture[str]) -> None:
    ended = beside.turns[name].result()
    assert ended.status == 0, ended.errors[-6_000:]
    if beside.lasting > 10:
        with capsys.disabled():
            print(f"\nfuzz: {name}: {int(ended.printed):,} inputs", end=" ", flush=True)


def test_the_input_of_a_crash_is_known(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys; from fuzz.turn import Shown; shown = Shown(pathlib.Path(sys.argv[1]))\n"
    )
    program += "shown.put(6, b'longer'); shown.put(7, b'bad\\0'); os.kill(os.getpid(), 9)"
    path = tmp_path / "input"
    assert Shown.read(path, "sdp", 1) == "sdp: not one input"
    died = subprocess.run([sys.executable, "-c", program, str(path)], cwd=TESTS)
    assert died.returncode == -signal.SIGKILL
    assert Shown.read(path, "sdp", 1) == r"sdp: input 7 of RINGBACK_FUZZ_SEED=1: b'bad\x00'"
