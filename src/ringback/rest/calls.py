"""Creating and changing calls: the form read into one value, and the rules that need no look-up."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, cast

from .endpoints import Endpoint, EndpointKind, parse_from, parse_to
from .errors import (
    INVALID_APPLICATION,
    INVALID_CALL_STATE,
    INVALID_PARAMETER,
    INVALID_SEND_DIGITS,
    INVALID_STATUS_CALLBACK_EVENT,
    INVALID_URL,
    SIP_PASSWORD_CHARACTERS,
    SIP_PASSWORD_REQUIRED,
    SIP_USERNAME_CHARACTERS,
    RestError,
    invalid,
)
from .forms import Form
from .parameters import read_changes, read_new
from .resources.calls import CREATE, ENDED, PROGRESS_EVENTS, RECORDING_EVENTS, UPDATE

_SEND_DIGITS: Final = re.compile(r"[0-9A-Da-d#*wW]*\Z")
_PRINTABLE: Final = re.compile(r"[^\x00-\x1f\x7f]*\Z")


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """How a call that was made with Record=true is to be recorded."""

    channels: str = "mono"
    track: str = "both"
    trim: str = "trim-silence"
    status_callback: str | None = None
    status_callback_method: str = "POST"
    status_callback_events: tuple[str, ...] = ("completed",)


@dataclass(frozen=True, slots=True)
class MachineDetection:
    """Answering machine detection; timeout in seconds, the rest in milliseconds, None for the default."""

    mode: str  # Enable or DetectMessageEnd
    timeout: int | None = None
    speech_threshold: int | None = None
    speech_end_threshold: int | None = None
    silence_timeout: int | None = None
    asynchronous: bool = False
    status_callback: str | None = None
    status_callback_method: str = "POST"


@dataclass(frozen=True, slots=True)
class CallCreate:
    """A call to be made. Exactly one of `url`, `twiml` and `application_sid` is set.

    `to` says what is called; `from_` is E.164 where it is a number; `timeout` and `time_limit` are seconds.
    With an application the webhook fields are the application's to give and hold their defaults here.
    """

    to: Endpoint
    from_: str
    url: str | None = None
    twiml: str | None = None
    application_sid: str | None = None
    method: str = "POST"
    fallback_url: str | None = None
    fallback_method: str = "POST"
    status_callback: str | None = None
    status_callback_method: str = "POST"
    status_callback_events: tuple[str, ...] = ("completed",)
    unknown_events: tuple[str, ...] = ()  # asked for, but no events; status_callback_events may be empty then
    send_digits: str | None = None
    timeout: int = 60
    time_limit: int | None = None
    caller_id: str | None = None
    sip_auth_username: str | None = None
    sip_auth_password: str | None = field(default=None, repr=False)
    byoc: str | None = None
    call_reason: str | None = None
    call_token: str | None = field(default=None, repr=False)
    client_notification_url: str | None = None
    record: RecordSettings | None = None
    machine_detection: MachineDetection | None = None

    @property
    def warnings(self) -> list[tuple[int, str]]:
        """What was asked for and does not happen, with codes: the call is made all the same, and its notifications say it."""
        idle = {
            "CallReason": self.call_reason,
            "CallToken": self.call_token,
            "ClientNotificationUrl": self.client_notification_url,
        }
        found = [(INVALID_PARAMETER, f"{name} has no effect on this server") for name in idle if idle[name]]
        if self.unknown_events:
            found.append((INVALID_STATUS_CALLBACK_EVENT, "Invalid 'StatusCallbackEvent'"))
        return found


@dataclass(frozen=True, slots=True)
class CallUpdate:
    """What to change on a call: `status` ends it, `url` or `twiml` redirects it; None leaves it be."""

    status: str | None = None
    url: str | None = None
    twiml: str | None = None
    method: str = "POST"
    fallback_url: str | None = None
    fallback_method: str | None = None
    status_callback: str | None = None
    status_callback_method: str | None = None
    time_limit: int | None = None

    @property
    def redirects(self) -> bool:
        """Whether the call is to run another document."""
        return self.url is not None or self.twiml is not None


def read_call(form: Form) -> CallCreate:
    """Reads a Calls create request. Raises RestError with the code that Twilio gives for the first fault."""
    values = read_new(CREATE, form)
    to, from_, caller_id = _parties(values)
    instructions = _instructions(values)
    if instructions.get(
        "application_sid"
    ):  # "If an application_sid parameter is present, this parameter is ignored"
        webhooks: dict[str, object] = {}
    else:
        webhooks = {name: values[name] for name in _WEBHOOKS}
        events, unknown = _progress(values["status_callback_events"])
        webhooks |= {"status_callback_events": events, "unknown_events": unknown}
    send_digits = cast("str | None", values["send_digits"]) or None
    if send_digits is not None and _SEND_DIGITS.match(send_digits) is None:
        raise invalid("SendDigits may hold 0-9, A-D, #, *, w and W only", INVALID_SEND_DIGITS)
    return CallCreate(
        to=to,
        from_=from_,
        caller_id=caller_id,
        send_digits=send_digits,
        **_of_any_call(values, to),
        record=_record(values),
        # "If send_digits is provided, this parameter is ignored"
        machine_detection=None if send_digits else _machine_detection(values),
        **cast("dict[str, Any]", instructions),
        **cast("dict[str, Any]", webhooks),
    )


def read_call_to(values: dict[str, object]) -> CallCreate:
    """The call to a participant of a conference, whose form was read into ``values``. Raises RestError."""
    to, from_, caller_id = _parties(values)
    events = [
        word for text in cast("tuple[str, ...]", values["status_callback_events"]) for word in text.split()
    ]
    wanted, unknown = _progress(tuple(events))
    return CallCreate(
        to=to,
        from_=from_,
        caller_id=caller_id,
        status_callback=cast("str | None", values["status_callback"]),
        status_callback_method=cast("str", values["status_callback_method"]),
        status_callback_events=wanted,
        unknown_events=unknown,
        **_of_any_call(values, to),
    )


def _of_any_call(values: dict[str, object], to: Endpoint) -> dict[str, Any]:
    """What a call is started with, also one to a participant."""
    username, password = _sip_auth(values)
    return {
        "timeout": values["timeout"],
        "time_limit": values["time_limit"],
        "sip_auth_username": username,
        "sip_auth_password": password,
        # "byoc is only meaningful when to is a phone number; it will otherwise be ignored"
        "byoc": values["byoc"] if to.kind is EndpointKind.NUMBER else None,
        "call_reason": values["call_reason"] or None,
        "call_token": values["call_token"] or None,
        "client_notification_url": values["client_notification_url"],
    }


def _parties(values: dict[str, object]) -> tuple[Endpoint, str, str | None]:
    """Who is called, who calls, and who is shown as the caller instead."""
    to = parse_to(cast("str", values["to"]))
    from_ = parse_from(cast("str", values["from_"]), to)
    caller_id = cast("str | None", values["caller_id"]) or None
    return to, from_, None if caller_id is None else parse_from(caller_id, to)


def read_call_update(form: Form) -> CallUpdate:
    """Reads a Calls update request. Raises RestError."""
    values = read_changes(UPDATE, form)
    url, twiml = values.get("url"), values.get("twiml")
    if url and twiml:
        raise invalid("Url and Twiml are mutually exclusive")
    if "url" in values and not url and "status" not in values:
        raise invalid("Url must not be empty", INVALID_URL)
    return CallUpdate(
        **cast("dict[str, Any]", {name: value for name, value in values.items() if value != ""})
    )


def refusal(status: str, direction: str, update: CallUpdate) -> RestError | None:
    """Why a call in `status` cannot be changed so (400 code 21220), or None.

    An ended call takes nothing; a cancel needs a call that nobody answered; a redirect needs a document that
    runs, which an inbound call has from its first ring on.
    """
    if status in ENDED:
        return invalid("Call is not in-progress. Cannot redirect.", INVALID_CALL_STATE)
    if update.status == "canceled" and status not in ("queued", "initiated", "ringing"):
        return invalid(f"Call is {status}. Cannot cancel.", INVALID_CALL_STATE)
    running = status == "in-progress" or (status == "ringing" and direction == "inbound")
    if update.redirects and not update.status and not running:
        return invalid("Call is not in-progress. Cannot redirect.", INVALID_CALL_STATE)
    return None


_WEBHOOKS: Final = (
    "method",
    "fallback_url",
    "fallback_method",
    "status_callback",
    "status_callback_method",
)


def _instructions(values: dict[str, object]) -> dict[str, object]:
    """Url, Twiml or ApplicationSid. An application excludes the others; Url wins over Twiml."""
    url, twiml, application = values["url"], values["twiml"], values["application_sid"]
    if application:
        if url or twiml:
            raise invalid("ApplicationSid cannot be combined with Url or Twiml", INVALID_APPLICATION)
        return {"application_sid": application}
    if url:
        return {"url": url}
    if twiml:
        return {"twiml": twiml}
    raise invalid("Url parameter is required.", INVALID_URL)


def _progress(given: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The events to report, each once and in the order of their happening, and the names that are no events.

    A name that Twilio does not know is reported (warning 21626) and the call is made without it; several
    names in one value, as TwiML has them, are such a name.
    """
    wanted = tuple(text for text in cast("tuple[str, ...]", given) if text) or ("completed",)
    unknown = tuple(dict.fromkeys(text for text in wanted if text not in PROGRESS_EVENTS))
    return tuple(event for event in PROGRESS_EVENTS if event in wanted), unknown


def _recording_events(given: object) -> tuple[str, ...]:
    """The recording's events, repeated or separated by spaces."""
    wanted = {word for text in cast("tuple[str, ...]", given) for word in text.split()}
    if not wanted <= set(RECORDING_EVENTS):
        raise invalid(f"RecordingStatusCallbackEvent must be one or more of {', '.join(RECORDING_EVENTS)}")
    return tuple(event for event in RECORDING_EVENTS if event in wanted) or ("completed",)


def _sip_auth(values: dict[str, object]) -> tuple[str | None, str | None]:
    username = cast("str | None", values["sip_auth_username"]) or None
    password = cast("str | None", values["sip_auth_password"]) or None
    if username is not None and _PRINTABLE.match(username) is None:
        raise invalid("SipAuthUsername holds illegal characters", SIP_USERNAME_CHARACTERS)
    if password is not None and _PRINTABLE.match(password) is None:
        raise invalid("SipAuthPassword holds illegal characters", SIP_PASSWORD_CHARACTERS)
    if username is not None and password is None:
        raise invalid("SipAuthPassword is required when providing SipAuthUsername", SIP_PASSWORD_REQUIRED)
    return username, password


def _record(values: dict[str, object]) -> RecordSettings | None:
    events = _recording_events(values["recording_status_callback_events"])
    if not values["record"]:
        return None
    return RecordSettings(
        channels=cast("str", values["recording_channels"]),
        track=cast("str", values["recording_track"]),
        trim=cast("str", values["trim"]),
        status_callback=cast("str | None", values["recording_status_callback"]),
        status_callback_method=cast("str", values["recording_status_callback_method"]),
        status_callback_events=events,
    )


def _machine_detection(values: dict[str, object]) -> MachineDetection | None:
    mode = cast("str | None", values["machine_detection"])
    if mode is None:
        return None
    return MachineDetection(
        mode=mode,
        timeout=cast("int | None", values["machine_detection_timeout"]),
        speech_threshold=cast("int | None", values["machine_detection_speech_threshold"]),
        speech_end_threshold=cast("int | None", values["machine_detection_speech_end_threshold"]),
        silence_timeout=cast("int | None", values["machine_detection_silence_timeout"]),
        asynchronous=cast("bool", values["async_amd"]),
        status_callback=cast("str | None", values["async_amd_status_callback"]),
        status_callback_method=cast("str", values["async_amd_status_callback_method"]),
    )
