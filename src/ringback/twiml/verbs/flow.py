"""Pause, Hangup, Reject and Redirect (TwiML reference)."""

from __future__ import annotations

from ringback.call.effects import Ring, warning
from ringback.call.script import Refusal, Script
from ringback.call.script import pause as let_pass
from ringback.twiml.document import Element
from ringback.twiml.run import End, Goto, Outcome, Run, ensure_ended_well

REJECTIONS = {"rejected": Refusal(603, "Decline", "no-answer"), "busy": Refusal(486, "Busy Here", "busy")}
"""By reason (Twilio: Reject)."""


def pause(run: Run, element: Element) -> Script[Outcome]:
    """Wait silently. A call that nothing has answered yet rings that long: a Pause needs no sound."""
    values = yield from run.attributes(element)
    if run.call.answered_at is None:
        yield Ring(False)
    yield from let_pass(run.call, values["length"])
    return None


def hangup(run: Run, element: Element) -> Script[Outcome]:
    """End the call. One that was not answered is answered first, as Twilio does; Reject is the way not to."""
    yield from run.attributes(element)
    yield from ensure_ended_well(run.call)
    return End("Hangup")


def reject(run: Run, element: Element) -> Script[Outcome]:
    """Refuse the call without answering it; of a call that was answered it is a Hangup."""
    values = yield from run.attributes(element)
    call = run.call
    if call.answered_at is not None or call.setup.kind != "inbound":
        yield warning("twiml", "Reject comes after the call was answered; it hangs up")
        return End("Reject")
    call.refusal = REJECTIONS[values["reason"]]
    return End(f"Reject {values['reason']}")


def redirect(run: Run, element: Element) -> Script[Outcome]:
    """Go on with another document; an empty one is this one again."""
    values = yield from run.attributes(element)
    return Goto(run.link(element.text), values["method"], [])
