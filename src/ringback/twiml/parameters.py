"""The standard parameters of every webhook (webhooks, "Standard voice request parameters")."""

from __future__ import annotations

from email.utils import formatdate
from functools import lru_cache

from ringback.call.effects import Pairs
from ringback.call.numbers import country_of
from ringback.call.script import Call

API_VERSION = "2010-04-01"


def standard(call: Call, status: str | None = None) -> Pairs:
    """CallSid, From, To and their kin, with the call's CallStatus or the one given."""
    setup = call.setup
    pairs = [
        ("CallSid", setup.sid),
        ("AccountSid", setup.account_sid),
        ("From", setup.from_),
        ("To", setup.to),
        ("Caller", setup.from_),
        ("Called", setup.to),
        ("CallStatus", status or call.status),
        ("ApiVersion", API_VERSION),
        ("Direction", setup.direction),
        *_countries(setup.from_, setup.to),
    ]
    if setup.parent_sid:
        pairs.append(("ParentCallSid", setup.parent_sid))
    pairs.extend(call.parameters.items())
    return pairs


@lru_cache(maxsize=4096)
def _countries(from_: str, to: str) -> tuple[tuple[str, str], ...]:
    """The countries of those who are phone numbers; a SIP address has none."""
    named = (("From", from_), ("To", to), ("Caller", from_), ("Called", to))
    known = ((f"{name}Country", country_of(number)) for name, number in named if number.startswith("+"))
    return tuple(pair for pair in known if pair[1])


def rfc2822(at: float) -> str:
    """A time as Twilio's callbacks write it: Tue, 31 Aug 2010 20:36:28 +0000."""
    return f"{formatdate(at)[:-5]}+0000"
