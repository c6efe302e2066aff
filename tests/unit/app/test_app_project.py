"""Which directories a server takes for its own, and what it keeps there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ringback.app.errors import Unusable
from ringback.app.project import ProjectDirectory, new_password


def put(path: Path, text: str = "x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    "files",
    [
        (),
        (".git/HEAD", ".gitignore"),
        ("data/tls/key.pem",),
        ("ringback.toml",),
        ("functions/hello.js", "package.json"),
        ("bins/a.xml", "notes.txt"),
        ("data/ringback.db", "photo.jpg"),
        ("data/phones.json", "photo.jpg"),
    ],
)
def test_a_new_directory_and_a_project_are_taken(tmp_path: Path, files: tuple[str, ...]) -> None:
    for name in files:
        put(tmp_path / name)
    ProjectDirectory(tmp_path).check()
    ProjectDirectory(tmp_path / "new").check()


@pytest.mark.parametrize("files", [("letter.odt",), ("data/table.csv", "main.py")])
def test_a_directory_with_files_of_something_else_is_refused(tmp_path: Path, files: tuple[str, ...]) -> None:
    for name in files:
        put(tmp_path / name)
    with pytest.raises(Unusable, match=f"no project among them.*ringback init {tmp_path}"):
        ProjectDirectory(tmp_path).check()


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    put(tmp_path / "file")
    with pytest.raises(Unusable, match="Not a directory"):
        ProjectDirectory(tmp_path / "file").check()


def test_passwords_are_their_owners_alone_and_strong_enough(tmp_path: Path) -> None:
    place = ProjectDirectory(tmp_path / "p")
    place.make()
    made = place.make_phones(("alice", "bob"), "")
    assert place.phones() == made
    assert stat.S_IMODE((place.data / "phones.json").stat().st_mode) == 0o600
    assert made["alice"] != made["bob"]
    for password in (*made.values(), *(new_password() for _ in range(50))):
        assert len(password) >= 12
        assert password.lower() != password != password.upper()
        assert any(character.isdigit() for character in password)


def test_secrets_are_new_until_a_card_has_shown_them(tmp_path: Path) -> None:
    place = ProjectDirectory(tmp_path / "p")
    place.make()
    assert place.is_unseen()
    place.make_phones(("alice",), "")
    assert not place.is_unseen()
    place.hold_back()
    assert place.is_unseen()
    place.has_shown()
    assert not place.is_unseen()


def test_without_a_server_there_is_nobody_to_ask(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=r"no server runs for .*: start it with `ringback serve"):
        ProjectDirectory(tmp_path).served()


def test_a_directory_has_one_server_at_a_time(tmp_path: Path) -> None:
    place = ProjectDirectory(tmp_path / "p")
    place.make()
    lock = place.take()
    with pytest.raises(Unusable, match="runs already"):
        ProjectDirectory(tmp_path / "p").take()
    os.close(lock)
    os.close(ProjectDirectory(tmp_path / "p").take())


def test_a_lock_that_cannot_be_opened_is_told_in_a_sentence(tmp_path: Path) -> None:
    place = ProjectDirectory(tmp_path / "p")
    place.make()
    (place.data / "lock").mkdir()
    with pytest.raises(Unusable, match="lock cannot be written: Is a directory"):
        place.take()


def test_a_server_stays_who_it_is(tmp_path: Path) -> None:
    places = [ProjectDirectory(tmp_path / name) for name in ("p", "p", "other")]
    for place in places:
        place.make()
    first, again, other = (place.node() for place in places)
    assert first == again != other
