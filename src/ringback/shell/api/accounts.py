"""Accounts: the caller's own and its subaccounts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from ringback.rest.errors import (
    CLOSED_SUBACCOUNT,
    MAXIMUM_SUBACCOUNTS,
    PARENT_STATUS,
    authenticate,
    invalid,
)
from ringback.rest.filters import read_filters
from ringback.rest.limits import MAX_SUBACCOUNTS
from ringback.rest.paging import page_request
from ringback.rest.parameters import read_changes, read_new
from ringback.rest.resources import ACCOUNT
from ringback.store import Store, new_auth_token

from .control import Row
from .listing import memory_slice
from .request import ApiRequest
from .routes import Routes


class Accounts:
    """The operations on accounts. An API key may use none of them: an account shows its Auth Token."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_to(self, routes: Routes) -> None:
        """Adds the paths."""
        routes.add("/Accounts", {"GET": self.list, "POST": self.create})
        routes.add("/Accounts/{account_sid}", {"GET": self.fetch, "POST": self.update})

    async def list(self, request: ApiRequest) -> Response:
        """The caller's account and its subaccounts."""
        _by_token(request)
        wanted = page_request(request.query)
        criteria = read_filters(ACCOUNT.filters, request.query)
        rows = [request.caller.account, *self._subaccounts(request.caller.sid)]
        found = memory_slice((row for row in rows if criteria.holds(row)), wanted)
        return await request.listed(
            ACCOUNT, wanted, found.page([ACCOUNT.render(row, request.suffix) for row in found.rows])
        )

    async def create(self, request: ApiRequest) -> Response:
        """A new subaccount of the caller's account."""
        _by_token(request)
        owner = request.caller.account
        values: dict[str, Any] = read_new(ACCOUNT.create, request.form)
        if owner["owner_account_sid"] not in (None, owner["sid"]):
            raise invalid("Subaccounts cannot have subaccounts")
        if len(self._subaccounts(request.caller.sid)) >= MAX_SUBACCOUNTS:
            raise invalid("Reached maximum number of subaccounts", MAXIMUM_SUBACCOUNTS)
        if not values["friendly_name"]:
            values["friendly_name"] = f"SubAccount Created at {datetime.now(UTC):%Y-%m-%d %I:%M %p}"
        row = await self._store.insert(
            "accounts",
            {
                **values,
                "owner_account_sid": owner["sid"],
                "auth_token": new_auth_token(),
                "type": owner["type"],
            },
        )
        return request.shown(ACCOUNT, row, 201)

    async def fetch(self, request: ApiRequest) -> Response:
        """One account."""
        _by_token(request)
        return request.shown(ACCOUNT, request.account)

    async def update(self, request: ApiRequest) -> Response:
        """Renames an account; suspends, reactivates or closes a subaccount."""
        _by_token(request)
        changes = read_changes(ACCOUNT.update, request.form)
        if "status" in changes and changes["status"] != request.account["status"]:
            if request.account_sid == request.caller.sid:
                raise invalid("Unable to update Status for parent accounts", PARENT_STATUS)
            if request.account["status"] == "closed":
                raise invalid("Unable to update Status, subaccount has been closed", CLOSED_SUBACCOUNT)
        row: Row | None = request.account
        if changes:
            row = await self._store.update("accounts", request.account_sid, None, changes)
        if row is None:
            raise request.not_found()
        return request.shown(ACCOUNT, row)

    def _subaccounts(self, sid: str) -> Sequence[Row]:
        return [
            row
            for row in self._store.configuration.accounts()
            if row["owner_account_sid"] == sid and row["sid"] != sid
        ]


def _by_token(request: ApiRequest) -> None:
    if request.caller.by_key:
        raise authenticate()
