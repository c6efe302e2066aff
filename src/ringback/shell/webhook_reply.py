"""What answered a webhook, whoever it was: a program over HTTP, or this very server."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from ringback.shell.local_http import LocalAnswer

if TYPE_CHECKING:
    import aiohttp
    from multidict import MultiMapping

DOCUMENT_SIZE: Final = 64 * 1024  # Twilio, error 11750
AUDIO_SIZE: Final = 16 * 1024 * 1024
"""Bytes of an answer that is audio: half an hour of mu-law, which Twilio plays when a program answers with it."""

_TWIML_TYPES: Final = frozenset({"text/xml", "application/xml", "text/html", "text/plain"})


class Reply(NamedTuple):
    """One HTTP answer, before it is judged."""

    status: int
    content_type: str
    charset: str
    body: bytes
    location: str
    cookies: tuple[str, ...] = ()
    challenges: tuple[str, ...] = ()
    etag: str = ""
    last_modified: str = ""
    is_too_large: bool = False
    error_code: int = 0
    error_text: str = ""
    lines: tuple[tuple[str, str], ...] = ()


async def read_reply(status: int, given: MultiMapping[str], content: aiohttp.StreamReader) -> Reply:
    """Reads what the limit allows; the rest of a longer answer is never taken from the socket."""
    kind, charset = media_type(given.get("Content-Type", ""))
    limit = AUDIO_SIZE if kind.startswith("audio/") else DOCUMENT_SIZE
    parts = [await content.readany()]
    size = len(parts[0])
    while size <= limit and not content.at_eof():
        await asyncio.sleep(0)  # what was compressed is all there at once
        parts.append(await content.readany())
        size += len(parts[-1])
    may_keep = "no-store" not in given.get("Cache-Control", "").lower()
    return Reply(
        status,
        kind,
        charset,
        b"".join(parts) if size <= limit else b"",
        given.get("Location", ""),
        tuple(given.getall("Set-Cookie", ())),
        tuple(given.getall("WWW-Authenticate", ())),
        given.get("ETag", "") if may_keep else "",
        given.get("Last-Modified", "") if may_keep else "",
        size > limit,
    )


def local_reply(answer: LocalAnswer) -> Reply:
    """The answer of this server itself."""
    kind, charset = media_type(answer.content_type)
    is_too_large = len(answer.body) > (AUDIO_SIZE if kind.startswith("audio/") else DOCUMENT_SIZE)
    reply = Reply(
        answer.status,
        kind,
        charset,
        b"" if is_too_large else answer.body,
        "",
        is_too_large=is_too_large,
        error_code=answer.error_code,
        error_text=answer.error_text,
        lines=tuple(answer.lines),
    )
    if not answer.headers:
        return reply
    by_name = [(name.lower(), value) for name, value in answer.headers]
    return reply._replace(
        location=next((value for name, value in by_name if name == "location"), ""),
        cookies=tuple(value for name, value in by_name if name == "set-cookie"),
        challenges=tuple(value for name, value in by_name if name == "www-authenticate"),
    )


@lru_cache(maxsize=100)
def media_type(content_type: str) -> tuple[str, str]:
    """The type and the charset of a Content-Type, in lower case; without one, "" and UTF-8."""
    kind, _, parameters = content_type.lower().partition(";")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "charset":
            return kind.strip(), value.strip(' "') or "utf-8"
    return kind.strip(), "utf-8"


def is_playable(kind: str) -> bool:
    """Whether an answer of this type is TwiML, text or audio."""
    return kind in _TWIML_TYPES or kind.startswith("audio/")
