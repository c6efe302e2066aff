"""Applications: a named set of webhooks that numbers, calls and clients refer to."""

from __future__ import annotations

from ..errors import (
    INVALID_FRIENDLY_NAME,
    MAXIMUM_APPLICATIONS,
    RESOURCE_INVALID_METHOD,
    RESOURCE_INVALID_URL,
)
from ..limits import MAX_APPLICATIONS, MAX_FRIENDLY_NAME
from ..parameters import Kind, Parameter
from ..resource import API_VERSION, Field, Filter, Resource, Type, dated


def url(name: str, field: str) -> Parameter:
    """A webhook URL of a number or an application, error 21402."""
    return Parameter(name, field, Kind.URL, code=RESOURCE_INVALID_URL)


def method(name: str, field: str, default: str | None = "POST") -> Parameter:
    """A webhook method of a number or an application, error 21403."""
    return Parameter(name, field, Kind.METHOD, code=RESOURCE_INVALID_METHOD, default=default)


VERSIONS = (API_VERSION, "2008-08-01")
FRIENDLY_NAME = Parameter(
    "FriendlyName", "friendly_name", code=INVALID_FRIENDLY_NAME, limit=MAX_FRIENDLY_NAME
)
WEBHOOKS = (
    Parameter("ApiVersion", "api_version", Kind.CHOICE, default=API_VERSION, choices=VERSIONS),
    url("VoiceUrl", "voice_url"),
    method("VoiceMethod", "voice_method"),
    url("VoiceFallbackUrl", "voice_fallback_url"),
    method("VoiceFallbackMethod", "voice_fallback_method"),
    url("StatusCallback", "status_callback"),
    method("StatusCallbackMethod", "status_callback_method"),
    Parameter("VoiceCallerIdLookup", "voice_caller_id_lookup", Kind.BOOLEAN, default=False),
    url("SmsUrl", "sms_url"),
    method("SmsMethod", "sms_method"),
    url("SmsFallbackUrl", "sms_fallback_url"),
    method("SmsFallbackMethod", "sms_fallback_method"),
)

_PARAMETERS = (
    FRIENDLY_NAME,
    *WEBHOOKS,
    url("SmsStatusCallback", "sms_status_callback"),
    url("MessageStatusCallback", "message_status_callback"),
    Parameter(
        "PublicApplicationConnectEnabled", "public_application_connect_enabled", Kind.BOOLEAN, default=False
    ),
)

APPLICATION = Resource(
    element="Application",
    list_key="applications",
    table="applications",
    prefix="AP",
    path="/Accounts/{account_sid}/Applications/{sid}",
    fields=dated(
        Field("api_version", default=API_VERSION),
        "friendly_name",
        "message_status_callback",
        Field("sms_fallback_method", default="POST"),
        "sms_fallback_url",
        Field("sms_method", default="POST"),
        "sms_status_callback",
        "sms_url",
        "status_callback",
        Field("status_callback_method", default="POST"),
        "uri",
        Field("voice_caller_id_lookup", Type.BOOLEAN, False),
        Field("voice_fallback_method", default="POST"),
        "voice_fallback_url",
        Field("voice_method", default="POST"),
        "voice_url",
        Field("public_application_connect_enabled", Type.BOOLEAN, False),
    ),
    create=_PARAMETERS,
    update=_PARAMETERS,
    filters=(Filter("FriendlyName", "friendly_name"),),
    maximum=MAX_APPLICATIONS,
    maximum_code=MAXIMUM_APPLICATIONS,
)
