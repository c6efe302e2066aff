"""A call that a program started (REST: POST Calls): place the leg, run the document when it answers."""

from __future__ import annotations

from ringback.call.effects import Arm, Disarm, Fact, Place, Tell
from ringback.call.events import Fired, LegAnswered, LegRinging
from ringback.call.script import CALL_LIMIT, Call, Completed, Interrupted, LegGone, Redirected, Script
from ringback.call.setup import Page
from ringback.twiml.interpreter import redirected_to, run_pages
from ringback.twiml.progress import Progress
from ringback.twiml.run import leg_answered
from ringback.twiml.scripts.ending import close, hang_up
from ringback.twiml.verbs.sound import send_digits

RING_TIMEOUT = "ring-timeout"


def outbound(call: Call) -> Script[None]:
    """The script of a call that the REST API created."""
    progress = Progress(call)
    override = ""
    try:
        page = yield from _until_answered(call, progress)
        if page is not None:
            page = yield from _digits_first(call, page)
            end = yield from run_pages(call, page)
            why = end.why
        else:
            why, override = "not answered in time", "no-answer"
    except LegGone:
        why = "the far end is gone"
    except Completed as completed:
        why, override = completed.event.why, "canceled"
    yield from hang_up(call, why)
    yield from close(call, progress, override)


def _until_answered(call: Call, progress: Progress) -> Script[Page | None]:
    """Ring the far end: the page to run once it answered, or None if it did not in time."""
    setup = call.setup
    page = setup.page
    yield Place(list(setup.targets), setup.from_user, setup.from_domain, setup.display_name)
    yield Fact({"start_time": call.now})
    yield from progress.tell("initiated")
    yield Arm(RING_TIMEOUT, setup.timeout)
    while True:
        try:
            event = yield None
        except Redirected as redirected:
            # Still ringing: the new document is what runs at the answer.
            page = redirected_to(redirected, page)
            continue
        except Interrupted:
            yield Disarm(RING_TIMEOUT)
            raise
        match event:
            case LegRinging(_, early_media):
                if early_media and setup.conference:
                    yield Tell(setup.conference, "early-media", {})
                if call.status != "ringing":
                    call.status = "ringing"
                    yield Fact({"status": "ringing"})
                yield from progress.tell("ringing")
            case LegAnswered():
                yield Disarm(RING_TIMEOUT)
                yield Arm(CALL_LIMIT, setup.time_limit)
                yield leg_answered(call, event)
                yield from progress.tell("answered")
                return page
            case Fired(token) if token == RING_TIMEOUT:
                return None


def _digits_first(call: Call, page: Page) -> Script[Page]:
    """Send the digits that the REST API was given (SendDigits); the page to run after them."""
    if call.setup.send_digits:
        try:
            yield from send_digits(call, call.setup.send_digits)
        except Redirected as redirected:
            return redirected_to(redirected, page)
    return page
