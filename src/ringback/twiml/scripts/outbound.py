"""A call that a program started (REST: POST Calls): place the leg, run the document when it answers."""

from __future__ import annotations

from ringback.call.effects import Arm, Disarm, Fact, Place
from ringback.call.events import Fired, LegAnswered, LegRinging
from ringback.call.script import CALL_LIMIT, Call, Completed, LegGone, Redirected, Script
from ringback.call.setup import Page
from ringback.twiml.interpreter import run_pages
from ringback.twiml.progress import Progress
from ringback.twiml.run import mark_answered
from ringback.twiml.scripts.ending import close, hang_up
from ringback.twiml.verbs.sound import send_digits


def outbound(call: Call) -> Script[None]:
    """The script of a call that the REST API created."""
    progress = Progress(call)
    override = ""
    why = "the document ended"
    try:
        page, override = yield from _until_answered(call, progress)
        if page is not None:
            end = yield from run_pages(call, page)
            why = end.why
        else:
            why = "not answered in time"
    except LegGone:
        why = "the far end is gone"
    except Completed as completed:
        why = completed.event.why
        override = completed.event.status if call.answered_at is None else ""
    yield from hang_up(call, why)
    yield from close(call, progress, override)


def _until_answered(call: Call, progress: Progress) -> Script[tuple[Page | None, str]]:
    """Ring the far end: the page to run once it answered, or None and the status if it did not."""
    setup = call.setup
    page = setup.page
    yield Place(list(setup.targets), setup.from_user, setup.from_domain, setup.display_name)
    yield from progress.tell("initiated")
    yield Arm("ring-timeout", setup.timeout)
    while True:
        try:
            event = yield None
        except Redirected as redirected:
            # Still ringing: the new document is what runs at the answer.
            given = redirected.event
            page = Page(given.url, given.method, page.fallback_url, page.fallback_method, given.document)
            continue
        match event:
            case LegRinging():
                if call.status != "ringing":
                    call.status = "ringing"
                    yield Fact({"status": "ringing"})
                yield from progress.tell("ringing")
            case LegAnswered(_, headers):
                call.parameters.update({f"SipHeader_{name}": value for name, value in headers.items()})
                yield Disarm("ring-timeout")
                yield Arm(CALL_LIMIT, setup.time_limit)
                yield from mark_answered(call)
                yield from progress.tell("answered")
                if setup.send_digits:
                    yield from send_digits(call, setup.send_digits)
                return page, ""
            case Fired("ring-timeout"):
                return None, "no-answer"
