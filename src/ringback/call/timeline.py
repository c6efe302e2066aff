"""A call's journal as lines for people: what happened when, in which lane, and a verdict.

Lanes: call, sip, webhook, function, twiml, media, rest. Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ringback.call import events
from ringback.call.effects import Note
from ringback.call.journal import Plain, Record, Recorded

UNANSWERED = ("failed", "busy", "no-answer", "canceled")


class Line(NamedTuple):
    """One line of a timeline."""

    at: float
    call_sid: str
    lane: str
    text: str
    level: str
    code: int


def lines(record: Record) -> list[Line]:
    """The lines of one call, in order."""
    setup = record.setup
    found = [
        Line(
            setup.started_at,
            setup.sid,
            "call",
            f"{setup.direction} call from {setup.from_} to {setup.to}",
            "info",
            0,
        )
    ]
    for entry in record.lines:
        at = setup.started_at + entry.elapsed
        found.extend(
            Line(at, setup.sid, note.lane, note.text, note.level, note.code) for note in _notes(entry)
        )
    return found


def merged(records: Iterable[Record]) -> list[Line]:
    """The lines of a call and its children, in the order of their times."""
    every = [line for record in records for line in lines(record)]
    every.sort(key=lambda line: line.at)
    return every


def _notes(entry: Recorded) -> list[Note]:
    if entry.note is not None:
        return [entry.note]
    found = []
    told = _told(entry.event) if entry.event is not None else None
    if told is not None:
        found.append(told)
    found.extend(note for effect in entry.effects if (note := _asked(effect)) is not None)
    return found


def _told(event: events.Event) -> Note | None:
    """An event that says something to a reader; most are told by notes of the shell already."""
    match event:
        case events.Digit(digit):
            return Note("media", f"key {digit}", "info", 0)
        case events.Redirect(url, _, document):
            return Note(
                "rest",
                f"redirect to {url or 'TwiML given in place'}" if document or url else "redirect",
                "info",
                0,
            )
        case events.Complete(status, why):
            return Note("rest", f"{status}: {why}", "info", 0)
        case events.Fired(token):
            return Note("call", f"timer {token}", "info", 0)
    return None


def _asked(effect: Plain) -> Note | None:
    match effect:
        case ["Note", lane, text, level, code]:
            return Note(lane, text, level, code)
        case ["Play", _, source, loops]:
            again = "" if loops == 1 else " without end" if loops == 0 else f" {loops} times"
            return Note("media", f"play {_clip(source)}{again}", "info", 0)
        case ["SendDigits", _, digits]:
            return Note("media", f"send digits {digits}", "info", 0)
        case ["StartStream", sid, options]:
            return Note("media", f"stream {sid} to {options['url']}", "info", 0)
    return None


def _clip(source: Plain) -> str:
    match source:
        case ["say", content, *_]:
            words = " ".join(part for part in content if isinstance(part, str)).split()
            text = " ".join(words)
            return f"“{text if len(text) <= 80 else text[:77] + '…'}”"
        case [kind, what, *_]:
            return f"{kind} {what}"
    return str(source)


def verdict(every: list[Line]) -> Line | None:
    """The line that explains the call best: the first error, else the first warning, else a Dial that failed.

    What a program printed explains less than what came of it.
    """
    for level in ("error", "warning"):
        found = [line for line in every if line.level == level]
        if found:
            return next((line for line in found if line.lane != "function"), found[0])
    return next(
        (
            line
            for line in every
            if line.lane == "call" and line.text.startswith("Dial: ") and line.text[6:] in UNANSWERED
        ),
        None,
    )
