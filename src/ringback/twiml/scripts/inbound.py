"""A call that came in: ask the voice URL, run its document, hang up at its end."""

from __future__ import annotations

from ringback.call.effects import Arm
from ringback.call.script import CALL_LIMIT, Call, Completed, LegGone, Script
from ringback.twiml.interpreter import run_pages
from ringback.twiml.progress import Progress
from ringback.twiml.scripts.ending import close, hang_up


def inbound(call: Call) -> Script[None]:
    """The script of an incoming call. One whose INVITE was refused already is only recorded."""
    progress = Progress(call)
    why = override = ""
    if call.ended is None:
        yield Arm(CALL_LIMIT, call.setup.time_limit)
        try:
            end = yield from run_pages(call, call.setup.page)
            why = end.why
            override = call.refusal.call_status if call.refusal else ""
        except LegGone:
            why = "the caller hung up"
        except Completed as completed:
            why, override = completed.event.why, "canceled"
    yield from hang_up(call, why)
    yield from close(call, progress, override)
