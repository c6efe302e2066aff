"""Who is in a conference, or called to come into it: one participant, by its call."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

MAX_LABEL = 128
"""Characters (Conference, "participantLabel")."""

_CALL_SID = re.compile(r"CA[0-9a-f]{32}\Z")


@dataclass(slots=True)
class Member:
    """One participant. Times are seconds since the epoch."""

    call_sid: str
    label: str
    muted: bool
    start_on_enter: bool
    end_on_exit: bool
    beeps_on_enter: bool
    beeps_on_exit: bool
    joined_at: float
    updated_at: float
    wait_url: str | None = None
    """What it hears before the start: None is the music of the house, "" silence."""
    wait_method: str = "POST"
    coaches: str = ""
    """The call that alone hears this one; "" if all do."""
    early_media: bool = True
    """The others hear what its far end sends before it answers."""
    sounds_early: bool = False
    """They do now: it is called in, and its far end sends."""
    speaks: bool = False
    """The program was told so."""
    held: bool = False
    hold_url: str = ""
    hold_method: str = "GET"


def member_of(call_sid: str, options: dict[str, Any], now: float) -> Member:
    """A participant with the options of its Conference noun."""
    return Member(
        call_sid,
        options["label"],
        options["muted"],
        options["start_on_enter"],
        options["end_on_exit"],
        options["beep"] in ("true", "onEnter"),
        options["beep"] in ("true", "onExit"),
        now,
        now,
        options["wait_url"],
        options["wait_method"],
        options["coach"],
        options.get("early_media", True),
    )


def is_label(label: str) -> bool:
    """Whether a participant may have this label: it is part of paths, where a call's SID may stand as well."""
    is_path = "/" in label or "%2f" in label.lower()
    return len(label) <= MAX_LABEL and not is_path and _CALL_SID.match(label) is None
