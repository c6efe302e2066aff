"""The verdicts of ``ringback replay``."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from ringback.app.errors import Unusable
from ringback.app.replaying import replay_file
from ringback.call import events as ev
from ringback.call.actor import CallActor
from ringback.call.setup import CallSetup, Page
from ringback.twiml.scripts import script_of

PAUSE = ["Response", {}, [["Pause", {"length": "1"}, []]]]
SETUP = CallSetup(
    "inbound", "CA1", "AC1", "ab", 1000.0, "inbound", "+1415", "+1416", page=Page("", document=PAUSE)
)


def journal(*, ended: bool) -> bytes:
    actor = CallActor(SETUP, script_of)
    actor.start()
    if ended:
        actor.deliver(ev.LegEnded("remote", 200, "OK", {}, "x"), 1.0)
    return actor.journal.encode()


def replayed(folder: Path, data: bytes) -> tuple[bool, str]:
    file = folder / "call.jsonl"
    file.write_bytes(data)
    out = io.StringIO()
    return replay_file(file, Console(file=out, width=200)), out.getvalue()


@pytest.mark.parametrize(
    ("data", "well", "says"),
    [
        (journal(ended=True), True, "the same: 1 events"),
        (journal(ended=False), True, "unfinished: the call was still up"),
        (journal(ended=True)[:-30], False, "cut off: the last 1 lines are missing"),
        (journal(ended=True).replace(b'["Ring",false]', b'["Answer"]'), False, "different at line 2"),
    ],
)
def test_the_verdict(tmp_path: Path, data: bytes, well: bool, says: str) -> None:
    found, printed = replayed(tmp_path, data)
    assert found is well
    assert printed.startswith(says)


def test_what_is_no_journal_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="not a journal"):
        replayed(tmp_path, b"{}")
    with pytest.raises(Unusable, match="cannot be read"):
        replay_file(tmp_path / "none", Console(file=io.StringIO()))
