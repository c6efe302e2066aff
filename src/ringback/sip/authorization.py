"""Answers to 401 and 407 on our requests, RFC 3261 section 22 and RFC 8760."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ringback.sip.digest import Challenge, answer
from ringback.sip.errors import SipSyntaxError
from ringback.sip.message import Response
from ringback.sip.timers import AUTHENTICATIONS_MAX

Header = tuple[str, str]
_FIELDS: Final = (
    ("WWW-Authenticate", "Authorization"),
    ("Proxy-Authenticate", "Proxy-Authorization"),
)


class Login:
    """A name and a password to answer challenges with. The password stays out of every repr."""

    __slots__ = ("password", "username")

    def __init__(self, username: str, password: str) -> None:
        self.username = username
        self.password = password

    def __repr__(self) -> str:
        return f"Login({self.username!r}, ***)"


class Authorizations:
    """The challenges met so far by one session or request, and the nonce counts used on them.

    A digest lets whoever reads it guess passwords at leisure, so it is meant for ``hosts`` alone: those that the user's
    request went to. Whom the far end names in a Contact or a Record-Route is a stranger.
    """

    __slots__ = ("_login", "_met", "_tokens", "hosts")

    def __init__(self, login: Login, tokens: Callable[[], str]) -> None:
        self._login = login
        self._tokens = tokens
        self._met: dict[tuple[str, str], tuple[Challenge, int]] = {}
        self.hosts: set[str] = set()

    def challenged(
        self, response: Response, tried: tuple[tuple[str, str], ...]
    ) -> tuple[tuple[str, str], ...] | None:
        """Take a 401 or 407. What has been answered with the next try, or None: there is no sense in one.

        Each realm is answered once; again only when it says that just the nonce was stale (22.1, RFC 7616 3.3).
        The first challenge of a realm whose algorithm is known counts (RFC 8760 2.4).
        """
        found: dict[tuple[str, str], Challenge] = {}
        for field, ours in _FIELDS:
            for value in response.raw(field):
                try:
                    challenge = Challenge.parse(value)
                except SipSyntaxError:
                    continue  # another scheme, or nonsense: as if it were not there
                if challenge.is_answerable:
                    found.setdefault((ours, challenge.realm), challenge)
        if not found or len(self._met.keys() | found.keys()) > AUTHENTICATIONS_MAX:
            return None
        if len(tried) + len(found) > AUTHENTICATIONS_MAX:
            return None
        if any(key in tried and not challenge.stale for key, challenge in found.items()):
            return None
        for key, challenge in found.items():
            self._met[key] = (challenge, 0)
        return (*tried, *found)

    def headers(self, method: str, uri: str, body: bytes) -> list[Header]:
        """Authorization and Proxy-Authorization fields for a request."""
        fields: list[Header] = []
        for key, (challenge, count) in self._met.items():
            self._met[key] = (challenge, count + 1)
            value = answer(
                challenge,
                method=method,
                uri=uri,
                username=self._login.username,
                password=self._login.password,
                cnonce=self._tokens(),
                nc=count + 1,
                body=body,
            )
            fields.append((key[0], value))
        return fields
