"""What a webhook asks and gets, and Twilio's connection overrides in a URL's fragment."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

TARGETS_KEPT: Final = 1_000
"""URLs that are remembered as they were taken apart: each call asks the same few."""
URL_LENGTH: Final = 8_000
"""Characters of a URL with its query; common servers refuse longer request lines."""


@dataclass(slots=True)
class WebhookRequest:
    """One request to a program.

    `params` go into a POST's form or a GET's query, in order. `auth_token` is the primary token of the account
    that owns the resource and only signs. `idempotency_token` stays equal over retries. `call` names what the
    cookies and the log-in belong to, usually the call's SID ("" keeps nothing). With `wants_twiml`, an answer
    of a type that is neither TwiML nor text nor audio is error 12300.
    """

    url: str = field(repr=False)
    method: str = "POST"
    params: Sequence[tuple[str, str]] = field(default=(), repr=False)
    auth_token: str = field(default="", repr=False)
    account_sid: str = ""
    idempotency_token: str = ""
    call: str = ""
    wants_twiml: bool = True


class WebhookAnswer(NamedTuple):
    """What came back. `status` is 0 when there was no answer at all.

    `url` is the address that answered at last, against which relative URLs resolve; it holds no password.
    `content_type` is in lower case, without parameters, `charset` beside it. `error_code` is Twilio's (0 is
    success) and `error_text` says it in words. `lines` are (level, text) that a Function of this server printed.
    """

    status: int
    content_type: str
    body: bytes
    url: str
    elapsed: float
    error_code: int = 0
    error_text: str = ""
    charset: str = "utf-8"
    retries: int = 0
    lines: tuple[tuple[str, str], ...] = ()


class InvalidUrl(Exception):
    """A URL that cannot be asked: Twilio's error 11100."""


class Overrides(NamedTuple):
    """Twilio's connection overrides, in seconds; ct rt tt rc rp. `retry_on` holds 4xx, 5xx, ct, rt, or all."""

    connect: float = 5.0
    read: float = 15.0
    total: float = 15.0
    retries: int = 1
    retry_on: frozenset[str] = frozenset({"ct"})

    def allows(self, failure: str) -> bool:
        """Whether a failure of this kind may be tried again."""
        return failure in self.retry_on or ("all" in self.retry_on and failure != "")


DEFAULTS: Final = Overrides()


class Target(NamedTuple):
    """A URL, taken apart for one request: `url` has no userinfo and no fragment."""

    url: str
    scheme: str
    host: str
    port: int
    login: tuple[str, str] | None

    @property
    def origin(self) -> tuple[str, str, int]:
        return (self.scheme, self.host, self.port)


_DURATIONS: Final = {"ct": (100, 10_000), "rt": (100, 15_000), "tt": (100, 15_000)}
_POLICIES: Final = frozenset({"4xx", "5xx", "ct", "rt", "all"})
_UNSAFE: Final = re.compile(r"[^\x21-\x7e]|[\"<>\\^`{|}]")


def read_overrides(fragment: str) -> Overrides:
    """The overrides in a fragment. Values that Twilio does not allow leave the default in force."""
    if not fragment:
        return DEFAULTS
    values = dict(parse_qsl(fragment))
    durations = {}
    for name, (least, most) in _DURATIONS.items():
        text = values.get(name, "")
        if text.isascii() and text.isdigit() and least <= int(text[:9]) <= most:
            durations[name] = int(text) / 1000
    count = values.get("rc", "")
    policies = frozenset(values.get("rp", "ct").lower().split(","))
    return Overrides(
        connect=durations.get("ct", DEFAULTS.connect),
        read=durations.get("rt", DEFAULTS.read),
        total=durations.get("tt", DEFAULTS.total),
        retries=int(count) if count in {"0", "1", "2", "3", "4", "5"} else DEFAULTS.retries,
        retry_on=policies if policies <= _POLICIES else DEFAULTS.retry_on,
    )


@lru_cache(maxsize=TARGETS_KEPT)
def read_target(url: str) -> Target:
    """Takes a URL apart. Raises InvalidUrl for other schemes than http and https, and for what is no URL.

    Characters that HTTP does not carry are percent-encoded; all others stay as they were written, since
    the signature is made over them.
    """
    if len(url) > URL_LENGTH:
        raise InvalidUrl(f"a URL of more than {URL_LENGTH} characters")
    try:
        url = _UNSAFE.sub(lambda match: quote(match[0], safe="", errors="surrogateescape"), url.strip())
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidUrl(f"not a URL: {error}") from error
    if parts.scheme not in {"http", "https"}:
        raise InvalidUrl(
            f"not an HTTP URL: its scheme is {parts.scheme!r}" if parts.scheme else "not an absolute URL"
        )
    if not parts.hostname:
        raise InvalidUrl("a URL without a host")
    login = None
    if parts.username is not None:
        login = (unquote(parts.username), unquote(parts.password or ""))
    default = 443 if parts.scheme == "https" else 80
    netloc = parts.netloc.rpartition("@")[2].removesuffix(f":{default}")
    path = parts.path or ("/" if parts.query else "")
    plain = urlunsplit((parts.scheme, netloc, path, parts.query, ""))
    return Target(plain, parts.scheme, parts.hostname.lower(), port or default, login)


def with_query(url: str, encoded: str) -> str:
    """A URL with more parameters at the end of its query."""
    if not encoded:
        return url
    return f"{url}{'&' if '?' in url else '?'}{encoded}"
