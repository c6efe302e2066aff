"""SIP domains, and who may call and register on them: credential lists, IP access lists, the mappings."""

from __future__ import annotations

from dataclasses import replace

from ..errors import (
    ACL_VALIDATION,
    ADDRESS_VALIDATION,
    CREDENTIAL_LIST_VALIDATION,
    CREDENTIAL_VALIDATION,
    DOMAIN_VALIDATION,
    INVALID_DOMAIN,
    MAXIMUM_ACLS,
    MAXIMUM_ADDRESSES,
    MAXIMUM_CREDENTIAL_LISTS,
    MAXIMUM_CREDENTIALS,
    MAXIMUM_DOMAINS,
)
from ..limits import (
    MAX_ACL_FRIENDLY_NAME,
    MAX_ACLS,
    MAX_ADDRESSES_IN_ACL,
    MAX_CREDENTIAL_LISTS,
    MAX_CREDENTIALS_IN_LIST,
    MAX_DOMAIN_NAME,
    MAX_DOMAINS,
    MAX_FRIENDLY_NAME,
    MAX_MAPPINGS,
    MAX_PASSWORD,
    MAX_USERNAME,
)
from ..parameters import Kind, Parameter
from ..resource import API_VERSION, Field, Resource, Type, dated


def _url(name: str, field: str) -> Parameter:
    return Parameter(name, field, Kind.URL, code=DOMAIN_VALIDATION)


def _method(name: str, field: str) -> Parameter:
    return Parameter(name, field, Kind.METHOD, code=DOMAIN_VALIDATION, default="POST")


def _switch(name: str, field: str) -> Parameter:
    return Parameter(name, field, Kind.BOOLEAN, code=DOMAIN_VALIDATION, default=False)


def _named(code: int, limit: int) -> tuple[Parameter, ...]:
    return (Parameter("FriendlyName", "friendly_name", required=True, code=code, limit=limit),)


_DOMAIN_SETTINGS = (
    Parameter("FriendlyName", "friendly_name", code=DOMAIN_VALIDATION, limit=MAX_FRIENDLY_NAME),
    _url("VoiceUrl", "voice_url"),
    _method("VoiceMethod", "voice_method"),
    _url("VoiceFallbackUrl", "voice_fallback_url"),
    _method("VoiceFallbackMethod", "voice_fallback_method"),
    _url("VoiceStatusCallbackUrl", "voice_status_callback_url"),
    _method("VoiceStatusCallbackMethod", "voice_status_callback_method"),
    _switch("SipRegistration", "sip_registration"),
    _switch("EmergencyCallingEnabled", "emergency_calling_enabled"),
    _switch("Secure", "secure"),
    Parameter("ByocTrunkSid", "byoc_trunk_sid", Kind.SID, code=DOMAIN_VALIDATION, prefix="BY"),
    # An extension of ours (RFC 8760): phones that know SHA-256 may be asked for it.
    Parameter(
        "DigestAlgorithm",
        "digest_algorithm",
        Kind.CHOICE,
        code=DOMAIN_VALIDATION,
        default="MD5",
        choices=("MD5", "SHA-256", "SHA-256,MD5"),
    ),
    Parameter("EmergencyCallerSid", "emergency_caller_sid", Kind.SID, code=DOMAIN_VALIDATION, prefix="PN"),
)

DOMAIN = Resource(
    element="SipDomain",
    list_key="domains",
    table="sip_domains",
    prefix="SD",
    path="/Accounts/{account_sid}/SIP/Domains/{sid}",
    fields=dated(
        Field("api_version", default=API_VERSION),
        Field("auth_type", default=""),
        "domain_name",
        "friendly_name",
        "uri",
        Field("voice_fallback_method", default="POST"),
        "voice_fallback_url",
        Field("voice_method", default="POST"),
        Field("voice_status_callback_method", default="POST"),
        "voice_status_callback_url",
        "voice_url",
        Field("subresource_uris", Type.MAP),
        Field("sip_registration", Type.BOOLEAN, False),
        Field("emergency_calling_enabled", Type.BOOLEAN, False),
        Field("secure", Type.BOOLEAN, False),
        "byoc_trunk_sid",
        "emergency_caller_sid",
    ),
    create=(
        Parameter("DomainName", "domain_name", required=True, code=INVALID_DOMAIN, limit=MAX_DOMAIN_NAME),
        *_DOMAIN_SETTINGS,
    ),
    update=(
        Parameter("DomainName", "domain_name", filled=True, code=INVALID_DOMAIN, limit=MAX_DOMAIN_NAME),
        *_DOMAIN_SETTINGS,
    ),
    subresources=(
        ("credential_list_mappings", "CredentialListMappings"),
        ("ip_access_control_list_mappings", "IpAccessControlListMappings"),
    ),
    maximum=MAX_DOMAINS,
    maximum_code=MAXIMUM_DOMAINS,
)

CREDENTIAL_LIST = Resource(
    element="SipCredentialList",
    list_key="credential_lists",
    table="sip_credential_lists",
    prefix="CL",
    path="/Accounts/{account_sid}/SIP/CredentialLists/{sid}",
    fields=dated("friendly_name", Field("subresource_uris", Type.MAP), "uri"),
    create=_named(CREDENTIAL_LIST_VALIDATION, MAX_FRIENDLY_NAME),
    update=_named(CREDENTIAL_LIST_VALIDATION, MAX_FRIENDLY_NAME),
    subresources=(("credentials", "Credentials"),),
    maximum=MAX_CREDENTIAL_LISTS,
    maximum_code=MAXIMUM_CREDENTIAL_LISTS,
)

_PASSWORD = Parameter("Password", "password", required=True, code=CREDENTIAL_VALIDATION, limit=MAX_PASSWORD)

CREDENTIAL = Resource(
    element="SipCredential",
    list_key="credentials",
    table="sip_credentials",
    prefix="CR",
    path="/Accounts/{account_sid}/SIP/CredentialLists/{credential_list_sid}/Credentials/{sid}",
    fields=dated("credential_list_sid", "username", "uri"),
    create=(
        Parameter("Username", "username", required=True, code=CREDENTIAL_VALIDATION, limit=MAX_USERNAME),
        _PASSWORD,
    ),
    update=(replace(_PASSWORD, required=False, filled=True),),
    parent="credential_list_sid",
    maximum=MAX_CREDENTIALS_IN_LIST,
    maximum_code=MAXIMUM_CREDENTIALS,
)

IP_ACCESS_CONTROL_LIST = Resource(
    element="SipIpAccessControlList",
    list_key="ip_access_control_lists",
    table="sip_ip_access_control_lists",
    prefix="AL",
    path="/Accounts/{account_sid}/SIP/IpAccessControlLists/{sid}",
    fields=dated("friendly_name", Field("subresource_uris", Type.MAP), "uri"),
    create=_named(ACL_VALIDATION, MAX_ACL_FRIENDLY_NAME),
    update=_named(ACL_VALIDATION, MAX_ACL_FRIENDLY_NAME),
    subresources=(("ip_addresses", "IpAddresses"),),
    maximum=MAX_ACLS,
    maximum_code=MAXIMUM_ACLS,
)

_ADDRESS = Parameter("IpAddress", "ip_address", required=True, code=ADDRESS_VALIDATION, limit=45)
_PREFIX = Parameter(
    "CidrPrefixLength",
    "cidr_prefix_length",
    Kind.INTEGER,
    code=ADDRESS_VALIDATION,
    minimum=0,
    maximum=128,
)

IP_ADDRESS = Resource(
    element="SipIpAddress",
    list_key="ip_addresses",
    table="sip_ip_addresses",
    prefix="IP",
    path="/Accounts/{account_sid}/SIP/IpAccessControlLists/{ip_access_control_list_sid}/IpAddresses/{sid}",
    fields=dated(
        "friendly_name",
        "ip_address",
        Field("cidr_prefix_length", Type.INTEGER, 32),
        "ip_access_control_list_sid",
        "uri",
    ),
    create=(*_named(ADDRESS_VALIDATION, MAX_ACL_FRIENDLY_NAME), _ADDRESS, _PREFIX),
    update=(
        replace(*_named(ADDRESS_VALIDATION, MAX_ACL_FRIENDLY_NAME), required=False, filled=True),
        replace(_ADDRESS, required=False, filled=True),
        _PREFIX,
    ),
    parent="ip_access_control_list_sid",
    maximum=MAX_ADDRESSES_IN_ACL,
    maximum_code=MAXIMUM_ADDRESSES,
)


def _mapping(element: str, list_key: str, tail: str, parameter: str, prefix: str, *, auth: bool) -> Resource:
    return Resource(
        element=element,
        list_key=list_key,
        table="sip_domain_mappings",
        prefix=prefix,
        path=f"/Accounts/{{account_sid}}/SIP/Domains/{{domain_sid}}/{tail}/{{sid}}",
        fields=dated("friendly_name") if auth else dated("domain_sid", "friendly_name", "uri"),
        create=(
            Parameter(parameter, "list_sid", Kind.SID, required=True, code=DOMAIN_VALIDATION, prefix=prefix),
        ),
        parent="domain_sid",
        maximum=MAX_MAPPINGS,
        maximum_code=DOMAIN_VALIDATION,
    )


CREDENTIAL_LIST_MAPPING = _mapping(
    "SipCredentialListMapping",
    "credential_list_mappings",
    "CredentialListMappings",
    "CredentialListSid",
    "CL",
    auth=False,
)
IP_ACCESS_CONTROL_LIST_MAPPING = _mapping(
    "SipIpAccessControlListMapping",
    "ip_access_control_list_mappings",
    "IpAccessControlListMappings",
    "IpAccessControlListSid",
    "AL",
    auth=False,
)
AUTH_CALLS_CREDENTIAL_LIST_MAPPING = _mapping(
    "SipAuthCallsCredentialListMapping",
    "contents",
    "Auth/Calls/CredentialListMappings",
    "CredentialListSid",
    "CL",
    auth=True,
)
AUTH_CALLS_IP_ACCESS_CONTROL_LIST_MAPPING = _mapping(
    "SipAuthCallsIpAccessControlListMapping",
    "contents",
    "Auth/Calls/IpAccessControlListMappings",
    "IpAccessControlListSid",
    "AL",
    auth=True,
)
AUTH_REGISTRATIONS_CREDENTIAL_LIST_MAPPING = _mapping(
    "SipAuthRegistrationsCredentialListMapping",
    "contents",
    "Auth/Registrations/CredentialListMappings",
    "CredentialListSid",
    "CL",
    auth=True,
)
