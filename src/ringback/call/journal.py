"""The journal of a call: every event in order of arrival, and what the script made of it.

A journal is JSON lines::

    {"ringback": "0.1.0", "setup": {...}}
    ["start", 0.0, [effects]]
    ["event", elapsed, [name, fields...], [effects]]
    ["note", elapsed, lane, text, level, code]        what the shell saw: SIP, media; not replayed

An effect is [name, fields...]. It replays only on the version that wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from json import encoder
from typing import Any, NamedTuple

from ringback import __version__
from ringback.call.effects import Effect, Note
from ringback.call.errors import JournalError
from ringback.call.events import EVENT_TYPES, Event
from ringback.call.limits import MAX_JOURNAL_ENTRIES, MAX_NOTE_LENGTH
from ringback.call.setup import CallSetup

Plain = list[Any]

CLOCK_DIGITS = 6
"""Decimals of a second that a journal keeps; scripts see no more of the time, so that a replay sees the same."""


def _writer() -> Callable[[Any], str]:
    """JSON without spaces. Python's encoder makes a new one of its C part for each line; it is made once here."""
    plain = json.JSONEncoder(separators=(",", ":"))
    make = getattr(encoder, "c_make_encoder", None)
    if make is None:
        return plain.encode
    # The arguments are those of json.encoder.JSONEncoder.iterencode; what a journal holds has no circles.
    write = make(None, plain.default, encoder.encode_basestring_ascii, None, ":", ",", False, False, True)
    return lambda value: "".join(write(value, 0))


_write = _writer()

_EVENTS: dict[str, type[Any]] = {kind.__name__: kind for kind in EVENT_TYPES}


def plain(value: Event | Effect) -> Plain:
    """An event or effect as plain data: [name, fields...]."""
    return [type(value).__name__, *value]


def event_from(value: Plain) -> Event:
    """The event that ``plain`` gave. Raises JournalError."""
    try:
        event: Event = _EVENTS[value[0]](*value[1:])
    except (KeyError, IndexError, TypeError) as problem:
        raise JournalError(f"no such event: {value!r:.200}") from problem
    return event


class Entry(NamedTuple):
    """One line: an event with its effects, or a note of the shell."""

    elapsed: float
    event: Event | None
    effects: list[Effect]
    note: Note | None = None


class Journal:
    """The journal of a running call; bounded, and marked when the bound was met."""

    __slots__ = ("_entries", "setup", "truncated", "version")

    def __init__(self, setup: CallSetup) -> None:
        self.setup = setup
        self.version = __version__
        self.truncated = False
        self._entries: list[Entry] = []

    def started(self, effects: list[Effect]) -> None:
        """Keep what the script asked for before any event."""
        self._keep(Entry(0.0, None, effects))

    def append(self, elapsed: float, event: Event, effects: list[Effect]) -> None:
        """Keep an event and what came of it."""
        self._keep(Entry(elapsed, event, effects))

    def note(self, elapsed: float, note: Note) -> None:
        """Keep a line that explains, and that replay passes over."""
        if len(note.text) > MAX_NOTE_LENGTH:
            note = note._replace(text=note.text[:MAX_NOTE_LENGTH] + "…")
        self._keep(Entry(elapsed, None, [], note))

    def _keep(self, entry: Entry) -> None:
        if len(self._entries) < MAX_JOURNAL_ENTRIES:
            self._entries.append(entry)
        else:
            self.truncated = True

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def encode(self) -> bytes:
        """The journal as JSON lines."""
        head = {"ringback": self.version, "setup": self.setup.plain(), "truncated": self.truncated}
        lines: list[str] = [_write(head)]
        for entry in self._entries:
            elapsed = round(entry.elapsed, CLOCK_DIGITS)
            effects = [plain(effect) for effect in entry.effects]
            if entry.note is not None:
                line: Plain = ["note", elapsed, *entry.note]
            elif entry.event is None:
                line = ["start", elapsed, effects]
            else:
                line = ["event", elapsed, plain(entry.event), effects]
            lines.append(_write(line))
        return "\n".join(lines).encode() + b"\n"


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


def decode(data: bytes) -> Record:
    """Read a journal. Raises JournalError."""
    try:
        head, *rest = (json.loads(line) for line in data.decode().splitlines() if line)
        setup = CallSetup.from_plain(head["setup"])
        lines = [_recorded(line) for line in rest]
        return Record(head["ringback"], setup, bool(head.get("truncated")), lines)
    except JournalError:
        raise
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as problem:
        raise JournalError(f"not a journal of Ringback: {problem}") from problem


def _recorded(line: Plain) -> Recorded:
    match line:
        case ["start", elapsed, effects]:
            return Recorded("start", elapsed, None, effects)
        case ["event", elapsed, event, effects]:
            return Recorded("event", elapsed, event_from(event), effects)
        case ["note", elapsed, lane, text, level, code]:
            return Recorded("note", elapsed, None, [], Note(lane, text, level, code))
    raise JournalError(f"no such line: {line!r:.200}")
