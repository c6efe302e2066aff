"""What a call can be told: the events of an actor's inbox.

A script gets time, randomness and answers only through these, so that the journal of them rebuilds
the call exactly. Every field is plain data (text, numbers, booleans, None, lists and dicts of these):
an event goes into the journal as it is. Secrets never stand in an event; a handle such as
``secret:12`` does.
"""

from __future__ import annotations

from typing import Any

from ringback.call.datum import Datum

Data = dict[str, Any]


# -- the call's own leg -------------------------------------------------------------------------


class LegRinging(Datum, frozen=True):
    """The far end of an outgoing leg answered provisionally; ``early_media`` if it sends sound."""

    status: int
    early_media: bool


class LegAnswered(Datum, frozen=True):
    """The outgoing leg was answered with 200. ``headers`` are its X- headers, name to value; ``source_ip`` sent it."""

    sip_call_id: str
    headers: dict[str, str]
    source_ip: str = ""


class LegEnded(Datum, frozen=True):
    """The leg is over, once a call. ``cause`` is the session's word for it, ``status`` the SIP code.

    Causes: bye, cancelled, rejected, timeout, unreachable, no-ack, redirected, local, error.
    """

    cause: str
    status: int
    reason: str
    headers: dict[str, str]
    sip_call_id: str


class LegReferred(Datum, frozen=True):
    """The far end asks to be transferred (REFER, RFC 3515): ``target`` is its Refer-To as it came.

    Where that names another call of the far end (Replaces, RFC 3891), ``other`` is this call's SID, and ``partner``
    that of the call which it is connected with, "" if none. ``number`` is the referral's in its dialog. ``referred_by``
    is who transfers (RFC 3892), as it says itself.
    """

    number: int
    target: str
    other: str
    partner: str
    referred_by: str = ""


class ReferAnswered(Datum, frozen=True):
    """The final status of a Refer of ours; 408 without one, 0 where it could not be sent."""

    token: str
    status: int


class ReferProgress(Datum, frozen=True):
    """What the far end tells of a Refer of ours (NOTIFY): a SIP status, 0 where it says only that it is over."""

    token: str
    status: int
    is_final: bool


class Digit(Datum, frozen=True):
    """The far end pressed a key: one of 0-9 * # A-D (RFC 4733 section 3.2)."""

    digit: str


class Played(Datum, frozen=True):
    """A Play or SendDigits effect reached its end, or was stopped before it."""

    token: str
    interrupted: bool


class PlayFailed(Datum, frozen=True):
    """A clip could not be had: Twilio's error code and what happened."""

    token: str
    code: int
    message: str


class Heard(Datum, frozen=True):
    """Sound from the far end: first packets came, or none for ``silent_for`` seconds (0: it came)."""

    silent_for: float


# -- answers to what the script asked --------------------------------------------------------------


class Fetched(Datum, frozen=True):
    """A webhook's answer. Either ``document`` is the parsed TwiML, or ``error_code`` says why not.

    ``document`` is an Element as plain data: [name, attributes, content]. ``url`` is the one that
    answered in the end, the base of relative links. ``warnings`` go into the timeline.
    """

    token: str
    url: str
    status: int
    document: list[Any] | None
    error_code: int
    error_text: str


class Planned(Datum, frozen=True):
    """How a dialed noun is to be reached, as a Plan in plain data (see ringback.call.routing)."""

    token: str
    plan: Data


class Fired(Datum, frozen=True):
    """The timer of this token came due."""

    token: str


# -- commands and messages -------------------------------------------------------------------------


class Redirect(Datum, frozen=True):
    """A program sent the call elsewhere over REST: ``url``, or a ``document`` given in place."""

    url: str
    method: str
    document: list[Any] | None


class Complete(Datum, frozen=True):
    """A program, the operator or a limit ends the call. ``status`` is completed or canceled."""

    status: str
    why: str


class Told(Datum, frozen=True):
    """A message from another actor: a parent, a child, a conference, a stream."""

    sender: str
    subject: str
    data: Data


Event = (
    LegRinging
    | LegAnswered
    | LegEnded
    | LegReferred
    | ReferAnswered
    | ReferProgress
    | Digit
    | Played
    | PlayFailed
    | Heard
    | Fetched
    | Planned
    | Fired
    | Redirect
    | Complete
    | Told
)

EVENT_TYPES: tuple[type[Any], ...] = (
    LegRinging,
    LegAnswered,
    LegEnded,
    LegReferred,
    ReferAnswered,
    ReferProgress,
    Digit,
    Played,
    PlayFailed,
    Heard,
    Fetched,
    Planned,
    Fired,
    Redirect,
    Complete,
    Told,
)
