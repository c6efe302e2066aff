"""What a SIP ending means in Twilio's words (sip.md section 3, "Status mapping")."""

from __future__ import annotations

from typing import Any

from ringback.call.events import LegEnded

BUSY = frozenset({486, 600})
NO_ANSWER = frozenset({408, 480, 487})
UNUSABLE_OFFER = frozenset({400, 488})

DIAL_PREFERENCE = ("completed", "no-answer", "busy", "canceled", "failed")
"""Of several legs that were not bridged, the first of these that one of them met is the Dial's status.

Twilio does not say. A leg that somebody picked up comes first (he declined in the whisper document); then one
that rang out, because that is what ended the Dial; a program that reads ``failed`` may trust that nothing rang.
"""


def status_of(ended: LegEnded, *, answered: bool, outgoing: bool) -> str:
    """CallStatus of a call whose leg ended so: completed, busy, no-answer, canceled or failed."""
    if answered:
        return "completed"
    if not outgoing:
        # The caller gave up before the answer; "canceled" is for the REST API alone.
        if ended.cause in ("error", "no-ack", "unreachable") or ended.status in UNUSABLE_OFFER:
            return "failed"
        return "no-answer"
    if ended.cause == "unreachable":
        return "failed"
    if ended.cause == "timeout" or ended.status in NO_ANSWER:
        return "no-answer"
    if ended.status in BUSY:
        return "busy"
    return "failed"


def dial_status(statuses: list[str]) -> str:
    """The DialCallStatus of a Dial that bridged nobody; ``failed`` when nobody could be rung."""
    return next((status for status in DIAL_PREFERENCE if status in statuses), "failed")


def failed_ending(sip_status: int) -> dict[str, Any]:
    """What a parent is told of a leg that could not be run to its end."""
    return {
        "status": "failed",
        "answered": False,
        "duration": 0,
        "sip_call_id": "",
        "sip_status": sip_status,
        "headers": {},
    }


_RANKS = {486: 1, 480: 2, 408: 3, 487: 4}


def failure_rank(cause: str, status: int) -> tuple[int, int]:
    """The least of several branches' speaks for all: 6xx, busy, no answer, the rest (RFC 3261 section 16.7 step 6)."""
    rank = 0 if status >= 600 else _RANKS.get(status, 5)
    return (rank if cause == "rejected" else 6, status)
