"""OutgoingCallerIds: numbers of others that the account may show, and the request that verifies one."""

from __future__ import annotations

from ..errors import (
    INVALID_CALL_DELAY,
    INVALID_CALLBACK_URL,
    INVALID_FRIENDLY_NAME,
    INVALID_PHONE_NUMBER,
    RESOURCE_INVALID_METHOD,
)
from ..limits import MAX_CALL_DELAY, MAX_FRIENDLY_NAME, MAX_SEND_DIGITS
from ..parameters import Kind, Parameter
from ..resource import Filter, Resource, dated

_FRIENDLY_NAME = Parameter(
    "FriendlyName", "friendly_name", code=INVALID_FRIENDLY_NAME, limit=MAX_FRIENDLY_NAME
)

OUTGOING_CALLER_ID = Resource(
    element="OutgoingCallerId",
    list_key="outgoing_caller_ids",
    table="outgoing_caller_ids",
    prefix="PN",
    path="/Accounts/{account_sid}/OutgoingCallerIds/{sid}",
    fields=dated("friendly_name", "phone_number", "uri"),
    create=(
        Parameter("PhoneNumber", "phone_number", required=True, code=INVALID_PHONE_NUMBER, limit=32),
        _FRIENDLY_NAME,
        Parameter(
            "CallDelay",
            "call_delay",
            Kind.INTEGER,
            code=INVALID_CALL_DELAY,
            default=0,
            minimum=0,
            maximum=MAX_CALL_DELAY,
        ),
        Parameter("Extension", "extension", limit=MAX_SEND_DIGITS),
        Parameter("StatusCallback", "status_callback", Kind.URL, code=INVALID_CALLBACK_URL),
        Parameter(
            "StatusCallbackMethod",
            "status_callback_method",
            Kind.METHOD,
            code=RESOURCE_INVALID_METHOD,
            default="POST",
        ),
    ),
    update=(_FRIENDLY_NAME,),
    filters=(Filter("PhoneNumber", "phone_number"), Filter("FriendlyName", "friendly_name")),
)

VALIDATION_REQUEST = Resource(
    element="ValidationRequest",
    list_key="validation_requests",
    table="",
    prefix="",
    path="",
    fields=tuple(
        item
        for item in dated("call_sid", "friendly_name", "phone_number", "validation_code")
        if item.name not in ("sid", "date_created", "date_updated")
    ),
)
