"""A call is a deterministic script over a journal: rebuilt in other processes, under other hash seeds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from unit.twiml.probes import PROBES, record

import ringback

PATHS = [str(Path(ringback.__file__).parents[1]), str(Path(__file__).parents[1])]


def run(seed: int, *arguments: object) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(PATHS), "PYTHONHASHSEED": str(seed)}
    command = [sys.executable, "-m", "unit.twiml.probes", *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("probe", PROBES)
def test_twiml_probe_replays_alike_under_two_hash_seeds(probe: str, tmp_path: Path) -> None:
    folders = [tmp_path / str(seed) for seed in (1, 2)]
    for seed, folder in enumerate(folders, start=1):
        folder.mkdir()
        run(seed, "record", probe, folder)
    journals = [sorted(folder.iterdir()) for folder in folders]
    assert [path.read_bytes() for path in journals[0]] == [path.read_bytes() for path in journals[1]]
    assert journals[0]
    run(2, "replay", *journals[0])
    run(1, "replay", *journals[1])


@pytest.mark.parametrize("probe", PROBES)
def test_twiml_call_cut_in_the_middle_goes_on_in_another_process(probe: str, tmp_path: Path) -> None:
    record(probe, tmp_path)
    full = tmp_path / "0.journal"
    lines = full.read_bytes().splitlines(keepends=True)
    head, out = tmp_path / "head", tmp_path / "out"
    head.write_bytes(b"".join(lines[: len(lines) // 2]))
    run(2, "resume", head, full, out)
    assert out.read_bytes() == full.read_bytes()


@pytest.mark.parametrize("probe", PROBES)
def test_twiml_every_prefix_of_a_journal_rebuilds_the_call(probe: str) -> None:
    from ringback.call.journal import decode
    from ringback.call.replay import replay
    from ringback.twiml.scripts import script_of

    for leg in PROBES[probe]().calls.values():
        lines = leg.actor.journal.encode().splitlines(keepends=True)
        for cut in range(2, len(lines)):
            found = replay(decode(b"".join(lines[:cut])), script_of)
            assert found.difference is None
            for line in decode(b"".join(lines)).lines[cut - 1 :]:
                assert line.event is not None
                found.actor.deliver(line.event, line.elapsed)
            assert found.actor.journal.encode() == b"".join(lines)
