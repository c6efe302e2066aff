"""What comes to a call that waits for nothing of the kind, and must be answered all the same.

A REFER to a call that is connected with no other is refused: nobody is there to be transferred; and one of a carrier,
which is no SIP endpoint at Twilio, and could send calls to dear numbers at the account's cost. A call that came to
be connected with this one, which has gone on or is ending, is told so; and one that would take over what rings for it.
"""

from __future__ import annotations

from typing import Any

from ringback.call.effects import AnswerReferral, Effect, Tell, warning
from ringback.call.events import Event, LegReferred, Told
from ringback.call.outcome import failed_ending
from ringback.call.script import Call

UNASKED: frozenset[type[Any]] = frozenset((LegReferred, Told))
"""Events that ``declined`` looks at."""

NOBODY: dict[str, Any] = {"children": []}


def declined(call: Call, event: Event) -> list[Effect]:
    """The answer to an event that the script is not given; none if the script is to have it."""
    match event:
        case LegReferred(number, target) if not call.partner or not call.is_sip:
            why = "it is connected with nobody" if call.is_sip else "a carrier cannot transfer calls"
            text = f"the far end's REFER to {target} is refused with 603: {why}"
            return [AnswerReferral(number, 603), warning("call", text)]
        case Told(sender, "linked", _) if call.partner != sender:
            return [Tell(sender, "parted", {})]
        case Told(sender, "give", _) if not call.rings and not (call.partner and call.answered):
            return [Tell(sender, "given", NOBODY)]
    return []


def undelivered(recipient: str, subject: str) -> Told | None:
    """What the sender of a message hears whose recipient is gone; None where that is as well."""
    match subject:
        case "linked":  # by a transfer
            return Told(recipient, "parted", {})
        case "give":
            return Told(recipient, "given", NOBODY)
        case "adopt":
            return Told(recipient, "ended", failed_ending(480))
        case "ready":
            return Told(recipient, "release", {"status": "canceled"})
    return None
