"""Changing a conference and the people in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast

from .forms import Form
from .parameters import Kind, Parameter, read_changes
from .resources import CONFERENCE

_PARAMETERS: Final = (
    # "Anything value other than true or false is interpreted as false"
    *(
        Parameter(name, field, limit=64)
        for name, field in (
            ("Muted", "muted"),
            ("Hold", "hold"),
            ("BeepOnExit", "beep_on_exit"),
            ("EndConferenceOnExit", "end_conference_on_exit"),
            ("Coaching", "coaching"),
        )
    ),
    Parameter("HoldUrl", "hold_url", Kind.URL),
    Parameter("HoldMethod", "hold_method", Kind.METHOD),
    Parameter("AnnounceUrl", "announce_url", Kind.URL),
    Parameter("AnnounceMethod", "announce_method", Kind.METHOD),
    Parameter("WaitUrl", "wait_url", Kind.URL),
    Parameter("WaitMethod", "wait_method", Kind.METHOD),
    Parameter("CallSidToCoach", "call_sid_to_coach", Kind.SID, code=16021, prefix="CA"),
)
_SWITCHES: Final = ("muted", "hold", "beep_on_exit", "end_conference_on_exit", "coaching")


@dataclass(frozen=True, slots=True)
class ParticipantUpdate:
    """What to change on a participant; None leaves a thing as it is."""

    muted: bool | None = None
    hold: bool | None = None
    hold_url: str | None = None
    hold_method: str | None = None
    announce_url: str | None = None
    announce_method: str | None = None
    wait_url: str | None = None
    wait_method: str | None = None
    beep_on_exit: bool | None = None
    end_conference_on_exit: bool | None = None
    coaching: bool | None = None
    call_sid_to_coach: str | None = None


@dataclass(frozen=True, slots=True)
class ConferenceUpdate:
    """What to do with a conference: `status` "completed" ends it, `announce_url` plays to everybody."""

    status: str | None = None
    announce_url: str | None = None
    announce_method: str = "POST"


def read_participant_update(form: Form) -> ParticipantUpdate:
    """Reads a Participants update request. Raises RestError."""
    values = read_changes(_PARAMETERS, form)
    for name in _SWITCHES:
        if name in values:
            values[name] = str(values[name]).lower() == "true"
    return ParticipantUpdate(**cast("dict[str, Any]", values))


def read_conference_update(form: Form) -> ConferenceUpdate:
    """Reads a Conferences update request. Raises RestError."""
    return ConferenceUpdate(**cast("dict[str, Any]", read_changes(CONFERENCE.update, form)))
