"""The keys of registrations' rows: remembered, as long as a phone cannot fill the memory with them."""

from __future__ import annotations

from typing import Any

from ringback.sip.binding import Binding
from ringback.sip.flow import Hop
from ringback.sip.limits import MAX_REMEMBERED_TEXT
from ringback.sip.uri import Uri
from ringback.store import registrations

KEPT: Any = None
OURS = registrations.Registrations(KEPT, KEPT, KEPT, "node")


def key_of(user: str) -> str:
    contact = Uri.parse(f"sip:{user}@192.0.2.7")
    return OURS._key(Binding("bob@home.example", contact, Hop("UDP", "192.0.2.7", 5060), 0.0, "", 1))


def remembered() -> int:
    return registrations._sid_remembered.cache_info().currsize


def test_a_short_contact_is_remembered_and_a_long_one_is_not() -> None:
    registrations._sid_remembered.cache_clear()
    long = "b" * MAX_REMEMBERED_TEXT
    assert key_of(long) == key_of(long) != key_of("bob") == key_of("bob")
    assert remembered() == 1
