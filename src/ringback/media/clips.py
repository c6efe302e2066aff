"""Clips: finished audio for the pump, the errors on the way to one, and the two caches that keep them.

MediaError
+-- ClipError(code, reason)   code: Twilio's error code for the call's timeline and the debugger
    +-- ClipRejected          the document's fault: a text, a name, a file that cannot be played
    +-- ClipUnavailable       the source or an engine failed; the same request may succeed later
    +-- ClipOverload          too much is waiting; refused before any work
"""

import contextlib
import hashlib
import json
import os
import tempfile
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from ringback.media.errors import MediaError

V = TypeVar("V")

RATE = 8000
"""Bytes of mu-law a second."""

MAX_SOURCE_BYTES = 40 * 1024 * 1024
"""Largest file or response that is decoded: four minutes of studio WAV, an hour of MP3."""

MAX_CLIP_SECONDS = 3600.0
"""Longest clip: 28.8 MB of mu-law. Longer programmes belong in a stream."""

MAX_DIGITS = 256
"""Longest `digits` of one `<Play>`: over 50 s of tones."""

MAX_HELD = 2_000
"""Clips in memory, however short they are: a key with its URL, and an ETag, may have 8 kB each."""

MAX_FILES = 20_000
"""Clips on disk, of 13 kB each when it is full: a file takes a block, and an inode, however short the clip is."""

_MAGIC = b"RBC1"
_ABANDONED = 3600.0  # seconds
_HEAD = 12  # magic, length of the JSON, CRC-32 of what follows


class ClipError(MediaError):
    """No clip. `code` is Twilio's error code, `reason` a sentence for the timeline (never a secret)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class ClipRejected(ClipError):
    """The document asks for what cannot be played."""


class ClipUnavailable(ClipError):
    """The source, or the process that decodes or speaks, failed."""


class ClipOverload(ClipError):
    """Too many requests wait already."""

    def __init__(self, reason: str) -> None:
        super().__init__(12400, reason)


class Clip(NamedTuple):
    """Audio ready for the pump: mu-law at 8 kHz, `duration` in seconds, a note for the call's timeline."""

    mulaw: bytes
    duration: float
    note: str = ""

    @classmethod
    def of(cls, mulaw: bytes, note: str = "") -> "Clip":
        """A clip with the duration that its bytes have."""
        return cls(mulaw, len(mulaw) / RATE, note)


class MemoryCache(Generic[V]):
    """What was used last, bounded by its bytes and its number; a thing over half of the budget is not kept."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self.bytes_held = 0

    def get(self, key: Hashable) -> V | None:
        """What is kept under `key`, which now is the one used last."""
        found = self._held.get(key)
        if found is None:
            return None
        self._held.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, value: V, size: int) -> None:
        """Keeps `value`, of `size` bytes; what was not used for longest makes room."""
        self.drop(key)
        if size > self._max_bytes // 2:
            return
        self._held[key] = (value, size)
        self.bytes_held += size
        while self.bytes_held > self._max_bytes or len(self._held) > MAX_HELD:
            self.drop(next(iter(self._held)))

    def drop(self, key: Hashable) -> None:
        """Forgets `key`, known or not."""
        found = self._held.pop(key, None)
        if found is not None:
            self.bytes_held -= found[1]


class DiskCache:
    """Clips in a folder, the least recently used removed first.

    One file an entry, named by the SHA-256 of its key, written beside and renamed, so a crash leaves no
    half; a file whose checksum is wrong counts as absent. The methods block: call them in a thread. They
    may be called from several threads, and several processes may share the folder (each bounds what it
    saw at its start and wrote itself). What the disk refuses is not kept; a cache is no reason to fail.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._sizes: OrderedDict[str, int] | None = None
        self._total = 0

    def get(self, key: str) -> tuple[dict[str, Any], bytes] | None:
        """The facts and the audio kept under `key`."""
        name = hashlib.sha256(key.encode()).hexdigest()
        try:
            data = self._path(name).read_bytes()
            os.utime(self._path(name))
        except OSError:
            return None
        found = _unpack(data)
        with self._lock:
            sizes = self._index()
            if found is None:
                self._forget(name, sizes)
            elif name in sizes:
                sizes.move_to_end(name)
        return found

    def put(self, key: str, facts: Mapping[str, Any], audio: bytes) -> None:
        """Keeps audio and facts (JSON) under `key`; nothing where it is over a quarter of the budget."""
        name = hashlib.sha256(key.encode()).hexdigest()
        data = _pack(facts, audio)
        if len(data) > self._max_bytes // 4:
            return
        try:
            self._write(name, data)
        except OSError:
            return
        with self._lock:
            sizes = self._index()
            self._total += len(data) - sizes.pop(name, 0)
            sizes[name] = len(data)
            while self._total > self._max_bytes or len(sizes) > MAX_FILES:
                self._forget(next(iter(sizes)), sizes)

    def _write(self, name: str, data: bytes) -> None:
        path = self._path(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # what callers hear is private
        handle, beside = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(beside, path)
        except OSError:
            Path(beside).unlink(missing_ok=True)
            raise

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / f"{name}.clip"

    def _forget(self, name: str, sizes: OrderedDict[str, int]) -> None:
        self._total -= sizes.pop(name, 0)
        self._path(name).unlink(missing_ok=True)

    def _index(self) -> OrderedDict[str, int]:
        """Names and sizes, oldest use first; read from the folder once. Call it with the lock."""
        if self._sizes is None:
            seen = []
            for path in self._folder.glob("??/*.clip"):
                try:
                    stat = path.stat()
                except OSError:
                    continue
                seen.append((stat.st_mtime_ns, path.stem, stat.st_size))
            for left in self._folder.glob("??/*.part"):  # of a process that died while it wrote
                with contextlib.suppress(OSError):
                    if left.stat().st_mtime < time.time() - _ABANDONED:
                        left.unlink()
            self._sizes = OrderedDict((name, size) for _, name, size in sorted(seen))
            self._total = sum(self._sizes.values())
        return self._sizes


def _pack(facts: Mapping[str, Any], audio: bytes) -> bytes:
    head = json.dumps(dict(facts)).encode()
    body = head + audio
    return _MAGIC + len(head).to_bytes(4) + zlib.crc32(body).to_bytes(4) + body


def _unpack(data: bytes) -> tuple[dict[str, Any], bytes] | None:
    length = int.from_bytes(data[4:8])
    body = data[_HEAD:]
    if data[:4] != _MAGIC or int.from_bytes(data[8:12]) != zlib.crc32(body) or length > len(body):
        return None
    return json.loads(body[:length]), body[length:]
