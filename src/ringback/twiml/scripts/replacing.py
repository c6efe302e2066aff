"""A call that takes the place of another one (INVITE with Replaces, RFC 3891): no document, the other's partner.

The place may be that of a phone which still rings: then the ringing is picked up. Or that of a caller for whom others
still ring: then they ring on for this one. Or that of who is in a document, a conference for one: then it runs on here.
"""

from __future__ import annotations

from ringback.call.effects import Answer, Arm, Tell, Unbridge, info
from ringback.call.script import CALL_LIMIT, Call, Completed, LegGone, Redirected, Script
from ringback.twiml.interpreter import run_pages
from ringback.twiml.link import NO_POLICY, Link
from ringback.twiml.progress import Progress
from ringback.twiml.run import Goto, mark_answered
from ringback.twiml.scripts.child import alone, connected, run_on
from ringback.twiml.scripts.ending import close, hang_up


def replacing(call: Call) -> Script[None]:
    """The script of a call that replaces ``setup.replaces``, and is connected with ``setup.partner``, if there is one yet."""
    progress = Progress(call)
    why = ""
    if call.ended is None:
        yield Arm(CALL_LIMIT, call.setup.time_limit)
        try:
            why = yield from _take(call)
        except LegGone:
            why = "the caller hung up"
        except Completed as completed:
            why = completed.event.why
        except Redirected as redirected:
            yield Unbridge()
            why = yield from alone(call, redirected)
    yield from hang_up(call, why)
    yield from close(call, progress)


def _take(call: Call) -> Script[str]:
    setup = call.setup
    yield info("call", f"takes the place of {setup.replaces} (Replaces)")
    yield Answer()
    yield mark_answered(call)
    link = Link(call, setup.partner, NO_POLICY, run_pages)
    if not setup.partner:
        outcome = yield from link.take_over(setup.replaces)
        if isinstance(outcome, Goto):
            return (yield from run_on(call, outcome))
        if not outcome:
            return "nobody was reached"
    else:
        yield Tell(setup.partner, "join", {"with": setup.sid})
        yield Tell(setup.replaces, "transferred", {"why": f"{setup.sid} took its place"})
        yield from link.join(setup.partner)
    return (yield from connected(call, link))
