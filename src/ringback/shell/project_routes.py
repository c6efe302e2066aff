"""The project directory on the sockets of HTTP: its routes for Starlette."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from ringback.functions import limits
from ringback.functions.project import ProjectFile
from ringback.shell.local_http import LocalAnswer, LocalRequest
from ringback.shell.project_http import BODILESS, ProjectHandler, media_type
from ringback.shell.project_request import plain


class _Asset(FileResponse):
    chunk_size = 16 * 1024  # bytes, which whoever does not take them makes us hold


def create_project_routes(handler: ProjectHandler, *, at_root: bool = False) -> list[Route]:
    """Starlette routes for a handler. With `at_root`, Functions and assets also answer at /NAME, as on Twilio's
    own domains; these routes take every path that is left, so they must be the last of all."""

    async def answer(request: Request) -> Response:
        if _announced_length(request) > limits.REQUEST_BODY:
            return _to_starlette(plain(413, "the body is too large"))
        return _to_starlette(await handler.handle(await to_local(request)))

    async def asset(request: Request) -> Response:
        item = await handler.asset(await to_local(request), request.path_params["name"])
        if isinstance(item, ProjectFile):
            return _Asset(item.path, media_type=media_type(item.path))
        return _to_starlette(item or plain(404, "there is nothing at this URL"))

    everything = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"]
    routes = [
        Route("/voice", answer, methods=["GET", "POST"]),
        Route("/bins/{name:path}", answer, methods=["GET", "POST"]),
        Route("/twiml/{name}", answer, methods=["GET", "POST"]),
        Route("/assets/{name:path}", asset, methods=["GET"]),
        Route("/functions/{name:path}", answer, methods=everything),
    ]
    if at_root:
        routes.append(Route("/{name:path}", answer, methods=everything))
    return routes


async def to_local(request: Request) -> LocalRequest:
    """A request from a socket as the handler takes it. Bodies beyond the limit are cut and then refused."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limits.REQUEST_BODY:
            break
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
    # Starlette's own URL has the path decoded; a signature is made over what was sent.
    path = request.scope.get("raw_path", b"").partition(b"?")[0].decode("latin-1") or quote(
        request.scope["path"]
    )
    query = request.scope.get("query_string", b"").decode("latin-1")
    url = f"{request.url.scheme}://{request.url.netloc}{path}{'?' if query else ''}{query}"
    return LocalRequest(request.method, url, headers, bytes(body))


def _announced_length(request: Request) -> int:
    text = request.headers.get("content-length", "0")
    return int(text[:12]) if text.isascii() and text.isdigit() else 0


def _to_starlette(answer: LocalAnswer) -> Response:
    response = Response(answer.body, answer.status)
    if answer.content_type and answer.status not in BODILESS:
        response.headers["content-type"] = answer.content_type
    for name, value in answer.headers:
        response.headers.append(name, value)
    return response
