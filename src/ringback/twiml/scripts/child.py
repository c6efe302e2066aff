"""A call that a Dial rang: place the leg, whisper, then be bridged until somebody ends it.

It tells its parent: ringing, answered, ready, ended. The parent tells it: release. By a transfer another call may adopt
it before it is ready: that one is its parent then, and whose Dial it was hears no more than its end.
"""

from __future__ import annotations

from typing import Any

from ringback.call.effects import Arm, Effect, Fact, Place, Tell, Unbridge, info
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


class Parent:
    """The call that this one rings for."""

    __slots__ = ("_call", "sid")

    def __init__(self, call: Call) -> None:
        self._call = call
        self.sid = call.setup.parent_sid

    def tell(self, subject: str, data: dict[str, Any]) -> Tell:
        """A message to it."""
        return Tell(self.sid, subject, data)

    def ended(self, status: str) -> list[Effect]:
        """The end of this call, for its parent and the one that started it; nobody is its parent after that."""
        parent, starter = self.sid, self._call.setup.parent_sid
        self.sid = ""
        if not parent:
            return []
        ending = _ending(self._call, status)
        told: list[Effect] = [Tell(parent, "ended", ending)]
        return told if starter == parent else [*told, Tell(starter, "ended", ending)]


class Released(Interrupted):
    """The parent lets this call go."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


def child(call: Call) -> Script[None]:
    """The script of a dialed leg."""
    progress = Progress(call)
    parent = Parent(call)
    override = ""
    try:
        yield from _ring(call, parent, progress)
        end = yield from _unless_released(parent, _prepare(call))
        why = end.why
        if why == READY:
            yield parent.tell("ready", {})
            why = yield from connected(call, Link(call, parent.sid, NO_POLICY, run_pages), parent)
    except LegGone:
        why = "the far end is gone"
    except Completed as completed:
        why, override = completed.event.why, "canceled"
    except Released as released:
        why, override = "released by its Dial", released.status
    except Redirected as redirected:
        # A program takes this leg out of the Dial: the parent goes on, and this call lives by itself.
        yield Unbridge()
        yield from parent.ended("completed")
        why = yield from alone(call, redirected)
    yield from hang_up(call, why)
    yield from close(call, progress, override)
    yield from parent.ended(call.status)


def _ring(call: Call, parent: Parent, progress: Progress) -> Script[None]:
    """Ring the far end until it answers. A Redirect that comes before is raised then."""
    setup = call.setup
    call.partner = parent.sid
    rung: dict[str, Any] = {}
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
                rung = {"early_media": early_media}
                yield parent.tell("ringing", rung)
            case LegAnswered():
                call.partner = ""
                yield Arm(CALL_LIMIT, setup.time_limit)
                yield leg_answered(call, event)
                yield from progress.tell("answered")
                if waiting is not None:
                    raise waiting
                yield parent.tell("answered", _answer(call, event))
                return
            case Told(sender, "adopt", _):
                parent.sid = call.partner = sender
                if rung:
                    yield parent.tell("ringing", rung)
            case Told(sender, "release", data) if sender == parent.sid:
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


def _unless_released(parent: Parent, script: Script[End]) -> Script[End]:
    """Run a script; a release by the parent is thrown into it like any other interruption."""

    def judge(event: Event) -> Event | Interrupted | None:
        match event:
            case Told(sender, "release", data) if sender == parent.sid:
                return Released(data["status"])
            case Told(sender, "adopt", _):
                parent.sid = sender
                return None
        return event

    return observed(script, judge)


def connected(call: Call, link: Link, parent: Parent | None = None) -> Script[str]:
    """Be connected with the parent, or with who took its place: why this call is to end."""
    try:
        outcome = yield from _stay(link, "" if parent is None else parent.sid)
    except Interrupted:
        yield from link.close()
        raise
    yield from link.close()
    if isinstance(outcome, Goto):
        return (yield from run_on(call, outcome))
    return "the other end hung up" if outcome is None else outcome.why


def run_on(call: Call, goto: Goto) -> Script[str]:
    """Run documents from there: why this call is to end."""
    page = Page(goto.url, goto.method)
    try:
        end = yield from run_pages(call, page, params=goto.params, fetched=goto.fetched, start=goto.start)
    except LegGone:
        return "the far end hung up"
    return end.why


def _stay(link: Link, parent: str) -> Script[Goto | End | None]:
    while not link.is_over:
        event = link.missed.pop(0) if link.missed else (yield None)
        if type(event) is Told and event.subject == "release" and event.sender == parent == link.partner:
            raise Released(event.data["status"])
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


def _answer(call: Call, event: LegAnswered) -> dict[str, Any]:
    """What the Dial's action is given should the parent not wait for this call's end."""
    if not call.setup.to.startswith("sip:"):
        return {}
    return {"sip_call_id": event.sip_call_id, "headers": event.headers}


def _ending(call: Call, status: str) -> dict[str, Any]:
    ended = call.ended
    return {
        "status": status,
        "answered": call.answered_at is not None,
        "duration": call.duration,
        "sip_call_id": ended.sip_call_id if ended else "",
        "sip_status": ended.status if ended else 200,
        "headers": ended.headers if ended else {},
    }
