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
        *_places(setup.from_, setup.to),
    ]
    if setup.parent_sid:
        pairs.append(("ParentCallSid", setup.parent_sid))
    pairs.extend(call.parameters.items())
    return pairs


@lru_cache(maxsize=4096)
def _places(from_: str, to: str) -> tuple[tuple[str, str], ...]:
    """Where those are who are phone numbers, as far as it is known: their countries. A SIP address is nowhere."""
    named = (("From", from_), ("To", to), ("Caller", from_), ("Called", to))
    return tuple(
        (f"{name}{what}", country_of(number) if what == "Country" else "")
        for name, number in named
        if number.startswith("+")
        for what in ("City", "State", "Zip", "Country")
    )


def rfc2822(at: float) -> str:
    """A time as Twilio's callbacks write it: Tue, 31 Aug 2010 20:36:28 +0000."""
    return f"{formatdate(at)[:-5]}+0000"
