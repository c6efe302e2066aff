"""IncomingPhoneNumbers: any number that nobody holds can be had."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from starlette.responses import Response

from ringback.rest.errors import (
    APPLICATION_NOT_ACCESSIBLE,
    INVALID_ACCOUNT_SID,
    INVALID_AREA_CODE,
    NO_NUMBERS_IN_AREA_CODE,
    NUMBER_INVALID,
    NUMBER_NOT_AVAILABLE,
    RestError,
    invalid,
)
from ringback.rest.filters import read_filters
from ringback.rest.paging import page_request
from ringback.rest.phone_numbers import formatted, is_e164, number_type, to_e164
from ringback.rest.resources import INCOMING_PHONE_NUMBER
from ringback.store import Conflict

from .collection import Collection, Values
from .control import Row
from .listing import memory_slice
from .request import ApiRequest
from .routes import Routes

_TYPES = {"Local": "local", "Mobile": "mobile", "TollFree": "toll-free"}


class Numbers(Collection):
    """The operations on numbers, also under Local, Mobile and TollFree."""

    resource = INCOMING_PHONE_NUMBER

    def add_to(self, routes: Routes) -> None:
        """Adds the lists by type before the path of one number, which would hide them."""
        for name in _TYPES:
            routes.add(f"{self.resource.list_path}/{name}", {"GET": self.list, "POST": self.create})
        super().add_to(routes)

    async def list(self, request: ApiRequest) -> Response:
        """The numbers that match; PhoneNumber may be a part, with ``*`` for any digit."""
        wanted = page_request(request.query)
        criteria = read_filters(self.resource.filters, request.query)
        pattern = _pattern(str(criteria.equal.pop("phone_number", "")))
        kind = _TYPES.get(request.path.rpartition("/")[2])
        rows = (
            row
            for row in self.store.configuration.numbers(request.account_sid)
            if criteria.holds(row)
            and pattern.search(row["phone_number"])
            and kind in (None, number_type(row["phone_number"]))
        )
        # Beside the event loop: a thousand numbers take it a tenth of a second.
        found = await asyncio.to_thread(memory_slice, rows, wanted)
        return await self.listed(request, wanted, found)

    async def view(self, row: Row) -> Mapping[str, object]:
        """The number with its type, by its country's plan."""
        return {**row, "type": number_type(row["phone_number"])}

    async def prepare(self, request: ApiRequest, values: Values, row: Row | None) -> Values:
        """Checks the number, and that applications exist; an application and a trunk exclude each other."""
        area_code = values.pop("area_code", None)
        if row is None:
            number = _number(values["phone_number"] or None, area_code)
            if self.store.configuration.number(number) is not None:
                raise _taken(number)
            values |= {
                "phone_number": number,
                "friendly_name": values["friendly_name"] or formatted(number),
            }
        for name in ("voice_application_sid", "sms_application_sid"):
            self._check_application(request, values.get(name))
        if values.get("trunk_sid"):
            raise invalid("TrunkSid: no such trunk in this account")
        if values.get("voice_application_sid"):
            values["trunk_sid"] = None
        if "account_sid" in values and not values["account_sid"]:
            del values["account_sid"]
        if values.get("account_sid", request.account_sid) != request.account_sid:
            self._check_transfer(request, str(values["account_sid"]))
            values |= {"voice_application_sid": None, "sms_application_sid": None}  # they stay behind
        return values

    def conflict(self, error: Conflict, values: Values) -> RestError:
        """Somebody else was quicker."""
        return _taken(str(values["phone_number"]))

    def _check_application(self, request: ApiRequest, sid: object) -> None:
        if sid:
            row = self.store.configuration.application(str(sid))
            if row is None or row["account_sid"] != request.account_sid:
                raise invalid(f"Application {sid} is not accessible", APPLICATION_NOT_ACCESSIBLE)

    def _check_transfer(self, request: ApiRequest, target: str) -> None:
        account = self.store.configuration.account(target)
        if account is None or request.caller.sid not in (account["sid"], account["owner_account_sid"]):
            raise invalid("AccountSid is not an account of yours", INVALID_ACCOUNT_SID)


def _number(text: str | None, area_code: str | None) -> str:
    if text:
        number = to_e164(text)
        if number is None or not is_e164(number):
            raise invalid(f"{text} is not a valid number", NUMBER_INVALID)
        return number
    if area_code:
        if re.fullmatch(r"[2-9][0-9]{2}", area_code) is None:
            raise invalid("AreaCode must be three digits", INVALID_AREA_CODE)
        raise invalid(
            f"No phone numbers found in area code {area_code}; give the PhoneNumber that your carrier sends",
            NO_NUMBERS_IN_AREA_CODE,
        )
    raise invalid("PhoneNumber or AreaCode is required", NUMBER_INVALID)


def _taken(number: str) -> RestError:
    return invalid(f"{number} is not available.", NUMBER_NOT_AVAILABLE)


def _pattern(text: str) -> re.Pattern[str]:
    """A filter's number as a pattern: a part of the number, ``*`` is any digit, other signs do not count."""
    return re.compile(
        "".join({"*": "[0-9]", "+": r"\+"}.get(sign, sign) for sign in text if sign in "0123456789*+")
    )
