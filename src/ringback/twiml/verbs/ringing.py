"""The ringing of a Dial: children are started, watched, and one of them is connected.

::

    started --ringing--> --answered--> (whisper) --ready--> bridged --ended-->
       | timeout (who has not answered), *, another was ready: released, and waited for
       | join: another call has picked the ringing up, and is connected instead

A child that was released has the status that it was released with, whatever it tells after that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ringback.call.effects import Bridge, Pairs, Play, Ring, Spawn, StopPlay, Tell, Unbridge, info
from ringback.call.events import Digit, Fired, Played, PlayFailed, Told
from ringback.call.outcome import dial_status
from ringback.call.script import Interrupted, Script
from ringback.twiml.link import NO_POLICY, Link, Policy, progressed, reached
from ringback.twiml.run import End, Goto, Run, ensure_answered
from ringback.twiml.verbs.nouns import Noun


@dataclass(slots=True)
class Child:
    """What is known of one child call."""

    sid: str
    shown: str
    adopted: bool = False
    """It was not rung: it took the place of who was."""
    prepares: bool = False
    """It sends digits or hears a whisper document between its answer and the bridge."""
    answered_at: float | None = None
    released: str = ""
    """The status it was let go with; "" if it was not."""
    status: str = ""
    """Its final status; "" while it lives."""
    ending: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """How a Dial ended, for its action's parameters."""

    status: str
    child: Child | None = None
    bridged: bool = False
    in_conference: bool = False
    outcome: Goto | End | None = None
    """Where a transfer took the call; the action is not asked then."""

    def parameters(self) -> Pairs:
        """DialCallStatus and its kin (webhooks, "Callbacks": Dial action)."""
        pairs: Pairs = [("DialCallStatus", self.status)]
        if self.in_conference:
            return pairs
        if self.child is not None:
            ending = self.child.ending
            pairs.append(("DialCallSid", self.child.sid))
            pairs.append(("DialCallDuration", str(ending.get("duration", 0))))
            if self.child.shown.startswith("sip:"):
                if ending.get("sip_call_id"):
                    pairs.append(("DialSipCallId", ending["sip_call_id"]))
                if ending.get("sip_status"):
                    pairs.append(("DialSipResponseCode", str(ending["sip_status"])))
                pairs.extend(
                    (f"DialSipHeader_{name}", value) for name, value in ending.get("headers", {}).items()
                )
        pairs.append(("DialBridged", "true" if self.bridged else "false"))
        return pairs


class Ringing:
    """The children of one Dial."""

    __slots__ = ("_bridged", "_children", "_early", "_policy", "_ringback", "_values", "run")

    def __init__(self, run: Run, values: dict[str, Any], policy: Policy = NO_POLICY) -> None:
        self.run = run
        self._values = values
        self._policy = policy
        self._children: dict[str, Child] = {}
        self._bridged: Child | None = None
        self._ringback = ""
        self._early = False

    def start(self, nouns: list[Noun]) -> Script[None]:
        """Start a child for each noun; the caller hears ringing if the call is answered."""
        self._children = {}
        self._early = False
        for noun in nouns:
            setup = noun.setup(self.run, self._values["timeLimit"])
            prepares = bool(noun.whisper.url or noun.send_digits)
            self._children[setup.sid] = Child(setup.sid, noun.shown, prepares=prepares)
            yield info("call", f"Dial: ringing {noun.shown} from {setup.from_}")
            yield Spawn(setup)
        yield from self._play_ringback()

    def wait_for_ready(self, timer: str) -> Script[Child | None]:
        """Wait until one child is ready to be bridged; None when all have ended.

        The timeout lets go who has not answered: who hears a whisper document still may accept.
        """
        children = self._children
        while any(not child.status for child in children.values()):
            match (yield None):
                case Told(sender, "ready", _) if sender in children and not children[sender].released:
                    yield from self._release("canceled", [c for c in children.values() if c.sid != sender])
                    return children[sender]
                case Told(sender, subject, data) if sender in children:
                    yield from self._hear(children[sender], subject, data)
                case Told(_, "join", data):
                    yield from self._release("canceled", list(children.values()))
                    sid = data["with"]
                    return Child(sid, sid, answered_at=self.run.call.elapsed, adopted=True)
                case Fired(token) if token == timer:
                    ringing = [child for child in children.values() if child.answered_at is None]
                    yield from self._release("no-answer", ringing)
                case Digit("*") if self._values["hangupOnStar"]:
                    yield from self._release("canceled", list(children.values()))
                case Played(token) | PlayFailed(token) if token == self._ringback:
                    self._ringback = ""
        yield from self._stop_ringback()
        return None

    def connect(self, child: Child) -> Script[Result]:
        """Bridge the caller with a child that is ready, until it ends; it keeps the time limit itself."""
        call = self.run.call
        yield from self._stop_ringback()
        yield from ensure_answered(call)
        yield from reached(call)
        self._bridged = child
        link = Link(call, child.sid, self._policy, self.run.run_pages)
        if child.adopted:
            yield from link.join(child.sid)
        else:
            yield Bridge(child.sid)
            yield Tell(child.sid, "bridged", {})
            yield info("call", f"connected with {child.shown}")
        try:
            outcome = yield from self._stay(link, child)
        except Interrupted:
            yield from link.close()
            raise
        yield from link.close()
        if outcome is None:
            yield Unbridge()
        return Result("completed", child, bridged=True, outcome=outcome)

    def _stay(self, link: Link, child: Child) -> Script[Goto | End | None]:
        """Be connected until the child, or who took its place, ends, or a transfer takes this call elsewhere."""
        while not (link.is_over if link.adopted else child.status):
            match (yield from link.next()):
                case Told(sender, "ended", data) if sender == child.sid:
                    yield from self._hear(child, "ended", data)
                case Digit("*") if self._values["hangupOnStar"]:
                    if link.adopted:
                        break
                    yield from self._release("completed", [child])
                case event:
                    outcome = yield from link.on(event)
                    if outcome is not None:
                        return outcome
        if child.adopted and child.answered_at is not None:
            child.ending = {"duration": int(self.run.call.elapsed - child.answered_at + 0.5)}
        return None

    def _hear(self, child: Child, subject: str, data: dict[str, Any]) -> Script[None]:
        call = self.run.call
        alone = len(self._children) == 1
        if subject == "ended":
            child.status = child.released or data["status"]
            child.ending = data
            yield from self._end_early_media()
        elif subject == "answered":
            child.answered_at = call.elapsed
            if child.prepares and self._early:
                yield from self._end_early_media()
                yield from self._play_ringback()
        elif subject == "ringing" and data["early_media"] and alone and not child.released:
            # One far end that sends its own ringing or announcement: the caller hears that one.
            if not self._early:
                self._early = True
                yield from self._stop_ringback()
                if call.answered_at is None:
                    yield Ring(True)
                yield Bridge(child.sid)
        elif subject == "ringing" and call.answered_at is None:
            yield Ring(False)
        elif subject == "ringing" and not child.released:
            yield from progressed(call, 180)

    def _end_early_media(self) -> Script[None]:
        if self._early and self._bridged is None:
            yield Unbridge()
        self._early = False

    def _play_ringback(self) -> Script[None]:
        if self.run.call.answered and not self._ringback:
            self._ringback = self.run.call.token("ringback")
            yield Play(self._ringback, ["tone", f"ringback:{self._values['ringTone']}"], 0)

    def _stop_ringback(self) -> Script[None]:
        if self._ringback:
            self._ringback = ""
            yield StopPlay()

    def _release(self, status: str, children: list[Child]) -> Script[None]:
        """Let these go; a leg that was answered ends as completed, whatever ``status`` says."""
        for child in children:
            if not child.status and not child.released:
                child.released = status if child.answered_at is None else "completed"
                yield Tell(child.sid, "release", {"status": status})

    def abort(self, status: str) -> Script[None]:
        """The Dial is aborted: let every child go, and wait for none."""
        yield from self._stop_ringback()
        yield from self._release(status, list(self._children.values()))
        if (self._early or self._bridged is not None) and self.run.call.ended is None:
            yield Unbridge()

    def result(self) -> Result:
        """The result when nobody was bridged: of the first child whose status it is."""
        status = dial_status([child.status for child in self._children.values()])
        child = next((child for child in self._children.values() if child.status == status), None)
        return Result(status, child)

    def aborted(self) -> Result:
        """The result of a Dial whose caller is gone: of the child that was bridged, or of the first."""
        child = self._bridged or next(iter(self._children.values()), None)
        if child is None:
            return Result("no-answer")
        if child.answered_at is None:
            return Result("no-answer", child)
        seconds = int(self.run.call.elapsed - child.answered_at + 0.5)
        child.ending = child.ending or {"duration": seconds}
        return Result("completed", child, bridged=self._bridged is not None)
