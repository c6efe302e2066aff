"""Dial to a Conference (TwiML reference, "Conference")."""

from __future__ import annotations

from typing import Any

from ringback.call.effects import Arm, Disarm, JoinConference, LeaveConference, Tell, error, info
from ringback.call.events import Digit, Event, Fired, Told
from ringback.call.script import Interrupted, Script
from ringback.twiml.document import Element
from ringback.twiml.errors import NotYet, TwimlError
from ringback.twiml.run import Run
from ringback.twiml.transferor import reached
from ringback.twiml.verbs.callees import Result
from ringback.twiml.verbs.hold import hold


def conference(run: Run, noun: Element, dial: dict[str, Any]) -> Script[Result]:
    """Stay in the conference until it, the call, or the Dial ends: also by the Dial's timeLimit."""
    values = yield from run.attributes(noun)
    if not noun.text:
        raise TwimlError(13215, "Conference needs a name")
    if values["waitUrl"]:
        raise NotYet("Conference waitUrl")
    options = {
        "muted": values["muted"],
        "beep": values["beep"],
        "start_on_enter": values["startConferenceOnEnter"],
        "end_on_exit": values["endConferenceOnExit"],
        "max_participants": values["maxParticipants"],
        "label": values["participantLabel"],
        "status_callback": run.link(values["statusCallback"]) if values["statusCallback"] else "",
        "status_callback_method": values["statusCallbackMethod"],
        "status_callback_events": list(values["statusCallbackEvent"]),
        "conference_sid": run.call.new_sid("CF"),
        "replaces": run.replaces,
    }
    limit = run.call.token("conference-limit")
    yield JoinConference(noun.text[:128], options)
    sid = ""
    missed: list[Event] = []
    try:
        while True:
            event = missed.pop() if missed else (yield None)
            match event:
                case Told(sender, "held", data) if sender == sid:
                    after = yield from hold(run, sid, data, limit, star=dial["hangupOnStar"])
                    if after is not None:
                        missed.append(after)
                case Told(sender, "joined", _):
                    sid = sender
                    yield Arm(limit, dial["timeLimit"])
                    yield from reached(run.call)
                    yield info("call", f"joined the conference {noun.text}")
                case Told(_, "refused", data):
                    yield error("call", data["text"], data["code"])
                    return Result("failed", in_conference=True)
                case Told(sender, "conference-ended" | "removed", _) if sender == sid:
                    yield Disarm(limit)
                    return Result("answered", in_conference=True)
                case Fired(token) if token == limit:
                    yield info("call", f"the time limit of the Dial, {dial['timeLimit']} s, is over")
                    yield LeaveConference(sid)
                    return Result("answered", in_conference=True)
                case Digit("*") if dial["hangupOnStar"] and sid:
                    yield Disarm(limit)
                    yield LeaveConference(sid)
                    return Result("answered", in_conference=True)
                case Digit(digit) if sid:
                    yield Tell(sid, "digit", {"digit": digit})
    except Interrupted:
        # Also before "joined" came: the conference may have let the call in already.
        yield Disarm(limit)
        yield LeaveConference(sid)
        raise
