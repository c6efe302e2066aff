"""Hints of the program can be copied."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ringback import __version__
from ringback.app.cli import app
from ringback.app.program import ringback


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in an environment that is not on the PATH, called from beside it."""
    program = tmp_path / ".venv" / "bin" / "ringback"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(program), "serve"])
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.chdir(tmp_path)
    return program


def test_a_program_that_the_path_has_not_is_called_by_its_own(installed: Path) -> None:
    assert ringback("demo", Path("my project")) == ".venv/bin/ringback demo 'my project'"


def test_a_program_that_the_path_has_is_called_by_its_name(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"/nonexistent{os.pathsep}{installed.parent}")
    assert ringback("card") == "ringback card"


def test_a_module_is_called_by_the_programs_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/x/ringback/app/cli.py"])
    assert ringback() == "ringback"


@pytest.mark.parametrize("word", ["version", "--version"])
def test_the_version_may_be_asked_for_either_way(word: str) -> None:
    done = CliRunner().invoke(app, [word])
    assert (done.exit_code, done.output) == (0, f"{__version__}\n")
