"""Calls: one leg each, live or ended."""

from __future__ import annotations

from ..errors import (
    INVALID_APPLICATION,
    INVALID_BYOC,
    INVALID_FROM,
    INVALID_MACHINE_DETECTION,
    INVALID_METHOD,
    INVALID_SEND_DIGITS,
    INVALID_STATUS_CALLBACK,
    INVALID_TIMEOUT,
    INVALID_TO,
    INVALID_URL,
    NO_FROM,
    NO_TO,
    SIP_PASSWORD_TOO_LONG,
    SIP_USERNAME_TOO_LONG,
    TWIML_TOO_LONG,
)
from ..limits import DEFAULT_TIMEOUT, MAX_SEND_DIGITS, MAX_SIP_AUTH, MAX_TIME_LIMIT, MAX_TIMEOUT, MAX_TWIML
from ..parameters import Kind, Parameter
from ..resource import API_VERSION, Field, Filter, Resource, Type, dated

STATUSES = ("queued", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled")
ENDED = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
PROGRESS_EVENTS = ("initiated", "ringing", "answered", "completed")
RECORDING_EVENTS = ("in-progress", "completed", "absent")


def _url(name: str, field: str) -> Parameter:
    return Parameter(name, field, Kind.URL, code=INVALID_URL)


def _callback(name: str, field: str) -> Parameter:
    return Parameter(name, field, Kind.CALLBACK, code=INVALID_STATUS_CALLBACK)


def _method(name: str, field: str, default: str | None = "POST") -> Parameter:
    return Parameter(name, field, Kind.METHOD, code=INVALID_METHOD, default=default)


def _between(name: str, field: str, minimum: int, maximum: int, code: int = 20001) -> Parameter:
    return Parameter(name, field, Kind.INTEGER, code=code, minimum=minimum, maximum=maximum)


def _choice(name: str, field: str, *choices: str, default: str | None = None) -> Parameter:
    return Parameter(name, field, Kind.CHOICE, choices=choices, default=default)


_TWIML = Parameter("Twiml", "twiml", code=TWIML_TOO_LONG, limit=MAX_TWIML)
_TIME_LIMIT = _between("TimeLimit", "time_limit", 1, MAX_TIME_LIMIT)

# In the order in which Twilio complains
CREATE = (
    Parameter("To", "to", required=True, code=INVALID_TO, missing_code=NO_TO),
    Parameter("From", "from_", required=True, code=INVALID_FROM, missing_code=NO_FROM),
    _url("Url", "url"),
    _TWIML,
    Parameter("ApplicationSid", "application_sid", Kind.SID, code=INVALID_APPLICATION, prefix="AP"),
    _method("Method", "method"),
    _url("FallbackUrl", "fallback_url"),
    _method("FallbackMethod", "fallback_method"),
    _callback("StatusCallback", "status_callback"),
    Parameter("StatusCallbackEvent", "status_callback_events", repeated=True, default=("completed",)),
    _method("StatusCallbackMethod", "status_callback_method"),
    Parameter("SendDigits", "send_digits", code=INVALID_SEND_DIGITS, limit=MAX_SEND_DIGITS),
    Parameter(
        "Timeout",
        "timeout",
        Kind.INTEGER,
        code=INVALID_TIMEOUT,
        default=DEFAULT_TIMEOUT,
        minimum=1,
        maximum=MAX_TIMEOUT,
    ),
    _TIME_LIMIT,
    Parameter("CallerId", "caller_id", code=INVALID_FROM),
    Parameter("SipAuthUsername", "sip_auth_username", code=SIP_USERNAME_TOO_LONG, limit=MAX_SIP_AUTH),
    Parameter("SipAuthPassword", "sip_auth_password", code=SIP_PASSWORD_TOO_LONG, limit=MAX_SIP_AUTH),
    Parameter("Byoc", "byoc", Kind.SID, code=INVALID_BYOC, prefix="BY"),
    Parameter("CallReason", "call_reason"),
    Parameter("CallToken", "call_token"),
    _url("ClientNotificationUrl", "client_notification_url"),
    Parameter("Record", "record", Kind.BOOLEAN, default=False),
    _choice("RecordingChannels", "recording_channels", "mono", "dual", default="mono"),
    _choice("RecordingTrack", "recording_track", "inbound", "outbound", "both", default="both"),
    _callback("RecordingStatusCallback", "recording_status_callback"),
    _method("RecordingStatusCallbackMethod", "recording_status_callback_method"),
    Parameter(
        "RecordingStatusCallbackEvent",
        "recording_status_callback_events",
        repeated=True,
        default=("completed",),
    ),
    _choice("Trim", "trim", "trim-silence", "do-not-trim", default="trim-silence"),
    Parameter(
        "MachineDetection",
        "machine_detection",
        Kind.CHOICE,
        code=INVALID_MACHINE_DETECTION,
        choices=("Enable", "DetectMessageEnd"),
    ),
    _between("MachineDetectionTimeout", "machine_detection_timeout", 3, 59, 21263),
    _between("MachineDetectionSpeechThreshold", "machine_detection_speech_threshold", 1000, 6000, 21263),
    _between(
        "MachineDetectionSpeechEndThreshold", "machine_detection_speech_end_threshold", 500, 5000, 21263
    ),
    _between("MachineDetectionSilenceTimeout", "machine_detection_silence_timeout", 2000, 10000, 21263),
    Parameter("AsyncAmd", "async_amd", Kind.BOOLEAN, default=False),
    _callback("AsyncAmdStatusCallback", "async_amd_status_callback"),
    _method("AsyncAmdStatusCallbackMethod", "async_amd_status_callback_method"),
)

UPDATE = (
    Parameter("Status", "status", Kind.CHOICE, choices=("canceled", "completed")),
    _url("Url", "url"),
    _TWIML,
    _method("Method", "method"),
    _url("FallbackUrl", "fallback_url"),
    _method("FallbackMethod", "fallback_method"),
    _callback("StatusCallback", "status_callback"),
    _method("StatusCallbackMethod", "status_callback_method"),
    _TIME_LIMIT,
)

CALL = Resource(
    element="Call",
    list_key="calls",
    table="calls",
    prefix="CA",
    path="/Accounts/{account_sid}/Calls/{sid}",
    fields=dated(
        "parent_call_sid",
        "to",
        "to_formatted",
        "from",
        "from_formatted",
        "phone_number_sid",
        "status",
        Field("start_time", Type.DATE),
        Field("end_time", Type.DATE),
        "duration",
        "price",
        Field("price_unit", default="USD"),
        "direction",
        "answered_by",
        Field("api_version", default=API_VERSION),
        "forwarded_from",
        "group_sid",
        "caller_name",
        Field("queue_time", default="0"),
        "trunk_sid",
        "uri",
        Field("subresource_uris", Type.MAP),
    ),
    create=CREATE,
    update=UPDATE,
    filters=(
        Filter("To", "to"),
        Filter("From", "from"),
        Filter("ParentCallSid", "parent_call_sid"),
        Filter("Status", "status", choices=STATUSES),
        Filter("StartTime", "start_time", Type.DATE, moments=True),
        Filter("EndTime", "end_time", Type.DATE, moments=True),
    ),
    subresources=(
        ("notifications", "Notifications"),
        ("recordings", "Recordings"),
        ("payments", "Payments"),
        ("events", "Events"),
        ("siprec", "Siprec"),
        ("streams", "Streams"),
        ("transcriptions", "Transcriptions"),
        ("user_defined_message_subscriptions", "UserDefinedMessageSubscriptions"),
        ("user_defined_messages", "UserDefinedMessages"),
    ),
)
