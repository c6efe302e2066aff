"""A project directory: Functions and bins of its user, and the server's own data beside them.

::

    DIR/functions/*.js  DIR/bins/*.xml  DIR/assets/  DIR/.env  DIR/ringback.toml      the user's
    DIR/data/ringback.db                                                               the database
    DIR/data/phones.json                     passwords of the starter's phones, owner only
    DIR/data/unseen.json                     nobody has been shown them yet
    DIR/data/server.json                     how to reach the running server, owner only
    DIR/data/clock.json                      the time by which registrations end
    DIR/data/lock                            held by the running server
    DIR/data/node.json                       which server this is, among those of one database
    DIR/data/running/                        journals of calls that are up, should the server be killed
    DIR/data/tls/  DIR/data/cache/                              certificate; spoken and fetched clips
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ringback.app.errors import Unusable
from ringback.app.program import ringback
from ringback.app.settings import DATA_FOLDER, SETTINGS_FILE

SIGNS = (
    "functions",
    "bins",
    "assets",
    SETTINGS_FILE,
    f"{DATA_FOLDER}/ringback.db",
    f"{DATA_FOLDER}/phones.json",
)
"""What makes a directory a project: each is enough, so that one of Twilio's serverless toolkit is one."""

UNSEEN = "unseen.json"
"""There from `init` to the first card."""

ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Running:
    """What other commands need to reach the running server of a directory."""

    pid: int
    api: str
    account_sid: str
    auth_token: str = field(repr=False)
    sip: str
    domain: str
    phones_sip: str
    """Where phones in the network reach SIP over UDP and TCP, and over TLS ("" for nowhere)."""
    phones_sips: str
    numbers: dict[str, str]
    """The number that rings a phone, by its user."""


class ProjectDirectory:
    """The directory of one server. Raises Unusable when it cannot be read or written."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.data = self.path / DATA_FOLDER

    def check(self) -> None:
        """Raise Unusable for a directory with files of something else: the starter would get lost among them."""
        try:
            names = {entry.name for entry in self.path.iterdir() if not entry.name.startswith(".")}
        except FileNotFoundError:
            return
        except OSError as problem:
            raise self._unusable(problem) from None
        if names <= {DATA_FOLDER} or any((self.path / name).exists() for name in SIGNS):
            return
        raise Unusable(
            f"{self.path} has files, and no project among them. Name a new or an empty directory; "
            f"or put the starter beside them with `{ringback('init', self.path)}`"
        )

    def make(self) -> None:
        """Make the directory and its data folder."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.data.mkdir(mode=0o700, exist_ok=True)
        except OSError as problem:
            raise self._unusable(problem) from None

    def _unusable(self, problem: OSError) -> Unusable:
        return Unusable(f"{self.path} cannot be used: {problem.strerror}. Name a directory that you own")

    @property
    def database_url(self) -> str:
        """The default database."""
        return f"sqlite:///{self.data / 'ringback.db'}"

    def phones(self) -> dict[str, str]:
        """Passwords of the starter's phones, by user."""
        return dict(self._read("phones.json") or {})

    def make_phones(self, users: tuple[str, ...], pinned: str) -> dict[str, str]:
        """Passwords for new phones: the pinned one, or one made for each."""
        phones = {user: pinned or new_password() for user in users}
        self._write("phones.json", phones)
        return phones

    def take(self) -> int:
        """Be the only server of the directory until this descriptor is closed, or the process is gone: another would end its calls."""
        file = self.data / "lock"
        try:
            lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:  # another user's, perhaps, who was the first to start a server here
            raise Unusable(f"{file} cannot be written: {problem.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise Unusable(
                f"a server of {self.path} runs already: stop it, or name another directory"
            ) from None
        except OSError:
            pass  # a file system without locks
        return lock

    def node(self) -> str:
        """Which server this is, among those of one database: made up at the first start."""
        found = self._read("node.json")
        if found is None:
            found = {"node": secrets.token_hex(6)}
            self._write("node.json", found)
        return str(found["node"])

    def hold_back(self) -> None:
        """Nobody has been shown the secrets yet: the first card is to."""
        self._write(UNSEEN, {})

    def is_unseen(self) -> bool:
        """Whether the secrets are still to be made, or were never shown."""
        return not self.phones() or (self.data / UNSEEN).exists()

    def has_shown(self) -> None:
        """The secrets were on a card."""
        (self.data / UNSEEN).unlink(missing_ok=True)

    def announce(self, running: Running) -> None:
        """Say how the server is reached."""
        self._write("server.json", asdict(running))

    def retire(self) -> None:
        """The server is gone."""
        (self.data / "server.json").unlink(missing_ok=True)

    def running(self) -> Running | None:
        """How the running server is reached; None when none runs."""
        found = self._read("server.json")
        if found is None:
            return None
        running = Running(**found)
        try:
            os.kill(running.pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass
        return running

    def served(self) -> Running:
        """How the running server is reached. Raises Unusable when none runs."""
        running = self.running()
        if running is None:
            raise Unusable(f"no server runs for {self.path}: start it with `{ringback('serve', self.path)}`")
        return running

    def _read(self, name: str) -> Any:
        file = self.data / name
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as problem:
            raise Unusable(f"{file} cannot be read: {problem}") from None

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a file that its owner alone reads, from the first byte on."""
        file = self.data / name
        draft = file.with_suffix(".new")
        try:
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                json.dump(content, out, indent=2)
            draft.replace(file)
        except OSError as problem:
            raise Unusable(f"{file} cannot be written: {problem.strerror}") from None


def new_password() -> str:
    """A password as Twilio wants them: 12 characters and more, upper, lower, digit."""
    while True:
        password = "".join(secrets.choice(ALPHABET) for _ in range(16))
        kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
        if all(any(character in kind for character in password) for kind in kinds):
            return password
