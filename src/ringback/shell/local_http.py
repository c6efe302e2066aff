"""Requests to this server's own base domain, answered in process: what passes instead of TCP."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl


class LocalRequest(NamedTuple):
    """An HTTP request: `url` whole, as its sender wrote it and signed it, without userinfo and fragment.

    `form` is what the body says, when the sender has it at hand: then the body need not be written nor read.
    """

    method: str
    url: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    form: Sequence[tuple[str, str]] | None = None

    def header(self, name: str) -> str:
        """The first header of this name, "" if there is none."""
        wanted = name.lower()
        return next((value for known, value in self.headers if known.lower() == wanted), "")

    def fields(self) -> dict[str, str]:
        """What the form says, in whichever way it came; of one name the last."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace")) if self.form is None else self.form)


class LocalAnswer(NamedTuple):
    """An HTTP answer. `error_code` is Twilio's for a document that could not be made (a bin's template);
    `lines` are (level, text) of what a Function printed, for the call's timeline."""

    status: int
    content_type: str
    body: bytes
    headers: Sequence[tuple[str, str]] = ()
    error_code: int = 0
    error_text: str = ""
    lines: Sequence[tuple[str, str]] = ()


LocalHandler = Callable[[LocalRequest], Awaitable[LocalAnswer]]

LocalDocuments = Callable[[str, str], LocalAnswer | None]
"""The answer to (method, url) where it depends on nothing else of a request, and is there without waiting."""
