"""The address and prefix of an entry in an IP access control list."""

from __future__ import annotations

from ipaddress import ip_address

from .errors import ADDRESS_VALIDATION, invalid


def check_network(address: str, prefix_length: int | None) -> tuple[str, int]:
    """The address in its usual form and its prefix length, whose default is the whole address.

    Deviation: IPv6 is accepted too, which Twilio refuses (test_rest_networks.py). Raises RestError 21238.
    """
    try:
        parsed = ip_address(address.strip())
    except ValueError as error:
        raise invalid("IpAddress is not a valid IP address", ADDRESS_VALIDATION) from error
    if "%" in address:
        raise invalid("IpAddress must not name a zone", ADDRESS_VALIDATION)
    length = parsed.max_prefixlen if prefix_length is None else prefix_length
    if not 0 <= length <= parsed.max_prefixlen:
        raise invalid(f"CidrPrefixLength must be between 0 and {parsed.max_prefixlen}", ADDRESS_VALIDATION)
    return str(parsed), length
