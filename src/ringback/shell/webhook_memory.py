"""What a call remembers between its webhooks: cookies, and how it logged in where a password was asked for."""

import base64
import contextlib
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import urlsplit

from aiohttp import CookieJar
from yarl import URL

from ringback.shell.webhook_request import Target
from ringback.sip.digest import Challenge, answer
from ringback.sip.errors import SipSyntaxError

CALLS_REMEMBERED: Final = 20_000
"""Calls with cookies or a log-in; the oldest is forgotten, in case a call's end was never told."""
COOKIES_SIZE: Final = 8_192
"""Bytes of Cookie header that are sent back; more than servers accept."""


class Login:
    """A user and password of a URL's userinfo, used as a server asks for them.

    As Twilio does, nothing is sent before the server's 401; then Digest (RFC 7616) if it is offered, or Basic.
    From then on, requests of the same call to the same server are logged in at once.
    """

    __slots__ = ("_challenge", "_count", "_is_basic", "_password", "_user")

    def __init__(self, user: str, password: str) -> None:
        self._user = user
        self._password = password
        self._is_basic = False
        self._challenge: Challenge | None = None
        self._count = 0

    def is_for(self, login: tuple[str, str]) -> bool:
        return (self._user, self._password) == login

    def authorization(self, method: str, url: str, body: bytes) -> str:
        """The header's value, "" while nobody asked for it."""
        if self._challenge is not None:
            self._count += 1
            parts = urlsplit(url)
            return answer(
                self._challenge,
                method=method,
                uri=f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}",
                username=self._user,
                password=self._password,
                cnonce=secrets.token_hex(8),
                nc=self._count,
                body=body,
            )
        if self._is_basic:
            return "Basic " + base64.b64encode(f"{self._user}:{self._password}".encode()).decode()
        return ""

    def learn(self, challenges: Sequence[str]) -> bool:
        """Reads the WWW-Authenticate headers of a 401. Says whether the request is worth another try."""
        for value in challenges:
            if not value.lower().startswith("digest "):
                continue
            try:
                value.encode()
                challenge = Challenge.parse(value)
            except (SipSyntaxError, UnicodeEncodeError):  # or bytes that are no UTF-8
                continue
            if challenge.is_answerable:
                self._challenge, self._count = challenge, 0
                return True
        if self._is_basic or (
            challenges and not any(value.lower().startswith("basic") for value in challenges)
        ):
            return False
        self._is_basic, self._challenge = True, None
        return True


class _Memory:
    """Of one call."""

    __slots__ = ("jar", "logins")

    def __init__(self) -> None:
        self.jar: CookieJar | None = None
        self.logins: dict[tuple[str, str, int], Login] = {}


class Memories:
    """Of all calls, by the key that the webhooks name."""

    def __init__(self) -> None:
        self._memories: OrderedDict[str, _Memory] = OrderedDict()

    def forget(self, call: str) -> None:
        self._memories.pop(call, None)

    def login(self, call: str, target: Target) -> Login | None:
        """The log-in for a server: that of the URL, or that of an earlier URL of the same call."""
        memory = self._memories.get(call)
        known = memory.logins.get(target.origin) if memory else None
        if target.login is None or (known is not None and known.is_for(target.login)):
            return known
        login = Login(*target.login)
        if call:
            self._of(call).logins[target.origin] = login
        return login

    def cookies(self, call: str, url: str) -> str:
        """The Cookie header for a URL, "" for none."""
        memory = self._memories.get(call)
        if memory is None or memory.jar is None:
            return ""
        cookies = memory.jar.filter_cookies(URL(url, encoded=True))
        text = "; ".join(f"{name}={morsel.coded_value}" for name, morsel in cookies.items())
        return text if len(text) <= COOKIES_SIZE else ""

    def keep_cookies(self, call: str, url: str, cookies: Sequence[str]) -> None:
        """Keeps the Set-Cookie headers of an answer."""
        if not call or not cookies:
            return
        memory = self._of(call)
        if memory.jar is None:
            memory.jar = CookieJar(unsafe=True)  # hosts may be IP addresses
        for cookie in cookies:
            with contextlib.suppress(CookieError):
                memory.jar.update_cookies(SimpleCookie(cookie), URL(url, encoded=True))

    def _of(self, call: str) -> _Memory:
        memory = self._memories.get(call)
        if memory is None:
            memory = self._memories[call] = _Memory()
            while len(self._memories) > CALLS_REMEMBERED:
                self._memories.popitem(last=False)
        return memory
