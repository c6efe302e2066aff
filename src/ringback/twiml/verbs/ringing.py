"""The ringing of a Dial: children are started, watched, and one of them is connected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ringback.call.effects import (
    Arm,
    Bridge,
    Disarm,
    Pairs,
    Play,
    Ring,
    Spawn,
    StopPlay,
    Tell,
    Unbridge,
    info,
)
from ringback.call.events import Digit, Fired, Played, PlayFailed, Told
from ringback.call.outcome import worst_first
from ringback.call.script import Script
from ringback.twiml.run import Run, ensure_answered
from ringback.twiml.verbs.nouns import Noun


@dataclass(slots=True)
class Child:
    """What is known of one child call."""

    sid: str
    shown: str
    answered: bool = False
    status: str = ""
    """Its final CallStatus; "" while it lives."""
    ending: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """How a Dial ended, for its action's parameters."""

    status: str
    child: Child | None = None
    bridged: bool = False
    answered: bool = False
    in_conference: bool = False

    def parameters(self) -> Pairs:
        """DialCallStatus and its kin (webhooks, "Callbacks": Dial action)."""
        pairs: Pairs = [("DialCallStatus", self.status)]
        if self.in_conference:
            return pairs
        if self.child is not None:
            ending = self.child.ending
            pairs.append(("DialCallSid", self.child.sid))
            pairs.append(("DialCallDuration", str(ending.get("duration", 0))))
            if ending.get("sip_call_id"):
                pairs.append(("DialSipCallId", ending["sip_call_id"]))
                pairs.append(("DialSipResponseCode", str(ending["sip_status"])))
                pairs.extend((f"DialSipHeader_{name}", value) for name, value in ending["headers"].items())
        pairs.append(("DialBridged", "true" if self.bridged else "false"))
        return pairs


def ringing_result(run: Run) -> Result:
    """The result of a Dial whose caller hung up: of the child that was bridged, if one was."""
    child, since = run.memory.get("bridged", (None, 0.0))
    if child is None:
        return Result("no-answer")
    child.ending = child.ending or {"duration": int(run.call.elapsed - since + 0.5)}
    return Result("completed", child, bridged=True, answered=True)


class Ringing:
    """The children of one Dial."""

    __slots__ = ("_children", "_early", "_ringback", "_values", "run")

    def __init__(self, run: Run, values: dict[str, Any]) -> None:
        self.run = run
        self._values = values
        self._children: dict[str, Child] = {}
        self._ringback = ""
        self._early = False

    def start(self, nouns: list[Noun]) -> Script[None]:
        """Start a child for each noun; the caller hears ringing if the call is answered."""
        self._children = {}
        self._early = False
        for noun in nouns:
            setup = noun.setup(self.run, self._values["timeLimit"])
            self._children[setup.sid] = Child(setup.sid, noun.shown)
            yield info("call", f"Dial: ringing {noun.shown} from {setup.from_}")
            yield Spawn(setup.plain())
        if self.run.call.answered and not self._ringback:
            self._ringback = self.run.call.token("ringback")
            yield Play(self._ringback, ["tone", f"ringback:{self._values['ringTone']}"], 0)

    def wait_for_ready(self, timer: str) -> Script[Child | None]:
        """Wait until one child is ready to be bridged; None when all failed or the time is up."""
        while True:
            event = yield None
            match event:
                case Told(sender, subject, data) if sender in self._children:
                    child = self._children[sender]
                    if subject == "ready":
                        yield from self._release(except_for=sender, status="canceled")
                        return child
                    yield from self._hear(child, subject, data)
                    if all(other.status for other in self._children.values()):
                        yield from self._stop_ringback()
                        return None
                case Fired(token) if token == timer:
                    yield from self._release(except_for="", status="no-answer")
                    for child in self._children.values():
                        child.status = child.status or "no-answer"
                    yield from self._stop_ringback()
                    return None
                case Digit("*") if self._values["hangupOnStar"]:
                    yield from self._release(except_for="", status="canceled")
                    for child in self._children.values():
                        child.status = child.status or "completed"
                    yield from self._stop_ringback()
                    return None
                case Played(token) | PlayFailed(token) if token == self._ringback:
                    self._ringback = ""

    def connect(self, child: Child) -> Script[Result]:
        """Bridge the caller with a child that is ready, until it ends."""
        run, call = self.run, self.run.call
        limit = call.token("time-limit")
        yield from self._stop_ringback()
        yield from ensure_answered(call)
        child.answered = True
        run.memory["bridged"] = (child, call.elapsed)
        yield Bridge(child.sid)
        yield Tell(child.sid, "bridged", {})
        yield info("call", f"connected with {child.shown}")
        yield Arm(limit, self._values["timeLimit"])
        while not child.status:
            match (yield None):
                case Told(sender, subject, data) if sender == child.sid:
                    yield from self._hear(child, subject, data)
                case Fired(token) if token == limit:
                    yield info("call", f"Dial: the time limit of {self._values['timeLimit']} s is up")
                    yield Tell(child.sid, "release", {"status": "completed"})
                case Digit("*") if self._values["hangupOnStar"]:
                    yield Tell(child.sid, "release", {"status": "completed"})
        yield Disarm(limit)
        yield Unbridge()
        return Result("completed", child, bridged=True, answered=True)

    def _hear(self, child: Child, subject: str, data: dict[str, Any]) -> Script[None]:
        call = self.run.call
        if subject == "ended":
            child.status = data["status"]
            child.answered = child.answered or data["answered"]
            child.ending = data
            if self._early and not call.ended:
                self._early = False
                yield Unbridge()
        elif subject == "ringing" and data["early_media"] and len(self._children) == 1 and not self._early:
            # One far end that sends its own ringing or announcement: the caller hears that one.
            self._early = True
            yield from self._stop_ringback()
            if call.answered_at is None:
                yield Ring(True)
            yield Bridge(child.sid)
        elif subject == "ringing" and call.answered_at is None:
            yield Ring(False)

    def _stop_ringback(self) -> Script[None]:
        if self._ringback:
            self._ringback = ""
            yield StopPlay()

    def _release(self, *, except_for: str, status: str) -> Script[None]:
        for child in self._children.values():
            if child.sid != except_for and not child.status:
                yield Tell(child.sid, "release", {"status": status})

    def release_all(self, status: str) -> Script[None]:
        """The Dial is aborted: let every child go."""
        yield from self._stop_ringback()
        yield from self._release(except_for="", status=status)
        if not self.run.call.ended:
            yield Unbridge()

    def status(self) -> str:
        """The DialCallStatus when nobody was bridged."""
        return worst_first([child.status for child in self._children.values()])

    def result(self) -> Result:
        """The result when nobody was bridged: of the child whose status it is."""
        status = self.status()
        child = next((child for child in self._children.values() if child.status == status), None)
        return Result(status, child, answered=bool(child and child.answered))
