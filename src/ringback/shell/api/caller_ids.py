"""OutgoingCallerIds: verified numbers of others."""

from __future__ import annotations

import re
import secrets

from starlette.responses import Response

from ringback.rest.errors import ALREADY_VALIDATED, INVALID_PHONE_NUMBER, INVALID_SEND_DIGITS, invalid
from ringback.rest.parameters import read_new
from ringback.rest.phone_numbers import formatted, to_e164
from ringback.rest.resources import OUTGOING_CALLER_ID, VALIDATION_REQUEST
from ringback.store import Store

from .collection import Collection
from .control import CallControl, CallerIdRequest
from .request import ApiRequest


class CallerIds(Collection):
    """The operations on caller IDs; creating one means to call the number and to have a code typed in."""

    resource = OUTGOING_CALLER_ID

    def __init__(self, store: Store, calls: CallControl) -> None:
        super().__init__(store)
        self._calls = calls

    async def create(self, request: ApiRequest) -> Response:
        """Starts a verification and shows the code that must be typed in on the phone."""
        values = read_new(self.resource.create, request.form)
        number = to_e164(str(values["phone_number"]))
        if number is None:
            raise invalid(f"{values['phone_number']} is not a valid number", INVALID_PHONE_NUMBER)
        if self.store.configuration.may_show(request.account_sid, number):
            raise invalid(f"{number} is already validated on your account", ALREADY_VALIDATED)
        extension = str(values["extension"] or "") or None
        if extension is not None and re.fullmatch(r"[0-9A-D#*wW]+", extension) is None:
            raise invalid("Extension may hold 0-9, A-D, #, *, w and W only", INVALID_SEND_DIGITS)
        wanted = CallerIdRequest(
            phone_number=number,
            friendly_name=str(values["friendly_name"] or formatted(number)),
            validation_code=f"{secrets.randbelow(1_000_000):06d}",
            call_delay=int(str(values["call_delay"])),
            extension=extension,
            status_callback=None if values["status_callback"] is None else str(values["status_callback"]),
            status_callback_method=str(values["status_callback_method"]),
        )
        call_sid = await self._calls.verify_caller_id(request.account_sid, wanted)
        return request.shown(
            VALIDATION_REQUEST,
            {
                "account_sid": request.account_sid,
                "call_sid": call_sid,
                "friendly_name": wanted.friendly_name,
                "phone_number": number,
                "validation_code": wanted.validation_code,
            },
        )
