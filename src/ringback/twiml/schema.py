"""What Ringback knows of TwiML's elements and attributes, and how an attribute's text becomes a value.

A value that cannot be read is a warning with Twilio's code, and the default holds. An attribute or
element that TwiML does not have is warning 12200. One that is TwiML's but not ours yet raises NotYet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ringback.call.effects import Note, warning
from ringback.twiml.document import Element
from ringback.twiml.errors import NotYet


class Attribute(NamedTuple):
    """How one attribute reads: its default, its reader (ValueError if it cannot), Twilio's code."""

    default: Any
    read: Callable[[str], Any]
    code: int = 12200


def text(value: str) -> str:
    """Any text, trimmed."""
    return value.strip()


def boolean(value: str) -> bool:
    """true or false, in any case."""
    match value.strip().lower():
        case "true":
            return True
        case "false":
            return False
    raise ValueError("true or false is wanted")


def method(value: str) -> str:
    """GET or POST, in any case."""
    word = value.strip().upper()
    if word not in ("GET", "POST"):
        raise ValueError("GET or POST is wanted")
    return word


def number(low: int, high: int) -> Callable[[str], int]:
    """A whole number; one outside low..high is brought to the nearer end, as Twilio does."""

    def read(value: str) -> int:
        try:
            return max(low, min(high, int(value.strip())))
        except ValueError:
            raise ValueError("a whole number is wanted") from None

    return read


def one_of(*choices: str, later: tuple[str, ...] = ()) -> Callable[[str], str]:
    """One of these words; those of ``later`` are TwiML's, but not ours yet."""

    def read(value: str) -> str:
        word = value.strip()
        if word in later:
            raise NotYet(f'the value "{word}"')
        if word not in choices:
            raise ValueError(f"one of {', '.join((*choices, *later))} is wanted")
        return word

    return read


def words(*choices: str) -> Callable[[str], tuple[str, ...]]:
    """Words of these, with spaces between."""

    def read(value: str) -> tuple[str, ...]:
        found = tuple(value.split())
        if not set(found) <= set(choices):
            raise ValueError(f"words of {' '.join(choices)} are wanted")
        return found

    return read


def not_yet(value: str) -> str:
    """An attribute that has no meaning here until its feature comes."""
    raise NotYet(f'"{value.strip()[:60]}"')


FINISH_KEY = one_of("", *"0123456789*#")
RING_TONES = tuple(
    "at au bg br be ch cl cn cz de dk ee es fi fr gr hu il in it lt jp mx my nl no nz ph pl pt ru se sg th "
    "uk us us-old tw ve za".split()
)
CALL_EVENTS = words("initiated", "ringing", "answered", "completed")
CONFERENCE_EVENTS = words(
    "start", "end", "join", "leave", "mute", "hold", "modify", "speaker", "announcement"
)
NO_RECORD = one_of(
    "do-not-record",
    "false",
    later=(
        "true",
        "record-from-answer",
        "record-from-ringing",
        "record-from-answer-dual",
        "record-from-ringing-dual",
        "record-from-start",
    ),
)

REGIONS = ("us1", "us2", "ie1", "de1", "sg1", "br1", "au1", "jp1")

_IGNORED = Attribute("", text)
_LATER = Attribute("", not_yet)

_CALLBACKS = {
    "url": Attribute("", text),
    "method": Attribute("POST", method, 13221),
    "statusCallback": Attribute("", text),
    "statusCallbackMethod": Attribute("POST", method),
    "statusCallbackEvent": Attribute(("completed",), CALL_EVENTS),
    "machineDetection": _LATER,
    "amdStatusCallback": _IGNORED,
    "amdStatusCallbackMethod": _IGNORED,
    "machineDetectionTimeout": _IGNORED,
    "machineDetectionSpeechThreshold": _IGNORED,
    "machineDetectionSpeechEndThreshold": _IGNORED,
    "machineDetectionSilenceTimeout": _IGNORED,
}

ATTRIBUTES: dict[str, dict[str, Attribute]] = {
    "Response": {},
    "Say": {
        "voice": Attribute("man", text, 13511),
        "language": Attribute("", text, 13512),
        "loop": Attribute(1, number(0, 1000), 13510),
    },
    "Play": {"loop": Attribute(1, number(0, 1000), 13410), "digits": Attribute("", text, 13430)},
    "Pause": {"length": Attribute(1, number(0, 86_400), 13910)},
    "Hangup": {},
    "Reject": {"reason": Attribute("rejected", one_of("rejected", "busy"))},
    "Redirect": {"method": Attribute("POST", method, 13710)},
    "Refer": {"action": Attribute("", text), "method": Attribute("POST", method)},
    "Gather": {
        "input": Attribute("dtmf", one_of("dtmf", later=("speech", "dtmf speech", "speech dtmf")), 13326),
        "action": Attribute("", text),
        "method": Attribute("POST", method, 13312),
        "timeout": Attribute(5, number(0, 86_400), 13313),
        "finishOnKey": Attribute("#", FINISH_KEY, 13310),
        "numDigits": Attribute(0, number(1, 1000), 13314),
        "actionOnEmptyResult": Attribute(False, boolean),
        "speechTimeout": _IGNORED,
        "maxSpeechTime": _IGNORED,
        "profanityFilter": _IGNORED,
        "partialResultCallback": _IGNORED,
        "partialResultCallbackMethod": _IGNORED,
        "language": _IGNORED,
        "hints": _IGNORED,
        "bargeIn": Attribute(True, boolean, 13332),
        "debug": _IGNORED,
        "speechModel": _IGNORED,
        "enhanced": _IGNORED,
    },
    "Dial": {
        "action": Attribute("", text),
        "method": Attribute("POST", method, 13210),
        "timeout": Attribute(30, number(5, 600), 13212),
        "hangupOnStar": Attribute(False, boolean, 13213),
        "timeLimit": Attribute(14_400, number(1, 86_400), 13216),
        "callerId": Attribute("", text, 13214),
        "record": Attribute("do-not-record", NO_RECORD, 13217),
        "trim": _IGNORED,
        "recordingStatusCallback": _IGNORED,
        "recordingStatusCallbackMethod": _IGNORED,
        "recordingStatusCallbackEvent": _IGNORED,
        "recordingConfigurationId": _IGNORED,
        "recordingTrack": _IGNORED,
        "answerOnBridge": Attribute(False, boolean),
        "ringTone": Attribute("us", one_of(*RING_TONES)),
        "sequential": Attribute(False, boolean),
        "referUrl": Attribute("", text),
        "referMethod": Attribute("POST", method),
        "events": _IGNORED,
        "passports": _IGNORED,
        "callReason": _IGNORED,
    },
    "Number": {**_CALLBACKS, "sendDigits": Attribute("", text, 13222), "byoc": Attribute("", text)},
    "Sip": {**_CALLBACKS, "username": Attribute("", text, 13249), "password": Attribute("", text, 13249)},
    "Conference": {
        "muted": Attribute(False, boolean, 13230),
        "beep": Attribute("true", one_of("true", "false", "onEnter", "onExit"), 13233),
        "startConferenceOnEnter": Attribute(True, boolean, 13231),
        "endConferenceOnExit": Attribute(False, boolean, 13232),
        "maxParticipants": Attribute(250, number(2, 250), 13236),
        "waitUrl": Attribute(None, text, 13234),
        "waitMethod": Attribute("POST", method, 13235),
        "record": Attribute("do-not-record", NO_RECORD, 13237),
        "participantLabel": Attribute("", text),
        "statusCallback": Attribute("", text),
        "statusCallbackMethod": Attribute("POST", method),
        "statusCallbackEvent": Attribute((), CONFERENCE_EVENTS),
        "coach": Attribute("", text, 13240),
        "region": Attribute("us1", one_of(*REGIONS)),
        "trim": _IGNORED,
        "recordingConfigurationId": _IGNORED,
        "recordingStatusCallback": _IGNORED,
        "recordingStatusCallbackMethod": _IGNORED,
        "recordingStatusCallbackEvent": _IGNORED,
        "eventCallbackUrl": _IGNORED,
        "jitterBufferSize": _IGNORED,
    },
    "Start": {"action": _IGNORED, "method": _IGNORED},
    "Stop": {},
    "Stream": {
        "name": Attribute("", text),
        "url": Attribute("", text),
        "track": Attribute("inbound_track", one_of("inbound_track", "outbound_track", "both_tracks"), 31941),
        "statusCallback": Attribute("", text),
        "statusCallbackMethod": Attribute("POST", method),
        "connectorName": _LATER,
        "audioFormat": _LATER,
        "sampleRate": _LATER,
    },
    "Parameter": {"name": Attribute("", text), "value": Attribute("", text)},
}

LATER = frozenset(
    "Connect Echo Enqueue Leave Pay Prompt Record Sms Client Queue Sim Application WhatsApp "
    "Siprec Transcription Recording Uri Headers".split()
)
"""TwiML's elements that this version does not carry out."""


def read_attributes(element: Element) -> tuple[dict[str, Any], list[Note]]:
    """The attributes of an element as values, with defaults, and the warnings they gave. Raises NotYet.

    They are read once an element, so nobody changes what this gives.
    """
    if element.reading is not None:
        return element.reading
    known = ATTRIBUTES[element.name]
    values = {name: attribute.default for name, attribute in known.items()}
    notes: list[Note] = []
    for name, given in element.attributes.items():
        attribute = known.get(name)
        if attribute is None:
            notes.append(
                warning("twiml", f"{element.name} has no attribute {name!r:.60}; it is ignored", 12200)
            )
            continue
        try:
            values[name] = attribute.read(given)
        except NotYet as problem:
            what = problem.text.partition(" is valid TwiML")[0]
            raise NotYet(f"{element.name} {name}: {what}") from None
        except ValueError as problem:
            says = f"{element.name} {name}={given!r:.60} cannot be used ({problem}); {attribute.default!r} is taken"
            notes.append(warning("twiml", says, attribute.code))
    element.reading = values, notes
    return values, notes
