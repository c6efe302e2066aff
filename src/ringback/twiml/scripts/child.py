"""A call that a Dial rang: place the leg, whisper, then be bridged until somebody ends it.

It tells its parent: ringing, answered, ready, ended. The parent tells it: bridged, release.
"""

from __future__ import annotations

from ringback.call.effects import Arm, Fact, Place, Tell, Unbridge, info
from ringback.call.events import Event, LegAnswered, LegRinging, Told
from ringback.call.script import (
    CALL_LIMIT,
    Call,
    Completed,
    Interrupted,
    LegGone,
    Redirected,
    Script,
    observed,
)
from ringback.call.setup import Page
from ringback.twiml.interpreter import DOCUMENT_ENDED, redirected_to, run_pages
from ringback.twiml.link import NO_POLICY, Link
from ringback.twiml.progress import Progress
from ringback.twiml.run import End, Goto, leg_answered
from ringback.twiml.scripts.ending import close, hang_up
from ringback.twiml.verbs.sound import send_digits

READY = "ready"


class Released(Interrupted):
    """The parent lets this call go."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


def child(call: Call) -> Script[None]:
    """The script of a dialed leg."""
    progress = Progress(call)
    parent = call.setup.parent_sid
    override = ""
    try:
        yield from _ring(call, progress)
        end = yield from _unless_released(parent, _prepare(call))
        why = end.why
        if why == READY:
            yield Tell(parent, "ready", {})
            why = yield from connected(call, Link(call, parent, NO_POLICY, run_pages))
    except LegGone:
        why = "the far end is gone"
    except Completed as completed:
        why, override = completed.event.why, "canceled"
    except Released as released:
        why, override = "released by its Dial", released.status
    except Redirected as redirected:
        # A program takes this leg out of the Dial: the parent goes on, and this call lives by itself.
        yield Unbridge()
        yield Tell(parent, "ended", _ending(call, "completed"))
        parent = ""
        why = yield from alone(call, redirected)
    yield from hang_up(call, why)
    yield from close(call, progress, override)
    if parent:
        yield Tell(parent, "ended", _ending(call, call.status))


def _ring(call: Call, progress: Progress) -> Script[None]:
    """Ring the far end until it answers. A Redirect that comes before is raised then."""
    setup = call.setup
    yield Place(list(setup.targets), setup.from_user, setup.from_domain, setup.display_name)
    yield from progress.tell("initiated")
    waiting: Redirected | None = None
    while True:
        try:
            event = yield None
        except Redirected as redirected:
            waiting = redirected
            continue
        match event:
            case LegRinging(_, early_media):
                if call.status != "ringing":
                    call.status = "ringing"
                    yield Fact({"status": "ringing"})
                yield from progress.tell("ringing")
                yield Tell(setup.parent_sid, "ringing", {"early_media": early_media})
            case LegAnswered():
                yield Arm(CALL_LIMIT, setup.time_limit)
                yield from leg_answered(call, event)
                yield from progress.tell("answered")
                if waiting is not None:
                    raise waiting
                yield Tell(setup.parent_sid, "answered", {})
                return
            case Told(sender, "release", data) if sender == setup.parent_sid:
                raise Released(data["status"])


def _prepare(call: Call) -> Script[End]:
    """What the callee is given before the bridge: digits, and the whisper document."""
    whisper = call.setup.page
    if call.setup.send_digits:
        yield from send_digits(call, call.setup.send_digits)
    if not whisper.url:
        return End(READY)
    yield info("call", f"whisper document {whisper.url}")
    end = yield from run_pages(call, whisper, segment="whisper")
    return End(READY) if end.why == DOCUMENT_ENDED else end


def _unless_released(parent: str, script: Script[End]) -> Script[End]:
    """Run a script; a release by the parent is thrown into it like any other interruption."""

    def judge(event: Event) -> Event | Interrupted:
        if isinstance(event, Told) and event.sender == parent and event.subject == "release":
            return Released(event.data["status"])
        return event

    return observed(script, judge)


def connected(call: Call, link: Link) -> Script[str]:
    """Be connected with the parent, or with who took its place: why this call is to end."""
    try:
        outcome = yield from _stay(call, link)
    except Interrupted:
        yield from link.close()
        raise
    yield from link.close()
    if isinstance(outcome, Goto):
        page = Page(outcome.url, outcome.method)
        try:
            end = yield from run_pages(call, page, params=outcome.params, fetched=outcome.fetched)
        except LegGone:
            return "the far end hung up"
        return end.why
    return "the other end hung up" if outcome is None else outcome.why


def _stay(call: Call, link: Link) -> Script[Goto | End | None]:
    parent = call.setup.parent_sid
    while not link.is_over:
        match (yield from link.next()):
            case Told(sender, "release", data) if sender == parent == link.partner:
                raise Released(data["status"])
            case event:
                outcome = yield from link.on(event)
                if outcome is not None:
                    return outcome
    return None


def alone(call: Call, redirected: Redirected) -> Script[str]:
    """Live on by the document that a program gave: why this call is to end."""
    try:
        end = yield from run_pages(call, redirected_to(redirected, Page()))
    except LegGone:
        return "the far end hung up"
    except Completed as completed:
        return completed.event.why
    return end.why


def _ending(call: Call, status: str) -> dict[str, object]:
    ended = call.ended
    return {
        "status": status,
        "answered": call.answered_at is not None,
        "duration": call.duration,
        "sip_call_id": ended.sip_call_id if ended else "",
        "sip_status": ended.status if ended else 200,
        "headers": ended.headers if ended else {},
    }
