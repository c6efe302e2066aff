"""The source runs where it was asked for, and where what was compiled is older."""

from __future__ import annotations

import ast
import sys
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from pathlib import Path

import pytest

from ringback import twins

SUFFIX = EXTENSION_SUFFIXES[0]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree of sources with one module that has both twins, and one that is compiled alone."""
    monkeypatch.setattr(sys, "path_hooks", list(sys.path_hooks))
    monkeypatch.setattr(twins, "not_compiled", "")
    monkeypatch.delenv("RINGBACK_PURE", raising=False)
    monkeypatch.delenv("RINGBACK_REQUIRE_CORE", raising=False)
    (tmp_path / "pyproject.toml").touch()
    package = tmp_path / "src" / "ringback"
    (package / "sip").mkdir(parents=True)
    for name in (
        "sip/message.py",
        f"sip/message{SUFFIX}",
        f"sip/core{SUFFIX}",
        f"{twins.MODULES}{SUFFIX}",
    ):
        (package / name).touch()
    twins.take_note(package, twins.MODULES, twins.digests(package, ["sip/message.py"]))
    return package


def runs(package: Path, module: str) -> str:
    spec = PathFinder.find_spec(module, [str(package / "sip")])
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).name


def edit(package: Path) -> None:
    (package / "sip" / "message.py").write_text("EDITED = True")


def test_what_is_compiled_runs(package: Path) -> None:
    twins.choose(package)
    assert runs(package, "message") == f"message{SUFFIX}"


def test_sources_run_where_they_are_asked_for(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGBACK_PURE", "1")
    twins.choose(package)
    assert runs(package, "message") == "message.py"
    assert runs(package, "core") == f"core{SUFFIX}"


def test_an_edited_source_runs_and_the_process_can_say_why(package: Path) -> None:
    twins.choose(package)
    assert twins.not_compiled == ""
    edit(package)
    twins.choose(package)
    assert runs(package, "message") == "message.py"
    assert twins.not_compiled.startswith(
        "sip/message.py is not what ringback__mypyc was compiled from: python setup"
    )


def test_a_source_that_is_gone_was_edited(package: Path) -> None:
    (package / "sip" / "message.py").unlink()
    assert twins.outdated(package, twins.MODULES).startswith("sip/message.py is not what")


@pytest.mark.parametrize("text", [None, "", "{"])
def test_a_library_that_nobody_took_note_of_does_not_run(package: Path, text: str | None) -> None:
    note = package / f"{twins.MODULES}.made-from"
    if text is None:
        note.unlink()
    else:
        note.write_text(text)
    twins.choose(package)
    assert runs(package, "message") == "message.py"
    assert twins.not_compiled.startswith("nothing says which sources ringback__mypyc was compiled from")


def test_an_edited_source_is_an_error_where_compiled_modules_are_required(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGBACK_REQUIRE_CORE", "1")
    twins.choose(package)
    edit(package)
    with pytest.raises(
        ImportError, match=r"^sip/message\.py is not what .* --inplace, or set RINGBACK_PURE=1"
    ):
        twins.choose(package)
    monkeypatch.setenv("RINGBACK_PURE", "1")
    twins.choose(package)


def test_an_installed_package_is_not_compared(package: Path) -> None:
    edit(package)
    (package.parents[1] / "pyproject.toml").unlink()
    twins.choose(package)
    assert runs(package, "message") == f"message{SUFFIX}"


def test_where_nothing_was_compiled_there_is_nothing_to_compare(package: Path) -> None:
    edit(package)
    (package / f"{twins.MODULES}{SUFFIX}").unlink()
    assert twins.outdated(package, twins.MODULES) == ""


def test_compiled_generators_yield_nothing_while_they_handle_an_exception() -> None:
    """One of mypyc's does not keep it over a yield: a bare raise after that is a crash."""
    sources = Path(twins.__file__).parent
    yields = [
        f"{source.relative_to(sources)}:{inner.lineno}"
        for name in ("sdp", "sip")
        for source in sources.glob(f"{name}/*.py")
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Try)
        for statement in (*node.finalbody, *(line for handler in node.handlers for line in handler.body))
        for inner in ast.walk(statement)
        if isinstance(inner, ast.Yield | ast.YieldFrom)
    ]
    assert yields == []
