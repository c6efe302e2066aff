"""A call passed through by the sandbox carrier: signalling only, the sound goes directly from end to end.

As the telephone network brings a call from one subscriber to another: what one side says the other is told.
"""

from __future__ import annotations

from ringback.call.leg_effects import LegEffect
from ringback.sip import effects as sip
from ringback.sip.session import InviteSession


class Through:
    """Two sessions that mirror each other; ``caller`` came in, ``callee`` is set once it is placed."""

    def __init__(self, caller: InviteSession) -> None:
        self.caller = caller
        self.callee: InviteSession | None = None
        caller.owner = self

    def on(self, effect: sip.Effect, now: float) -> list[LegEffect]:
        """What the agent says of either session."""
        match effect:
            case sip.Ringing(_, response, body):
                return list(self.caller.progress(response.status, now, body=body))
            case sip.Established(_, _, body):
                return list(self.caller.answer(body, now))
            case sip.Reoffered(session, _, body):
                other = self._other(session)
                if other is None or not other.is_confirmed:
                    return list(session.refuse_reoffer(491, now))
                return list(other.reinvite(body, now))
            case sip.Reanswered(session, body):
                other = self._other(session)
                return [] if other is None else list(other.accept_reoffer(body, now))
            case sip.ReofferFailed(session, status):
                other = self._other(session)
                return [] if other is None else list(other.refuse_reoffer(status, now))
            case sip.Ended(session, _, status, _, _):
                other = self._other(session)
                if other is None or other.is_over:
                    return []
                if other.is_incoming:
                    return list(other.reject(status if status >= 400 else 480, now))
                return list(other.hangup(now))
        return []

    def _other(self, session: InviteSession) -> InviteSession | None:
        return self.callee if session is self.caller else self.caller
