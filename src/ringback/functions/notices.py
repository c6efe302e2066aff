"""The system's notices of changes in folders (inotify): asking takes microseconds, so every request can ask."""

import os
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path
from termios import FIONREAD
from typing import Final

import structlog
from asyncinotify import Inotify, Mask

log = structlog.get_logger("ringback.functions")

_CHANGES = (
    Mask.CLOSE_WRITE
    | Mask.CREATE
    | Mask.DELETE
    | Mask.MOVED_FROM
    | Mask.MOVED_TO
    | Mask.ATTRIB
    | Mask.ONLYDIR
)
"""A file counts once it is written and closed, so that nobody is served half of one."""

_NOTHING: Final = bytes(4)
"""An int of C: so many bytes of notices wait to be read."""


class Notices:
    """Folders that are watched, each without those below it."""

    def __init__(self) -> None:
        self.is_complete = True
        """Whether the system tells of all of them: it has a limit on watches (fs.inotify), and may have none."""
        self._inotify: Inotify | None = None
        try:
            self._inotify = Inotify()
            self._descriptor = self._inotify.fd
            os.set_blocking(self._descriptor, False)  # InitFlags.NONBLOCK of 4.4 has the wrong value
        except OSError as error:
            self._miss(error)

    def watch(self, folder: Path) -> None:
        """Watch a folder from now on; one that is not there is left out."""
        if self._inotify is None:
            return
        try:
            self._inotify.add_watch(folder, _CHANGES)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self._miss(error)

    def arrived(self) -> bool:
        """Whether anything changed since this was asked before."""
        if self._inotify is None:
            return False
        if ioctl(self._descriptor, FIONREAD, _NOTHING) == _NOTHING:  # reading in vain costs ten times as much
            return False
        with suppress(BlockingIOError):
            while self._inotify.sync_get() is not None:
                pass
        return True

    def close(self) -> None:
        """Watch no more."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def _miss(self, error: OSError) -> None:
        if self.is_complete:
            log.warning("changes of the project are found by looking, some times a second", why=str(error))
        self.is_complete = False
