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
from typing import Any

from ringback.call.effects import (
    Arm,
    Bridge,
    Disarm,
    Effect,
    Play,
    Ring,
    Spawn,
    StopPlay,
    Tell,
    Unbridge,
    info,
)
from ringback.call.events import Complete, Digit, Event, Fired, Played, PlayFailed, Told
from ringback.call.outcome import dial_status
from ringback.call.script import REPLACED, Call, Completed, Interrupted, LegGone, Refusal, Script
from ringback.call.setup import CallSetup
from ringback.call.unasked import found
from ringback.twiml.transferor import progressed

REFUSALS = {
    "busy": Refusal(486, "Busy Here", "busy"),
    "no-answer": Refusal(480, "Temporarily Unavailable", "no-answer"),
    "canceled": Refusal(480, "Temporarily Unavailable", "no-answer"),
    "completed": Refusal(603, "Decline", "no-answer"),
    "failed": Refusal(480, "Temporarily Unavailable", "failed"),
}
"""What a caller who still rings (answerOnBridge) hears in the end, by DialCallStatus."""


class Child:
    """What is known of one child call."""

    __slots__ = (
        "adopted",
        "answer",
        "answered_at",
        "ending",
        "prepares",
        "released",
        "shown",
        "sid",
        "status",
    )

    def __init__(
        self,
        sid: str,
        shown: str,
        *,
        adopted: bool = False,
        prepares: bool = False,
        answered_at: float | None = None,
    ) -> None:
        self.sid = sid
        self.shown = shown
        self.adopted = adopted
        """It was not rung: it took the place of who was."""
        self.prepares = prepares
        """It sends digits or hears a whisper document between its answer and the bridge."""
        self.answered_at = answered_at
        self.answer: dict[str, Any] = {}
        """What a SIP far end said when it answered: sip_call_id, headers."""
        self.released = ""
        """The status it was let go with; "" if it was not."""
        self.status = ""
        """Its final status; "" while it lives."""
        self.ending: dict[str, Any] = {}

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

    def start(self, callees: Iterable[tuple[Child, CallSetup]]) -> list[Effect]:
        """Start the children; the caller hears ringing if the call is answered."""
        self.children = {}
        self._early = False
        out: list[Effect] = []
        for child, setup in callees:
            self.children[child.sid] = child
            out.append(info("call", f"Dial: ringing {child.shown} from {setup.from_}"))
            out.append(Spawn(setup))
        return out + self._play_ringback()

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
        if call.awaited is not None:
            yield from found(call, "" if winner is None else winner.sid)
        yield from self._stop_ringback()
        return winner

    def _wait(self, timer: str) -> Script[Child | None]:
        children = self.children
        while "" in [child.status for child in children.values()]:
            event = yield None
            if type(event) is Told and (child := children.get(event.sender)) is not None:
                if event.subject == "ready" and not child.released:
                    if len(children) > 1:
                        yield from self.release("canceled", [c for c in children.values() if c is not child])
                    self._early = False
                    return child
                yield from self._hear(child, event.subject, event.data)
                continue
            match event:
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

    def _hear_caller(self, event: Event) -> list[Effect]:
        match event:
            case Digit("*") if self._hangs_up_on_star:
                return self.release("canceled", self.children.values())
            case Played(token) | PlayFailed(token) if token == self._ringback:
                self._ringback = ""
        return []

    def _hear(self, child: Child, subject: str, data: dict[str, Any]) -> list[Effect]:
        call = self._call
        if subject == "ended":
            child.end(data)
            return self._end_early_media()
        if subject == "answered":
            child.answered_at = call.elapsed
            child.answer = data
            if child.prepares and self._early:
                return self._end_early_media() + self._play_ringback()
        elif subject == "ringing":
            if data["early_media"] and len(self.children) == 1 and not child.released:
                return self._hear_early_media(child)
            if call.answered_at is None:
                return [Ring(False)]
            if not child.released:
                return progressed(call, 180)
        return []

    def _hear_early_media(self, child: Child) -> list[Effect]:
        """One far end that sends its own ringing or announcement: the caller hears that one."""
        out: list[Effect] = []
        if not self._early:
            self._early = True
            out += self._stop_ringback()
            if self._call.answered_at is None:
                out.append(Ring(True))
            out.append(Bridge(child.sid))
        return out + progressed(self._call, 183)

    def _end_early_media(self) -> list[Effect]:
        was_early, self._early = self._early, False
        return [Unbridge()] if was_early else []

    def _play_ringback(self) -> list[Effect]:
        if not self._call.answered or self._ringback:
            return []
        self._ringback = self._call.token("ringback")
        return [Play(self._ringback, ["tone", f"ringback:{self._ring_tone}"], 0)]

    def _stop_ringback(self) -> list[Effect]:
        ringback, self._ringback = self._ringback, ""
        return [StopPlay()] if ringback else []

    def release(self, status: str, children: Iterable[Child]) -> list[Effect]:
        """Let these go; a leg that was answered ends as completed, whatever ``status`` says."""
        out: list[Effect] = []
        for child in children:
            if not child.status and not child.released:
                child.released = status if child.answered_at is None else "completed"
                out.append(Tell(child.sid, "release", {"status": status}))
        return out

    def abort(self, status: str) -> list[Effect]:
        """The ringing is aborted: let every child go, and wait for none."""
        out = self._stop_ringback() + self.release(status, self.children.values())
        if self._early and self._call.ended is None:
            out.append(Unbridge())
        return out

    @property
    def status(self) -> str:
        """DialCallStatus when nobody was ready."""
        return dial_status([child.status for child in self.children.values()])

    # -- another call takes the children over -----------------------------------------------------------

    def _give(self, heir: str) -> list[Effect]:
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
        offer = Tell(heir, "given", {"children": given, "patience": left, "ring_tone": self._ring_tone})
        return [offer, *self._end_early_media(), *self._play_ringback()] if self._early else [offer]

    def adopt(self, children: Iterable[dict[str, Any]]) -> list[Effect]:
        """Take over what another call has given."""
        out: list[Effect] = []
        for given in children:
            since = self._call.elapsed if given["answered"] else None
            child = Child(given["sid"], given["shown"], prepares=given["prepares"], answered_at=since)
            self.children[child.sid] = child
            out.append(info("call", f"rings {child.shown} from here on"))
            out.append(Tell(child.sid, "adopt", {}))
        return out + self._play_ringback()


def word_of(interrupt: Interrupted) -> str:
    """The status of children that ring when their Dial is interrupted: canceled is for the REST API alone."""
    return "no-answer" if isinstance(interrupt, LegGone) else "canceled"
