"""``ringback replay``: a production call as a repeatable test."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from ringback.app.errors import Unusable
from ringback.call.errors import JournalError
from ringback.call.journal import decode
from ringback.call.replay import replay
from ringback.twiml.scripts import script_of


def replay_file(file: Path, console: Console) -> bool:
    """Replay a journal file: whether it is whole, and its effects came out the same."""
    try:
        record = decode(file.read_bytes())
        found = replay(record, script_of)
    except OSError as problem:
        raise Unusable(f"{file} cannot be read: {problem.strerror}") from None
    except JournalError as problem:
        raise Unusable(f"{file} cannot be replayed: {problem}") from None
    if found.difference is None:
        same = f"{found.events} events gave the same {found.effects} effects"
        call = f"({record.setup.sid}, Ringback {record.version})"
        if record.missing:
            console.print(
                f"[red]cut off[/red]: the last {record.missing} lines are missing in {file}; "
                f"up to there {same} {call}",
                soft_wrap=True,
            )
            return False
        if not found.actor.finished:
            console.print(f"[yellow]unfinished[/yellow]: the call was still up; {same} so far {call}")
            return True
        console.print(f"[green]the same[/green]: {same} {call}")
        return True
    difference = found.difference
    console.print(f"[red]different[/red] at line {difference.line} of {file}:")
    console.print(
        "recorded:", json.dumps(difference.recorded, ensure_ascii=False), soft_wrap=True, markup=False
    )
    console.print(
        "replayed:", json.dumps(difference.replayed, ensure_ascii=False), soft_wrap=True, markup=False
    )
    return False
