"""TwiML's verbs, one module each: ``verb(run, element)`` is a script that gives an Outcome."""

from __future__ import annotations

from collections.abc import Callable

from ringback.call.script import Script
from ringback.twiml.document import Element
from ringback.twiml.run import Outcome, Run
from ringback.twiml.verbs.dial import dial
from ringback.twiml.verbs.flow import hangup, pause, redirect, reject
from ringback.twiml.verbs.gather import gather
from ringback.twiml.verbs.refer import refer
from ringback.twiml.verbs.sound import play, say
from ringback.twiml.verbs.stream import start, stop

VERBS: dict[str, Callable[[Run, Element], Script[Outcome]]] = {
    "Dial": dial,
    "Gather": gather,
    "Hangup": hangup,
    "Pause": pause,
    "Play": play,
    "Redirect": redirect,
    "Refer": refer,
    "Reject": reject,
    "Say": say,
    "Start": start,
    "Stop": stop,
}
