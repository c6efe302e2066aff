"""Calls: made, changed and ended through the exchange; listed from the store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from starlette.responses import Response

from ringback.rest.calls import CallCreate, read_call, read_call_update, refusal
from ringback.rest.endpoints import EndpointKind
from ringback.rest.errors import (
    FROM_NOT_VERIFIED,
    INVALID_APPLICATION,
    INVALID_BYOC,
    MORE_INFO,
    NOT_COMPLETE,
    RestError,
    invalid,
    not_active,
)
from ringback.rest.forms import Form
from ringback.rest.phone_numbers import formatted
from ringback.rest.resources import CALL
from ringback.rest.resources.calls import ENDED
from ringback.store import Store

from .collection import Collection
from .control import CallControl, Row
from .request import ApiRequest


class Calls(Collection):
    """The operations on calls. A live call is shown as the exchange has it, an ended one as it is stored."""

    resource = CALL

    def __init__(self, store: Store, calls: CallControl, unsupported: frozenset[str]) -> None:
        super().__init__(store)
        self._calls = calls
        self._unsupported = unsupported

    async def create(self, request: ApiRequest) -> Response:
        """Makes a call: 201 with status "queued", before anything rings."""
        params = read_call(request.form)
        self._check_supported(request.form)
        await check_may_call(self.store, request, params)
        row = await self._calls.create(request.account_sid, params)
        warn(self.store, request, str(row["sid"]), params)
        return request.shown(CALL, await self.view(row), 201)

    async def update(self, request: ApiRequest) -> Response:
        """Ends, redirects or changes a call."""
        row = await self.row(request)
        changes = read_call_update(request.form)
        refused = refusal(str(row["status"]), str(row["direction"]), changes)
        if refused is not None:
            raise refused
        changed = await self._calls.update(request.account_sid, str(row["sid"]), changes)
        return request.shown(CALL, await self.view(changed))

    async def row(self, request: ApiRequest) -> Row:
        """The live row, else the stored one."""
        live = self._calls.row(request.parts["sid"])
        if live is not None:
            if live["account_sid"] != request.account_sid:
                raise request.not_found()
            return live
        return await super().row(request)

    async def view(self, row: Row) -> Mapping[str, object]:
        """The row with its numbers as people write them."""
        return {
            **row,
            "to_formatted": formatted(str(row.get("to") or "")),
            "from_formatted": formatted(str(row.get("from") or "")),
        }

    async def release(self, request: ApiRequest, row: Row) -> None:
        """Only the record of an ended call can be deleted."""
        if row["status"] not in ENDED:
            raise RestError(409, NOT_COMPLETE, "Cannot delete this resource before it is complete")

    def _check_supported(self, form: Form) -> None:
        """Refuses what this exchange does not do rather than to make a call that lacks it."""
        for name in sorted(self._unsupported):
            if form.get(name) not in (None, "", "false", "False"):
                raise invalid(f"{name} is not supported by this server")


def warn(store: Store, request: ApiRequest, call_sid: str, params: CallCreate) -> None:
    """Puts warnings into the call's notifications: the call is made, but not in all as was meant."""
    now = datetime.now(UTC)
    for code, text in params.warnings:
        store.facts.put(
            "notifications",
            {
                "account_sid": request.account_sid,
                "call_sid": call_sid,
                "date_created": now,
                "date_updated": now,
                "message_date": now,
                "log": "1",  # 0 is an error, 1 a warning
                "error_code": str(code),
                "more_info": f"{MORE_INFO}{code}",
                "message_text": text,
                "request_method": "POST",
                "request_url": request.path + request.suffix,
            },
        )


async def check_may_call(store: Store, request: ApiRequest, params: CallCreate) -> None:
    """The account must be active, and the application, the trunk and the number to be shown must be the account's."""
    if request.account["status"] != "active":
        raise not_active()
    account_sid, configuration = request.account_sid, store.configuration
    if params.application_sid is not None:
        application = configuration.application(params.application_sid)
        if application is None or application["account_sid"] != account_sid:
            raise invalid("Invalid ApplicationSid", INVALID_APPLICATION)
    if params.byoc and await store.fetch("byoc_trunks", params.byoc, account_sid) is None:
        raise invalid("Invalid BYOC trunk SID", INVALID_BYOC)
    if params.to.kind is EndpointKind.NUMBER and params.byoc is None:
        for number in (params.from_, params.caller_id):
            if number is not None and not configuration.may_show(account_sid, number):
                raise invalid(
                    f"The source phone number provided, {number}, is not yet verified for your account. "
                    "You may only make calls from phone numbers that you've verified or purchased.",
                    FROM_NOT_VERIFIED,
                )
