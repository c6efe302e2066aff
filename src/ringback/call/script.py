"""What a call's script is written in: a generator that yields effects and receives events.

::

    yield Play(...)          an effect; the script goes straight on
    event = yield            wait for the next event, of any kind

A script is interrupted by throwing into it: its leg ended, a program redirected or completed the call.
What is interrupted may still yield effects to clean up, and raises on; it must not wait.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

from ringback.call.effects import Arm, Disarm, Effect
from ringback.call.events import (
    Complete,
    Event,
    Fetched,
    Fired,
    LegEnded,
    Planned,
    Played,
    PlayFailed,
    Redirect,
)
from ringback.call.setup import CallSetup

Result = TypeVar("Result")
Answer = TypeVar("Answer", Fetched, Planned)
Script = Generator[Effect | None, Event, Result]


class Interrupted(Exception):
    """Something that a running verb does not wait for ends it."""


class LegGone(Interrupted):
    """The call's own leg ended."""

    def __init__(self, event: LegEnded) -> None:
        self.event = event


class Redirected(Interrupted):
    """A program gave the call another document (REST: POST Calls/{Sid} with Url or Twiml)."""

    def __init__(self, event: Redirect) -> None:
        self.event = event


class Completed(Interrupted):
    """A program ended the call (REST: Status=completed or canceled), or the server drains."""

    def __init__(self, event: Complete) -> None:
        self.event = event


CALL_LIMIT = "call-limit"
"""The timer whose end ends the call, whatever it does."""


INTERRUPTING = frozenset({LegEnded, Redirect, Complete, Fired})


def interrupt_of(event: Event) -> Interrupted | None:
    """What this event throws into a script; None if it is one to be waited for."""
    if type(event) not in INTERRUPTING:
        return None
    if type(event) is LegEnded:
        return LegGone(event)
    if type(event) is Redirect:
        return Redirected(event)
    if type(event) is Complete:
        return Completed(event)
    if type(event) is Fired and event.token == CALL_LIMIT:
        return Completed(Complete("completed", "the time limit of the call is up"))
    return None


@dataclass(slots=True)
class Transfer:
    """A transferor that stays until its target has answered: its call, and the number of its REFER."""

    transferor: str
    number: int
    failure: int = 503
    """What the target has met so far."""
    told: int = 0
    """The provisional status that the transferor was told last."""
    is_done: bool = False


@dataclass(slots=True)
class Place:
    """Where a call is in its documents, for who takes its place: the document and where it came from, and the verb."""

    url: str
    method: str
    document: list[Any]
    verb: int = 0
    """Counted from 1."""


class Refusal(NamedTuple):
    """How a call that nobody answered is refused at its end: SIP status and reason, and its CallStatus."""

    status: int
    reason: str
    call_status: str


REPLACED = Refusal(487, "Request Terminated", "no-answer")
"""What a caller who still rings hears when its place was taken."""


class Call:
    """A script's view of its own call: what it started from, the time, and names for new things."""

    __slots__ = (
        "_names",
        "_sids",
        "answered_at",
        "awaited",
        "claimant",
        "elapsed",
        "ended",
        "is_fetching",
        "is_referral_accepted",
        "parameters",
        "partner",
        "place",
        "referral",
        "referred_by",
        "refusal",
        "rings",
        "setup",
        "status",
        "transfer",
    )

    def __init__(self, setup: CallSetup) -> None:
        self.setup = setup
        self.elapsed = 0.0
        self.status = "queued" if setup.kind == "api" else "ringing"
        self.answered_at: float | None = None
        self.ended: LegEnded | None = None
        self.refusal: Refusal | None = None
        """Set by Reject, and by a Dial with answerOnBridge that reached nobody."""
        self.parameters = dict(setup.parameters)
        """Parameters of this call's webhooks beside the standard ones; they grow (SipHeader_X-...)."""
        self.partner = ""
        """The CallSid of the call that this one is connected with, or rings for; "" if it is with none."""
        self.rings = False
        """Calls ring on its behalf, which another one may take over."""
        self.referred_by = ""
        """Who transferred this call last, as SIP (RFC 3892): its Dials say so to SIP endpoints."""
        self.place: Place | None = None
        """The document that it runs by itself; None in between, and where its document serves another call."""
        self.is_fetching = False
        """It waits for a document that it will run by itself."""
        self.claimant = ""
        """The call that is to take its place in that document, once it has come."""
        self.awaited: dict[str, Any] | None = None
        """Another call of the far end whose place the one is to take that this call reaches: ``by``, and its REFER."""
        self.referral = 0
        """The REFER of its far end that another call decides on, while it is connected with none; 0 without one."""
        self.is_referral_accepted = False
        self.transfer: Transfer | None = None
        """Whose far end waits on the line until a document has connected this call with somebody else."""
        self._names = 0
        self._sids = 0

    @property
    def now(self) -> float:
        """Seconds since the epoch at the event in hand."""
        return self.setup.started_at + self.elapsed

    @property
    def far_end(self) -> str:
        """Who is at the other end of the leg: a number, or a SIP address."""
        setup = self.setup
        return setup.from_ if setup.kind == "inbound" else setup.to

    @property
    def is_sip(self) -> bool:
        """Whether that is a SIP endpoint, and no telephone behind a carrier."""
        return self.far_end.startswith("sip:")

    @property
    def answered(self) -> bool:
        """Whether sound can flow both ways."""
        return self.answered_at is not None and self.ended is None

    @property
    def duration(self) -> int:
        """Whole seconds from the answer to now; 0 if there was none."""
        return 0 if self.answered_at is None else int(self.elapsed - self.answered_at + 0.5)

    def token(self, kind: str) -> str:
        """A name for the answer to an effect, new within this call."""
        self._names += 1
        return f"{kind}-{self._names}"

    def new_sid(self, prefix: str) -> str:
        """A SID that this call's seed gives: the same at each replay."""
        self._sids += 1
        digest = hashlib.blake2b(f"{self.setup.seed}:{self._sids}".encode(), digest_size=16)
        return prefix + digest.hexdigest()


def wait_for(token: str, kind: type[Answer]) -> Script[Answer]:
    """Wait for the event of this kind that carries this token; what else comes is not for us."""
    while True:
        event: Event = yield None
        if type(event) is kind and event.token == token:
            return event


def wait_for_sound(token: str) -> Script[Played | PlayFailed]:
    """Wait for the end of a Play or SendDigits."""
    while True:
        event: Event = yield None
        if isinstance(event, Played | PlayFailed) and event.token == token:
            return event


def observed(script: Script[Result], judge: Callable[[Event], Event | Interrupted | None]) -> Script[Result]:
    """Run a script whose events ``judge`` sees first: it gets what that gives, thrown in if it interrupts."""
    step: Callable[[], Effect | None] = partial(next, script)
    while True:
        try:
            effect = step()
        except StopIteration as stop:
            result: Result = stop.value
            return result
        if effect is not None:
            yield effect
            step = partial(next, script)
            continue
        given: Event | Interrupted | None = None
        while given is None:
            try:
                event = yield None
            except Interrupted as interrupt:
                given = interrupt
            else:
                given = judge(event)
        if isinstance(given, Interrupted):
            step = partial(script.throw, given)
        else:
            step = partial(script.send, given)


def pause(call: Call, seconds: float) -> Script[None]:
    """Let time pass."""
    token = call.token("pause")
    yield Arm(token, seconds)
    try:
        while True:
            event = yield None
            if isinstance(event, Fired) and event.token == token:
                return
    except Interrupted:
        yield Disarm(token)
        raise
