"""What a SIP ending means in Twilio's words (sip.md section 3, "Status mapping")."""

from __future__ import annotations

from ringback.call.events import LegEnded

BUSY = frozenset({486, 600})
NO_ANSWER = frozenset({408, 480, 487})

DIAL_PREFERENCE = ("completed", "busy", "no-answer", "canceled", "failed")
"""Of several legs that all failed, the first of these that one of them met is the Dial's status."""


def status_of(ended: LegEnded, *, answered: bool, outgoing: bool) -> str:
    """CallStatus of a call whose leg ended so: completed, busy, no-answer, canceled or failed."""
    if answered:
        return "completed"
    if not outgoing:
        # The caller gave up before the answer; "canceled" is for the REST API alone.
        return "failed" if ended.cause in ("error", "no-ack", "unreachable") else "no-answer"
    if ended.cause == "unreachable":
        return "failed"
    if ended.cause == "timeout" or ended.status in NO_ANSWER:
        return "no-answer"
    if ended.status in BUSY:
        return "busy"
    return "failed"


def worst_first(statuses: list[str]) -> str:
    """The DialCallStatus of a Dial in which nobody answered; ``failed`` when nobody could be rung."""
    return next((status for status in DIAL_PREFERENCE if status in statuses), "failed")
