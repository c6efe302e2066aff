"""The project directory and the starter."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from ringback.functions import limits, notices
from ringback.functions.bins import collect, parse, render
from ringback.functions.project import Project, ProjectFile
from ringback.functions.starter import write_starter


def put(root: Path, name: str, text: str = "x") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_names_and_access_come_from_the_file_names(tmp_path: Path) -> None:
    for name in ("a.js", "b.protected.js", "deep/c.private.js", "note.txt", ".hidden.js"):
        put(tmp_path, f"functions/{name}")
    for name in ("beep.wav", "menu.private.json", "x/y.protected.mp3"):
        put(tmp_path, f"assets/{name}")
    put(tmp_path, "bins/alice.xml")
    put(tmp_path, "functions/node_modules/dep.js")
    project = Project(tmp_path)
    access = {name: item.access for name, item in project.functions.items()}
    assert access == {"a": "public", "b": "protected", "deep/c": "private"}
    assert {name: item.access for name, item in project.assets.items()} == {
        "beep.wav": "public",
        "menu.json": "private",
        "x/y.mp3": "protected",
    }
    assert project.bins == {"alice": ProjectFile(str(tmp_path.resolve() / "bins/alice.xml"), "public")}


def test_variables_come_from_the_env_file_as_they_are_written(tmp_path: Path) -> None:
    put(tmp_path, ".env", "A=1\nB='two words'\n# C=3\nD=$A\nEMPTY=\nNOTHING\n")
    assert Project(tmp_path).env == {"A": "1", "B": "two words", "D": "$A", "EMPTY": ""}


def test_a_change_is_seen_and_counted_once(tmp_path: Path) -> None:
    file = put(tmp_path, "functions/a.js")
    project = Project(tmp_path)
    first = project.generation
    assert not project.read()
    os.utime(file, ns=(1, 1))
    assert project.read()
    put(tmp_path, "bins/new.xml")
    put(tmp_path, ".env", "A=2")
    assert project.read()
    assert not project.read()
    file.unlink()
    assert project.read()
    assert project.generation == first + 3
    assert (project.functions, list(project.bins), project.env) == ({}, ["new"], {"A": "2"})


def test_the_servers_own_files_are_no_change(tmp_path: Path) -> None:
    put(tmp_path, "functions/a.js")
    project = Project(tmp_path)
    put(tmp_path, "ringback.db")
    put(tmp_path, "functions/node_modules/dep/index.js")
    assert not project.read()


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project whose changes are told by the system alone."""
    monkeypatch.setattr(limits, "POLL_WATCHED", float("inf"))
    project = Project(tmp_path)
    project.watch()
    yield project
    project.close()


def test_the_next_request_sees_every_change(watched: Project) -> None:
    """Files in folders that are made later, the environment, moves and removals; no look in vain."""
    root, seen = watched.directory, watched.generation
    for change in (
        lambda: put(root, "functions/menus/deep/a.js"),
        lambda: put(root, ".env", "A=2"),
        lambda: os.utime(root / "functions/menus/deep/a.js", ns=(1, 1)),
        lambda: (root / "functions/menus").rename(root / "functions/trees"),
        lambda: put(root, "functions/trees/deep/b.js"),
        lambda: (root / "functions/trees/deep/a.js").unlink(),
    ):
        change()
        watched.refresh()
        assert watched.generation == (seen := seen + 1)
        watched.refresh()
        assert watched.generation == seen
    assert (list(watched.functions), watched.env) == (["trees/deep/b"], {"A": "2"})


def test_a_file_counts_once_it_is_written(watched: Project) -> None:
    put(watched.directory, "bins/a.xml", "<Response/>")
    watched.refresh()
    before = watched.generation
    with (watched.directory / "bins/a.xml").open("a") as half:
        half.write("<Resp")
        half.flush()
        watched.refresh()
        assert watched.generation == before
    watched.refresh()
    assert watched.generation == before + 1


def test_where_the_system_tells_nothing_looking_finds_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, "too many watchers")

    monkeypatch.setattr(notices, "Inotify", refuse)
    monkeypatch.setattr(limits, "POLL_UNWATCHED", 0.0)
    project = Project(tmp_path)
    project.watch()
    put(tmp_path, "functions/a.js")
    project.refresh()
    assert list(project.functions) == ["a"]
    project.close()


def test_an_empty_or_missing_directory_has_nothing(tmp_path: Path) -> None:
    project = Project(tmp_path / "none")
    assert (project.functions, project.assets, project.bins, project.env) == ({}, {}, {}, {})


@pytest.fixture
def starter(tmp_path: Path) -> Path:
    write_starter(
        tmp_path,
        "home.sip.example.com",
        {"alice": "+15550100001", "bob": "+15550100002", "carol": "+15550100003"},
    )
    return tmp_path


def test_the_starter_rings_each_user_at_the_domain(starter: Path) -> None:
    project = Project(starter)
    assert sorted(project.bins) == ["alice", "bob", "carol"]
    for user, item in project.bins.items():
        root = etree.fromstring(render(parse(Path(item.path).read_text()), collect([])).encode())
        assert root.findtext("Dial/Sip") == f"sip:{user}@home.sip.example.com"


def test_the_starter_leaves_no_place_unfilled(starter: Path) -> None:
    files = [path for path in starter.rglob("*") if path.is_file()]
    assert {"outbound.js", ".env", "README.md"} <= {path.name for path in files}
    assert not [path for path in files if "__" in path.read_text()]
    assert '"bob": "+15550100002",' in (starter / "functions/outbound.js").read_text()
    assert Project(starter).env == {"DEFAULT_CALLER_ID": "+15550100001"}


def test_the_starter_leaves_what_is_there(tmp_path: Path) -> None:
    mine = put(tmp_path, "functions/outbound.js", "mine")
    written = write_starter(tmp_path, "example.com", {"alice": "+1"})
    assert mine.read_text() == "mine"
    assert mine not in written
    assert tmp_path / "bins/alice.xml" in written
    assert write_starter(tmp_path, "example.com", {"alice": "+1"}) == []
