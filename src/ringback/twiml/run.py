"""What a verb is given to work with, and what it can answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from ringback.call.effects import Answer, Effect, Fact, Note, Pairs, warning
from ringback.call.events import Fetched, LegAnswered
from ringback.call.script import Call, Script
from ringback.twiml.document import Element
from ringback.twiml.errors import TwimlError
from ringback.twiml.limits import MAX_WARNINGS
from ringback.twiml.schema import read_attributes


class Start(NamedTuple):
    """Where a document goes on that another call has begun: at this verb, in the place of that call."""

    verb: int = 1
    replaces: str = ""


class Goto(NamedTuple):
    """Control moves to another document: the verb's action, or a Redirect."""

    url: str
    method: str
    params: Pairs
    fetched: Fetched | None = None
    """What the document's URL has answered already."""
    start: Start = Start()


class End(NamedTuple):
    """The document is over, and with it the call."""

    why: str


Outcome = Goto | End | None
"""None: the next verb."""

RunPages = Callable[..., Script[End]]
"""The interpreter's run_pages, for verbs that have documents run inside themselves."""


@dataclass(slots=True)
class Run:
    """One document being run. ``url`` is where it came from ("" if it was given in place)."""

    call: Call
    url: str
    method: str
    run_pages: RunPages
    document: list[Any]
    """As plain data, for who takes this call's place in it."""
    first: bool = True
    """Whether no verb before this one has touched the call."""
    replaces: str = ""
    """The call whose place this one takes in its first verb here."""
    segment: str = ""
    """"whisper" in a document that a callee hears before the bridge."""
    warnings: int = 0

    def link(self, url: str) -> str:
        """An absolute URL for a link of this document; "" means the document itself. Raises TwimlError."""
        try:
            absolute = urljoin(self.url, url) if self.url else url
            scheme = urlsplit(absolute).scheme
        except ValueError as problem:
            raise TwimlError(11100, f"{url!r:.200} is not a URL: {problem}") from None
        if not absolute:
            raise TwimlError(
                15004, "TwiML that was given in place has no URL of its own: an action must be absolute"
            )
        if scheme not in ("http", "https"):
            raise TwimlError(11100, f"the URL {absolute!r:.200} is not absolute http or https")
        return absolute

    def attributes(self, element: Element) -> Script[dict[str, Any]]:
        """The element's attributes as values; what is odd about them goes into the timeline."""
        values, notes = read_attributes(element)
        if notes:
            yield from self.warn(*notes)
        return values

    def warn(self, *notes: Note) -> list[Effect]:
        """Put what is odd about this document into the timeline, up to a bound."""
        out: list[Effect] = []
        for note in notes:
            self.warnings += 1
            if self.warnings < MAX_WARNINGS:
                out.append(note)
            elif self.warnings == MAX_WARNINGS:
                text = f"over {MAX_WARNINGS} warnings in one document; the rest is left out"
                out.append(warning("twiml", text, 12200))
        return out


def ensure_answered(call: Call) -> list[Effect]:
    """Answer an incoming call that was not answered yet: sound is about to flow."""
    if call.answered_at is None and call.setup.kind == "inbound":
        return [Answer(), mark_answered(call)]
    return []


def ensure_ended_well(call: Call) -> list[Effect]:
    """Answer a call that its document ends without having answered, unless it is to be refused.

    Twilio answers and bills a call whose document is empty or hangs up; Reject is the way not to.
    """
    return ensure_answered(call) if call.refusal is None else []


def leg_answered(call: Call, event: LegAnswered) -> Fact:
    """An outgoing leg was answered. What a SIP far end said goes with every later request of this call."""
    if call.setup.to.startswith("sip:"):
        call.parameters["SipCallId"] = event.sip_call_id
        call.parameters["SipDomain"] = _host_of(call.setup.to)
        if event.source_ip:
            call.parameters["SipSourceIp"] = event.source_ip
        call.parameters.update({f"SipHeader_{name}": value for name, value in event.headers.items()})
    return mark_answered(call)


def _host_of(uri: str) -> str:
    """The host of a SIP address as records show it, without what follows it; an IPv6 address has no brackets."""
    host = re.split("[;?]", uri.removeprefix("sip:").rpartition("@")[2], maxsplit=1)[0]
    return re.sub(r":\d+\Z", "", host).strip("[]") if host.count(":") == 1 or "]" in host else host


def mark_answered(call: Call) -> Fact:
    """The call is in progress from now."""
    call.answered_at = call.elapsed
    call.status = "in-progress"
    return Fact({"status": "in-progress", "start_time": call.now})
