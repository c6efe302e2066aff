"""A clock that nobody steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringback.shell import steady
from ringback.shell.steady import Continuity, steady_time


class Machine:
    """``off`` is what its clock is ahead by."""

    def __init__(self) -> None:
        self.now, self.booted_at, self.off, self.boot = 1_000_000.0, 990_000.0, 0.0, "first"

    def start_process(self, file: Path) -> Continuity:
        """What the module does when it is imported, and the server at its start."""
        steady._origin = time.time() - steady._since_boot()
        continuity = Continuity(file)
        continuity.take_over()
        return continuity


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    found, before = Machine(), steady._origin
    monkeypatch.setattr(time, "time", lambda: found.now + found.off)
    monkeypatch.setattr(steady, "_since_boot", lambda: found.now - found.booted_at)
    monkeypatch.setattr(steady, "_boot", lambda: found.boot)
    yield found
    steady._origin = before


def test_a_stepped_clock_moves_no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    before = steady_time()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0 <= steady_time() - before < 60


@pytest.mark.parametrize("step", [3_600, -3_600])
def test_a_step_while_the_server_is_down_moves_no_lease_either(
    machine: Machine, tmp_path: Path, step: float
) -> None:
    machine.start_process(tmp_path / "clock").note()
    machine.now += 10
    machine.off += step
    second = machine.start_process(tmp_path / "clock")
    assert steady_time() == 1_000_010.0
    second.note()
    machine.off -= step
    machine.now += 10
    machine.start_process(tmp_path / "clock")
    assert steady_time() == 1_000_020.0


@pytest.mark.parametrize("step,late", [(0, 60), (3_600, 3_660), (-3_600, 5)])
def test_after_a_restart_of_the_machine_its_clock_counts_and_never_goes_back(
    machine: Machine, tmp_path: Path, step: float, late: float
) -> None:
    """``late``: five seconds passed before the last note."""
    first = machine.start_process(tmp_path / "clock")
    machine.now += 5
    first.note()
    machine.now += 55
    machine.booted_at, machine.boot, machine.off = machine.now - 20, "second", step
    machine.start_process(tmp_path / "clock")
    assert steady_time() == 1_000_000 + late


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"boot": "first", "origin": "x", "seen": 1}'])
def test_a_file_that_cannot_be_read_is_none(machine: Machine, tmp_path: Path, text: str) -> None:
    (tmp_path / "clock").write_text(text)
    machine.start_process(tmp_path / "clock")
    assert steady_time() == machine.now


def test_a_note_that_cannot_be_written_harms_nothing(machine: Machine, tmp_path: Path) -> None:
    Continuity(tmp_path / "nowhere" / "clock").note()
