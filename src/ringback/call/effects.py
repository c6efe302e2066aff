"""What a script can ask for: the effects of a call, as plain data.

The shell carries them out, in order; what comes of one returns as an event with the same token.
Like events they hold only plain data and no secrets, because the journal keeps them beside the
event that caused them.
"""

from __future__ import annotations

from typing import Any

from ringback.call.datum import Datum
from ringback.call.setup import CallSetup
from ringback.call.wanted import Wanted

Data = dict[str, Any]
Pairs = list[tuple[str, str]]
"""Form parameters in order, as a webhook sends them."""

# -- the call's own leg -------------------------------------------------------------------------


class Ring(Datum, frozen=True):
    """Tell the caller that it rings (180), or open early media (183 with SDP) if ``early_media``."""

    early_media: bool


class Answer(Datum, frozen=True):
    """Answer the incoming leg with 200."""


class Refuse(Datum, frozen=True):
    """Refuse the incoming leg that was not answered: a SIP status, and why for the timeline."""

    status: int
    reason: str


class Place(Datum, frozen=True):
    """Place the outgoing leg towards ``targets`` (Target in plain data), all at once."""

    targets: list[Data]
    from_user: str
    from_domain: str
    display_name: str


class HangUp(Datum, frozen=True):
    """End the leg: BYE, CANCEL or a final answer, as its state needs."""

    why: str


class AnswerReferral(Datum, frozen=True):
    """Answer the far end's REFER of this number: 202 accepts it, anything from 300 refuses it."""

    number: int
    status: int


class NotifyReferral(Datum, frozen=True):
    """Tell the far end what its accepted REFER has met (NOTIFY); a status from 200 is the last."""

    number: int
    status: int


class Refer(Datum, frozen=True):
    """Ask the far end to call ``target`` (a SIP URI, with headers if it has any); ReferAnswered follows."""

    token: str
    target: str


class Play(Datum, frozen=True):
    """Play a clip to the far end. ``source`` is as ringback.media.library takes it; 0 loops: endless."""

    token: str
    source: list[Any]
    loops: int


class StopPlay(Datum, frozen=True):
    """Stop what plays; its Played event comes with ``interrupted``."""


class SendDigits(Datum, frozen=True):
    """Send DTMF (RFC 4733): 0-9 * # A-D, w for half a second of silence."""

    token: str
    digits: str


# -- questions, each answered by an event with its token --------------------------------------------


class Fetch(Datum, frozen=True):
    """Ask a webhook for TwiML; answered by Fetched."""

    token: str
    url: str
    method: str
    params: Pairs


class Notify(Datum, frozen=True):
    """Send a status callback; its answer goes only into the timeline."""

    url: str
    method: str
    params: Pairs


class Plan(Datum, frozen=True):
    """Ask how somebody is reached; answered by Planned."""

    token: str
    wanted: Wanted


class Arm(Datum, frozen=True):
    """Have Fired(token) after so many seconds; arming again moves it."""

    token: str
    after: float


class Disarm(Datum, frozen=True):
    """Forget the timer of this token."""

    token: str


# -- other actors ---------------------------------------------------------------------------------


class Spawn(Datum, frozen=True):
    """Start the actor of a child call; in a journal its setup is plain data."""

    setup: CallSetup


class Tell(Datum, frozen=True):
    """Send a message to another actor; one that is gone loses it silently."""

    recipient: str
    subject: str
    data: Data


class Bridge(Datum, frozen=True):
    """Connect this call's sound with that of another call, both ways."""

    call_sid: str


class Unbridge(Datum, frozen=True):
    """Take this call's sound out of its bridge."""


class JoinConference(Datum, frozen=True):
    """Bring this call into the account's conference of that name; answered by Told messages."""

    name: str
    options: Data


class LeaveConference(Datum, frozen=True):
    """Take this call out of its conference; ``conference_sid`` is "" if it has not heard of its SID yet.

    ``reason`` is Twilio's ReasonParticipantLeft, ``call_status`` what becomes of the call.
    """

    conference_sid: str
    reason: str
    call_status: str


class StartStream(Datum, frozen=True):
    """Start a media stream (MZ...) of this call's sound to a WebSocket; it outlives the document."""

    stream_sid: str
    options: Data


class StopStream(Datum, frozen=True):
    """Stop the media stream of this name or SID."""

    name: str


# -- records ----------------------------------------------------------------------------------------


class Fact(Datum, frozen=True):
    """Changes of the call's record: Twilio's field names (times as seconds since the epoch)."""

    changes: Data


class Note(Datum, frozen=True):
    """A line of the timeline. ``level`` is info, warning or error; ``code`` Twilio's, or 0."""

    lane: str
    text: str
    level: str
    code: int


class Finish(Datum, frozen=True):
    """The script is over: the actor can go."""


Effect = (
    Ring
    | Answer
    | Refuse
    | Place
    | HangUp
    | AnswerReferral
    | NotifyReferral
    | Refer
    | Play
    | StopPlay
    | SendDigits
    | Fetch
    | Notify
    | Plan
    | Arm
    | Disarm
    | Spawn
    | Tell
    | Bridge
    | Unbridge
    | JoinConference
    | LeaveConference
    | StartStream
    | StopStream
    | Fact
    | Note
    | Finish
)


def info(lane: str, text: str) -> Note:
    """A plain line of the timeline."""
    return Note(lane, text, "info", 0)


def warning(lane: str, text: str, code: int = 0) -> Note:
    """Something is odd, the call goes on."""
    return Note(lane, text, "warning", code)


def error(lane: str, text: str, code: int = 0) -> Note:
    """Something failed."""
    return Note(lane, text, "error", code)
