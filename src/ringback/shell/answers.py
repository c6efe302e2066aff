"""Answers that wait for the disk, and what waits for them.

A call is answered once it and its dialog are written down: if this server dies, the next run hangs up.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from ringback.call import effects as fx
from ringback.call.leg_effects import LegEffect
from ringback.shell.live import LiveCall
from ringback.shell.records import Records
from ringback.shell.timers import Timers

if TYPE_CHECKING:
    from ringback.shell.calls import Calls

log = structlog.get_logger("ringback.calls")

KEPT_WITHIN = 0.5
"""Seconds that an answer waits for the disk; then it goes out all the same, because callers go before records, and
because the record has the moment when the answer was decided, which is to be right to a second."""

KEPT_TIMER = "kept"
"""The timer of that; the tokens of scripts have numbers, or are others."""


class Answers:
    """The answers of all calls."""

    def __init__(
        self,
        calls: Calls,
        records: Records,
        timers: Timers[Any],
        carry_out: Callable[[list[LegEffect]], None],
        now: Callable[[], float],
    ) -> None:
        self._calls = calls
        self._records = records
        self._timers = timers
        self._carry_out = carry_out
        self._now = now

    def answer(self, call: LiveCall, _: fx.Answer) -> None:
        """200, once the call and its dialog are on disk: if this server dies, the next run hangs up."""
        call.held = []
        self._records.talking(call)
        if self._records.are_late:
            self._kept(call.sid)
            return
        self._timers.arm(("call", call.sid, KEPT_TIMER), self._now() + KEPT_WITHIN)
        self._records.when_kept(partial(self._kept, call.sid))

    def _kept(self, call_sid: str) -> None:
        call = self._calls.get(call_sid)
        if call is None or call.held is None:
            return  # it is over, or was answered because the disk was late
        held = call.held
        self._timers.disarm(("call", call.sid, KEPT_TIMER))
        try:
            self._carry_out(call.leg.answer(self._now()))
            for command in held:  # grows, if one of them leads to others
                command()
            call.held = None
        except Exception as problem:  # noqa: BLE001 - as in Calls
            self._calls.crash(call, problem)

    def late(self, call: LiveCall) -> None:
        """The disk took too long: the answer goes out without it."""
        log.warning("a call is answered before it is on disk", call=call.sid)
        self._records.given_up()
        self._kept(call.sid)

    def forget(self, call: LiveCall) -> None:
        """A call is over."""
        if call.held is not None:
            call.held = None
            self._timers.disarm(("call", call.sid, KEPT_TIMER))

    def once_answered(self, call: LiveCall, command: Callable[[], None]) -> None:
        """Do what comes after an answer when the answer is out: before, nobody would hear it."""
        if call.held is None:
            command()
        else:
            call.held.append(command)
