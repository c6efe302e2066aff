"""Transfers among the calls of this server: whose REFER may name whom, and whose place an INVITE may take."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ringback.call import effects as fx
from ringback.call import events
from ringback.call.leg import Leg
from ringback.call.leg_effects import LegEffect, Transfer
from ringback.shell.live import LiveCall
from ringback.sip.session import InviteSession

if TYPE_CHECKING:
    from ringback.shell.calls import Calls


class CallTransfers:
    """REFER and Replaces, between calls and their legs."""

    def __init__(
        self, calls: Calls, carry_out: Callable[[list[LegEffect]], None], now: Callable[[], float]
    ) -> None:
        self._calls = calls
        self._carry_out = carry_out
        self._now = now

    def refer(self, transfer: Transfer) -> None:
        """The far end of a call asks to be transferred; another call that it names must be of the same account."""
        call = self._calls.get(transfer.leg.call_sid)
        if call is None:
            return
        other = None if transfer.other is None else self._calls.get(transfer.other.call_sid)
        if other is not None and (
            other.setup.account_sid != call.setup.account_sid
            or other.sid in (call.sid, call.actor.call.partner)
        ):
            other = None
        sid, partner = ("", "") if other is None else (other.sid, other.actor.call.partner)
        self._calls.deliver(
            call, events.LegReferred(transfer.number, transfer.target, sid, partner, transfer.referred_by)
        )

    def place_of(self, session: InviteSession | None, account_sid: str) -> tuple[str, str] | None:
        """The call of a session that is to be replaced, and who it is connected with; None if it cannot be.

        Who is being rung counts as connected with who rings: taking that place is picking up. A caller for whom others
        still ring, or who is in a document by itself or waits for one, is connected with "".
        """
        leg = None if session is None else Leg.of(session.owner)
        call = self._calls.get(leg.call_sid) if leg is not None else None
        if call is None or session is None or call.setup.account_sid != account_sid:
            return None
        script = call.actor.call
        has_place = script.partner or script.rings or script.place or script.is_fetching
        return (call.sid, script.partner) if has_place else None

    def ask(self, call: LiveCall, effect: fx.Refer) -> None:
        """Ask the far end to go elsewhere."""
        self._carry_out(call.leg.transfers.refer(effect.token, effect.target, self._now()))

    def answer(self, call: LiveCall, effect: fx.AnswerReferral) -> None:
        """Accept or refuse what the far end asks."""
        self._carry_out(call.leg.transfers.answer(effect.number, effect.status, self._now()))

    def notify(self, call: LiveCall, effect: fx.NotifyReferral) -> None:
        """Tell the far end what its transfer has met."""
        self._carry_out(call.leg.transfers.notify(effect.number, effect.status, self._now()))
