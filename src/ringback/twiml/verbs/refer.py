"""Refer: have the far end of a SIP call call somebody else (TwiML reference, "Refer"; RFC 3515).

::

    plan the target --> REFER --ReferAnswered--> 2xx: follow ReferProgress to the final one --> action, or next verb
                          | refused, or nothing is told in time ------------------------------>
                          | the call ends before ------------------------------------> action is told: canceled
"""

from __future__ import annotations

from dataclasses import dataclass

from ringback.call.effects import Arm, Disarm, Notify, Pairs, Plan, info
from ringback.call.effects import Refer as SendRefer
from ringback.call.events import Fired, Planned, ReferAnswered, ReferProgress
from ringback.call.outcome import BUSY, NO_ANSWER
from ringback.call.script import Call, Completed, Interrupted, LegGone, Script, wait_for
from ringback.twiml.document import Element
from ringback.twiml.errors import TwimlError
from ringback.twiml.parameters import standard
from ringback.twiml.run import Goto, Outcome, Run, ensure_answered

PATIENCE = 120.0
"""Seconds that a far end which took the REFER may say nothing of it: a phone that rings, and rings again elsewhere."""


@dataclass(slots=True)
class Told:
    """What the far end has told of the REFER; 0: nothing yet."""

    answered: int = 0
    notified: int = 0

    def parameters(self, status: str = "") -> Pairs:
        """ReferCallStatus and its kin; ``status`` is one known better."""
        word = status or self._status()
        pairs = [("ReferCallStatus", word)] if word else []
        answered = self.answered or (202 if self.notified else 0)  # a NOTIFY may overtake the 202
        if answered:
            pairs.append(("ReferSipResponseCode", str(answered)))
        if self.notified:
            pairs.append(("NotifySipResponseCode", str(self.notified)))
        return pairs

    def _status(self) -> str:
        if self.answered >= 300:
            return "failed"
        code = self.notified
        if code < 200:
            return "ringing" if code > 100 else ""
        if code < 300:
            return "in-progress"
        if code in BUSY:
            return "busy"
        return "no-answer" if code in NO_ANSWER else "failed"


def refer(run: Run, element: Element) -> Script[Outcome]:
    """Send the REFER, follow it, and give the action what became of it."""
    values = yield from run.attributes(element)
    action = run.link(values["action"]) if values["action"] else ""
    target = yield from _target(run, element)
    yield from ensure_answered(run.call)
    told = Told()
    try:
        yield from _follow(run.call, target, told)
    except (LegGone, Completed):
        if action:
            params = [*standard(run.call, "completed"), *told.parameters("canceled")]
            yield Notify(action, values["method"], params)
        raise
    result = told.parameters()
    yield info("call", f"Refer: {result[0][1] if result else 'nothing was told of it'}")
    return Goto(action, values["method"], result) if action else None


def _target(run: Run, element: Element) -> Script[str]:
    """The address to be called. Raises TwimlError."""
    if not run.call.is_sip:
        raise TwimlError(13801, f"<Refer> needs a SIP call, and {run.call.far_end} is none")
    nouns = [child for child in element.children if child.name == "Sip"]
    if len(nouns) != 1 or not nouns[0].text:
        raise TwimlError(13243, "<Refer> holds one <Sip> with the address to be called")
    token = run.call.token("plan")
    yield Plan(token, {"kind": "refer", "address": nouns[0].text})
    plan = (yield from wait_for(token, Planned)).plan
    if plan["error_code"]:
        raise TwimlError(plan["error_code"], plan["error_text"])
    return str(plan["to"])


def _follow(call: Call, target: str, told: Told) -> Script[None]:
    token, timer = call.token("refer"), call.token("refer-patience")
    yield SendRefer(token, target)
    yield Arm(timer, PATIENCE)
    is_over = False
    try:
        while not is_over:
            match (yield None):
                case ReferAnswered(of, status) if of == token:
                    told.answered = status or 503
                    is_over = told.answered >= 300
                case ReferProgress(of, status, is_final) if of == token:
                    told.notified = status or told.notified
                    is_over = is_final
                case Fired(of) if of == timer:
                    return
    except Interrupted:
        yield Disarm(timer)
        raise
    yield Disarm(timer)
