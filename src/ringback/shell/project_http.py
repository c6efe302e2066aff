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
from typing import Final, TypeVar

import structlog

from ringback.functions import limits
from ringback.functions.answer import FunctionAnswer
from ringback.functions.event import build_event
from ringback.functions.pool import Runner
from ringback.functions.project import Project, ProjectFile
from ringback.functions.voice import voice_document
from ringback.rest import signatures
from ringback.shell.local_http import LocalAnswer, LocalRequest
from ringback.shell.project_bins import ProjectBins, StoredBin
from ringback.shell.project_request import PLAIN, XML, ProjectRequest, plain, wrong_method

log = structlog.get_logger("ringback.functions")

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

Subject = TypeVar("Subject")
Result = TypeVar("Result")

Tokens = Callable[[str | None], Sequence[str]]


class ProjectHandler:
    """Answers the project's URLs.

    `tokens(account_sid)` gives the auth tokens that may have signed a request for a protected Function (None where the
    request names no account); `stored_bin(sid)` gives the TwiML of a bin in the store.
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
        self._bins = ProjectBins(project, stored_bin)

    async def handle(self, request: LocalRequest) -> LocalAnswer:
        """The answer to any request; 404 for what is no URL of the project."""
        if len(request.body) > limits.REQUEST_BODY:
            return plain(413, "the body is too large")
        try:
            parsed = await _beside(request, ProjectRequest, request)
        except ValueError as error:
            return plain(400, f"the request cannot be read: {error}")
        self._project.refresh()
        answer: LocalAnswer | None
        head, _, name = parsed.path.lstrip("/").partition("/")
        match head:
            case "voice" if not name:
                answer = self._voice(parsed)
            case "bins":
                answer = self._bins.of_file(parsed, name)
            case "twiml":
                answer = self._bins.of_row(parsed, name)
            case "assets":
                answer = await self._asset(parsed, name)
            case "functions":
                answer = await self._function(parsed, name)
            case _:
                answer = await self._function(parsed, parsed.path.strip("/"))
        if answer is None:
            return plain(404, "there is nothing at this URL")
        return answer

    def constant(self, method: str, url: str) -> LocalAnswer | None:
        """The document of a bin of the project without template tags: the same for every request."""
        return self._bins.constant(method, url)

    def _voice(self, request: ProjectRequest) -> LocalAnswer:
        if (refusal := wrong_method(request.sent)) is not None:
            return refusal
        return LocalAnswer(200, XML, voice_document(request.parameters).encode())

    # ---- files and Functions ------------------------------------------------------------------------------

    async def asset(self, request: LocalRequest, name: str) -> ProjectFile | LocalAnswer | None:
        """The file of an asset that this request may have, or why not; None if there is none."""
        if len(request.body) > limits.REQUEST_BODY:
            return plain(413, "the body is too large")
        self._project.refresh()
        try:
            return await self._find_asset(await _beside(request, ProjectRequest, request), name)
        except ValueError as error:
            return plain(400, f"the request cannot be read: {error}")

    async def _find_asset(self, request: ProjectRequest, name: str) -> ProjectFile | LocalAnswer | None:
        item = self._project.assets.get(name) or self._project.assets.get(f"{name}/index.html".lstrip("/"))
        if item is None or item.access == "private":
            return None
        if item.access == "protected" and not await _beside(request.sent, self._is_signed, request):
            return plain(403, "this asset needs a valid X-Twilio-Signature")
        return item

    async def _asset(self, request: ProjectRequest, name: str) -> LocalAnswer | None:
        item = await self._find_asset(request, name)
        if item is None or isinstance(item, LocalAnswer):
            return item
        if request.sent.method not in {"GET", "HEAD"}:
            return plain(405, "an asset can only be read")
        try:
            body = await asyncio.to_thread(_read_file, item.path)
        except OSError:
            return None
        if len(body) > limits.ASSET_SIZE:
            return plain(413, "the asset is too large to be handed over")
        return LocalAnswer(200, media_type(item.path), body)

    async def _function(self, request: ProjectRequest, name: str) -> LocalAnswer | None:
        item = self._project.functions.get(name.removesuffix(".js"))
        if item is None:
            return await self._asset(request, name)
        if item.access == "private":
            return None
        if request.sent.method == "OPTIONS":
            return LocalAnswer(204, PLAIN, b"", _CORS)
        if item.access == "protected" and not await _beside(request.sent, self._is_signed, request):
            log.info("a protected Function refused a request without a valid signature", name=name)
            return plain(403, "this Function needs a valid X-Twilio-Signature")
        event = build_event(request.sent_query, request.body, request.sent.headers)
        answer = await self._runner.call(name.removesuffix(".js"), item.path, event)
        return _from_function(answer, name, request.sent)

    def _is_signed(self, request: ProjectRequest) -> bool:
        """Whether the signature is right for the URL as asked, with http and https (a proxy may end TLS)."""
        signature = request.sent.header("x-twilio-signature")
        if not signature:
            return False
        is_form = not request.sent.body or bool(request.form)
        account = dict(request.form or request.sent_query).get("AccountSid")
        rest = request.sent.url.partition("://")[2]
        return any(
            signatures.validate(
                token, f"{scheme}://{rest}", signature, request.form, None if is_form else request.sent.body
            )
            for token in self._tokens(account)
            for scheme in ("http", "https")
        )


async def _beside(request: LocalRequest, work: Callable[[Subject], Result], subject: Subject) -> Result:
    """Do what takes as long as the request's body is, of a large one in a thread."""
    return await asyncio.to_thread(work, subject) if len(request.body) > limits.LARGE else work(subject)


def media_type(path: str) -> str:
    """An asset's media type by its suffix."""
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def _from_function(answer: FunctionAnswer, name: str, request: LocalRequest) -> LocalAnswer:
    """A Function's answer as HTTP; somebody who looks with a browser gets its error as a page."""
    kind, headers, body = "", [], answer.body if answer.status not in BODILESS else b""
    for key, value in answer.headers:
        if not _is_header(key, value):
            log.warning("a Function set headers that HTTP does not allow", name=name)
        elif key == "content-type":
            kind = kind or value
        elif key not in _FRAMING:
            headers.append((key, value))
    if answer.error:
        log.info("a Function failed", name=name, status=answer.status, why=answer.error)
        if "text/html" in request.header("accept"):
            kind, body = "text/html; charset=utf-8", _error_page(name, answer)
    lines = [(line.level, line.text) for line in answer.lines]
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


def _read_file(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(limits.ASSET_SIZE + 1)
