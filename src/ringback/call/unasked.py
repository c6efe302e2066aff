"""What comes to a call that waits for nothing of the kind, and must be answered all the same.

A REFER to a call that is connected with no other is refused: nobody is there to be transferred; but where it names
another call of the far end (Replaces), who is connected with that one decides, as it would take this call's place. One of
a carrier is refused, which is no SIP endpoint at Twilio, and could send calls to dear numbers at the account's cost.
A call that came to be connected with this one, which has gone on or is ending, is told so; and one that would take over
what rings for it, or its place in a document: at once, or when the document has come.
Where a REFER names a call of the far end that still rings, or waits for its document, and comes on one that is connected with
nobody (in a conference, say), who is reached takes that one's place: the far end has its calls until then.
"""

from __future__ import annotations

from typing import Any

from ringback.call.effects import AnswerReferral, Effect, NotifyReferral, Tell, info, warning
from ringback.call.events import Complete, Event, LegReferred, Told
from ringback.call.outcome import failed_ending
from ringback.call.script import REPLACED, Call, Completed, Interrupted

UNASKED: frozenset[type[Any]] = frozenset((LegReferred, Told))
"""Events that ``declined`` looks at."""

_SUBJECTS = frozenset({"linked", "referral", "referred", "give", "await", "found"})

NOBODY: dict[str, Any] = {"children": [], "place": None}


def declined(call: Call, event: Event) -> list[Effect]:
    """The answer to an event that the script is not given; none if the script is to have it."""
    if type(event) is Told and event.subject not in _SUBJECTS:
        return []
    match event:
        case LegReferred(number) if _may_be_placed(call, event):
            if call.referral:
                return [AnswerReferral(number, 491)]
            call.referral, call.is_referral_accepted = number, False
            return [Tell(event.partner, "referred", referred(event, call.setup.sid, event.other))]
        case LegReferred(number) if _may_await(call, event):
            if call.referral:
                return [AnswerReferral(number, 491)]
            call.referral, call.is_referral_accepted = number, False
            return [Tell(event.other, "await", referred(event, call.setup.sid, event.other))]
        case Told(sender, "await", data):
            return _awaited(call, sender, data)
        case Told(_, "found", data) if data["number"] != call.referral:
            return [info("call", "who was to take its place has come too late")]
        case Told(_, "found", data) if data["partner"]:
            return [Tell(data["partner"], "referred", data)]
        case Told(_, "found", data):
            return _decided(call, refused(data["number"], "nobody was reached", 0, 480))
        case LegReferred(number, target) if not call.partner or not call.is_sip:
            why = "it is connected with nobody" if call.is_sip else "a carrier cannot transfer calls"
            text = f"the far end's REFER to {target} is refused with 603: {why}"
            return [AnswerReferral(number, 603), warning("call", text)]
        case Told(sender, "linked", _) if call.partner != sender:
            return [Tell(sender, "parted", {})]
        case Told(_, "referral", data) if data["number"] == call.referral:
            return _decided(call, data) or [info("call", "its transfer goes on")]
        case Told(sender, "referred", data) if not call.partner:
            return [Tell(sender, "referral", refused(data["number"], "nobody is there to be transferred"))]
        case Told(sender, "give", _) if call.is_fetching and not call.claimant and call.ended is None:
            call.claimant = sender
            return [Tell(sender, "given-later", {})]
        case Told(sender, "give", _) if not call.rings and not (call.partner and call.answered):
            return [Tell(sender, "given", NOBODY if call.ended else {**NOBODY, "place": _place(call)})]
    return []


def taken(call: Call, event: Event) -> Interrupted | None:
    """The end of a call that runs a document by itself, if the event says that its place was taken."""
    if type(event) is Told and event.subject == "transferred" and not call.partner and not call.rings:
        if call.answered_at is None:
            call.refusal = REPLACED
        return Completed(Complete("completed", event.data["why"]))
    return None


def referred(event: LegReferred, other: str, of: str) -> dict[str, Any]:
    """What who is to be transferred is told: ``of`` is the call that it is connected with, ``other`` where it is to go."""
    told = {"number": event.number, "target": event.target, "referred_by": event.referred_by}
    return {**told, "other": other, "of": of, "policy": ["", "POST", False]}


def refused(number: int, why: str, code: int = 0, status: int = 603) -> dict[str, Any]:
    """The refusal of a REFER, for the call of who sent it."""
    return {"number": number, "step": "answer", "status": status, "leave": False, "why": why, "code": code}


def _may_be_placed(call: Call, event: LegReferred) -> bool:
    """Whether the far end's other call is connected with somebody, who could take the place of this one."""
    stays = call.ended is None and call.transfer is None and not call.partner
    return stays and call.is_sip and bool(event.other and event.partner)


def _may_await(call: Call, event: LegReferred) -> bool:
    """Whether somebody may be reached by the far end's other call who could take the place of this one."""
    stays = call.ended is None and call.transfer is None and call.place is not None
    is_alone = not call.partner and not call.rings
    return stays and is_alone and call.is_sip and bool(event.other) and not event.partner


def _awaited(call: Call, by: str, data: dict[str, Any]) -> list[Effect]:
    """Another call of the far end waits for whom this one reaches, if it is about to reach anybody."""
    number = data["number"]
    if call.ended is not None or call.awaited is not None or not (call.rings or call.is_fetching):
        return [
            Tell(by, "referral", refused(number, "the other call is connected with nobody, and rings nobody"))
        ]
    call.awaited = {**data, "by": by}
    accepted = refused(number, "", 0, 202)
    return [
        Tell(by, "referral", accepted),
        Tell(by, "referral", {**accepted, "step": "progress", "status": 180}),
    ]


def found(call: Call, partner: str) -> list[Effect]:
    """Who was awaited is reached, or nobody is ("")."""
    awaited, call.awaited = call.awaited, None
    return [] if awaited is None else [Tell(awaited["by"], "found", {**awaited, "partner": partner})]


def given(call: Call) -> list[Effect]:
    """The document has come that another call is to run in the place of this one, or will not come."""
    claimant, call.claimant = call.claimant, ""
    return [Tell(claimant, "given", {**NOBODY, "place": _place(call)})]


def _decided(call: Call, data: dict[str, Any]) -> list[Effect]:
    """What the far end is told of its REFER; it is accepted once."""
    number, status = data["number"], data["status"]
    is_answer, was_accepted = data["step"] == "answer", call.is_referral_accepted
    call.is_referral_accepted = True
    if status >= (300 if is_answer else 200):
        call.referral = 0
    if is_answer and not was_accepted:
        return [AnswerReferral(number, status)]
    return [] if is_answer and status < 300 else [NotifyReferral(number, status)]


def _place(call: Call) -> dict[str, Any] | None:
    place = call.place
    if place is None or call.transfer is not None:
        return None
    return {"url": place.url, "method": place.method, "document": place.document, "verb": place.verb}


def undelivered(tell: Tell) -> Told | None:
    """What the sender of a message hears whose recipient is gone; None where that is as well."""
    recipient = tell.recipient
    match tell.subject:
        case "referred":
            return Told(
                recipient, "referral", refused(tell.data["number"], "who is to be transferred is gone")
            )
        case "linked":  # by a transfer
            return Told(recipient, "parted", {})
        case "give":
            return Told(recipient, "given", NOBODY)
        case "await":
            return Told(recipient, "referral", refused(tell.data["number"], "the other call is gone"))
        case "adopt":
            return Told(recipient, "ended", failed_ending(480))
        case "ready":
            return Told(recipient, "release", {"status": "canceled"})
    return None
