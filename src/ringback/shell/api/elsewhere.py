"""What no route answers: paths that nothing serves, and clients that have gone."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ringback.rest.errors import method_not_allowed, not_found
from ringback.rest.rendering import SUFFIX

from .request import error_response


async def nothing_here(request: Request, problem: Exception) -> Response:
    """What Starlette answers 404 or 405: code 20404 or 20004, as JSON."""
    assert isinstance(problem, HTTPException)
    path = request.url.path
    error = method_not_allowed(request.method, path) if problem.status_code == 405 else not_found(path)
    response = error_response(error, SUFFIX)
    response.headers.update(problem.headers or {})
    return response


async def client_gone(request: Request, problem: Exception) -> Response:
    """Who asked has hung up before the request was whole: there is nobody to answer, and nothing to log."""
    return Response(status_code=400)
