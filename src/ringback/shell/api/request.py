"""A request as handlers see it, and the answers that they can give."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from starlette.responses import Response

from ringback.rest.errors import RestError, not_found
from ringback.rest.forms import Form
from ringback.rest.paging import Page, PageRequest, envelope
from ringback.rest.rendering import JSON, SUFFIX, XML, json_body, json_list, xml_error, xml_list, xml_resource
from ringback.rest.resource import Resource

from .authentication import Caller
from .control import Row

ROWS_A_TURN = 25
"""Rows of a list that are made ready in one turn of the event loop: each takes a fifth of a millisecond."""


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """An authenticated request for a path that exists.

    `path` is without suffix, `suffix` is ".json" or ""; `parts` holds the path's parameters; `account` is the
    account in the path, which is the caller's own or one of its subaccounts.
    """

    path: str
    suffix: str
    caller: Caller
    account: Row
    parts: Mapping[str, str]
    query: Form
    form: Form = field(repr=False)

    @property
    def account_sid(self) -> str:
        """The SID of the account in the path."""
        return str(self.account["sid"])

    def not_found(self) -> RestError:
        """The error for a resource that does not exist, or not for this account."""
        return not_found(self.path + self.suffix)

    def shown(self, resource: Resource, row: Mapping[str, object], status: int = 200) -> Response:
        """One resource."""
        shown = resource.render(row, self.suffix)
        if self.suffix:
            return Response(json_body(shown), status, media_type=JSON)
        return Response(xml_resource(resource, shown), status, media_type=XML)

    async def listed(self, resource: Resource, request: PageRequest, page: Page) -> Response:
        """One page of a list; a long one is written beside the event loop."""
        if len(page.items) > ROWS_A_TURN:
            return await asyncio.to_thread(self._listed, resource, request, page)
        return self._listed(resource, request, page)

    def _listed(self, resource: Resource, request: PageRequest, page: Page) -> Response:
        around = envelope(self.path + self.suffix, self.query, request, page)
        if self.suffix:
            return Response(json_list(resource.list_key, list(page.items), around), media_type=JSON)
        return Response(xml_list(resource, around, list(page.items)), media_type=XML)

    def deleted(self) -> Response:
        """Nothing to show: 204."""
        return Response(status_code=204)


Handler = Callable[[ApiRequest], Awaitable[Response]]


def error_response(error: RestError, suffix: str) -> Response:
    """An error in the format of the request's path."""
    body, kind = (json_body(error.body()), JSON) if suffix == SUFFIX else (xml_error(error), XML)
    response = Response(body, error.status, media_type=kind)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="Twilio API"'  # RFC 9110 section 11.6.1
    if error.status == 503:
        response.headers["Retry-After"] = "1"
    return response
