"""Calls that ring on behalf of another one: started or adopted, watched, until one of them is ready to be connected.

::

    started, adopted --ringing--> --answered--> (whisper) --ready--> the winner; the others are released
       | timeout (who has not answered), *: released, and waited for
       | join: another call has picked the ringing up, and is connected instead
       | give: a transfer; another call may adopt them, and they obey that one from then on

A child that was released has the status that it was released with, whatever it tells after that. One that was adopted
still tells its end to who started it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ringback.call.effects import Arm, Bridge, Disarm, Play, Ring, Spawn, StopPlay, Tell, Unbridge, info
from ringback.call.events import Complete, Digit, Event, Fired, Played, PlayFailed, Told
from ringback.call.outcome import dial_status
from ringback.call.script import Call, Completed, Interrupted, LegGone, Refusal, Script
from ringback.call.setup import CallSetup
from ringback.twiml.transferor import progressed

REFUSALS = {
    "busy": Refusal(486, "Busy Here", "busy"),
    "no-answer": Refusal(480, "Temporarily Unavailable", "no-answer"),
    "canceled": Refusal(480, "Temporarily Unavailable", "no-answer"),
    "completed": Refusal(603, "Decline", "no-answer"),
    "failed": Refusal(480, "Temporarily Unavailable", "failed"),
}
"""What a caller who still rings (answerOnBridge) hears in the end, by DialCallStatus."""

REPLACED = Refusal(487, "Request Terminated", "no-answer")
"""What it hears when its place was taken."""


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
    answer: dict[str, Any] = field(default_factory=dict)
    """What a SIP far end said when it answered: sip_call_id, headers."""
    released: str = ""
    """The status it was let go with; "" if it was not."""
    status: str = ""
    """Its final status; "" while it lives."""
    ending: dict[str, Any] = field(default_factory=dict)

    def end(self, data: dict[str, Any]) -> None:
        """It has told its end."""
        self.status = self.released or data["status"]
        self.ending = data


class Ringing:
    """The children of one Dial, or those that were taken over from one."""

    __slots__ = ("_call", "_early", "_ends_at", "_hangs_up_on_star", "_ring_tone", "_ringback", "children")

    def __init__(self, call: Call, ring_tone: str, hangs_up_on_star: bool = False) -> None:
        self._call = call
        self._ring_tone = ring_tone
        self._hangs_up_on_star = hangs_up_on_star
        self._ends_at = 0.0
        self._ringback = ""
        self._early = False
        self.children: dict[str, Child] = {}

    def start(self, callees: Iterable[tuple[Child, CallSetup]]) -> Script[None]:
        """Start the children; the caller hears ringing if the call is answered."""
        self.children = {}
        self._early = False
        for child, setup in callees:
            self.children[child.sid] = child
            yield info("call", f"Dial: ringing {child.shown} from {setup.from_}")
            yield Spawn(setup)
        yield from self._play_ringback()

    def first_ready(self, patience: float) -> Script[Child | None]:
        """Wait until one child is ready to be bridged; None when all have ended.

        After ``patience`` seconds who has not answered is let go: who hears a whisper document still may accept.
        An interruption lets go of all.
        """
        call = self._call
        timer = call.token("dial-timeout")
        self._ends_at = call.elapsed + patience
        yield Arm(timer, patience)
        call.rings = True
        try:
            winner = yield from self._wait(timer)
        except Interrupted as interrupt:
            call.rings = False
            yield Disarm(timer)
            yield from self.abort(word_of(interrupt))
            raise
        call.rings = False
        yield Disarm(timer)
        yield from self._stop_ringback()
        return winner

    def _wait(self, timer: str) -> Script[Child | None]:
        children = self.children
        while any(not child.status for child in children.values()):
            event = yield None
            match event:
                case Told(sender, "ready", _) if sender in children and not children[sender].released:
                    yield from self.release("canceled", [c for c in children.values() if c.sid != sender])
                    self._early = False
                    return children[sender]
                case Told(sender, subject, data) if sender in children:
                    yield from self._hear(children[sender], subject, data)
                case Told(_, "join", data):
                    yield from self.release("canceled", children.values())
                    self._early = False
                    sid = data["with"]
                    return Child(sid, sid, answered_at=self._call.elapsed, adopted=True)
                case Told(heir, "give", _):
                    yield from self._give(heir)
                case Told(_, "transferred", data):
                    self._call.refusal = REPLACED
                    raise Completed(Complete("completed", data["why"]))
                case Fired(token) if token == timer:
                    ringing = [child for child in children.values() if child.answered_at is None]
                    yield from self.release("no-answer", ringing)
                case _:
                    yield from self._hear_caller(event)
        return None

    def _hear_caller(self, event: Event) -> Script[None]:
        match event:
            case Digit("*") if self._hangs_up_on_star:
                yield from self.release("canceled", self.children.values())
            case Played(token) | PlayFailed(token) if token == self._ringback:
                self._ringback = ""

    def _hear(self, child: Child, subject: str, data: dict[str, Any]) -> Script[None]:
        call = self._call
        alone = len(self.children) == 1
        if subject == "ended":
            child.end(data)
            yield from self._end_early_media()
        elif subject == "answered":
            child.answered_at = call.elapsed
            child.answer = data
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
            yield from progressed(call, 183)
        elif subject == "ringing" and call.answered_at is None:
            yield Ring(False)
        elif subject == "ringing" and not child.released:
            yield from progressed(call, 180)

    def _end_early_media(self) -> Script[None]:
        if self._early:
            yield Unbridge()
        self._early = False

    def _play_ringback(self) -> Script[None]:
        if self._call.answered and not self._ringback:
            self._ringback = self._call.token("ringback")
            yield Play(self._ringback, ["tone", f"ringback:{self._ring_tone}"], 0)

    def _stop_ringback(self) -> Script[None]:
        if self._ringback:
            self._ringback = ""
            yield StopPlay()

    def release(self, status: str, children: Iterable[Child]) -> Script[None]:
        """Let these go; a leg that was answered ends as completed, whatever ``status`` says."""
        for child in children:
            if not child.status and not child.released:
                child.released = status if child.answered_at is None else "completed"
                yield Tell(child.sid, "release", {"status": status})

    def abort(self, status: str) -> Script[None]:
        """The ringing is aborted: let every child go, and wait for none."""
        yield from self._stop_ringback()
        yield from self.release(status, self.children.values())
        if self._early and self._call.ended is None:
            yield Unbridge()

    @property
    def status(self) -> str:
        """DialCallStatus when nobody was ready."""
        return dial_status([child.status for child in self.children.values()])

    # -- another call takes the children over -----------------------------------------------------------

    def _give(self, heir: str) -> Script[None]:
        """Offer them. They tell their own minds to the heir; here they stay until they have ended."""
        living = [child for child in self.children.values() if not child.status and not child.released]
        given = [
            {
                "sid": child.sid,
                "shown": child.shown,
                "prepares": child.prepares,
                "answered": child.answered_at is not None,
            }
            for child in living
        ]
        left = max(self._ends_at - self._call.elapsed, 0.0)
        yield Tell(heir, "given", {"children": given, "patience": left, "ring_tone": self._ring_tone})
        if self._early:
            yield from self._end_early_media()
            yield from self._play_ringback()

    def adopt(self, children: Iterable[dict[str, Any]]) -> Script[None]:
        """Take over what another call has given."""
        for given in children:
            child = Child(given["sid"], given["shown"], prepares=given["prepares"])
            child.answered_at = self._call.elapsed if given["answered"] else None
            self.children[child.sid] = child
            yield info("call", f"rings {child.shown} from here on")
            yield Tell(child.sid, "adopt", {})
        yield from self._play_ringback()


def word_of(interrupt: Interrupted) -> str:
    """The status of children that ring when their Dial is interrupted: canceled is for the REST API alone."""
    return "no-answer" if isinstance(interrupt, LegGone) else "canceled"
