"""A webhook on its way: which URL it asks now, with what, and what its answer is worth."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote_plus, urljoin

from ringback.rest.signatures import sign
from ringback.shell import webhook_errors as codes
from ringback.shell.webhook_errors import Failure
from ringback.shell.webhook_reply import DOCUMENT_SIZE, Reply, is_playable
from ringback.shell.webhook_request import (
    InvalidUrl,
    Overrides,
    Target,
    WebhookAnswer,
    WebhookRequest,
    read_target,
    with_query,
)

USER_AGENT: Final = "TwilioProxy/1.1"
FORM: Final = "application/x-www-form-urlencoded; charset=utf-8"
QUOTED_KEPT: Final = 1_000
"""Texts that are remembered as they are quoted."""
QUOTED_LENGTH: Final = 256
"""Characters of such a text: longer ones come once, and a thousand of them would be megabytes."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~-]*")
"""Characters that need no quoting (RFC 3986 section 2.3)."""


class Asked:
    """A webhook on its way: where it stands now."""

    def __init__(self, request: WebhookRequest, overrides: Overrides) -> None:
        self.request = request
        self.overrides = overrides
        self.method = request.method.upper()
        self.params = list(request.params)
        self.retries = 0
        self.began_at = time.perf_counter()
        self.url = request.url.partition("#")[0]
        self._target: Target | None = None

    @property
    def target(self) -> Target:
        if self._target is None:
            self._target = read_target(self.url)
        return self._target

    def sent(self, *, with_body: bool = True) -> tuple[str, bytes, dict[str, str]]:
        """URL, body and headers. Twilio leaves userinfo out of what it signs."""
        request = self.request
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*"}
        body = b""
        if self.method == "POST":
            url = self.target.url
            if with_body:
                body = form_of(self.params).encode("ascii")
            headers["Content-Type"] = FORM
            signature = sign(request.auth_token, url, self.params)
        else:
            url = with_query(self.target.url, form_of(self.params))
            signature = sign(request.auth_token, url)
        if request.auth_token:
            headers["X-Twilio-Signature"] = signature
        if request.idempotency_token:
            headers["I-Twilio-Idempotency-Token"] = request.idempotency_token
        return url, body, headers

    def redirect(self, status: int, location: str) -> None:
        """Goes on at `location`. A POST becomes a GET, and loses its parameters, but for 307 and 308."""
        try:
            self.url = urljoin(self.target.url, location).partition("#")[0]
        except ValueError as error:
            raise InvalidUrl(f"redirected to what is not a URL: {error}") from error
        self._target = None
        if status not in {307, 308}:
            if self.method == "POST":
                self.params = []
            self.method = "GET"

    def may_retry(self, kind: str) -> bool:
        """Whether to try once more after a failure of this kind; counts."""
        if self.retries >= self.overrides.retries or not self.overrides.allows(kind):
            return False
        self.retries += 1
        return True

    def failed(self, failure: Failure) -> WebhookAnswer:
        url = self._target.url if self._target else without_userinfo(self.url)
        return WebhookAnswer(
            0, "", b"", url, self._elapsed(), failure.code, failure.text, retries=self.retries
        )

    def judged(self, reply: Reply) -> WebhookAnswer:
        """The answer, with Twilio's error if it is of no use."""
        code, text = reply.error_code, reply.error_text
        kind = reply.content_type
        if code == 0 and not 200 <= reply.status < 300:
            code, text = codes.HTTP_FAILURE, f"HTTP status {reply.status}"
        elif code == 0 and reply.is_too_large:
            code, text = codes.BODY_TOO_LARGE, f"an answer of more than {DOCUMENT_SIZE // 1024} kB"
        elif code == 0 and self.request.wants_twiml and reply.body and not is_playable(kind):
            code = codes.INVALID_CONTENT_TYPE
            text = f"Content-Type {kind!r} is neither TwiML, text nor audio"
        url, elapsed = self.target.url, self._elapsed()
        return WebhookAnswer(
            reply.status,
            kind,
            reply.body,
            url,
            elapsed,
            code,
            text,
            reply.charset,
            self.retries,
            reply.lines,
        )

    def _elapsed(self) -> float:
        return time.perf_counter() - self.began_at


class _Quoted(dict[str, str]):
    """Texts as forms have them. Names, accounts and domains come with every request, and each caller as From and Caller."""

    def __missing__(self, text: str) -> str:
        quoted = text if _PLAIN.fullmatch(text) else quote_plus(text)
        if len(text) <= QUOTED_LENGTH:
            if len(self) >= QUOTED_KEPT:
                self.clear()
            self[text] = quoted
        return quoted


_quoted: Final = _Quoted()


def form_of(params: Iterable[tuple[str, str]]) -> str:
    """What urllib's urlencode gives."""
    return "&".join([f"{_quoted[name]}={_quoted[value]}" for name, value in params])


def without_userinfo(url: str) -> str:
    """A URL as it may be shown."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
