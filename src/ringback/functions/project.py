"""The project directory: the layout of Twilio's serverless toolkit, and bins beside it.

    DIR/functions/NAME.js             /functions/NAME, public
    DIR/functions/NAME.protected.js   the same, but only with a valid X-Twilio-Signature
    DIR/functions/NAME.private.js     only for other Functions, by Runtime.getFunctions()
    DIR/assets/PATH                   /assets/PATH; `.protected` and `.private` before the suffix likewise
    DIR/bins/NAME.xml                 /bins/NAME
    DIR/.env                          variables of the Functions

Names come from a scan of the directory and requests only look them up, so no request can name a file that
the scan did not find.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

import structlog
from dotenv import dotenv_values

from ringback.functions import limits
from ringback.functions.notices import Notices

log = structlog.get_logger("ringback.functions")

FOLDERS: Final = ("functions", "assets", "bins")

Access = Literal["public", "protected", "private"]


class ProjectFile(NamedTuple):
    """A Function, an asset or a bin: its absolute path and who may ask for it."""

    path: str
    access: Access


class Project:
    """What is in the directory now. `generation` grows with every change."""

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory).resolve()
        self.generation = 0
        self.functions: dict[str, ProjectFile] = {}
        self.assets: dict[str, ProjectFile] = {}
        self.bins: dict[str, ProjectFile] = {}
        self.env: dict[str, str] = {}
        self._fingerprint: tuple[tuple[str, int, int], ...] | None = None
        self._checked_at = float("-inf")
        self._notices: Notices | None = None
        self.read()

    def watch(self) -> None:
        """Have the system tell of changes from now on, until ``close``: ``refresh`` then sees each at once."""
        self._notices = Notices()
        self.read()

    def close(self) -> None:
        """Watch no more."""
        if self._notices is not None:
            self._notices.close()
            self._notices = None

    def refresh(self) -> None:
        """Reads the directory anew if it changed.

        What the system does not tell (on some network file systems) is found by looks a few times a second.
        """
        notices = self._notices
        is_told = notices is not None and notices.is_complete
        look_every = limits.POLL_WATCHED if is_told else limits.POLL_UNWATCHED
        is_due = time.monotonic() - self._checked_at >= look_every
        if (is_due or (notices is not None and notices.arrived())) and self.read():
            log.info("the project changed", generation=self.generation)

    def read(self) -> bool:
        """Reads the directory and says whether anything changed."""
        self._checked_at = time.monotonic()
        watch = self._notices.watch if self._notices is not None else _unwatched
        watch(self.directory)
        found = {folder: list(_files(self.directory / folder, watch)) for folder in FOLDERS}
        env_file = self.directory / ".env"
        everything = [entry for entries in found.values() for entry in entries]
        everything.extend(_stamp(env_file))
        fingerprint = tuple(everything)
        if fingerprint == self._fingerprint:
            return False
        self._fingerprint = fingerprint
        self.functions = _by_name(self.directory / "functions", found["functions"], ".js")
        self.assets = _by_name(self.directory / "assets", found["assets"], "")
        self.bins = _by_name(self.directory / "bins", found["bins"], ".xml")
        values = dotenv_values(env_file, interpolate=False) if env_file.is_file() else {}
        self.env = {name: value for name, value in values.items() if value is not None}
        self.generation += 1
        return True


def _unwatched(folder: Path) -> None:
    """Nobody is told of changes."""


def _stamp(path: Path | str) -> Iterator[tuple[str, int, int]]:
    try:
        status = os.stat(path)
    except OSError:
        return
    yield (str(path), status.st_mtime_ns, status.st_size)


def _files(
    folder: Path, watch: Callable[[Path], None], depth: int = limits.PROJECT_DEPTH
) -> Iterator[tuple[str, int, int]]:
    """Path, time and size of each file below a folder, in order, hidden ones left out.

    A folder is watched before it is read, so that no change falls between.
    """
    watch(folder)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)[: limits.PROJECT_FILES]
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "node_modules":
            continue
        if entry.is_dir(follow_symlinks=False):
            if depth > 1:
                yield from _files(Path(entry.path), watch, depth - 1)
        elif entry.is_file():
            yield from _stamp(entry.path)


def _by_name(folder: Path, files: list[tuple[str, int, int]], suffix: str) -> dict[str, ProjectFile]:
    """Files by the name they are asked for, `.protected` and `.private` taken out of it."""
    named: dict[str, ProjectFile] = {}
    for path, _, _ in files[: limits.PROJECT_FILES]:
        if not path.endswith(suffix):
            continue
        relative = os.path.relpath(path, folder).replace(os.sep, "/")
        stem, extension = (relative[: -len(suffix)], "") if suffix else os.path.splitext(relative)
        access: Access = "public"
        if stem.endswith(".protected"):
            access = "protected"
        elif stem.endswith(".private"):
            access = "private"
        if access != "public":
            stem = stem.removesuffix(f".{access}")
        named[stem + extension] = ProjectFile(path, access)
    return named
