"""A participant on hold: out of the conference's sound, with a document of its own (Participant resource, Hold).

The document is run again and again; without one, or where it cannot be run, the participant hears nothing.
"""

from __future__ import annotations

from typing import Any

from ringback.call.effects import Play, StopPlay, info
from ringback.call.events import Digit, Event, Fired, Told
from ringback.call.script import Interrupted, Script, observed, pause
from ringback.call.setup import Page
from ringback.twiml.run import Run

HOLD = "hold"
"""The segment of a document that runs for a participant on hold."""

LEAST_PASS = 1.0
"""Seconds that one pass of such a document takes at least: one that says nothing must not be asked for all the time."""


class Unheld(Interrupted):
    """The hold ends: by the REST API, or by what ends the Dial."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event


def hold(run: Run, sid: str, held: dict[str, Any], limit: str, *, star: bool) -> Script[Event | None]:
    """Be on hold, until the REST API ends it, or the event comes that ends more than that."""

    def judge(event: Event) -> Event | Interrupted | None:
        match event:
            case Told(sender, "unheld" | "conference-ended" | "removed", _) if sender == sid:
                return Unheld(event)
            case Fired(token) if token == limit:
                return Unheld(event)
            case Digit("*") if star:
                return Unheld(event)
        return event

    place = run.call.place
    yield info("call", f"on hold, with {held['url'] or 'silence'}")
    try:
        yield from observed(_on_hold(run, sid, held), judge)
    except Unheld as unheld:
        run.call.place = place
        yield info("call", "on hold no more")
        is_back = isinstance(unheld.event, Told) and unheld.event.subject == "unheld"
        return None if is_back else unheld.event
    return None


def _on_hold(run: Run, sid: str, held: dict[str, Any]) -> Script[None]:
    """Run the document of the hold again and again; silence where there is none, or it cannot be run."""
    call = run.call
    page = Page(held["url"], held["method"])
    while page.url:
        began = call.elapsed
        end = yield from run.run_pages(call, page, segment=HOLD, params=[("ConferenceSid", sid)])
        if end.why.startswith("application error"):
            break
        if call.elapsed - began < LEAST_PASS:
            yield from pause(call, LEAST_PASS)
    yield Play(call.token("hold"), ["silence", 1.0], 0)
    try:
        while True:
            yield None
    except Interrupted:
        yield StopPlay()
        raise
