"""Fetching of audio files for <Play>: GET, signed, bounded, in process where the URL is our own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import aiohttp

from ringback.media.clips import ClipUnavailable
from ringback.media.library import Fetched
from ringback.rest.signatures import sign
from ringback.shell.http_names import HttpNames
from ringback.shell.local_http import LocalHandler, LocalRequest
from ringback.shell.webhook_request import InvalidUrl, read_target

TOTAL = 15.0
"""Seconds for a whole file, as for every request of a call (Twilio, webhooks)."""

REDIRECTS = 10


class AudioFetcher:
    """What the library GETs audio with. ``auth_token`` gives the token that signs for an account."""

    def __init__(self, *, base_domain: str, local: LocalHandler, auth_token: Callable[[str], str]) -> None:
        self._base_domain = base_domain
        self._local = local
        self._auth_token = auth_token
        self._session: aiohttp.ClientSession | None = None
        self._names: HttpNames | None = None

    async def __call__(self, url: str, *, headers: Mapping[str, str], limit: int, owner: str) -> Fetched:
        """GET a URL; ClipUnavailable with Twilio's code where there is no answer."""
        try:
            target = read_target(url)
        except InvalidUrl as problem:
            raise ClipUnavailable(11100, f"{problem}") from None
        signed = {
            **headers,
            "User-Agent": "TwilioProxy/1.1",
            "X-Twilio-Signature": sign(self._auth_token(owner), target.url),
        }
        if target.host == self._base_domain:
            answer = await self._local(LocalRequest("GET", target.url, list(signed.items())))
            given = {name.lower(): value for name, value in answer.headers}
            given.setdefault("content-type", answer.content_type)
            return Fetched(answer.status, given, answer.body[: limit + 1])
        login = aiohttp.BasicAuth(*target.login) if target.login else None
        try:
            async with (
                asyncio.timeout(TOTAL),
                self._open().get(target.url, headers=signed, auth=login, max_redirects=REDIRECTS) as reply,
            ):
                body = bytearray()
                async for chunk in reply.content.iter_any():
                    body += chunk
                    if len(body) > limit:
                        break
                return Fetched(
                    reply.status, {name.lower(): value for name, value in reply.headers.items()}, bytes(body)
                )
        except aiohttp.TooManyRedirects:
            raise ClipUnavailable(11215, f"more than {REDIRECTS} redirects") from None
        except TimeoutError:
            raise ClipUnavailable(11200, f"no file within {TOTAL:g} s") from None
        except aiohttp.ClientConnectorDNSError as problem:
            why = problem.strerror or problem.os_error
            raise ClipUnavailable(11210, f"the host {target.host} cannot be found: {why}") from None
        except (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError):
            raise ClipUnavailable(11220, f"TLS with {target.host} failed") from None
        except aiohttp.ClientConnectionError as problem:
            raise ClipUnavailable(11205, f"no connection to {target.host}: {problem}") from None
        except (aiohttp.ClientError, ValueError) as problem:
            raise ClipUnavailable(11200, f"{problem}") from None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._names = HttpNames()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=self._names), cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
        if self._names is not None:
            await self._names.close()
