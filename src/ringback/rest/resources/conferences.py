"""Conferences and their participants."""

from __future__ import annotations

from ..errors import PARTICIPANT_LABEL
from ..limits import MAX_PARTICIPANTS, MAX_TIMEOUT
from ..parameters import Kind, Parameter
from ..resource import API_VERSION, Field, Filter, Resource, Type, dated
from . import calls

CONFERENCE = Resource(
    element="Conference",
    list_key="conferences",
    table="conferences",
    prefix="CF",
    path="/Accounts/{account_sid}/Conferences/{sid}",
    fields=dated(
        Field("api_version", default=API_VERSION),
        "friendly_name",
        Field("region", default="us1"),
        "status",
        "uri",
        Field("subresource_uris", Type.MAP),
        "reason_conference_ended",
        "call_sid_ending_conference",
    ),
    update=(
        Parameter("Status", "status", Kind.CHOICE, choices=("completed",)),
        Parameter("AnnounceUrl", "announce_url", Kind.URL),
        Parameter("AnnounceMethod", "announce_method", Kind.METHOD, default="POST"),
    ),
    filters=(
        Filter("DateCreated", "date_created", Type.DATE, moments=True),
        Filter("DateUpdated", "date_updated", Type.DATE, moments=True),
        Filter("FriendlyName", "friendly_name"),
        Filter("Status", "status", choices=("init", "in-progress", "completed")),
    ),
    subresources=(("participants", "Participants"), ("recordings", "Recordings")),
)

CONFERENCE_EVENTS = ("start", "end", "join", "leave", "mute", "hold", "modify", "speaker", "announcement")
REGIONS = ("us1", "us2", "ie1", "de1", "sg1", "br1", "au1", "jp1")

_OF_CALLS = {parameter.name: parameter for parameter in calls.CREATE}


def _as_of_calls(*names: str) -> list[Parameter]:
    """Parameters that a participant's call has in common with one that is created alone."""
    return [_OF_CALLS[name] for name in names]


def _switch(name: str, field: str, *, default: bool) -> Parameter:
    return Parameter(name, field, Kind.BOOLEAN, default=default)


def _choice(name: str, field: str, default: str, *choices: str) -> Parameter:
    return Parameter(name, field, Kind.CHOICE, default=default, choices=choices)


def _callback(name: str, field: str) -> tuple[Parameter, ...]:
    """A URL, its method and its events."""
    return (
        Parameter(name, field, Kind.CALLBACK),
        Parameter(f"{name}Method", f"{field}_method", Kind.METHOD, default="POST"),
        Parameter(f"{name}Event", f"{field}_events", repeated=True, default=()),
    )


_CREATE = (
    *_as_of_calls("To", "From", "StatusCallback", "StatusCallbackMethod", "StatusCallbackEvent"),
    Parameter("Label", "label", code=PARTICIPANT_LABEL, default="", limit=128),
    Parameter("Timeout", "timeout", Kind.INTEGER, default=60, minimum=5, maximum=MAX_TIMEOUT),
    *_as_of_calls(
        "TimeLimit", "CallerId", "SipAuthUsername", "SipAuthPassword", "Byoc", "CallReason", "CallToken"
    ),
    Parameter("CallerDisplayName", "caller_display_name", limit=255),
    _OF_CALLS["ClientNotificationUrl"],
    _switch("Muted", "muted", default=False),
    _choice("Beep", "beep", "true", "true", "false", "onEnter", "onExit"),
    _switch("StartConferenceOnEnter", "start_conference_on_enter", default=True),
    _switch("EndConferenceOnExit", "end_conference_on_exit", default=False),
    _switch("EarlyMedia", "early_media", default=True),
    Parameter(
        "MaxParticipants", "max_participants", Kind.INTEGER, default=250, minimum=2, maximum=MAX_PARTICIPANTS
    ),
    Parameter("WaitUrl", "wait_url", Kind.URL),
    Parameter("WaitMethod", "wait_method", Kind.METHOD, default="POST"),
    Parameter("Coaching", "coaching", Kind.BOOLEAN),
    Parameter("CallSidToCoach", "call_sid_to_coach", Kind.SID, prefix="CA"),
    _choice("JitterBufferSize", "jitter_buffer_size", "large", "off", "small", "medium", "large"),
    _choice("Region", "region", "us1", *REGIONS),
    *_callback("ConferenceStatusCallback", "conference_status_callback"),
    *_as_of_calls("Record", "RecordingChannels", "RecordingTrack", "Trim"),
    *_callback("RecordingStatusCallback", "recording_status_callback"),
    _choice(
        "ConferenceRecord",
        "conference_record",
        "false",
        "true",
        "false",
        "record-from-start",
        "do-not-record",
    ),
    _choice("ConferenceTrim", "conference_trim", "trim-silence", "trim-silence", "do-not-trim"),
    *_callback("ConferenceRecordingStatusCallback", "conference_recording_status_callback"),
    *_as_of_calls("MachineDetection", "MachineDetectionTimeout", "MachineDetectionSpeechThreshold"),
    *_as_of_calls("MachineDetectionSpeechEndThreshold", "MachineDetectionSilenceTimeout"),
    Parameter("AmdStatusCallback", "amd_status_callback", Kind.CALLBACK),
    Parameter("AmdStatusCallbackMethod", "amd_status_callback_method", Kind.METHOD, default="POST"),
)

_UPDATE = (
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
    Parameter("CallSidToCoach", "call_sid_to_coach", Kind.SID, prefix="CA"),
)

PARTICIPANT = Resource(
    element="Participant",
    list_key="participants",
    table="",  # live only
    prefix="CA",
    path="/Accounts/{account_sid}/Conferences/{conference_sid}/Participants/{call_sid}",
    fields=(
        Field("account_sid"),
        Field("call_sid"),
        Field("label"),
        Field("call_sid_to_coach"),
        Field("coaching", Type.BOOLEAN, False),
        Field("conference_sid"),
        Field("date_created", Type.DATE),
        Field("date_updated", Type.DATE),
        Field("end_conference_on_exit", Type.BOOLEAN, False),
        Field("muted", Type.BOOLEAN, False),
        Field("hold", Type.BOOLEAN, False),
        Field("start_conference_on_enter", Type.BOOLEAN, True),
        Field("status", default="connected"),
        Field("queue_time"),
        Field("uri"),
    ),
    create=_CREATE,
    update=_UPDATE,
    filters=(
        Filter("Muted", "muted", Type.BOOLEAN),
        Filter("Hold", "hold", Type.BOOLEAN),
        Filter("Coaching", "coaching", Type.BOOLEAN),
    ),
)
