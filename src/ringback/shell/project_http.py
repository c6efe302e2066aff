"""The project directory as it answers requests: /functions, /bins, /twiml, /voice and /assets.

Every request, whether from a socket (shell.project_routes) or from the webhook client in this process, is a
LocalRequest.
"""

import asyncio
import html
import json
import mimetypes
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import structlog

from ringback.functions import bins, limits
from ringback.functions.answer import FunctionAnswer
from ringback.functions.errors import TemplateError
from ringback.functions.event import build_event, gather, read_body, read_form, read_parameters, restore_plus
from ringback.functions.pool import Runner
from ringback.functions.project import Project, ProjectFile
from ringback.functions.voice import voice_document
from ringback.rest import signatures
from ringback.shell.local_http import LocalAnswer, LocalRequest

log = structlog.get_logger("ringback.functions")

XML: Final = "text/xml; charset=utf-8"
PLAIN: Final = "text/plain; charset=utf-8"

_CORS: Final = (
    ("access-control-allow-origin", "*"),
    (
        "access-control-allow-headers",
        "Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Match, If-Unmodified-Since, "
        "User-Agent",
    ),
    ("access-control-allow-methods", "GET, POST, OPTIONS"),
    ("access-control-expose-headers", "ETag"),
    ("access-control-max-age", "86400"),
    ("access-control-allow-credentials", "true"),
)
_FRAMING: Final = frozenset({"content-length", "transfer-encoding", "connection", "content-type"})

BODILESS: Final = frozenset({204, 304})  # RFC 9110 sections 15.3.5 and 15.4.5
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

Tokens = Callable[[str | None], Sequence[str]]
StoredBin = Callable[[str], str | None]


class _Parsed:
    """A request's parameters, as sent (`form`, for the signature) and as meant (`query`, `body`)."""

    def __init__(self, request: LocalRequest) -> None:
        parts = urlsplit(request.url)
        self.path = unquote(parts.path)
        self.sent_query = read_parameters(parts.query)
        self.query = restore_plus(self.sent_query)
        self.form, self.body = (
            read_body(request.header("content-type"), request.body)
            if request.form is None
            else read_form(request.form)
        )

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Query and form as one list, for templates: a name in the body hides the query's."""
        mine = [(name, value) for name, value in self.query if name not in self.body]
        if self.form:
            return mine + restore_plus(self.form)
        return mine + [(name, value) for name, value in self.body.items() if isinstance(value, str)]

    @property
    def parameters(self) -> dict[str, Any]:
        return {**gather(self.query), **self.body}


class ProjectHandler:
    """Answers the project's URLs.

    `tokens(account_sid)` gives the auth tokens that may have signed a request for a protected Function (of all
    accounts when the request names none); `stored_bin(sid)` gives the TwiML of a bin in the store.
    """

    def __init__(
        self,
        project: Project,
        runner: Runner,
        *,
        tokens: Tokens,
        stored_bin: StoredBin = lambda sid: None,
    ) -> None:
        self._project = project
        self._runner = runner
        self._tokens = tokens
        self._stored_bin = stored_bin
        self._templates: dict[str, tuple[object, list[bins.Part]]] = {}
        self._constant: dict[str, LocalAnswer] = {}
        self._constant_of = -1

    async def handle(self, request: LocalRequest) -> LocalAnswer:
        """The answer to any request; 404 for what is no URL of the project."""
        if len(request.body) > limits.REQUEST_BODY:
            return plain(413, "the body is too large")
        try:
            parsed = _Parsed(request)
        except ValueError as error:
            return plain(400, f"the request cannot be read: {error}")
        self._project.refresh()
        answer: LocalAnswer | None
        head, _, name = parsed.path.lstrip("/").partition("/")
        match head:
            case "voice" if not name:
                answer = self._voice(request, parsed)
            case "bins":
                answer = self._bin_file(request, parsed, name)
            case "twiml":
                answer = self._bin_row(request, parsed, name)
            case "assets":
                answer = await self._asset(request, parsed, name)
            case "functions":
                answer = await self._function(request, parsed, name)
            case _:
                answer = await self._function(request, parsed, parsed.path.strip("/"))
        if answer is None:
            return plain(404, "there is nothing at this URL")
        return answer

    def constant(self, method: str, url: str) -> LocalAnswer | None:
        """The document of a bin of the project without template tags: the same for every request."""
        if method not in {"GET", "POST"}:
            return None
        self._project.refresh()
        if self._constant_of != self._project.generation:
            self._constant.clear()
            self._constant_of = self._project.generation
        return self._constant.get(urlsplit(url).path)

    # ---- documents ----------------------------------------------------------------------------------------

    def _voice(self, request: LocalRequest, parsed: _Parsed) -> LocalAnswer:
        if (refusal := _wrong_method(request)) is not None:
            return refusal
        return LocalAnswer(200, XML, voice_document(parsed.parameters).encode())

    def _bin_file(self, request: LocalRequest, parsed: _Parsed, name: str) -> LocalAnswer | None:
        item = self._project.bins.get(name.removesuffix(".xml"))
        if item is None:
            return None
        key = (self._project.generation, item.path)
        try:
            text = Path(item.path).read_text(encoding="utf-8") if self._stale(item.path, key) else ""
        except (OSError, UnicodeDecodeError) as error:
            log.warning("a bin cannot be read", name=name, error=str(error))
            return plain(500, "the bin cannot be read")
        answer = self._render(request, parsed, item.path, key, text)
        template = self._templates.get(item.path)
        if answer.status == 200 and template is not None:
            self._keep_constant(urlsplit(request.url).path, parsed.path, template[1], answer)
        return answer

    def _keep_constant(self, sent: str, path: str, template: list[bins.Part], answer: LocalAnswer) -> None:
        """Keep a document for ``constant``, by the path as it was sent: it must be the path that was meant."""
        is_constant = sent == path and all(isinstance(part, bins.Text) for part in template)
        is_current = self._constant_of == self._project.generation
        if is_constant and is_current and len(self._constant) < limits.PROJECT_FILES:
            self._constant[path] = answer

    def _bin_row(self, request: LocalRequest, parsed: _Parsed, sid: str) -> LocalAnswer | None:
        text = self._stored_bin(sid)
        if text is None:
            return None
        return self._render(request, parsed, sid, text, text)

    def _stale(self, name: str, key: object) -> bool:
        known = self._templates.get(name)
        return known is None or known[0] != key

    def _render(
        self, request: LocalRequest, parsed: _Parsed, name: str, key: object, text: str
    ) -> LocalAnswer:
        """A bin's document; its template is read once for each `key`."""
        if (refusal := _wrong_method(request)) is not None:
            return refusal
        try:
            if self._stale(name, key):
                if len(self._templates) >= limits.PROJECT_FILES:
                    self._templates.clear()
                self._templates[name] = (key, bins.parse(text))
            document = bins.render(self._templates[name][1], bins.collect(parsed.pairs))
        except TemplateError as error:
            return plain(400, f"error {error.code}: {error}")._replace(
                error_code=error.code, error_text=str(error)
            )
        return LocalAnswer(200, XML, document.encode())

    # ---- files and Functions ------------------------------------------------------------------------------

    def asset(self, request: LocalRequest, name: str) -> ProjectFile | LocalAnswer | None:
        """The file of an asset that this request may have, or why not; None if there is none."""
        self._project.refresh()
        try:
            return self._find_asset(request, _Parsed(request), name)
        except ValueError as error:
            return plain(400, f"the request cannot be read: {error}")

    def _find_asset(
        self, request: LocalRequest, parsed: _Parsed, name: str
    ) -> ProjectFile | LocalAnswer | None:
        item = self._project.assets.get(name) or self._project.assets.get(f"{name}/index.html".lstrip("/"))
        if item is None or item.access == "private":
            return None
        if item.access == "protected" and not self._is_signed(request, parsed):
            return plain(403, "this asset needs a valid X-Twilio-Signature")
        return item

    async def _asset(self, request: LocalRequest, parsed: _Parsed, name: str) -> LocalAnswer | None:
        item = self._find_asset(request, parsed, name)
        if item is None or isinstance(item, LocalAnswer):
            return item
        if request.method not in {"GET", "HEAD"}:
            return plain(405, "an asset can only be read")
        try:
            body = await asyncio.to_thread(_read_file, item.path)
        except OSError:
            return None
        if len(body) > limits.ASSET_SIZE:
            return plain(413, "the asset is too large to be handed over")
        return LocalAnswer(200, media_type(item.path), body)

    async def _function(self, request: LocalRequest, parsed: _Parsed, name: str) -> LocalAnswer | None:
        item = self._project.functions.get(name.removesuffix(".js"))
        if item is None:
            return await self._asset(request, parsed, name)
        if item.access == "private":
            return None
        if request.method == "OPTIONS":
            return LocalAnswer(204, PLAIN, b"", _CORS)
        if item.access == "protected" and not self._is_signed(request, parsed):
            log.info("a protected Function refused a request without a valid signature", name=name)
            return plain(403, "this Function needs a valid X-Twilio-Signature")
        event = build_event(parsed.sent_query, parsed.body, request.headers)
        answer = await self._runner.call(name.removesuffix(".js"), item.path, event)
        return _from_function(answer, name, request)

    def _is_signed(self, request: LocalRequest, parsed: _Parsed) -> bool:
        """Whether the signature is right for the URL as asked, with http and https (a proxy may end TLS)."""
        signature = request.header("x-twilio-signature")
        if not signature:
            return False
        is_form = not request.body or bool(parsed.form)
        account = dict(parsed.form or parsed.sent_query).get("AccountSid")
        rest = request.url.partition("://")[2]
        return any(
            signatures.validate(
                token, f"{scheme}://{rest}", signature, parsed.form, None if is_form else request.body
            )
            for token in self._tokens(account)
            for scheme in ("http", "https")
        )


def media_type(path: str) -> str:
    """An asset's media type by its suffix."""
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def _from_function(answer: FunctionAnswer, name: str, request: LocalRequest) -> LocalAnswer:
    """A Function's answer as HTTP; somebody who looks with a browser gets its error as a page."""
    sound = [(key, value) for key, value in answer.headers if _is_header(key, value)]
    if len(sound) < len(answer.headers):
        log.warning("a Function set headers that HTTP does not allow", name=name)
    headers = [(key, value) for key, value in sound if key not in _FRAMING]
    kind = next((value for key, value in sound if key == "content-type"), "")
    body = answer.body if answer.status not in BODILESS else b""
    if answer.error:
        log.info("a Function failed", name=name, status=answer.status, why=answer.error)
        if "text/html" in request.header("accept"):
            kind, body = "text/html; charset=utf-8", _error_page(name, answer)
    lines = tuple((line.level, line.text) for line in answer.lines)
    return LocalAnswer(answer.status, kind, body, headers, 0, answer.error, lines)


def _is_header(name: str, value: str) -> bool:
    """Whether a header can be sent, RFC 9110 sections 5.1 and 5.5."""
    return _TOKEN.fullmatch(name) is not None and _FIELD_VALUE.fullmatch(value) is not None


def _error_page(name: str, answer: FunctionAnswer) -> bytes:
    try:
        stack = json.loads(answer.body)["stack"]
    except (ValueError, KeyError, TypeError):
        stack = answer.error
    printed = "\n".join(f"{line.level}: {line.text}" for line in answer.lines)
    title = html.escape(f"Function {name}: {answer.error}")
    return (
        f"<!doctype html><meta charset=utf-8><title>{title}</title><h1>{title}</h1>"
        f"<pre>{html.escape(str(stack))}</pre><h2>Console</h2><pre>{html.escape(printed)}</pre>\n"
    ).encode()


def plain(status: int, text: str) -> LocalAnswer:
    """An answer for people."""
    return LocalAnswer(status, PLAIN, (text + "\n").encode())


def _wrong_method(request: LocalRequest) -> LocalAnswer | None:
    if request.method in {"GET", "POST", "HEAD"}:
        return None
    return plain(405, "only GET and POST")._replace(headers=(("allow", "GET, POST"),))


def _read_file(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(limits.ASSET_SIZE + 1)
