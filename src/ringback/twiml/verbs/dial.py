"""Dial: ring somebody, and connect the first who answers (TwiML reference, "Dial"; semantics, "Dial").

::

    plan nouns --> ring (all at once, or one after another) --ready--> bridge --> ended
                     |  timeout, all failed                               |
                     +-----------------------> status <-------------------+--> action, or the next verb

Each noun is a child call with an actor of its own, which places the leg, runs the whisper document and
tells: initiated, ringing, answered, ready, ended. The first that is *ready* is bridged; the others are
cancelled. What interrupts a Dial (the caller hangs up, a program redirects) releases every child.
"""

from __future__ import annotations

from typing import Any

from ringback.call.effects import Notify, Ring, error, warning
from ringback.call.limits import MAX_PARALLEL_NOUNS
from ringback.call.script import Completed, LegGone, Script
from ringback.twiml.document import Element
from ringback.twiml.errors import NotYet, TwimlError
from ringback.twiml.link import NO_POLICY, Policy
from ringback.twiml.parameters import standard
from ringback.twiml.ringing import REFUSALS
from ringback.twiml.run import Goto, Outcome, Run, ensure_answered
from ringback.twiml.schema import LATER, read_attributes
from ringback.twiml.verbs.callees import Callees, Result
from ringback.twiml.verbs.conference import conference
from ringback.twiml.verbs.nouns import Noun, plan_noun

NOUNS = frozenset(("Number", "Sip"))
"""Those that are rung."""

TIMEOUT_BUFFER = 5.0
"""Seconds that Twilio adds to a Dial's timeout (Dial, "timeout")."""


def dial(run: Run, element: Element) -> Script[Outcome]:
    """Dial what the element holds; give the action its result, or go on."""
    values, odd = read_attributes(element)
    if odd:
        yield from run.warn(*odd)
    action = run.link(values["action"]) if values["action"] else ""
    rooms = [child for child in element.children if child.name == "Conference"]
    refer = run.link(values["referUrl"]) if values["referUrl"] else ""
    policy = Policy(refer, values["referMethod"], values["answerOnBridge"]) if refer else NO_POLICY
    callees = Callees(run, values, policy)
    try:
        if rooms:
            yield from ensure_answered(run.call)
            result = yield from conference(run, rooms[0], values)
        else:
            result = yield from _dial_nouns(callees, element, values)
    except (LegGone, Completed):
        if action:
            gone = Result("answered", in_conference=True) if rooms else callees.aborted()
            status = "no-answer" if run.call.answered_at is None else "completed"
            yield Notify(action, values["method"], [*standard(run.call, status), *gone.parameters()])
        raise
    if result.outcome is not None:
        return result.outcome
    if not result.bridged and not rooms:
        run.call.refusal = REFUSALS[result.status]
        if run.call.transfer is not None:
            run.call.transfer.failure = run.call.refusal.status
    if action:
        return Goto(action, values["method"], result.parameters())
    return None


def _nouns_of(element: Element) -> list[Element]:
    """The nouns of a Dial; its own text is a Number. Raises TwimlError."""
    nouns = [child for child in element.children if child.name in NOUNS]
    if not nouns and element.text:
        nouns.append(Element("Number", {}, (element.text,)))
    if len(nouns) > MAX_PARALLEL_NOUNS:
        raise TwimlError(13250, f"Dial holds {len(nouns)} nouns; the limit is {MAX_PARALLEL_NOUNS}")
    return nouns


def _dial_nouns(callees: Callees, element: Element, values: dict[str, Any]) -> Script[Result]:
    run = callees.run
    if not values["answerOnBridge"]:
        yield from ensure_answered(run.call)
    nouns: list[Noun] = []
    for child in element.children:
        if child.name in LATER:
            raise NotYet(f"<Dial><{child.name}>")
        if child.name not in NOUNS:
            text = f"Dial cannot hold <{child.name[:60]}>; it is skipped"
            yield from run.warn(warning("twiml", text, 13215))
    for child in _nouns_of(element):
        noun = yield from plan_noun(run, child, values["callerId"])
        if noun is not None:
            nouns.append(noun)
    if not nouns:
        yield error("twiml", "Dial: there is nobody to ring")
        return Result("failed")
    if run.call.answered_at is None:
        yield Ring(False)
    rounds = [[noun] for noun in nouns] if values["sequential"] else [nouns]
    result = Result("failed")
    for together in rounds:
        result = yield from callees.ring(together, values["timeout"] + TIMEOUT_BUFFER)
        if result.status in ("completed", "canceled"):  # picked up, or the caller pressed *
            break
    return result
