"""Who calls, as trusted networks say it, and who may know: RFC 3325 (P-Asserted-Identity) and RFC 3323 (Privacy).

What is asserted counts only from peers that are trusted (RFC 3325 section 5); the caller of these functions decides
that. Nothing here is taken from or given to anybody else.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ringback.sip.errors import SipSyntaxError
from ringback.sip.fields import Message
from ringback.sip.headers import NameAddr, parse_name_addr
from ringback.sip.limits import MAX_IDENTITIES, MAX_REASON_TEXT
from ringback.sip.uri import Uri

Header = tuple[str, str]

ANONYMOUS: Final = NameAddr("Anonymous", Uri(user="anonymous", host="anonymous.invalid"))
"""The From of a caller that stays unknown, RFC 3323 section 4.1.1.3."""

_WITHHELD: Final = frozenset(("id", "user", "header"))
_GIVEN: Final = _WITHHELD | {"session", "history", "none", "critical"}
"""A back-to-back user agent whose sound passes through it shows nobody its other leg, nor whom that was diverted from."""


def asserted_identities(message: Message) -> tuple[NameAddr, ...]:
    """P-Asserted-Identity: one SIP and one tel: URI at most (RFC 3325 section 9.1); what is unreadable is left out."""
    found: dict[str, NameAddr] = {}
    try:
        values = message.all("P-Asserted-Identity")
    except SipSyntaxError:
        return ()
    for value in values[:MAX_IDENTITIES]:
        try:
            address = parse_name_addr(value)
        except SipSyntaxError:
            continue
        if address.uri.is_sip or address.uri.scheme == "tel":
            found.setdefault("tel" if address.uri.scheme == "tel" else "sip", address)
    return tuple(found.values())


class RemoteParty(NamedTuple):
    """The calling party of a Remote-Party-ID, which networks used before RFC 3325 (draft-ietf-sip-privacy-04)."""

    address: NameAddr
    is_withheld: bool


def remote_parties(message: Message) -> tuple[RemoteParty, ...]:
    """The calling parties that Remote-Party-ID names; what is unreadable is left out."""
    found = []
    for value in message.raw("Remote-Party-ID")[:MAX_IDENTITIES]:
        try:
            address = parse_name_addr(value)
        except SipSyntaxError:
            continue
        params = {name.lower(): (given or "").lower() for name, given in address.params.items()}
        if params.get("party", "calling") == "calling":
            withheld = params.get("privacy", "off") not in ("off", "none", "name")
            found.append(RemoteParty(address.bare, withheld))
    return tuple(found)


def privacy(message: Message) -> frozenset[str]:
    """The values of Privacy, in lower case: "id", "user", "header", "session", "critical", "none" (RFC 3323 4.2)."""
    values: set[str] = set()
    for line in message.raw("Privacy"):
        values |= {value.strip(" \t").lower() for value in line.replace(",", ";").split(";")}
    return frozenset(values - {""})


def is_withheld(message: Message) -> bool:
    """Whether the caller's identity must not be shown."""
    wanted = privacy(message)
    return "none" not in wanted and bool(wanted & _WITHHELD)


def impossible_privacy(message: Message) -> str:
    """What is asked for as critical and cannot be given, for the reason phrase of a 500 (RFC 3323 section 5); "" as a rule."""
    if not message.has("Privacy"):
        return ""
    wanted = privacy(message)
    return ", ".join(sorted(wanted - _GIVEN))[:MAX_REASON_TEXT] if "critical" in wanted else ""


def is_anonymous(address: NameAddr) -> bool:
    """Whether a From hides who calls: RFC 3323's address, and the ones that networks write in its place."""
    uri = address.uri
    return uri.host.lower() == "anonymous.invalid" or uri.user.lower() in (
        "anonymous",
        "restricted",
        "unavailable",
    )


def asserting(address: NameAddr, withheld: bool) -> list[Header]:
    """What tells a trusted peer who calls, and whether to withhold it; for nobody else (RFC 3325 section 7)."""
    headers = [("P-Asserted-Identity", str(address.bare))]
    if withheld:
        headers.append(("Privacy", "id"))
    return headers
