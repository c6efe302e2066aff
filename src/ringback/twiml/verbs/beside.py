"""What a participant hears beside the room: music before the start and on hold, and announcements.

On hold (Participant resource, Hold) it is out of the conference's sound, and a document runs again and again; so does the
music of the house, where the program gave no document. Before the start (Conference, "waitUrl") a document runs
once. An announcement (AnnounceUrl) runs once for all; who asked for it tells the others what the program answered.
"""

from __future__ import annotations

from typing import Any

from ringback.call.effects import Fetch, Play, StopPlay, Tell, info
from ringback.call.events import Digit, Event, Fetched, Fired, Told
from ringback.call.script import Interrupted, Script, observed, pause, wait_for
from ringback.call.setup import Page
from ringback.twiml.parameters import standard
from ringback.twiml.run import Run

HOLD, WAIT, ANNOUNCEMENT = "hold", "wait", "announcement"
BESIDE = frozenset({HOLD, WAIT, ANNOUNCEMENT})
"""The segments of documents that run for a participant while it is in its conference."""

LEAST_PASS = 1.0
"""Seconds that one pass of a document on hold takes at least: one that says nothing must not be asked for all the time."""

MUSIC = ["tone", "hold"]


class Turned(Interrupted):
    """What plays beside the room ends: the conference says something else, or the membership is over."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event


class Beside:
    """What one participant hears instead of the room, or above it. Changed by what the conference tells."""

    __slots__ = ("_announced", "_heard", "_limit", "_run", "_sid", "_star")

    def __init__(self, run: Run, limit: str, *, star: bool) -> None:
        self._run = run
        self._limit = limit
        self._star = star
        self._sid = ""
        self._heard: dict[str, Any] | None = None
        self._announced: dict[str, Any] | None = None

    def joined(self, sid: str) -> None:
        """The conference of this SID has let the call in."""
        self._sid = sid

    def hear(self, what: dict[str, Any]) -> None:
        """Hear this from now on: what to hold or wait with, or the room."""
        self._heard = None if what["what"] == "room" else what

    def announce(self, what: dict[str, Any]) -> Script[None]:
        """Hear this announcement, in place of one that is being heard."""
        yield from self._over("")
        self._announced = what

    def _over(self, failure: str) -> list[Tell]:
        announced, self._announced = self._announced, None
        if announced is None:
            return []
        return [Tell(self._sid, "announced", {"number": announced["number"], "failure": failure})]

    def next(self) -> Script[Event | None]:
        """The next event that concerns the membership, with what is to be heard until then.

        None if what to wait with could not be had (Conference, "waitUrl": the conference is not fully established).
        """
        while self._announced is not None:
            turned = yield from self._until_turned(self._announcement(self._announced))
            if turned is not None:
                return turned
        if self._heard is None:
            return (yield None)
        return (yield from self._until_turned(self._music(self._heard)))

    def _until_turned(self, script: Script[None]) -> Script[Event | None]:
        call = self._run.call
        place = call.place
        try:
            yield from observed(script, self._judge)
        except Turned as turned:
            return turned.event
        finally:
            call.place = place
        return None

    def _judge(self, event: Event) -> Event | Interrupted | None:
        match event:
            case Told(sender) if sender == self._sid:
                return Turned(event)
            case Fired(token) if token == self._limit:
                return Turned(event)
            case Digit("*") if self._star:
                return Turned(event)
        return event

    # -- what is heard ----------------------------------------------------------------------------------------

    def _music(self, heard: dict[str, Any]) -> Script[None]:
        """On hold or before the start; it ends by itself only where what to wait with could not be had."""
        segment, url = heard["what"], heard["url"]
        yield info(
            "call", f"{'on hold' if segment == HOLD else 'waits for the conference'}, with {url or 'music'}"
        )
        if not url:
            yield from self._play(MUSIC)
        call, page, params = self._run.call, Page(url, heard["method"]), [("ConferenceSid", self._sid)]
        while True:
            began = call.elapsed
            end = yield from self._run.run_pages(call, page, segment=segment, params=params)
            is_broken = end.why.startswith("application error")
            if segment == WAIT and is_broken:
                return
            if segment == WAIT or is_broken:
                yield from self._play(["silence", 1.0])
            if call.elapsed - began < LEAST_PASS:
                yield from pause(call, LEAST_PASS)

    def _play(self, source: list[Any]) -> Script[None]:
        """Play this without end."""
        yield Play(self._run.call.token("beside"), source, 0)
        try:
            while True:
                yield None
        except Interrupted:
            yield StopPlay()
            raise

    def _announcement(self, told: dict[str, Any]) -> Script[None]:
        """Hear an announcement to its end; who is told no document asks the program for it, for all."""
        call, page = self._run.call, Page(told["url"], told["method"])
        params = [("ConferenceSid", self._sid)]
        answer = told.get("answer")
        if answer is None:
            token = call.token("announcement")
            yield Fetch(token, page.url, page.method, [*standard(call), *params])
            fetched = yield from wait_for(token, Fetched)
            if fetched.document is not None:
                answer = {"url": fetched.url, "document": fetched.document}
                yield Tell(self._sid, "announcement", {"number": told["number"], "answer": answer})
        else:
            fetched = Fetched("", answer["url"], 200, answer["document"], 0, "")
        end = yield from self._run.run_pages(call, page, segment=ANNOUNCEMENT, params=params, fetched=fetched)
        is_broken = end.why.startswith("application error")
        failure = (fetched.error_text or end.why) if is_broken else ""
        yield from self._over(failure)
