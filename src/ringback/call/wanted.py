"""Whom somebody wants reached: what a script or the REST API asks of routing."""

from __future__ import annotations

from typing import Literal, TypedDict


class Wanted(TypedDict, total=False):
    """The target of a dialed noun, of a REST call, or of a Refer, which has ``kind`` and ``address`` alone.

    Plain data, because it stands in journals. What is not given is "".
    """

    kind: Literal["sip", "number", "refer"]
    address: str
    """As it was written: a number in any notation, a SIP address with its headers."""
    caller_id: str
    """What is to be shown instead of the caller."""
    caller: str
    caller_direction: str
    """Twilio's word for the call that dials: inbound, outbound-api or outbound-dial."""
    is_withheld: bool
    asserted: str
    account_sid: str
    country: str
    """Where numbers without a country code are dialed from."""
    byoc: str
    """The SID of a trunk; else the account's own carrier takes numbers."""
    username: str
    password: str
    """For a SIP address; a handle of the vault."""
    referred_by: str
    """Who transferred the call (RFC 3892), for SIP endpoints."""
