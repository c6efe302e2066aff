"""Announcements in a conference: asked for once, played by the calls of all who are to hear them.

::

    first listener --asks the URL--> its answer --> the other listeners --each has heard it, or is gone--> over

A listener runs the document in its own call (``twiml.verbs.beside``), so that what it says may differ in nothing
but the moment. One who leaves before the program has answered is followed by the next.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ringback.call.effects import Tell


class Over(NamedTuple):
    """An announcement has ended: for one call (or all: ""), and why if it failed."""

    url: str
    call_sid: str
    failure: str


class Announcement:
    """One announcement and who still hears it."""

    __slots__ = ("_answer", "_asks", "_failure", "_listeners", "_method", "_number", "call_sid", "url")

    def __init__(self, number: int, url: str, method: str, call_sid: str, listeners: list[str]) -> None:
        self.url = url
        self.call_sid = call_sid
        self._number = number
        self._method = method
        self._listeners = listeners
        self._asks = ""
        self._answer: dict[str, Any] = {}
        self._failure = ""

    def begin(self) -> list[Tell]:
        """Have the first listener ask for it."""
        if not self._listeners:
            return []
        self._asks = self._listeners[0]
        return [self._tell(self._asks)]

    def _tell(self, listener: str) -> Tell:
        told: dict[str, Any] = {"number": self._number, "url": self.url, "method": self._method}
        return Tell(listener, "announce", told | ({"answer": self._answer} if self._answer else {}))

    def on_answer(self, call_sid: str, answer: dict[str, Any]) -> list[Tell]:
        """The program has answered: the others hear the same."""
        if call_sid != self._asks or self._answer:
            return []
        self._answer = answer
        return [self._tell(other) for other in self._listeners if other != call_sid]

    def on_heard(self, call_sid: str, failure: str) -> list[Tell]:
        """A listener has heard it, or could not; what could not be had once is not asked for again."""
        if call_sid not in self._listeners:
            return []
        self._listeners.remove(call_sid)
        self._failure = self._failure or failure
        if not self._answer and failure:
            self._listeners.clear()
        return [] if self._answer or call_sid != self._asks else self.begin()

    def over(self) -> Over | None:
        """How it has ended; None while somebody hears it."""
        return None if self._listeners else Over(self.url, self.call_sid, self._failure)
