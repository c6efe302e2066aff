"""The client that asks programs what to do: Twilio's webhook requests.

    fetch --+--> local handler, when the host is this server's base domain (no TCP, signed alike)
            +--> aiohttp's pool of connections --> redirect? --> the next URL, signed anew

Twilio's rules: 15 s for everything, 5 s to connect, one retry when no connection came about, ten redirects,
64 kB of document, cookies and log-in kept within a call. Nothing here raises for what a peer does.
"""

import ssl
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final

import structlog

from ringback.shell import webhook_errors as codes
from ringback.shell.http_names import HttpNames
from ringback.shell.local_http import LocalAnswer, LocalDocuments, LocalHandler, LocalRequest
from ringback.shell.time_limit import TimeLimit
from ringback.shell.webhook_asked import Asked, without_userinfo
from ringback.shell.webhook_cache import DocumentCache
from ringback.shell.webhook_errors import Failure
from ringback.shell.webhook_memory import Login, Memories
from ringback.shell.webhook_pool import Pool
from ringback.shell.webhook_reply import DOCUMENT_SIZE, Reply, local_reply, media_type
from ringback.shell.webhook_request import (
    TARGETS_KEPT,
    InvalidUrl,
    WebhookAnswer,
    WebhookRequest,
    read_overrides,
)
from ringback.shell.webhook_shares import Shares

__all__ = ["WebhookAnswer", "WebhookClient", "WebhookRequest"]

log = structlog.get_logger("ringback.webhooks")

REDIRECTS: Final = 10  # Twilio, error 11215
LOG_INS: Final = 2
"""Answers to 401 for one request: one to log in, one more when a nonce went stale."""

_FOLLOWED: Final = frozenset({301, 302, 303, 307, 308})


class WebhookClient:
    """Sends webhooks. `local` answers requests whose host is `base_domain`, whatever their port.

    `ssl_context` replaces the system's trust (tests, private authorities). Use `start` and `close`.
    """

    def __init__(
        self,
        *,
        base_domain: str = "",
        local: LocalHandler | None = None,
        documents: LocalDocuments | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._base_domain = base_domain.lower()
        self._local = local
        self._constant = documents
        self._constants: dict[str, tuple[LocalAnswer, WebhookAnswer]] = {}
        self._ssl = ssl_context
        self._pool: Pool | None = None
        self._names: HttpNames | None = None
        self._shares = Shares(time.monotonic)
        self._memories = Memories()
        self._documents: DocumentCache[Reply] = DocumentCache()

    async def start(self) -> None:
        """Opens the pool."""
        if self._pool is None:
            self._names = HttpNames()
            self._pool = Pool(self._ssl, self._names)

    async def close(self) -> None:
        """Closes the pool; requests under way fail."""
        if self._pool is not None:
            await self._pool.close()
            self._pool = None
        if self._names is not None:
            await self._names.close()
            self._names = None

    def forget(self, call: str) -> None:
        """Drops a call's cookies and log-in; to be told when the call has ended."""
        self._memories.forget(call)

    def fetch_constant(self, method: str, url: str) -> WebhookAnswer | None:
        """The answer, at once, of a document of this server that is the same for every request; None otherwise.

        Nobody reads the parameters or checks the signature of such a request, so none are made.
        """
        if self._constant is None or not _names_host(url, self._base_domain):
            return None
        document = self._constant(method.upper(), url)
        if document is None:
            return None
        known = self._constants.get(url)
        if known is not None and known[0] is document:
            return known[1]
        kind, charset = media_type(document.content_type)
        answer = WebhookAnswer(document.status, kind, document.body, url, 0.0, charset=charset)
        if len(self._constants) >= TARGETS_KEPT:
            self._constants.clear()
        self._constants[url] = document, answer
        return answer

    async def fetch(self, request: WebhookRequest) -> WebhookAnswer:
        """Asks, and gives the answer or Twilio's error for why there is none."""
        fragment = request.url.partition("#")[2]
        overrides = read_overrides(fragment)
        asked = Asked(request, overrides)
        try:
            with TimeLimit(overrides.total):
                answer = await self._follow(asked)
        except InvalidUrl as error:
            answer = asked.failed(Failure(codes.INVALID_URL, str(error)))
        except TimeoutError:
            answer = asked.failed(Failure(codes.HTTP_FAILURE, f"no answer within {overrides.total:g} s"))
        if answer.error_code:
            log.info(
                "webhook failed", url=_loggable(answer.url), code=answer.error_code, why=answer.error_text
            )
        return answer

    async def notify(self, request: WebhookRequest) -> WebhookAnswer:
        """Tells a program something. What it answers changes nothing: any but 2xx is logged as warning 15003."""
        answer = await self.fetch(replace(request, wants_twiml=False))
        if 200 <= answer.status < 300:
            return answer._replace(error_code=0, error_text="")
        text = answer.error_text or f"HTTP status {answer.status}"
        log.warning("status callback was not accepted", url=_loggable(answer.url), why=text)
        return answer._replace(error_code=codes.CALLBACK_REFUSED, error_text=text)

    async def _follow(self, asked: Asked) -> WebhookAnswer:
        """The request and its redirects."""
        for _ in range(REDIRECTS + 1):
            reply = await self._try(asked)
            if isinstance(reply, Failure):
                return asked.failed(reply)
            if reply.status not in _FOLLOWED or not reply.location:
                return asked.judged(reply)
            asked.redirect(reply.status, reply.location)
        return asked.failed(Failure(codes.TOO_MANY_REDIRECTS, f"more than {REDIRECTS} redirects"))

    async def _try(self, asked: Asked) -> Reply | Failure:
        """One URL, with the retries that the overrides allow, and one more for a connection that had gone stale."""
        is_fresh = False
        while True:
            outcome = await self._once(asked)
            if isinstance(outcome, Failure):
                kind = outcome.kind
                if outcome.is_stale and not is_fresh:
                    is_fresh = True  # closed while idle: nobody saw the request, RFC 9112 section 9.3.1
                    continue
            else:
                kind = f"{outcome.status // 100}xx" if outcome.status >= 400 else ""
            if not asked.may_retry(kind):
                return outcome

    async def _once(self, asked: Asked) -> Reply | Failure:
        request = asked.request
        login = self._memories.login(request.call, asked.target)
        for _ in range(1 + LOG_INS):
            reply = await self._send(asked, login)
            if isinstance(reply, Failure):
                return reply
            self._memories.keep_cookies(request.call, asked.target.url, reply.cookies)
            if reply.status != 401 or login is None or not login.learn(reply.challenges):
                return reply
        return reply

    async def _send(self, asked: Asked, login: Login | None) -> Reply | Failure:
        local = self._local if self._base_domain and asked.target.host == self._base_domain else None
        is_handed_over = local is not None and login is None and asked.method == "POST"
        url, body, headers = asked.sent(with_body=not is_handed_over)
        if login is not None and (authorization := login.authorization(asked.method, url, body)):
            headers["Authorization"] = authorization
        if cookies := self._memories.cookies(asked.request.call, url):
            headers["Cookie"] = cookies
        if local is not None:
            form = asked.params if is_handed_over else None
            return local_reply(
                await local(LocalRequest(asked.method, url, tuple(headers.items()), body, form))
            )
        kept = self._documents.find(url) if asked.method == "GET" else None
        if kept is not None:
            headers.update(kept.conditions)
        reply = await self._ask(asked, url, headers, body)
        if isinstance(reply, Reply) and asked.method == "GET":
            if reply.status == 304 and kept is not None:
                return kept.document._replace(cookies=reply.cookies)
            if reply.status == 200 and reply.body and len(reply.body) <= DOCUMENT_SIZE:
                self._documents.keep(url, reply.etag, reply.last_modified, reply)
        return reply

    async def _ask(self, asked: Asked, url: str, headers: Mapping[str, str], body: bytes) -> Reply | Failure:
        assert self._pool is not None, "start() first"
        place, is_answered = await self._shares.take(asked.target.origin), False
        try:
            with TimeLimit(None) as place.limit:
                reply = await self._pool.ask(asked.method, url, headers, body, asked.overrides)
            is_answered = isinstance(reply, Reply)
            return codes.GAVE_WAY if place.is_cut and not is_answered else reply
        except TimeoutError:
            return codes.GAVE_WAY
        except ValueError as error:  # a host that cannot be one
            return Failure(codes.INVALID_URL, f"not a URL: {error}")
        finally:
            self._shares.give_back(place, is_answered=is_answered)


@lru_cache(maxsize=TARGETS_KEPT)
def _names_host(url: str, host: str) -> bool:
    """Whether this is a plain URL of that host, whatever the port."""
    scheme, _, rest = url.partition("://")
    is_there = rest.partition("/")[0].partition(":")[0] == host
    return is_there and scheme == "http" and "#" not in url and host != ""


def _loggable(url: str) -> str:
    """A URL without what may be secret in it."""
    return without_userinfo(url).partition("?")[0]
