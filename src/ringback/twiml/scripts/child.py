"""A call that a Dial rang: place the leg, whisper, then be bridged until somebody ends it.

It tells its parent: ringing, answered, ready, ended. The parent tells it: bridged, release.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NoReturn

from ringback.call.effects import Arm, Effect, Fact, Place, Tell, Unbridge, info
from ringback.call.events import LegAnswered, LegRinging, Told
from ringback.call.script import CALL_LIMIT, Call, Completed, Interrupted, LegGone, Redirected, Script
from ringback.call.setup import Page
from ringback.twiml.interpreter import DOCUMENT_ENDED, redirected_to, run_pages
from ringback.twiml.progress import Progress
from ringback.twiml.run import End, leg_answered
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
        if end.why == READY:
            yield Tell(parent, "ready", {})
            yield from _bridged(call)
        why = end.why
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
        why = yield from _alone(call, redirected)
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
    step: Callable[[], Effect | None] = partial(next, script)
    while True:
        try:
            effect = step()
        except StopIteration as stop:
            end: End = stop.value
            return end
        if effect is not None:
            yield effect
            step = partial(next, script)
            continue
        try:
            event = yield None
        except Interrupted as interrupt:
            step = partial(script.throw, interrupt)
            continue
        if isinstance(event, Told) and event.sender == parent and event.subject == "release":
            step = partial(script.throw, Released(event.data["status"]))
        else:
            step = partial(script.send, event)


def _bridged(call: Call) -> Script[NoReturn]:
    """Be connected with the parent; only an interruption ends this."""
    while True:
        match (yield None):
            case Told(sender, "release", data) if sender == call.setup.parent_sid:
                raise Released(data["status"])


def _alone(call: Call, redirected: Redirected) -> Script[str]:
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
