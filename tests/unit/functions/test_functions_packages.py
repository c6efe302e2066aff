"""The npm packages that are put in when Ringback is built."""

import importlib.util
import json
import types
from pathlib import Path

import pytest

from ringback.functions import node_program

ROOT = Path(__file__).resolve().parents[3]
NODE = node_program.HOST.parent


@pytest.fixture
def build_npm() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("build_npm", ROOT / "build_npm.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_package_is_pinned_by_its_hash_and_names_no_registry() -> None:
    lock = json.loads((NODE / "package-lock.json").read_text())
    packages = {name: item for name, item in lock["packages"].items() if name}
    assert "node_modules/twilio" in packages
    assert [name for name, item in packages.items() if not item["integrity"].startswith("sha512-")] == []
    assert [name for name, item in packages.items() if "resolved" in item] == []


def test_the_lock_file_is_that_of_the_package_file() -> None:
    wanted = json.loads((NODE / "package.json").read_text())["dependencies"]
    assert json.loads((NODE / "package-lock.json").read_text())["packages"][""]["dependencies"] == wanted


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build_npm: types.ModuleType) -> Path:
    """A directory with a lock file, and an npm that only makes node_modules."""
    (tmp_path / "package-lock.json").write_text("{}")
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\nmkdir -p node_modules/a; touch node_modules/a/x.d.ts node_modules/a/x.js\n")
    npm.chmod(0o755)
    monkeypatch.setattr(build_npm, "_npm", lambda: [str(npm)])
    return tmp_path


def test_packages_are_fetched_once_for_each_lock_file(place: Path, build_npm: types.ModuleType) -> None:
    assert build_npm.install(place) is True
    assert [path.name for path in (place / "node_modules" / "a").iterdir()] == ["x.js"]
    assert build_npm.install(place) is False
    (place / "package-lock.json").write_text('{"changed": 1}')
    assert build_npm.install(place) is True


def test_a_failing_npm_fails_the_build_and_is_tried_again(place: Path, build_npm: types.ModuleType) -> None:
    npm = place / "npm"
    good = npm.read_text()
    npm.write_text("#!/bin/sh\necho no network >&2; exit 1\n")
    with pytest.raises(RuntimeError, match="no network"):
        build_npm.install(place)
    npm.write_text(good)
    assert build_npm.install(place) is True


def test_a_build_without_network_can_leave_them_out(
    place: Path, build_npm: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGBACK_WITHOUT_NPM", "1")
    assert build_npm.install(place) is False
    assert not (place / "node_modules").exists()
