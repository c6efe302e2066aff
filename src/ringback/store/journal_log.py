"""Lines of calls that are up, appended to a file as they come: what is left of their journals if the server is killed.

    loop    append(chunk) --SimpleQueue--> thread: write; after a failure nothing, until
            begin_anew(chunks) ----------> thread: a new file, and the old one goes
            beat() ----------------------> thread: the file is of now, though nothing was written

    DIR/7.log:  CA... 812\\n and 812 bytes of JSON lines, CA... 90\\n and 90 bytes, ...

Nothing waits for it: what was given to the system outlives the process. For a power cut it is synced once a second. A chunk
that holds the head of a journal begins it anew. The last chunk of a file may be cut off. The time of a file is when its server was
last alive.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

import structlog

from ringback.store.limits import LOG_WAITING

log = structlog.get_logger("ringback.store")

HEAD = b"{"
"""How a journal begins; its other lines are arrays."""

_SYNC_APART = 1.0
"""Seconds from one sync to the next: each takes the disk 1 to 4 ms here, more elsewhere, and answers wait for the same disk."""

_ENDS_WITHIN = 2.0
"""Seconds that closing waits for a disk that does not answer."""


def chunk(call_sid: str, lines: bytes) -> bytes:
    """Lines of one call, as the file has them."""
    return b"%s %d\n%s" % (call_sid.encode(), len(lines), lines)


class JournalLog:
    """The file of this run, and those of runs before. All methods but the thread's belong to the loop's thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
        numbers = [int(file.stem) for file in folder.glob("*.log") if file.stem.isdecimal()]
        self._former = [self._file(number) for number in sorted(numbers)]
        self._number = max(numbers, default=0)
        self._jobs: SimpleQueue[tuple[bytes, bool] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._given = self._written = 0
        self._descriptor = -1
        self._synced_at = 0.0
        self._is_synced = True
        self._has_failed = False
        self._is_behind = False
        self.size = 0
        """Bytes of the file as it will be."""

    @property
    def is_failing(self) -> bool:
        """Nothing more is appended: the file is to be begun anew, once nothing waits."""
        return self._has_failed or self._is_behind

    @property
    def is_waiting(self) -> bool:
        """Something was not written yet."""
        return self._given != self._written

    def append(self, chunks: bytes) -> None:
        """Write these soon, unless too much waits already."""
        if self._given - self._written + len(chunks) > LOG_WAITING:
            self._is_behind = True
        if not self.is_failing:
            self._put(chunks, is_whole=False)

    def begin_anew(self, chunks: bytes) -> None:
        """Leave nothing but these."""
        self._is_behind = False
        self.size = 0
        self._put(chunks, is_whole=True)

    def left(self) -> dict[str, bytes]:
        """What runs before have left, by call. Takes as long as the files are; may run in any thread."""
        found: dict[str, bytearray] = {}
        for file in self._former:
            try:
                data = file.read_bytes()
            except OSError as problem:
                log.error("journals of the last run cannot be read", file=str(file), problem=str(problem))
                continue
            for call_sid, lines in _chunks(data):
                if lines[:1] == HEAD or call_sid not in found:
                    found[call_sid] = bytearray()
                found[call_sid] += lines
        return {call_sid: bytes(lines) for call_sid, lines in found.items()}

    def last_alive(self) -> float | None:
        """When the last run that left something was alive, as the machine's clock said then; None if none did."""
        moments = []
        for file in self._former:
            with suppress(OSError):
                moments.append(file.stat().st_mtime)
        return max(moments, default=None)

    def beat(self) -> None:
        """Say that this run is alive, though no call has anything to write."""
        if self._thread is not None:
            self._jobs.put((b"", False))

    def forget(self) -> None:
        """What runs before have left is needed no more."""
        for file in self._former:
            with suppress(OSError):
                file.unlink()
        self._former = []

    def close(self, *, keep: bool) -> None:
        """Write what waits, and remove the file unless it is to be kept for the next run."""
        if self._thread is None:
            return
        self._jobs.put(None)
        self._thread.join(_ENDS_WITHIN)
        self._thread = None
        if not keep:
            with suppress(OSError):
                self._file(self._number).unlink()

    def _put(self, chunks: bytes, *, is_whole: bool) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._work, name="journals", daemon=True)
            self._thread.start()
        self.size += len(chunks)
        self._given += len(chunks)
        self._jobs.put((chunks, is_whole))

    def _file(self, number: int) -> Path:
        return self._folder / f"{number}.log"

    # -- in the thread ----------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            chunks, is_whole = job
            try:
                if is_whole or (chunks and self._descriptor < 0):
                    self._open(chunks)
                elif self._descriptor >= 0 and not (chunks and self._has_failed):
                    self._append(chunks)
            except OSError as problem:
                if not self._has_failed:
                    log.error("journals of running calls are not written", problem=str(problem))
                self._has_failed = True
            self._written += len(chunks)
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def _append(self, chunks: bytes) -> None:
        if chunks:
            _write(self._descriptor, chunks)
            self._is_synced = False
        else:
            os.utime(self._descriptor)
        if not self._is_synced and (now := time.monotonic()) >= self._synced_at + _SYNC_APART:
            os.fdatasync(self._descriptor)
            self._synced_at, self._is_synced = now, True

    def _open(self, chunks: bytes) -> None:
        """A new file with these; only then the old one goes."""
        new = self._file(self._number + 1)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _write(descriptor, chunks)
            os.fdatasync(descriptor)
        except OSError:
            os.close(descriptor)
            new.unlink(missing_ok=True)
            raise
        if self._descriptor >= 0:
            os.close(self._descriptor)
            with suppress(OSError):
                self._file(self._number).unlink()
        self._descriptor, self._number = descriptor, self._number + 1
        if self._has_failed:
            log.info("journals of running calls are written again")
        self._has_failed = False


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _chunks(data: bytes) -> Iterable[tuple[str, bytes]]:
    """The chunks of a file, the last one as far as it goes; what is none ends it."""
    at = 0
    while at < len(data):
        end = data.find(b"\n", at)
        call_sid, _, length = data[at : max(end, at)].partition(b" ")
        if not (call_sid.isalnum() and call_sid.isascii() and length.isdigit() and len(length) < 10):
            return
        at = end + 1 + int(length)
        yield call_sid.decode(), data[end + 1 : at]
