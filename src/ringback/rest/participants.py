"""Conferences and the people in them: the forms that change them, and that call somebody in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast

from .calls import CallCreate, read_call_to
from .errors import invalid
from .forms import Form
from .parameters import read_changes, read_new
from .resources import CONFERENCE, PARTICIPANT
from .resources.conferences import CONFERENCE_EVENTS

_SWITCHES: Final = ("muted", "hold", "beep_on_exit", "end_conference_on_exit", "coaching")

UNSUPPORTED: Final = ("ConferenceRecord", "MachineDetection", "Record")
"""Parameters of what this server does not do."""

_OFF: Final = ("", "false", "do-not-record")


@dataclass(frozen=True, slots=True)
class ParticipantCreate:
    """Somebody to be called into a conference. `wait_url` None is the music of the house, "" silence."""

    call: CallCreate
    label: str = ""
    muted: bool = False
    beep: str = "true"
    start_conference_on_enter: bool = True
    end_conference_on_exit: bool = False
    early_media: bool = True
    max_participants: int = 250
    wait_url: str | None = None
    wait_method: str = "POST"
    call_sid_to_coach: str | None = None
    region: str = "us1"
    caller_display_name: str | None = None
    conference_status_callback: str | None = None
    conference_status_callback_method: str = "POST"
    conference_status_callback_events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParticipantUpdate:
    """What to change on a participant; None leaves a thing as it is, a `wait_url` of "" is silence."""

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


def read_participant(form: Form) -> ParticipantCreate:
    """Reads a Participants create request. Raises RestError."""
    values = read_new(PARTICIPANT.create, form)
    for name in UNSUPPORTED:
        if (form.get(name) or "").lower() not in _OFF:
            raise invalid(f"{name} is not supported by this server")
    display = cast("str | None", values["caller_display_name"]) or None
    if display is not None and len(display) < 2:
        raise invalid("CallerDisplayName must be between 2 and 255 characters long")
    _check_coaching(values)
    return ParticipantCreate(
        call=read_call_to(values),
        caller_display_name=display,
        wait_url=_wait_url(form, values),
        conference_status_callback_events=_events(values["conference_status_callback_events"]),
        **cast("dict[str, Any]", {name: values[name] for name in _AS_THEY_ARE}),
    )


_AS_THEY_ARE: Final = (
    "label",
    "muted",
    "beep",
    "start_conference_on_enter",
    "end_conference_on_exit",
    "early_media",
    "max_participants",
    "wait_method",
    "call_sid_to_coach",
    "region",
    "conference_status_callback",
    "conference_status_callback_method",
)


def _wait_url(form: Form, values: dict[str, object]) -> str | None:
    """An empty one is not the same as none."""
    return "" if form.get("WaitUrl") == "" else cast("str | None", values.get("wait_url"))


def _events(given: object) -> tuple[str, ...]:
    """The events, repeated or separated by spaces; "Defaults to start end"."""
    wanted = {word for text in cast("tuple[str, ...]", given) for word in text.split()} or {"start", "end"}
    if not wanted <= set(CONFERENCE_EVENTS):
        raise invalid(f"ConferenceStatusCallbackEvent must be one or more of {', '.join(CONFERENCE_EVENTS)}")
    return tuple(event for event in CONFERENCE_EVENTS if event in wanted)


def _check_coaching(values: dict[str, object]) -> None:
    """ "If true, call_sid_to_coach must be defined"; one that is false makes nothing of it."""
    if values.get("coaching") and not values.get("call_sid_to_coach"):
        raise invalid("CallSidToCoach is required where Coaching is true")
    if values.get("coaching") is False:
        values["call_sid_to_coach"] = None


def read_participant_update(form: Form) -> ParticipantUpdate:
    """Reads a Participants update request. Raises RestError."""
    values = read_changes(PARTICIPANT.update, form)
    for name in _SWITCHES:
        if name in values:
            values[name] = str(values[name]).lower() == "true"
    _check_coaching(values)
    if "wait_url" in values:
        values["wait_url"] = _wait_url(form, values)
    return ParticipantUpdate(**cast("dict[str, Any]", values))


def read_conference_update(form: Form) -> ConferenceUpdate:
    """Reads a Conferences update request. Raises RestError."""
    return ConferenceUpdate(**cast("dict[str, Any]", read_changes(CONFERENCE.update, form)))
