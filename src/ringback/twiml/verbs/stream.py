"""Start and Stop of media streams: they run beside the document (Media Streams, "Starting")."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from ringback.call.effects import StartStream, StopStream, warning
from ringback.call.script import Script
from ringback.twiml.document import Element
from ringback.twiml.errors import NotYet, TwimlError
from ringback.twiml.limits import MAX_STREAMS
from ringback.twiml.run import Outcome, Run, ensure_answered
from ringback.twiml.schema import LATER


def start(run: Run, element: Element) -> Script[Outcome]:
    """Start each stream and go on at once."""
    yield from run.attributes(element)
    yield from ensure_answered(run.call)
    _check_count(element)
    for noun in element.children:
        if noun.name in LATER:
            raise NotYet(f"<Start><{noun.name}>")
        if noun.name != "Stream":
            yield from run.warn(
                warning("twiml", f"Start cannot hold <{noun.name[:60]}>; it is skipped", 14300)
            )
            continue
        yield from _start_stream(run, noun)
    return None


def _check_count(element: Element) -> None:
    if sum(1 for _ in element.children) > MAX_STREAMS:
        raise TwimlError(12400, f"{element.name} holds more than {MAX_STREAMS} streams")


def _start_stream(run: Run, noun: Element) -> Script[None]:
    values = yield from run.attributes(noun)
    url = _websocket(run.url, values["url"])
    if urlsplit(url).query:
        yield warning("twiml", "Stream: a query string on the URL is not supported; use <Parameter>", 31922)
    parameters = {}
    for child in noun.children:
        if child.name == "Parameter":
            pair = yield from run.attributes(child)
            parameters[pair["name"]] = pair["value"]
    stream_sid = run.call.new_sid("MZ")
    options = {
        "url": url,
        "name": values["name"] or stream_sid,
        "track": values["track"],
        "parameters": parameters,
        "status_callback": run.link(values["statusCallback"]) if values["statusCallback"] else "",
        "status_callback_method": values["statusCallbackMethod"],
    }
    yield StartStream(stream_sid, options)


def _websocket(document: str, url: str) -> str:
    """The URL of a stream; a relative one is at the document's server ("Stream", url). Raises TwimlError."""
    try:
        if url and not urlsplit(url).scheme:
            url = urljoin(document, url)
            if url.startswith("http"):
                url = "ws" + url.removeprefix("http")  # http becomes ws, https wss
        parts = urlsplit(url)
        if parts.scheme in ("ws", "wss") and parts.hostname:
            return url
    except ValueError:
        pass
    raise TwimlError(31922, f"Stream url={url!r:.200} is not a WebSocket URL (wss://...)")


def stop(run: Run, element: Element) -> Script[Outcome]:
    """Stop streams by their names."""
    yield from run.attributes(element)
    _check_count(element)
    for noun in element.children:
        if noun.name == "Stream":
            values = yield from run.attributes(noun)
            yield StopStream(values["name"])
        elif noun.name in LATER:
            raise NotYet(f"<Stop><{noun.name}>")
        else:
            yield from run.warn(
                warning("twiml", f"Stop cannot hold <{noun.name[:60]}>; it is skipped", 14300)
            )
    return None
