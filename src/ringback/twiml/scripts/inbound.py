"""A call that came in: ask the voice URL, run its document, hang up at its end."""

from __future__ import annotations

from ringback.call.effects import Arm
from ringback.call.script import CALL_LIMIT, Call, Completed, LegGone, Script
from ringback.twiml.interpreter import run_pages
from ringback.twiml.progress import Progress
from ringback.twiml.scripts.ending import close, hang_up

FINAL_REFUSALS = ("busy", "no-answer")


def inbound(call: Call) -> Script[None]:
    """The script of an incoming call."""
    progress = Progress(call)
    yield Arm(CALL_LIMIT, call.setup.time_limit)
    try:
        end = yield from run_pages(call, call.setup.page)
        why = end.why
    except LegGone:
        why = "the caller hung up"
    except Completed as completed:
        why = completed.event.why
        if call.answered_at is None:
            call.status = completed.event.status
    yield from hang_up(call, why)
    override = call.status if call.status in (*FINAL_REFUSALS, "canceled") else ""
    yield from close(call, progress, override)
