"""What most resources have in common: list, create, fetch, update and delete rows of one table."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from starlette.responses import Response

from ringback.rest.errors import RestError, UsageError, invalid
from ringback.rest.filters import read_filters
from ringback.rest.paging import PageRequest, page_request
from ringback.rest.parameters import read_changes, read_new
from ringback.rest.resource import Resource
from ringback.store import Conflict, Store

from .control import Row
from .listing import Slice, stored_slice
from .request import ROWS_A_TURN, ApiRequest, Handler
from .routes import Routes

Values = dict[str, Any]


class Collection:
    """The operations on one kind of resource; a kind with rules of its own overrides the small methods."""

    resource: Resource
    parent_table: ClassVar[str] = ""  # table of what the path names before this resource, if anything

    def __init__(self, store: Store, resource: Resource | None = None) -> None:
        self.store = store
        if resource is not None:
            self.resource = resource

    def add_to(self, routes: Routes) -> None:
        """Adds the paths of the list and of one resource, with the methods that the description has."""
        many: dict[str, Handler] = {"GET": self.list}
        one: dict[str, Handler] = {"GET": self.fetch}
        if self.resource.create:
            many["POST"] = self.create
            one["DELETE"] = self.delete
        if self.resource.update:
            one["POST"] = self.update
        routes.add(self.resource.list_path, many)
        routes.add(self.resource.path, one)

    # --- operations -----------------------------------------------------------------------------

    async def list(self, request: ApiRequest) -> Response:
        """GET of the list."""
        wanted = page_request(request.query)
        criteria = read_filters(self.resource.filters, request.query)
        where = await self.scope(request) | criteria.equal
        found = await stored_slice(self.store, self.resource.table, where, criteria.ranges, wanted)
        return await self.listed(request, wanted, found)

    async def listed(self, request: ApiRequest, wanted: PageRequest, found: Slice) -> Response:
        """A page of rows, with turns for everything else in between."""
        shown = []
        for number, row in enumerate(found.rows, 1):
            shown.append(self.resource.render(await self.view(row), request.suffix))
            if number % ROWS_A_TURN == 0:
                await asyncio.sleep(0)
        return await request.listed(self.resource, wanted, found.page(shown))

    async def create(self, request: ApiRequest) -> Response:
        """POST to the list: 201."""
        scope = await self.scope(request)
        values = await self.prepare(request, read_new(self.resource.create, request.form), None)
        await self._check_maximum(scope)
        try:
            row = await self.store.insert(self.resource.table, values | scope)
        except Conflict as error:
            raise self.conflict(error, values) from error
        return request.shown(self.resource, await self.view(row), 201)

    async def fetch(self, request: ApiRequest) -> Response:
        """GET of one."""
        return request.shown(self.resource, await self.view(await self.row(request)))

    async def update(self, request: ApiRequest) -> Response:
        """POST to one: 200."""
        row = await self.row(request)
        changes = await self.prepare(request, read_changes(self.resource.update, request.form), row)
        if changes:
            try:
                changed = await self.store.update(
                    self.resource.table, str(row["sid"]), request.account_sid, changes
                )
            except Conflict as error:
                raise self.conflict(error, changes) from error
            if changed is None:  # deleted meanwhile
                raise request.not_found()
            row = changed
        return request.shown(self.resource, await self.view(row))

    async def delete(self, request: ApiRequest) -> Response:
        """DELETE of one: 204."""
        row = await self.row(request)
        await self.release(request, row)
        if not await self.store.delete(self.resource.table, str(row["sid"]), request.account_sid):
            raise request.not_found()
        return request.deleted()

    # --- what a kind may change -----------------------------------------------------------------

    async def scope(self, request: ApiRequest) -> Values:
        """The columns that every row of this list has: its account, and its parent, which must exist."""
        where: Values = {"account_sid": request.account_sid}
        parent = self.resource.parent
        if parent is not None:
            sid = request.parts[parent]
            if await self.store.fetch(self.parent_table, sid, request.account_sid) is None:
                raise request.not_found()
            where[parent] = sid
        return where

    async def row(self, request: ApiRequest) -> Row:
        """The row that the path names. Raises RestError 404."""
        row = await self.store.fetch(self.resource.table, request.parts["sid"], request.account_sid)
        parent = self.resource.parent
        if row is None or (parent is not None and row[parent] != request.parts[parent]):
            raise request.not_found()
        return row

    async def view(self, row: Row) -> Mapping[str, object]:
        """The row with what is computed for it."""
        return row

    async def prepare(self, request: ApiRequest, values: Values, row: Row | None) -> Values:
        """Checks the values of a new row (`row` None) or of a change, and gives the columns to write."""
        return values

    async def release(self, request: ApiRequest, row: Row) -> None:
        """Refuses to delete a row that something else needs. Raises RestError."""

    def conflict(self, error: Conflict, values: Values) -> RestError:
        """The error for values that must be unique and are not."""
        raise UsageError(f"{self.resource.table} has no message for this conflict") from error

    async def _check_maximum(self, scope: Values) -> None:
        maximum = self.resource.maximum
        if maximum is not None and await self.store.count(self.resource.table, scope) >= maximum:
            raise invalid(f"The maximum of {maximum} is reached", self.resource.maximum_code)
