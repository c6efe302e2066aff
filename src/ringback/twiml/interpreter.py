"""Runs documents, one after the other, until one ends the call.

::

    page --Fetch--> document --verb--> verb --> ... --> end: hang up
      ^                          |
      +------ Goto (action) -----+------ Redirect over REST, at any moment

A document that cannot be had or carried out takes the page's fallback URL, with ErrorCode and ErrorUrl;
without one the caller hears that an application error occurred (webhooks, "Fallback").
"""

from __future__ import annotations

from collections.abc import Callable

from ringback.call.effects import Fetch, Pairs, error, info, warning
from ringback.call.events import Fetched
from ringback.call.limits import MAX_DOCUMENTS
from ringback.call.script import Call, Place, Redirected, Script, wait_for
from ringback.call.setup import Page
from ringback.call.unasked import given
from ringback.twiml.document import Element, remembered
from ringback.twiml.errors import NotYet, TwimlError
from ringback.twiml.limits import MAX_VERBS
from ringback.twiml.parameters import standard
from ringback.twiml.run import End, Goto, Outcome, Run, Start, ensure_answered, ensure_ended_well
from ringback.twiml.schema import LATER
from ringback.twiml.verbs import VERBS
from ringback.twiml.verbs.beside import BESIDE
from ringback.twiml.verbs.sound import play_to_end

DOCUMENT_ENDED = "the document ended"

START = Start()

APOLOGY = "An application error has occurred. Goodbye."

WHISPER_VERBS = frozenset({"Say", "Play", "Pause", "Gather", "Hangup", "Redirect", "Start", "Stop"})
"""What a callee may be given before the bridge; a Dial there is error 13201."""

BESIDE_VERBS = frozenset({"Say", "Play", "Pause", "Redirect"})
"""What a participant may be given beside its conference (waitUrl, HoldUrl, AnnounceUrl)."""


def run_pages(
    call: Call,
    page: Page,
    *,
    segment: str = "",
    params: Pairs | None = None,
    fetched: Fetched | None = None,
    start: Start = START,
) -> Script[End]:
    """Run documents from ``page`` on until one ends. A Redirect over REST starts over with another.

    ``fetched`` is the page's answer where it was asked already; ``start`` where in it to go on.
    """
    extra = params or []
    for _ in range(MAX_DOCUMENTS):
        try:
            outcome = yield from _run_page(call, page, segment, extra, fetched, start)
        except Redirected as redirected:
            if segment:
                raise
            event = redirected.event
            yield info("twiml", f"redirected by a program to {event.url or 'TwiML given in place'}")
            page, extra, fetched, start = redirected_to(redirected, page), [], None, START
            continue
        if not isinstance(outcome, Goto):
            return outcome or End(DOCUMENT_ENDED)
        page = Page(outcome.url, outcome.method, page.fallback_url, page.fallback_method)
        extra, fetched, start = outcome.params, outcome.fetched, outcome.start
    yield error("twiml", f"{MAX_DOCUMENTS} documents in one call: this is a loop of redirects", 12400)
    return End("too many documents")


def redirected_to(redirected: Redirected, page: Page) -> Page:
    """The page that a program gave instead of this one; the fallback stays."""
    given = redirected.event
    return Page(given.url, given.method, page.fallback_url, page.fallback_method, given.document)


def _run_page(
    call: Call, page: Page, segment: str, extra: Pairs, fetched: Fetched | None = None, start: Start = START
) -> Script[Outcome]:
    call.place, call.is_fetching = None, False
    try:
        document, url = page.document, ""
        if document is None:
            if fetched is None:
                token = call.token("fetch")
                call.is_fetching = not segment
                yield Fetch(token, page.url, page.method, [*standard(call), *extra])
                fetched = yield from wait_for(token, Fetched)
                call.is_fetching = False
            document, url = fetched.document, fetched.url
            if document is None:
                raise TwimlError(fetched.error_code, fetched.error_text)
        run = Run(call, url, page.method, run_pages, document, segment=segment)
        return (yield from _run_document(run, start))
    except TwimlError as problem:
        call.place = None
        yield error("twiml", problem.text, problem.code)
        if not page.fallback_url:
            if segment not in BESIDE:
                yield from ensure_answered(call)
                yield from play_to_end(call, ["say", [APOLOGY], "man", "en-US"], 1)
            return End(f"application error {problem.code}")
        code = problem.code
    fallback = Page(page.fallback_url, page.fallback_method)
    trouble = [("ErrorCode", str(code)), ("ErrorUrl", page.url)]
    yield info("twiml", f"asking the fallback URL {fallback.url}")
    return (yield from _run_page(call, fallback, segment, [*extra, *trouble]))


def _run_document(run: Run, start: Start) -> Script[Outcome]:
    place = None if run.segment else Place(run.url, run.method, run.document)
    run.call.place, run.replaces = place, start.replaces
    for count, element in enumerate(remembered(run.document).children, start=1):
        if count > MAX_VERBS:
            raise TwimlError(12400, f"the document has over {MAX_VERBS} verbs")
        if count < start.verb:
            continue
        if place is not None:
            place.verb = count
            if run.call.claimant:
                yield from given(run.call)
        verb = _verb_of(run, element)
        if verb is None:
            text = f"TwiML has no verb <{element.name[:60]}>; it is skipped"
            yield from run.warn(warning("twiml", text, 12200))
            continue
        yield info("twiml", f"<{element.name}>")
        outcome = yield from verb(run, element)
        if outcome is not None:
            return outcome
        run.first, run.replaces = False, ""
    if run.first:
        yield from ensure_ended_well(run.call)
    return None


def _verb_of(run: Run, element: Element) -> Callable[[Run, Element], Script[Outcome]] | None:
    verb = VERBS.get(element.name)
    if verb is None:
        if element.name in LATER:
            raise NotYet(f"<{element.name}>")
    elif run.segment in BESIDE and element.name not in BESIDE_VERBS:
        raise TwimlError(
            13238, f"<{element.name}> cannot be used in what a participant of a conference hears"
        )
    elif run.segment == "whisper" and element.name not in WHISPER_VERBS:
        raise TwimlError(
            13201, f"<{element.name}> cannot be used in a document that a callee hears before the bridge"
        )
    return verb
