"""Dial to a Conference (TwiML reference, "Conference")."""

from __future__ import annotations

from typing import Any

from ringback.call.conference import BY_API, HUNG_UP
from ringback.call.effects import Arm, Disarm, Effect, JoinConference, LeaveConference, error, info
from ringback.call.events import Digit, Fired, Told
from ringback.call.script import Interrupted, LegGone, Redirected, Script
from ringback.twiml.document import Element
from ringback.twiml.errors import TwimlError
from ringback.twiml.run import Run
from ringback.twiml.transferor import reached
from ringback.twiml.verbs.beside import Beside
from ringback.twiml.verbs.callees import Result

LEFT = Result("answered", in_conference=True)
FAILED = Result("failed", in_conference=True)


def conference(run: Run, noun: Element, dial: dict[str, Any]) -> Script[Result]:
    """Stay in the conference until it, the call, or the Dial ends: also by the Dial's timeLimit."""
    values = yield from run.attributes(noun)
    if not noun.text:
        raise TwimlError(13215, "Conference needs a name")
    limit = run.call.token("conference-limit")
    beside = Beside(run, limit, star=dial["hangupOnStar"])
    yield JoinConference(noun.text[:128], _options(run, values))
    sid = ""
    try:
        while True:
            event = yield from beside.next()
            match event:
                case Told(sender, "joined", _):
                    sid = sender
                    beside.joined(sid)
                    yield Arm(limit, dial["timeLimit"])
                    yield from reached(run.call)
                    yield info("call", f"joined the conference {noun.text}")
                case Told(_, "refused", data):
                    yield error("call", data["text"], data["code"])
                    return FAILED
                case Told(sender, "hear", data) if sender == sid:
                    beside.hear(data)
                case Told(sender, "announce", data) if sender == sid:
                    yield from beside.announce(data)
                case Told(sender, "conference-ended" | "removed", _) if sender == sid:
                    yield Disarm(limit)
                    return LEFT
                case Fired(token) if token == limit:
                    yield info("call", f"the time limit of the Dial, {dial['timeLimit']} s, is over")
                    yield LeaveConference(sid, HUNG_UP, "in-progress")
                    return LEFT
                case Digit("*") if dial["hangupOnStar"] and sid:
                    yield from _leave(limit, sid)
                    return LEFT
                case None:
                    yield error("call", "the conference is not established without what to wait with")
                    yield from _leave(limit, sid)
                    return FAILED
    except Interrupted as interrupt:
        # Also before "joined" came: the conference may have let the call in already.
        yield Disarm(limit)
        yield _gone(sid, interrupt)
        raise


def _options(run: Run, values: dict[str, Any]) -> dict[str, Any]:
    """What the conference is told of who comes."""
    return {
        "muted": values["muted"],
        "beep": values["beep"],
        "start_on_enter": values["startConferenceOnEnter"],
        "end_on_exit": values["endConferenceOnExit"],
        "max_participants": values["maxParticipants"],
        "label": values["participantLabel"],
        "coach": values["coach"],
        "wait_url": run.link(values["waitUrl"]) if values["waitUrl"] else values["waitUrl"],
        "wait_method": values["waitMethod"],
        "region": values["region"],
        "status_callback": run.link(values["statusCallback"]) if values["statusCallback"] else "",
        "status_callback_method": values["statusCallbackMethod"],
        "status_callback_events": list(values["statusCallbackEvent"]),
        "conference_sid": run.call.new_sid("CF"),
        "replaces": run.replaces,
    }


def _leave(limit: str, sid: str) -> list[Effect]:
    return [Disarm(limit), LeaveConference(sid, HUNG_UP, "in-progress")]


def _gone(sid: str, interrupt: Interrupted) -> LeaveConference:
    """Why it leaves, and what becomes of its call."""
    is_gone = isinstance(interrupt, LegGone)
    goes_on = isinstance(interrupt, Redirected)
    return LeaveConference(sid, HUNG_UP if is_gone else BY_API, "in-progress" if goes_on else "completed")
