"""Notifications: what went wrong on a call or in the account; and the webhook requests of a call."""

from __future__ import annotations

from ..resource import API_VERSION, Field, Filter, Resource, Type, dated

_SHOWN = (
    Field("api_version", default=API_VERSION),
    "call_sid",
    "error_code",
    "log",
    Field("message_date", Type.DATE),
    "message_text",
    "more_info",
    "request_method",
    "request_url",
    "uri",
)
_FILTERS = (Filter("Log", "log"), Filter("MessageDate", "message_date", Type.DATE, moments=True))

NOTIFICATION = Resource(
    element="Notification",
    list_key="notifications",
    table="notifications",
    prefix="NO",
    path="/Accounts/{account_sid}/Notifications/{sid}",
    fields=dated(*_SHOWN, "request_variables", "response_body", "response_headers"),
    filters=_FILTERS,
)

CALL_NOTIFICATION = Resource(
    element="Notification",
    list_key="notifications",
    table="notifications",
    prefix="NO",
    path="/Accounts/{account_sid}/Calls/{call_sid}/Notifications/{sid}",
    fields=NOTIFICATION.fields,
    filters=_FILTERS,
    parent="call_sid",
)

CALL_EVENT = Resource(
    element="Event",
    list_key="events",
    table="call_events",
    prefix="EV",
    path="/Accounts/{account_sid}/Calls/{call_sid}/Events/{sid}",
    fields=(Field("request", Type.MAP), Field("response", Type.MAP)),
    parent="call_sid",
)
