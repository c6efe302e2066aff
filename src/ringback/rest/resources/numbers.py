"""IncomingPhoneNumbers: what happens when somebody calls one of the account's numbers."""

from __future__ import annotations

from ..errors import APPLICATION_NOT_ACCESSIBLE, INVALID_ACCOUNT_SID, INVALID_AREA_CODE, NUMBER_INVALID
from ..parameters import Kind, Parameter
from ..resource import API_VERSION, Field, Filter, Resource, Type, dated
from .applications import FRIENDLY_NAME, WEBHOOKS


def _sid(name: str, field: str, prefix: str, code: int = 20001) -> Parameter:
    return Parameter(name, field, Kind.SID, code=code, prefix=prefix)


_SETTINGS = (
    FRIENDLY_NAME,
    *WEBHOOKS,
    _sid("SmsApplicationSid", "sms_application_sid", "AP", APPLICATION_NOT_ACCESSIBLE),
    _sid("VoiceApplicationSid", "voice_application_sid", "AP", APPLICATION_NOT_ACCESSIBLE),
    _sid("TrunkSid", "trunk_sid", "TK"),
    Parameter(
        "VoiceReceiveMode", "voice_receive_mode", Kind.CHOICE, default="voice", choices=("voice", "fax")
    ),
    Parameter(
        "EmergencyStatus",
        "emergency_status",
        Kind.CHOICE,
        default="Inactive",
        choices=("Active", "Inactive"),
    ),
    _sid("EmergencyAddressSid", "emergency_address_sid", "AD"),
    _sid("IdentitySid", "identity_sid", "RI"),
    _sid("AddressSid", "address_sid", "AD"),
    _sid("BundleSid", "bundle_sid", "BU"),
)

INCOMING_PHONE_NUMBER = Resource(
    element="IncomingPhoneNumber",
    list_key="incoming_phone_numbers",
    table="incoming_phone_numbers",
    prefix="PN",
    path="/Accounts/{account_sid}/IncomingPhoneNumbers/{sid}",
    fields=dated(
        "address_sid",
        Field("address_requirements", default="none"),
        Field("api_version", default=API_VERSION),
        Field("beta", Type.BOOLEAN, False),
        Field("capabilities", Type.MAP, {"voice": True, "sms": False, "mms": False, "fax": False}),
        "friendly_name",
        "identity_sid",
        "phone_number",
        Field("origin", default="twilio"),
        "sms_application_sid",
        Field("sms_fallback_method", default="POST"),
        "sms_fallback_url",
        Field("sms_method", default="POST"),
        "sms_url",
        "status_callback",
        Field("status_callback_method", default="POST"),
        "trunk_sid",
        "uri",
        Field("voice_receive_mode", default="voice"),
        "voice_application_sid",
        Field("voice_caller_id_lookup", Type.BOOLEAN, False),
        Field("voice_fallback_method", default="POST"),
        "voice_fallback_url",
        Field("voice_method", default="POST"),
        "voice_url",
        Field("emergency_status", default="Inactive"),
        "emergency_address_sid",
        Field("emergency_address_status", default="unregistered"),
        "bundle_sid",
        Field("status", default="in-use"),
        "type",
    ),
    create=(
        Parameter("PhoneNumber", "phone_number", code=NUMBER_INVALID, limit=32),
        Parameter("AreaCode", "area_code", code=INVALID_AREA_CODE, limit=3),
        *_SETTINGS,
    ),
    update=(_sid("AccountSid", "account_sid", "AC", INVALID_ACCOUNT_SID), *_SETTINGS),
    filters=(
        Filter("Beta", "beta", Type.BOOLEAN),
        Filter("FriendlyName", "friendly_name"),
        Filter("PhoneNumber", "phone_number"),
        Filter("Origin", "origin"),
    ),
)
