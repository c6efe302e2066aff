"""Whom a Dial calls: rung together, and one of them connected until somebody ends it."""

from __future__ import annotations

from typing import Any

import msgspec

from ringback.call.effects import Bridge, Effect, Pairs, Unbridge, info
from ringback.call.events import Digit, Told
from ringback.call.script import Interrupted, Script
from ringback.call.setup import CallSetup
from ringback.twiml.link import NO_POLICY, Link, Policy
from ringback.twiml.ringing import Child, Ringing, word_of
from ringback.twiml.run import End, Goto, Run, ensure_answered
from ringback.twiml.transferor import reached
from ringback.twiml.verbs.nouns import Noun


class Result(msgspec.Struct, frozen=True):
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


class Callees:
    """The callees of one Dial."""

    __slots__ = ("_bridged", "_policy", "_ringing", "_values", "run")

    def __init__(self, run: Run, values: dict[str, Any], policy: Policy = NO_POLICY) -> None:
        self.run = run
        self._values = values
        self._policy = policy
        self._ringing = Ringing(run.call, values["ringTone"], values["hangupOnStar"])
        self._bridged: Child | None = None

    def ring(self, nouns: list[Noun], patience: float) -> Script[Result]:
        """Ring these nouns at once, for so many seconds; after the first that is ready stay until that leg ends."""
        yield from self._ringing.start([self._child(noun) for noun in nouns])
        winner = yield from self._ringing.first_ready(patience)
        if winner is None:
            result = self._result()
            yield info("call", f"Dial: {result.status}")
            return result
        try:
            return (yield from self._connect(winner))
        except Interrupted as interrupt:
            yield from self._abort(word_of(interrupt))
            raise

    def _child(self, noun: Noun) -> tuple[Child, CallSetup]:
        setup = noun.setup(self.run, self._values["timeLimit"])
        prepares = bool(noun.whisper.url or noun.send_digits)
        return Child(setup.sid, noun.shown, prepares=prepares), setup

    def _connect(self, child: Child) -> Script[Result]:
        """Bridge the caller with a child that is ready, until it ends; it keeps the time limit itself."""
        call = self.run.call
        yield from ensure_answered(call)
        yield from reached(call)
        self._bridged = child
        link = Link(call, child.sid, self._policy, self.run.run_pages)
        if child.adopted:
            yield from link.join(child.sid)
        else:
            yield Bridge(child.sid)
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
            event = link.missed.pop(0) if link.missed else (yield None)
            if type(event) is Told and event.subject == "ended" and event.sender == child.sid:
                child.end(event.data)
            elif type(event) is Digit and event.digit == "*" and self._values["hangupOnStar"]:
                if link.adopted:
                    break
                yield from self._ringing.release("completed", [child])
            else:
                outcome = yield from link.on(event)
                if outcome is not None:
                    return outcome
        if child.adopted and child.answered_at is not None:
            child.ending = {"duration": int(self.run.call.elapsed - child.answered_at + 0.5)}
        return None

    def _abort(self, status: str) -> list[Effect]:
        """The Dial is aborted while it was connected: let every child go, and wait for none."""
        out = self._ringing.abort(status)
        if self._bridged is not None and self.run.call.ended is None:
            out.append(Unbridge())
        return out

    def _result(self) -> Result:
        """The result when nobody was bridged: of the first child whose status it is."""
        status = self._ringing.status
        children = self._ringing.children.values()
        return Result(status, next((child for child in children if child.status == status), None))

    def aborted(self) -> Result:
        """The result of a Dial whose caller is gone: of the child that was bridged, or of the first."""
        child = self._bridged or next(iter(self._ringing.children.values()), None)
        if child is None:
            return Result("no-answer")
        if child.answered_at is None:
            return Result("no-answer", child)
        seconds = int(self.run.call.elapsed - child.answered_at + 0.5)
        child.ending = child.ending or {"duration": seconds, "sip_status": 200, **child.answer}
        return Result("completed", child, bridged=self._bridged is not None)
