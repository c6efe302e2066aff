"""docs/conformance.md says what the tests show."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_document_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "conformance.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("test_rfc3261_17_2_1_timer_g_doubles_to_t2", (3261, ("17", "2", "1"), "timer g doubles to t2")),
        ("test_rfc3262_3_100_is_never_reliable", (3262, ("3",), "100 is never reliable")),
        ("test_rfc3550_a_8_jitter", (3550, ("A", "8"), "jitter")),
        ("test_rfc4475_verdict", (4475, (), "verdict")),
        ("test_something_else", None),
    ],
)
def test_names_are_read_by_their_clause(name: str, expected: object) -> None:
    # By its file: the folder of these tests has the tool's name.
    spec = importlib.util.spec_from_file_location("conformance_tool", ROOT / "tools" / "conformance.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.split_name(name) == expected
