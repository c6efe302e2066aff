"""What answered a webhook, whoever it was: a program over HTTP, or this very server."""

from __future__ import annotations

from typing import Final, NamedTuple

import aiohttp

from ringback.shell.local_http import LocalAnswer

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


async def read_reply(response: aiohttp.ClientResponse) -> Reply:
    """Reads what the limit allows; the rest of a longer answer is never taken from the socket."""
    kind = response.content_type.lower() if "Content-Type" in response.headers else ""
    limit = AUDIO_SIZE if kind.startswith("audio/") else DOCUMENT_SIZE
    given = response.headers
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            response.close()
            break
    is_too_large = len(body) > limit
    may_keep = "no-store" not in given.get("Cache-Control", "").lower()
    return Reply(
        status=response.status,
        content_type=kind,
        charset=(response.charset or "utf-8").lower(),
        body=b"" if is_too_large else bytes(body),
        location=given.get("Location", ""),
        cookies=tuple(given.getall("Set-Cookie", ())),
        challenges=tuple(given.getall("WWW-Authenticate", ())),
        etag=given.get("ETag", "") if may_keep else "",
        last_modified=given.get("Last-Modified", "") if may_keep else "",
        is_too_large=is_too_large,
    )


def local_reply(answer: LocalAnswer) -> Reply:
    """The answer of this server itself."""
    kind, charset = media_type(answer.content_type)
    by_name = [(name.lower(), value) for name, value in answer.headers]
    is_too_large = len(answer.body) > (AUDIO_SIZE if kind.startswith("audio/") else DOCUMENT_SIZE)
    return Reply(
        status=answer.status,
        content_type=kind,
        charset=charset,
        body=b"" if is_too_large else answer.body,
        location=next((value for name, value in by_name if name == "location"), ""),
        cookies=tuple(value for name, value in by_name if name == "set-cookie"),
        challenges=tuple(value for name, value in by_name if name == "www-authenticate"),
        is_too_large=is_too_large,
        error_code=answer.error_code,
        error_text=answer.error_text,
        lines=tuple(answer.lines),
    )


def media_type(content_type: str) -> tuple[str, str]:
    """The type and the charset of a Content-Type, in lower case."""
    kind, _, parameters = content_type.partition(";")
    charset = parameters.partition("charset=")[2].split(";")[0].strip(' "') or "utf-8"
    return kind.strip().lower(), charset.lower()


def is_playable(kind: str) -> bool:
    """Whether an answer of this type is TwiML, text or audio."""
    return kind in _TWIML_TYPES or kind.startswith("audio/")
