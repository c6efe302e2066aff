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

from ringback.call.effects import Arm, Disarm, Notify, Ring, error, info, warning
from ringback.call.limits import MAX_PARALLEL_NOUNS
from ringback.call.script import Interrupted, LegGone, Script
from ringback.twiml.document import Element
from ringback.twiml.errors import NotYet, TwimlError
from ringback.twiml.parameters import standard
from ringback.twiml.run import Goto, Outcome, Run, ensure_answered
from ringback.twiml.schema import LATER
from ringback.twiml.verbs.conference import conference
from ringback.twiml.verbs.nouns import Noun, plan_noun
from ringback.twiml.verbs.ringing import Result, Ringing, ringing_result

TIMEOUT_BUFFER = 5.0
"""Seconds that Twilio adds to a Dial's timeout (Dial, "timeout")."""


def dial(run: Run, element: Element) -> Script[Outcome]:
    """Dial what the element holds; give the action its result, or go on."""
    values = yield from run.attributes(element)
    action = run.link(values["action"]) if values["action"] else ""
    rooms = [child for child in element.children if child.name == "Conference"]
    if rooms:
        yield from ensure_answered(run.call)
        result = yield from conference(run, rooms[0], values)
    else:
        try:
            result = yield from _dial_nouns(run, element, values)
        except LegGone:
            if action:
                gone = ringing_result(run).parameters()
                yield Notify(action, values["method"], [*standard(run.call, "completed"), *gone])
            raise
    if action:
        return Goto(action, values["method"], result.parameters())
    return None


def _nouns_of(element: Element) -> Script[list[Element]]:
    """The nouns of a Dial; its own text is a Number. Raises TwimlError."""
    nouns = []
    for child in element.children:
        if child.name in ("Number", "Sip"):
            nouns.append(child)
        elif child.name in LATER:
            raise NotYet(f"<Dial><{child.name}>")
        else:
            yield warning("twiml", f"Dial cannot hold <{child.name[:60]}>; it is skipped", 13215)
    if not nouns and element.text:
        nouns.append(Element("Number", {}, (element.text,)))
    if len(nouns) > MAX_PARALLEL_NOUNS:
        raise TwimlError(13250, f"Dial holds {len(nouns)} nouns; the limit is {MAX_PARALLEL_NOUNS}")
    return nouns


def _dial_nouns(run: Run, element: Element, values: dict[str, Any]) -> Script[Result]:
    nouns: list[Noun] = []
    for child in (yield from _nouns_of(element)):
        noun = yield from plan_noun(run, child, values["callerId"])
        if noun is not None:
            nouns.append(noun)
    if not nouns:
        yield error("twiml", "Dial: there is nobody to ring")
        return Result("failed")
    ringing = Ringing(run, values)
    if values["answerOnBridge"]:
        if run.call.answered_at is None:
            yield Ring(False)
    else:
        yield from ensure_answered(run.call)
    try:
        if values["sequential"]:
            result = yield from _one_by_one(ringing, nouns, values["timeout"])
        else:
            result = yield from _ring(ringing, nouns, values["timeout"])
    except Interrupted as interrupt:
        status = "canceled" if isinstance(interrupt, LegGone) else "completed"
        yield from ringing.release_all(status)
        raise
    return result


def _one_by_one(ringing: Ringing, nouns: list[Noun], timeout: int) -> Script[Result]:
    result = Result("failed")
    for noun in nouns:
        result = yield from _ring(ringing, [noun], timeout)
        if result.answered:
            break
    return result


def _ring(ringing: Ringing, nouns: list[Noun], timeout: int) -> Script[Result]:
    """Ring these nouns at once; after the first answer stay until that leg ends."""
    call = ringing.run.call
    timer = call.token("dial-timeout")
    yield from ringing.start(nouns)
    yield Arm(timer, timeout + TIMEOUT_BUFFER)
    winner = yield from ringing.wait_for_ready(timer)
    yield Disarm(timer)
    if winner is None:
        yield info("call", f"Dial: {ringing.status()}")
        return ringing.result()
    return (yield from ringing.connect(winner))
