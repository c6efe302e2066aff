"""How every call's script ends: the leg goes, the record closes, the last callback is sent."""

from __future__ import annotations

from ringback.call.effects import AnswerReferral, Disarm, Effect, HangUp, NotifyReferral, Refuse, info
from ringback.call.events import LegEnded
from ringback.call.outcome import status_of
from ringback.call.script import CALL_LIMIT, Call, Completed, LegGone, Redirected, Script
from ringback.call.unasked import found, given
from ringback.twiml.progress import Progress


def hang_up(call: Call, why: str) -> Script[LegEnded]:
    """End the leg if it still lives, and wait until it has ended; nothing stops this any more.

    A caller who was never answered gets the refusal that the document led to, if it led to one.
    """
    call.place, call.is_fetching = None, False
    if call.claimant:
        yield from given(call)
    if call.awaited is not None:
        yield from found(call, "")
    if call.ended is None:
        if call.referral and call.is_referral_accepted:
            yield NotifyReferral(call.referral, 487 if call.refusal is None else call.refusal.status)
        elif call.referral:
            yield AnswerReferral(call.referral, 603)
        call.referral = 0
        if call.refusal is not None and call.answered_at is None:
            yield Refuse(call.refusal.status, call.refusal.reason)
        else:
            yield HangUp(why)
    while call.ended is None:
        try:
            yield None
        except (LegGone, Redirected, Completed):
            continue
    return call.ended


def close(call: Call, progress: Progress, override: str = "") -> list[Effect]:
    """Close the record of a call whose leg has ended. ``override`` is a status known better, if unanswered."""
    ended = call.ended
    assert ended is not None
    answered = call.answered_at is not None
    out: list[Effect] = [Disarm(CALL_LIMIT)] if answered or call.setup.kind == "inbound" else []
    found = status_of(ended, answered=answered, outgoing=call.setup.kind != "inbound")
    status = found if answered or not override else override
    why = f"{ended.cause}, {ended.status} {ended.reason}" if ended.status else ended.cause
    out.append(info("call", f"ended: {status} ({why})"))
    return out + progress.complete(status, ended.status)
