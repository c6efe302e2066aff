"""The HTTP face of the 2010 API: one ASGI endpoint that authenticates, routes and answers errors."""

from __future__ import annotations

import asyncio
import secrets

import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ringback.rest.errors import (
    INTERNAL,
    UNAVAILABLE,
    RestError,
    authenticate,
    method_not_allowed,
    not_found,
)
from ringback.rest.forms import Form, parse_form, parse_query
from ringback.rest.limits import LARGE, MAX_BODY
from ringback.rest.rendering import SUFFIX
from ringback.rest.resource import API_VERSION
from ringback.rest.resources import APPLICATION, CALL_EVENT, CALL_NOTIFICATION, NOTIFICATION
from ringback.store import Store, Unavailable

from .accounts import Accounts
from .authentication import Caller, identify
from .caller_ids import CallerIds
from .calls import Calls
from .collection import Collection
from .conferences import Conferences, Participants
from .control import CallControl, Row
from .credentials import CredentialLists, Credentials
from .domains import Domains
from .ip_lists import IpAccessControlLists, IpAddresses
from .mappings import MAPPINGS, Mappings
from .numbers import Numbers
from .request import ApiRequest, error_response
from .routes import Routes

log = structlog.get_logger("ringback.api")

PREFIX = f"/{API_VERSION}"


def create_api(store: Store, calls: CallControl, *, unsupported: frozenset[str] = frozenset()) -> Starlette:
    """The API as an application of its own.

    `unsupported` names Calls create parameters that the exchange does not do yet: a request that sets one is
    refused with code 20001.
    """
    return Starlette(routes=api_routes(store, calls, unsupported=unsupported))


def api_routes(store: Store, calls: CallControl, *, unsupported: frozenset[str] = frozenset()) -> list[Route]:
    """The API as routes for a larger application, all below ``/2010-04-01``."""
    return [Route(PREFIX + "/{path:path}", Face(store, calls, unsupported))]


class Face:
    """The ASGI endpoint."""

    def __init__(self, store: Store, calls: CallControl, unsupported: frozenset[str]) -> None:
        self._store = store
        self._routes = _routes(store, calls, unsupported)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; the guard that keeps a defect from closing it without an answer."""
        request = Request(scope, receive)
        path = scope["path"]
        suffix = SUFFIX if path.endswith(SUFFIX) else ""
        path = path.removesuffix(SUFFIX)
        try:
            response = await self._answer(request, path, suffix)
        except ClientDisconnect:
            return
        except RestError as error:
            response = error_response(error, suffix)
        except Unavailable as error:
            log.warning("store_unavailable", reason=str(error))
            response = error_response(RestError(503, UNAVAILABLE, "Service unavailable"), suffix)
        except Exception:
            log.exception("request_failed", method=request.method, path=path)
            response = error_response(RestError(500, INTERNAL, "Internal server error"), suffix)
        response.headers["Twilio-Request-Id"] = f"RQ{secrets.token_hex(16)}"
        await response(scope, receive, send)

    async def _answer(self, request: Request, path: str, suffix: str) -> Response:
        caller = identify(request.headers.get("authorization"), self._store.configuration)
        match = self._routes.match(path.removeprefix(PREFIX))
        if match is None:
            raise not_found(path + suffix)
        account = self._account(caller, match.parts.get("account_sid"))
        if account is None:
            raise not_found(path + suffix)
        handler = match.handlers.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            error = method_not_allowed(request.method, path + suffix)
            response = error_response(error, suffix)
            response.headers["Allow"] = ", ".join(sorted(match.handlers))
            return response
        return await handler(
            ApiRequest(
                path=path,
                suffix=suffix,
                caller=caller,
                account=account,
                parts=match.parts,
                query=parse_query(request.scope.get("query_string", b"")),
                form=await read_form(request),
            )
        )

    def _account(self, caller: Caller, sid: str | None) -> Row | None:
        """The account of the path: the caller's own or a subaccount of it, else None."""
        if sid is None or sid == caller.sid:
            return caller.account
        account = self._store.configuration.account(sid)
        if account is None or account["owner_account_sid"] != caller.sid:
            return None
        if caller.by_key:  # a key speaks for its own account only
            raise authenticate()
        return account


async def read_form(request: Request) -> Form:
    """The form of a POST, read no further than MAX_BODY. Raises RestError."""
    if request.method != "POST":
        return Form()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            break
    kind = request.headers.get("content-type")
    if len(body) > LARGE:  # of escapes, a quarter of a megabyte takes 25 ms
        return await asyncio.to_thread(parse_form, bytes(body), kind)
    return parse_form(bytes(body), kind)


def _routes(store: Store, calls: CallControl, unsupported: frozenset[str]) -> Routes:
    routes = Routes()
    Accounts(store).add_to(routes)
    Calls(store, calls, unsupported).add_to(routes)
    Conferences(store, calls).add_to(routes)
    Participants(store, calls).add_to(routes)
    CallerIds(store, calls).add_to(routes)
    for kind in (Numbers, Domains, CredentialLists, Credentials, IpAccessControlLists, IpAddresses):
        kind(store).add_to(routes)
    for resource, lists in MAPPINGS:
        Mappings(store, resource, lists).add_to(routes)
    for resource in (APPLICATION, NOTIFICATION):
        Collection(store, resource).add_to(routes)
    for resource in (CALL_NOTIFICATION, CALL_EVENT):
        CallFacts(store, resource).add_to(routes)
    return routes


class CallFacts(Collection):
    """What is stored about one call."""

    parent_table = "calls"
