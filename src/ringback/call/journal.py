"""The journal of a call: every event in order of arrival, and what the script made of it.

A journal is JSON lines::

    {"ringback": "0.1.0", "setup": {...}, "truncated": false, "lines": 12}    the lines that follow
    ["start", 0.0, [effects]]
    ["event", elapsed, [name, fields...], [effects]]
    ["note", elapsed, lane, text, level, code]        what the shell saw: SIP, media; not replayed

An effect is [name, fields...]. It replays only on the version that wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import astuple

from ringback import __version__
from ringback.call.datum import Datum
from ringback.call.effects import Effect, Note, Spawn
from ringback.call.errors import JournalError
from ringback.call.events import EVENT_TYPES, Event
from ringback.call.limits import MAX_JOURNAL_ENTRIES, MAX_NOTE_LENGTH
from ringback.call.setup import CallSetup

Plain = list[Any]

CLOCK_DIGITS = 6
"""Decimals of a second that a journal keeps; scripts see no more of the time, so that a replay sees the same."""

_CLOCK = 10.0**CLOCK_DIGITS

WRITTEN_AT_ONCE = 8
"""Lines of a running call that are kept as objects; as JSON they take less memory."""

_encoder = msgspec.json.Encoder()

_EVENTS: dict[str, type[Any]] = {kind.__name__: kind for kind in EVENT_TYPES}


def clock(elapsed: float) -> float:
    """A time of a call (never negative) as journals and scripts have it. `round` would cost twice as much."""
    return (elapsed * _CLOCK + 0.5) // 1.0 / _CLOCK


def plain(value: Datum) -> Plain:
    """An event or effect as plain data: [name, fields...]."""
    if isinstance(value, Spawn):
        return ["Spawn", value.setup.plain()]
    return [type(value).__name__, *astuple(value)]


def event_from(value: Plain) -> Event:
    """The event that ``plain`` gave. Raises JournalError."""
    try:
        event: Event = _EVENTS[value[0]](*value[1:])
    except (KeyError, IndexError, TypeError) as problem:
        raise JournalError(f"no such event: {value!r:.200}") from problem
    return event


class Journal:
    """The journal of a running call; bounded, and marked when the bound was met."""

    __slots__ = (
        "_count",
        "_lines",
        "_setup",
        "_taken",
        "_written",
        "changed",
        "is_closed",
        "setup",
        "truncated",
        "version",
    )

    def __init__(self, setup: CallSetup) -> None:
        self.setup = setup
        self.version = __version__
        self.truncated = False
        self._count = 0
        self._lines: list[Any] = []
        self._written = bytearray()
        self._taken = 0
        self._setup = b""
        self.changed: Callable[[Journal], None] | None = None
        """Told of the next line, once."""
        self.is_closed = False
        """It was written down as a whole."""

    def started(self, effects: list[Effect]) -> None:
        """Keep what the script asked for before any event."""
        self._keep(("start", 0.0, effects))

    def append(self, elapsed: float, event: Event, effects: list[Effect]) -> None:
        """Keep an event and what came of it; nobody may change the list after that."""
        self._keep(("event", elapsed, event, effects))

    def note(self, elapsed: float, note: Note) -> None:
        """Keep a line that explains, and that replay passes over."""
        text = note.text
        if len(text) > MAX_NOTE_LENGTH:
            text = text[:MAX_NOTE_LENGTH] + "…"
        self._keep(("note", clock(elapsed), note.lane, text, note.level, note.code))

    def _keep(self, line: tuple[Any, ...]) -> None:
        count, lines = self._count, self._lines
        if count >= MAX_JOURNAL_ENTRIES:
            self.truncated = True
            return
        self._count = count + 1
        lines.append(line)
        if len(lines) >= WRITTEN_AT_ONCE:
            self._write()
        if self.changed is not None:
            tell, self.changed = self.changed, None
            tell(self)

    def _write(self) -> None:
        self._written += _json_lines(self._lines)
        self._lines.clear()

    def __len__(self) -> int:
        return self._count

    def encode(self) -> bytes:
        """The journal as JSON lines."""
        self._write()
        return self._head() + self._written

    def take(self, *, whole: bool = False) -> bytes:
        """The lines since it was asked last, as JSON lines: the head first if it is all of them, or ``whole``."""
        self._write()
        taken, self._taken = self._taken, len(self._written)
        if whole or not taken:
            return self._head() + self._written
        return bytes(self._written[taken:])

    def _head(self) -> bytes:
        if not self._setup:
            self._setup = _json_lines([self.setup])[:-1]
        version, truncated = self.version.encode(), b"true" if self.truncated else b"false"
        head = b'{"ringback":"%s","setup":%s,"truncated":%s,"lines":%d}\n'
        return head % (version, self._setup, truncated, self._count)


def _json_lines(lines: list[Any]) -> bytes:
    try:
        return _encoder.encode_lines(lines)
    except (UnicodeEncodeError, TypeError):  # bytes of a peer that are no UTF-8; a kind of str of ours
        write = json.JSONEncoder(separators=(",", ":"), default=_unknown_to_json).encode
        return "".join(write(line) + "\n" for line in lines).encode()


def _unknown_to_json(value: Datum | CallSetup) -> Any:
    return plain(value) if isinstance(value, Datum) else value.plain()


def cut_off(lines: bytes, elapsed: float, why: Note) -> bytes:
    """The journal of a call that ended with its server, of the lines that were taken of it. Raises JournalError."""
    first, *rest = lines.split(b"\n")
    try:
        head = json.loads(first)
        rest.pop()  # what follows the last end of a line is no whole line
        head["lines"] = len(rest) + 1
        written_at = json.loads(rest[-1])[1] if rest else 0.0  # a clock may have been stepped since
        last = ("note", clock(max(written_at, elapsed - head["setup"]["started_at"])), *astuple(why))
    except (ValueError, KeyError, TypeError, IndexError) as problem:
        raise JournalError(f"no journal of a call that was up: {problem}") from problem
    return b"\n".join([_encoder.encode(head), *rest, _encoder.encode(last), b""])


@dataclass(frozen=True, slots=True)
class Recorded:
    """One line of a journal that was read: the effects stay plain, to be compared."""

    kind: str
    elapsed: float
    event: Event | None
    effects: list[Plain]
    note: Note | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A journal that was read."""

    version: str
    setup: CallSetup
    truncated: bool
    lines: list[Recorded]
    missing: int
    """Lines that the head counts and that are not here: the end was cut off."""


def decode(data: bytes) -> Record:
    """Read a journal. Raises JournalError, but not for one whose end was cut off: see ``Record.missing``."""
    try:
        first, *rest = (line for line in data.split(b"\n") if line)
        head = json.loads(first)
        count = int(head["lines"])
        if 0 < len(rest) <= count and not _is_whole(rest[-1]):
            rest.pop()
        missing = count - len(rest)
        if missing < 0:
            raise JournalError(f"it has {-missing} lines more than it counts")
        setup = CallSetup.from_plain(head["setup"])
        lines = [_recorded(json.loads(line)) for line in rest]
        return Record(head["ringback"], setup, bool(head["truncated"]), lines, missing)
    except JournalError:
        raise
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        OverflowError,  # 1e999 is a number in JSON
        RecursionError,
    ) as problem:
        raise JournalError(f"not a journal of Ringback: {problem}") from problem


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _recorded(line: Plain) -> Recorded:
    match line:
        case ["start", elapsed, effects]:
            return Recorded("start", elapsed, None, effects)
        case ["event", elapsed, event, effects]:
            return Recorded("event", elapsed, event_from(event), effects)
        case ["note", elapsed, lane, text, level, code]:
            return Recorded("note", elapsed, None, [], Note(lane, text, level, code))
    raise JournalError(f"no such line: {line!r:.200}")
