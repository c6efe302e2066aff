"""Which Node runs Functions."""

from pathlib import Path

import pytest

from ringback.functions import node_program
from ringback.functions.errors import NodeMissing


@pytest.fixture
def without_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_program, "from_wheel", lambda: None)


def test_no_node_says_what_to_install(without_wheel: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_program.shutil, "which", lambda name: None)
    with pytest.raises(NodeMissing, match=r"pip install 'ringback\[functions\]'"):
        node_program.find_node()


@pytest.mark.parametrize(("told", "good"), [("v20.1.0", True), ("v18.20.4", False), ("nonsense", False)])
def test_a_node_on_the_path_must_be_new_enough(
    without_wheel: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: str, good: bool
) -> None:
    program = tmp_path / "node"
    program.write_text(f"#!/bin/sh\necho {told}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    if good:
        assert node_program.find_node() == str(program)
    else:
        with pytest.raises(NodeMissing, match="20"):
            node_program.find_node()


def test_the_wheel_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_program, "from_wheel", lambda: "/wheel/node")
    assert node_program.find_node() == "/wheel/node"
