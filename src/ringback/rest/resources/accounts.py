"""Accounts and their subaccounts."""

from __future__ import annotations

from ..errors import INVALID_FRIENDLY_NAME, INVALID_STATUS, MAXIMUM_SUBACCOUNTS
from ..limits import MAX_FRIENDLY_NAME, MAX_SUBACCOUNTS
from ..parameters import Kind, Parameter
from ..resource import Field, Filter, Resource, Type

STATUSES = ("active", "suspended", "closed")

_FRIENDLY_NAME = Parameter(
    "FriendlyName", "friendly_name", code=INVALID_FRIENDLY_NAME, limit=MAX_FRIENDLY_NAME
)

ACCOUNT = Resource(
    element="Account",
    list_key="accounts",
    table="accounts",
    prefix="AC",
    path="/Accounts/{sid}",
    fields=(
        Field("auth_token"),
        Field("date_created", Type.DATE),
        Field("date_updated", Type.DATE),
        Field("friendly_name"),
        Field("owner_account_sid"),
        Field("sid"),
        Field("status", default="active"),
        Field("subresource_uris", Type.MAP),
        Field("type", default="Full"),
        Field("uri"),
    ),
    create=(_FRIENDLY_NAME,),
    update=(
        _FRIENDLY_NAME,
        Parameter("Status", "status", Kind.CHOICE, code=INVALID_STATUS, choices=STATUSES),
    ),
    filters=(
        Filter("FriendlyName", "friendly_name"),
        Filter("Status", "status", choices=STATUSES),
    ),
    subresources=(
        ("applications", "Applications"),
        ("calls", "Calls"),
        ("conferences", "Conferences"),
        ("incoming_phone_numbers", "IncomingPhoneNumbers"),
        ("outgoing_caller_ids", "OutgoingCallerIds"),
        ("sip", "SIP"),
    ),
    maximum=MAX_SUBACCOUNTS,
    maximum_code=MAXIMUM_SUBACCOUNTS,
)
