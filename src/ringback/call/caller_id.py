"""Who calls: the caller ID that a program and a callee are shown, and what a carrier may know beside it.

A carrier is trusted (RFC 3325 section 5): its number is that of From or, where From has none, of P-Asserted-Identity or
Remote-Party-ID, and its wish for privacy holds. Of a user only the wish counts: who he is, his password says.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ringback.call.numbers import normalize
from ringback.sip.headers import NameAddr
from ringback.sip.identity import asserted_identities, is_anonymous, is_withheld, remote_parties
from ringback.sip.message import Request

WITHHELD_AS: Final = {
    "anonymous": "+266696687",
    "restricted": "+7378742833",
    "unavailable": "+86282452253",
}
"""What Twilio shows of a caller without a number: the word, on the keys of a telephone."""


class CallerId(NamedTuple):
    """``shown`` is From of the webhooks. ``asserted`` is the number that carriers may be told, "" if none is known."""

    shown: str
    asserted: str
    is_withheld: bool


def caller_of_carrier(request: Request, country: str) -> CallerId:
    """The caller of a carrier's call."""
    from_ = request.from_
    parties = remote_parties(request)
    known = [*asserted_identities(request), *(party.address for party in parties)]
    numbers = [number for address in (from_, *known) if (number := _number_of(address, country))]
    withheld = is_withheld(request) or is_anonymous(from_) or any(party.is_withheld for party in parties)
    asserted = numbers[0] if numbers else ""
    if withheld:
        return CallerId(WITHHELD_AS.get(from_.uri.user.lower(), WITHHELD_AS["anonymous"]), asserted, True)
    return CallerId(asserted or from_.uri.user or WITHHELD_AS["anonymous"], asserted, False)


def wants_privacy(request: Request) -> bool:
    """Whether a user asks us to keep his identity from whom he calls (RFC 3323 section 4.2)."""
    return is_withheld(request) or is_anonymous(request.from_)


def _number_of(address: NameAddr, country: str) -> str:
    """The number of a SIP or tel: address; "" if it has none."""
    user = address.uri.user
    return normalize(user, country) or "" if user else ""
