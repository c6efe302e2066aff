"""The client that asks programs what to do: Twilio's webhook requests.

    fetch --+--> local handler, when the host is this server's base domain (no TCP, signed alike)
            +--> aiohttp's pool of connections --> redirect? --> the next URL, signed anew

Twilio's rules: 15 s for everything, 5 s to connect, one retry when no connection came about, ten redirects,
64 kB of document, cookies and log-in kept within a call. Nothing here raises for what a peer does.
"""

import asyncio
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Final, NamedTuple
from urllib.parse import quote_plus, urljoin

import aiohttp
import structlog
from yarl import URL

from ringback.rest.signatures import sign
from ringback.shell import webhook_errors as codes
from ringback.shell.http_names import HttpNames
from ringback.shell.local_http import LocalDocuments, LocalHandler, LocalRequest
from ringback.shell.webhook_cache import DocumentCache
from ringback.shell.webhook_errors import Failure
from ringback.shell.webhook_memory import Login, Memories
from ringback.shell.webhook_request import (
    InvalidUrl,
    Overrides,
    Target,
    WebhookAnswer,
    WebhookRequest,
    read_overrides,
    read_target,
    with_query,
)

__all__ = ["WebhookAnswer", "WebhookClient", "WebhookRequest"]

log = structlog.get_logger("ringback.webhooks")

USER_AGENT: Final = "TwilioProxy/1.1"
FORM: Final = "application/x-www-form-urlencoded; charset=utf-8"

REDIRECTS: Final = 10  # Twilio, error 11215
DOCUMENT_SIZE: Final = 64 * 1024  # Twilio, error 11750
AUDIO_SIZE: Final = 16 * 1024 * 1024
"""Bytes of an answer that is audio: half an hour of mu-law, which Twilio plays when a program answers with it."""
POOL: Final = 200
"""Connections at a time; more requests wait, so that a burst of calls cannot use up all file descriptors."""
POOL_PER_HOST: Final = 50
KEEP_ALIVE: Final = 4.0
"""Seconds an idle connection is kept: just below the 5 s after which Node's and uvicorn's servers close."""
LOG_INS: Final = 2
"""Answers to 401 for one request: one to log in, one more when a nonce went stale."""

_TWIML_TYPES: Final = frozenset({"text/xml", "application/xml", "text/html", "text/plain"})
_FOLLOWED: Final = frozenset({301, 302, 303, 307, 308})


class _Reply(NamedTuple):
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
        self._ssl = ssl_context
        self._session: aiohttp.ClientSession | None = None
        self._names: HttpNames | None = None
        self._memories = Memories()
        self._documents: DocumentCache[_Reply] = DocumentCache()

    async def start(self) -> None:
        """Opens the pool."""
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_connection_reuseconn.append(_note_reuse)
            self._names = HttpNames()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=POOL,
                    limit_per_host=POOL_PER_HOST,
                    keepalive_timeout=KEEP_ALIVE,
                    resolver=self._names,
                    ssl=self._ssl or True,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[trace],
                auto_decompress=True,
                read_bufsize=DOCUMENT_SIZE,
            )

    async def close(self) -> None:
        """Closes the pool; requests under way fail."""
        if self._session is not None:
            await self._session.close()
            self._session = None
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
        if self._constant is None or "#" in url or not self._base_domain:
            return None
        scheme, _, rest = url.partition("://")
        if scheme != "http" or rest.partition("/")[0].partition(":")[0] != self._base_domain:
            return None
        answer = self._constant(method.upper(), url)
        if answer is None:
            return None
        kind, charset = _media_type(answer.content_type)
        return WebhookAnswer(answer.status, kind, answer.body, url, 0.0, charset=charset)

    async def fetch(self, request: WebhookRequest) -> WebhookAnswer:
        """Asks, and gives the answer or Twilio's error for why there is none."""
        began_at = time.perf_counter()
        fragment = request.url.partition("#")[2]
        overrides = read_overrides(fragment)
        asked = _Asked(request, overrides)
        try:
            async with asyncio.timeout(overrides.total):
                answer = await self._follow(asked)
        except InvalidUrl as error:
            answer = asked.failed(Failure(codes.INVALID_URL, str(error)))
        except TimeoutError:
            answer = asked.failed(Failure(codes.HTTP_FAILURE, f"no answer within {overrides.total:g} s"))
        answer = answer._replace(elapsed=time.perf_counter() - began_at, retries=asked.retries)
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

    async def _follow(self, asked: "_Asked") -> WebhookAnswer:
        """The request and its redirects."""
        for _ in range(REDIRECTS + 1):
            reply = await self._try(asked)
            if isinstance(reply, Failure):
                return asked.failed(reply)
            if reply.status not in _FOLLOWED or not reply.location:
                return asked.judged(reply)
            asked.redirect(reply.status, reply.location)
        return asked.failed(Failure(codes.TOO_MANY_REDIRECTS, f"more than {REDIRECTS} redirects"))

    async def _try(self, asked: "_Asked") -> _Reply | Failure:
        """One URL, with the retries that the overrides allow, and one more for a connection that had gone stale."""
        is_fresh = False
        while True:
            trace = SimpleNamespace(reused=False)
            outcome = await self._once(asked, trace)
            if isinstance(outcome, Failure):
                kind = outcome.kind
                if trace.reused and outcome.code == codes.PROTOCOL_VIOLATION and not is_fresh:
                    is_fresh = True  # closed while idle: nobody saw the request, RFC 9112 section 9.3.1
                    continue
            else:
                kind = f"{outcome.status // 100}xx" if outcome.status >= 400 else ""
            if not asked.may_retry(kind):
                return outcome

    async def _once(self, asked: "_Asked", trace: SimpleNamespace) -> _Reply | Failure:
        request = asked.request
        login = self._memories.login(request.call, asked.target)
        for _ in range(1 + LOG_INS):
            reply = await self._send(asked, login, trace)
            if isinstance(reply, Failure):
                return reply
            self._memories.keep_cookies(request.call, asked.target.url, reply.cookies)
            if reply.status != 401 or login is None or not login.learn(reply.challenges):
                return reply
        return reply

    async def _send(self, asked: "_Asked", login: Login | None, trace: SimpleNamespace) -> _Reply | Failure:
        url, body, headers = asked.sent()
        if login is not None and (authorization := login.authorization(asked.method, url, body)):
            headers["Authorization"] = authorization
        if cookies := self._memories.cookies(asked.request.call, url):
            headers["Cookie"] = cookies
        if self._local is not None and self._base_domain and asked.target.host == self._base_domain:
            return await _ask_local(self._local, asked.method, url, headers, body)
        kept = self._documents.find(url) if asked.method == "GET" else None
        if kept is not None:
            headers.update(kept.conditions)
        reply = await self._ask(asked, url, headers, body, trace)
        if isinstance(reply, _Reply) and asked.method == "GET":
            if reply.status == 304 and kept is not None:
                return kept.document._replace(cookies=reply.cookies)
            if reply.status == 200 and reply.body and len(reply.body) <= DOCUMENT_SIZE:
                self._documents.keep(url, reply.etag, reply.last_modified, reply)
        return reply

    async def _ask(
        self, asked: "_Asked", url: str, headers: Mapping[str, str], body: bytes, trace: SimpleNamespace
    ) -> _Reply | Failure:
        assert self._session is not None, "start() first"
        overrides = asked.overrides
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=overrides.connect, sock_read=overrides.read)
        try:
            async with self._session.request(
                asked.method,
                URL(url, encoded=True),
                data=body or None,
                headers=headers,
                allow_redirects=False,
                timeout=timeout,
                trace_request_ctx=trace,
            ) as response:
                return await _read_reply(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            return codes.from_client_error(error)
        except ValueError as error:  # yarl: a host that cannot be one
            return Failure(codes.INVALID_URL, f"not a URL: {error}")


class _Asked:
    """A webhook on its way: where it stands now."""

    def __init__(self, request: WebhookRequest, overrides: Overrides) -> None:
        self.request = request
        self.overrides = overrides
        self.method = request.method.upper()
        self.params = list(request.params)
        self.retries = 0
        self.url = request.url.partition("#")[0]
        self._target: Target | None = None

    @property
    def target(self) -> Target:
        if self._target is None:
            self._target = read_target(self.url)
        return self._target

    def sent(self) -> tuple[str, bytes, dict[str, str]]:
        """URL, body and headers. Twilio leaves userinfo out of what it signs."""
        request = self.request
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*"}
        encoded = _form(self.params)
        body = b""
        if self.method == "POST":
            url, body = self.target.url, encoded.encode("ascii")
            headers["Content-Type"] = FORM
            signature = sign(request.auth_token, url, self.params)
        else:
            url = with_query(self.target.url, encoded)
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
        url = self._target.url if self._target else _without_userinfo(self.url)
        return WebhookAnswer(0, "", b"", url, 0.0, failure.code, failure.text)

    def judged(self, reply: _Reply) -> WebhookAnswer:
        """The answer, with Twilio's error if it is of no use."""
        code, text = reply.error_code, reply.error_text
        kind = reply.content_type
        if code == 0 and not 200 <= reply.status < 300:
            code, text = codes.HTTP_FAILURE, f"HTTP status {reply.status}"
        elif code == 0 and reply.is_too_large:
            code, text = codes.BODY_TOO_LARGE, f"an answer of more than {DOCUMENT_SIZE // 1024} kB"
        elif code == 0 and self.request.wants_twiml and reply.body and not _is_playable(kind):
            code = codes.INVALID_CONTENT_TYPE
            text = f"Content-Type {kind!r} is neither TwiML, text nor audio"
        return WebhookAnswer(
            reply.status, kind, reply.body, self.target.url, 0.0, code, text, reply.charset, 0, reply.lines
        )


_quoted_name = lru_cache(maxsize=1_000)(quote_plus)
"""The names of parameters are few and come with every request."""


def _form(params: Iterable[tuple[str, str]]) -> str:
    """What urllib's urlencode gives; half of it, names and SIDs, needs no work."""
    return "&".join(
        f"{_quoted_name(name)}={value if value.isascii() and value.isalnum() else quote_plus(value)}"
        for name, value in params
    )


def _is_playable(kind: str) -> bool:
    return kind in _TWIML_TYPES or kind.startswith("audio/")


async def _note_reuse(_session: aiohttp.ClientSession, context: Any, _params: Any) -> None:
    context.trace_request_ctx.reused = True


async def _read_reply(response: aiohttp.ClientResponse) -> _Reply:
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
    return _Reply(
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


async def _ask_local(
    handler: LocalHandler, method: str, url: str, headers: Mapping[str, str], body: bytes
) -> _Reply:
    answer = await handler(LocalRequest(method, url, tuple(headers.items()), body))
    kind, charset = _media_type(answer.content_type)
    by_name = [(name.lower(), value) for name, value in answer.headers]
    is_too_large = len(answer.body) > (AUDIO_SIZE if kind.startswith("audio/") else DOCUMENT_SIZE)
    return _Reply(
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


def _media_type(content_type: str) -> tuple[str, str]:
    """The type and the charset of a Content-Type, in lower case."""
    kind, _, parameters = content_type.partition(";")
    charset = parameters.partition("charset=")[2].split(";")[0].strip(' "') or "utf-8"
    return kind.strip().lower(), charset.lower()


def _without_userinfo(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def _loggable(url: str) -> str:
    """A URL without what may be secret in it."""
    return _without_userinfo(url).partition("?")[0]
