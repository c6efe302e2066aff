"""Names of SIP domains."""

from __future__ import annotations

from .errors import INVALID_DOMAIN, invalid
from .limits import MAX_DOMAIN_NAME
from .urls import is_host_name


def domain_name(text: str, base_domain: str) -> str:
    """The full name of a domain: lower case, and a bare name gets ``.sip.<base_domain>``.

    Deviation: any host name is allowed, Twilio demands ``.sip.twilio.com`` (test_rest_domain_names.py).
    Raises RestError 21232.
    """
    name = text.strip().lower().removesuffix(".")
    if "." not in name:
        name = f"{name}.sip.{base_domain}"
    if len(name) > MAX_DOMAIN_NAME or not name.isascii() or not is_host_name(name):
        raise invalid("DomainName may hold letters, digits, hyphens and dots only", INVALID_DOMAIN)
    return name


def auth_type(*, credential_lists: bool, ip_access_control_lists: bool) -> str:
    """A domain's ``auth_type``, computed from the lists mapped to it for calls; alphabetical."""
    kinds = (("CREDENTIAL_LIST", credential_lists), ("IP_ACL", ip_access_control_lists))
    return ",".join(name for name, mapped in kinds if mapped)
