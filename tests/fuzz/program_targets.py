"""What programs and people send: TwiML, webhook answers, REST forms, bins, journals."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from unittest import mock

from fuzz import seeds
from fuzz.target import Target, text_of

from ringback.call.actor import CallActor
from ringback.call.errors import JournalError
from ringback.call.events import Digit, Fetched, Fired, LegEnded, Planned, Played
from ringback.call.journal import decode, plain
from ringback.call.replay import replay
from ringback.call.setup import CallSetup, Page
from ringback.functions import bins
from ringback.functions.errors import TemplateError
from ringback.rest.calls import read_call, read_call_update
from ringback.rest.errors import RestError
from ringback.rest.forms import Form, boolean, integer, parse_form, parse_query
from ringback.shell import webhooks
from ringback.shell.local_http import LocalAnswer, LocalRequest
from ringback.shell.webhook_errors import Failure
from ringback.shell.webhook_request import InvalidUrl, WebhookRequest, read_overrides, read_target
from ringback.shell.webhooks import WebhookClient
from ringback.twiml.document import Element, from_plain, parse, read_answer
from ringback.twiml.errors import DocumentError
from ringback.twiml.limits import MAX_ELEMENTS
from ringback.twiml.scripts import script_of

TYPES = ("text/xml", "application/xml; charset=x", "text/html", "text/plain", "audio/wav", "", "image/png")


def _count(element: Element) -> int:
    return 1 + sum(_count(child) for child in element.children)


def twiml(data: bytes) -> None:
    """A document, and an answer of every content type."""
    try:
        document = parse(data, hide=lambda value: "secret:1")
    except DocumentError as error:
        assert error.code
    else:
        assert _count(document) <= MAX_ELEMENTS
        assert from_plain(document.plain()) == document
    kind = TYPES[len(data) % len(TYPES)]
    with contextlib.suppress(DocumentError):
        read_answer(kind, data, "http://example.com/")


def _setup(document: list[Any]) -> CallSetup:
    return CallSetup(
        kind="inbound",
        sid="CA" + "1" * 32,
        account_sid="AC" + "1" * 32,
        seed="00" * 16,
        started_at=1.7e9,
        direction="inbound",
        from_="+14155550100",
        to="+14155550101",
        page=Page(document=document),
    )


def script(data: bytes) -> None:
    """A call whose document this is: it runs, and ends; replayed, it does the same again."""
    try:
        document = parse(data).plain()
    except DocumentError:
        return
    actor = CallActor(_setup(document), script_of)
    effects = actor.start()
    at = 0.0
    for _ in range(30):
        if actor.finished:
            break
        at += 1.0
        event: Any = Digit("5")
        for effect in effects:
            name, token = type(effect).__name__, getattr(effect, "token", "")
            if name in ("Play", "SendDigits"):
                event = Played(token, False)
            elif name == "Arm":
                event = Fired(token)
            elif name == "Plan":
                event = Planned(token, {"legs": [], "error": 13224, "why": "no"})
            elif name == "Fetch":
                event = Fetched(token, "http://example.com/", 404, None, 11200, "gone")
        if isinstance(event, Planned):
            break  # what a plan may hold is the router's word, not a stranger's
        effects = actor.deliver(event, at)
    if not actor.finished:
        actor.deliver(LegEnded("bye", 200, "OK", {}, "x"), at + 1)
    kept = decode(actor.journal.encode())
    assert len(kept.lines) == len(actor.journal)
    found = replay(kept, script_of)
    assert found.difference is None, found.difference


class _Programs:
    """A webhook client whose every request is answered by the input, whatever host it goes to."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.answer = LocalAnswer(200, "", b"")
        self.client = WebhookClient(base_domain="ringback.localhost", local=self._local)
        self.client._ask = self._elsewhere  # type: ignore[method-assign]

    async def _local(self, request: LocalRequest) -> LocalAnswer:
        assert request.url.isascii()
        return self.answer

    async def _elsewhere(self, *_: Any) -> Failure:
        return Failure(11200, "nobody")

    def ask(self, answer: LocalAnswer, request: WebhookRequest) -> None:
        self.answer = answer
        with mock.patch.object(webhooks, "log"):  # one line for each input would drown all else
            found = self.loop.run_until_complete(self.client.fetch(request))
        assert found.error_code or 200 <= found.status < 300
        assert "\n" not in found.url


_programs: list[_Programs] = []


def webhook(data: bytes) -> None:
    """An HTTP answer: content type, status, location, cookie or challenge, and the body."""
    if not _programs:
        _programs.append(_Programs())
    kind, status, location, header, *_ = (*data.split(b"\n", 4), b"", b"", b"", b"")
    body = data.rpartition(b"\n")[2]
    number = 200 + int.from_bytes(status[-2:], "big") % 350
    name = ("Location", "Set-Cookie", "WWW-Authenticate", "ETag")[len(data) % 4]
    headers = (("Location", text_of(location)), (name, text_of(header)))
    number = {48: 200, 50: 302, 49: 401}.get(status[-1] if status else 0, number)
    url = "http://u:p@ringback.localhost/x#rc=1&rp=all"
    request = WebhookRequest(url, params=(("CallSid", "CA1"),), auth_token="t", call="CA1")
    _programs[0].ask(LocalAnswer(number, text_of(kind), body, headers), request)
    text = text_of(location)
    read_overrides(text)
    with contextlib.suppress(InvalidUrl):
        read_target(text)


def forms(data: bytes) -> None:
    """A form and a query, and what is made of them."""
    form = Form()
    with contextlib.suppress(RestError):
        form = parse_form(data, None)
    with contextlib.suppress(RestError):
        form = Form((*form, *parse_query(data[:20_000])))
    for read in (read_call, read_call_update):
        try:
            read(form)
        except RestError as error:
            assert 400 <= error.status < 500
            assert error.body()["code"] == error.code
    for reader in (integer, boolean):
        for _, value in form:
            with contextlib.suppress(ValueError):
                reader(value)


def template(data: bytes) -> None:
    """A bin, filled in with itself."""
    text = text_of(data)
    names = bins.collect([("From", text[:200]), ("Names", "1"), ("Names[]", "2<"), ("To", "sip:415@x")])
    try:
        bins.render(bins.parse(text), names)
    except TemplateError as error:
        assert error.code in (11300, 11310, 11320, 11750)
    escaped = bins.escape_xml(bins.e164(text))
    assert "<" not in escaped
    assert '"' not in escaped


def journal(data: bytes) -> None:
    """A journal that somebody sent us to look at."""
    try:
        record = decode(data)
    except JournalError:
        return
    for line in record.lines:
        if line.event is not None:
            plain(line.event)


TARGETS = (
    Target("twiml document", twiml, seeds.TWIML, share=10),
    Target("twiml script", script, seeds.TWIML, share=2),
    Target("webhook answer", webhook, seeds.ANSWERS, share=2),
    Target("rest form", forms, seeds.FORMS, share=5),
    Target("bin template", template, seeds.BINS, share=10),
    Target("call journal", journal, seeds.JOURNALS, share=6),
)
