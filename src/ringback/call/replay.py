"""Replay: a journal's events, given to a fresh script, must give the same effects again."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ringback import __version__
from ringback.call.actor import CallActor, ScriptOf
from ringback.call.effects import Effect
from ringback.call.errors import JournalError
from ringback.call.journal import Plain, Record, plain


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where the effects are not those of the journal; ``line`` counts from 1."""

    line: int
    recorded: list[Plain]
    replayed: list[Plain]


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found; ``actor`` has run to the journal's end and can go on from there."""

    events: int
    effects: int
    difference: Difference | None
    actor: CallActor


def replay(record: Record, script_of: ScriptOf) -> Replay:
    """Feed a journal to a fresh script. Raises JournalError if it cannot be replayed here."""
    if record.version != __version__:
        raise JournalError(f"it was written by Ringback {record.version}; this is {__version__}")
    if record.truncated:
        raise JournalError("the journal was cut short at its limit, so it cannot rebuild the call")
    actor = CallActor(record.setup, script_of)
    events = effects = 0
    for number, line in enumerate(record.lines, start=2):
        if line.kind == "note":
            continue
        given = actor.start() if line.event is None else actor.deliver(line.event, line.elapsed)
        events += line.event is not None
        effects += len(given)
        replayed = _as_written(given)
        if replayed != line.effects:
            return Replay(events, effects, Difference(number, line.effects, replayed), actor)
    return Replay(events, effects, None, actor)


def _as_written(effects: list[Effect]) -> list[Plain]:
    """Effects as a journal holds them: JSON knows no tuples."""
    written: list[Plain] = json.loads(json.dumps([plain(effect) for effect in effects]))
    return written
