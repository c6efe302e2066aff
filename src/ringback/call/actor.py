"""The actor of a call: one inbox, one script, one journal.

::

    event --> journal --> script --> effects --> journal, shell

The actor performs nothing. ``deliver`` gives the effects that the script asked for since the last event.
Events that interrupt (LegEnded, Redirect, Complete, the call's time limit) are thrown into the script; once
the leg has ended nothing interrupts any more, and a script that is over ignores what still comes. A leg can
end before the script has started (an offer that is refused with 488): the script then finds ``call.ended`` set.
"""

from __future__ import annotations

from collections.abc import Callable

from ringback.call.effects import Effect, Finish
from ringback.call.errors import ScriptStalled
from ringback.call.events import Event, LegEnded
from ringback.call.journal import Journal, clock
from ringback.call.limits import MAX_EFFECTS_A_STEP
from ringback.call.script import Call, Interrupted, Script, interrupt_of
from ringback.call.setup import CallSetup
from ringback.call.unasked import UNASKED, declined, taken

ScriptOf = Callable[[Call], Script[None]]


class CallActor:
    """One call. ``script_of`` makes its script; it must depend on nothing but the Call given."""

    __slots__ = ("_script", "_started", "call", "finished", "journal")

    def __init__(self, setup: CallSetup, script_of: ScriptOf) -> None:
        self.call = Call(setup)
        self.journal = Journal(setup)
        self.finished = False
        self._started = False
        self._script = script_of(self.call)

    def start(self) -> list[Effect]:
        """Run the script to its first wait."""
        self._started = True
        effects = self._collect(None)
        self.journal.started(effects)
        return effects

    def deliver(self, event: Event, elapsed: float) -> list[Effect]:
        """Give the script an event, ``elapsed`` seconds after the call's start."""
        if self.finished:
            return []
        call = self.call
        call.elapsed = elapsed = clock(elapsed)
        if type(event) in UNASKED:
            if answer := declined(call, event):
                self.journal.append(elapsed, event, answer)
                return answer
            interrupt = taken(call, event) if call.ended is None else None
        else:
            interrupt = interrupt_of(event) if call.ended is None else None
        if type(event) is LegEnded:
            if call.ended is not None:
                return []
            call.ended = event
        effects = self._collect(event, interrupt) if self._started else []
        self.journal.append(elapsed, event, effects)
        return effects

    def _collect(self, event: Event | None, interrupt: Interrupted | None = None) -> list[Effect]:
        effects: list[Effect] = []
        script = self._script
        try:
            if event is None:
                effect = next(script)
            elif interrupt is not None:
                effect = script.throw(interrupt)
            else:
                effect = script.send(event)
            while effect is not None:
                effects.append(effect)
                if len(effects) > MAX_EFFECTS_A_STEP:
                    raise ScriptStalled(self.call.setup.sid)
                effect = next(script)
        except StopIteration:
            self.finished = True
            effects.append(Finish())
        return effects
