"""RFC 3323 and RFC 3325: who calls, and who may know it; the values are those of the RFCs."""

from __future__ import annotations

import pytest

from ringback.sip.headers import parse_name_addr
from ringback.sip.identity import (
    Caller,
    asserted_identities,
    caller_headers,
    caller_of,
    is_withheld,
    preferred_identities,
    privacy,
)
from ringback.sip.message import Request

# RFC 3325 section 10.2, message F5
ASSERTED = [
    ("From", '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=9802748'),
    ("To", "<sip:+14085551212@cisco.com>"),
    ("P-Asserted-Identity", '"Cullen Jennings" <sip:fluffy@cisco.com>'),
    ("P-Asserted-Identity", "tel:+14085264000"),
    ("Privacy", "id"),
]


def request(*fields: tuple[str, str]) -> Request:
    return Request("INVITE", "sip:+14085551212@cisco.com", fields)


def test_rfc3325_9_1_a_sip_and_a_tel_identity_are_read() -> None:
    first, second = asserted_identities(request(*ASSERTED))
    assert (first.display, first.uri.aor) == ("Cullen Jennings", "fluffy@cisco.com")
    assert (second.uri.scheme, second.uri.user) == ("tel", "+14085264000")


def test_rfc3325_9_1_both_may_stand_in_one_field() -> None:
    message = request(("P-Asserted-Identity", '"Jennings, C." <sip:fluffy@cisco.com>, <tel:+14085264000>'))
    assert [each.uri.scheme for each in asserted_identities(message)] == ["sip", "tel"]


@pytest.mark.parametrize("value", ["", '"', "<mailto:a@b>", "no uri at all", "<sip:a@b", ","])
def test_rfc3325_9_1_what_is_no_identity_is_left_out(value: str) -> None:
    assert asserted_identities(request(("P-Asserted-Identity", value))) == ()


def test_rfc3325_9_2_the_preferred_identity_is_read() -> None:
    (identity,) = preferred_identities(request(("P-Preferred-Identity", '"Cullen" <sip:fluffy@cisco.com>')))
    assert identity.uri.user == "fluffy"


def test_rfc3325_5_a_trusted_peer_is_believed_and_the_caller_stays_unknown() -> None:
    caller = caller_of(request(*ASSERTED), trusted=True)
    assert (caller.address.uri.user, caller.is_withheld) == ("fluffy", True)


def test_rfc3325_5_nobody_else_is_believed() -> None:
    caller = caller_of(request(*ASSERTED), trusted=False)
    assert (caller.address.uri.user, caller.is_withheld) == ("anonymous", True)
    open_ = request(("From", "<sip:bob@biloxi.com>;tag=1"), *ASSERTED[2:4])
    assert caller_of(open_, trusted=False).address.uri.user == "bob"


@pytest.mark.parametrize(
    ("value", "withheld"),
    [
        ("id", True),
        ("none", False),
        ("user;id;critical", True),
        ("header, session", True),
        ("ID", True),
        ("critical", False),
        ("", False),
    ],
)
def test_rfc3323_4_2_privacy_has_many_values(value: str, withheld: bool) -> None:
    assert is_withheld(request(("Privacy", value))) is withheld


def test_rfc3323_4_2_values_of_all_fields_count() -> None:
    assert privacy(request(("Privacy", "user; id"), ("Privacy", "Critical"))) == {"user", "id", "critical"}


def test_rfc3325_7_a_trusted_peer_gets_the_identity_and_the_wish() -> None:
    caller = Caller(parse_name_addr('"Cullen" <sip:fluffy@cisco.com>;tag=1'), True)
    from_, headers = caller_headers(caller, trusted=True)
    assert str(from_) == "Anonymous <sip:anonymous@anonymous.invalid>"
    assert headers == [("P-Asserted-Identity", "Cullen <sip:fluffy@cisco.com>"), ("Privacy", "id")]


def test_rfc3325_7_others_get_the_anonymous_from_and_nothing_more() -> None:
    caller = Caller(parse_name_addr("<sip:fluffy@cisco.com>"), True)
    from_, headers = caller_headers(caller, trusted=False)
    assert from_.uri.host == "anonymous.invalid" and headers == []


def test_rfc3325_9_1_an_open_caller_is_asserted_without_a_wish() -> None:
    caller = Caller(parse_name_addr("<sip:fluffy@cisco.com>"), False)
    from_, headers = caller_headers(caller, trusted=True)
    assert (from_, headers) == (caller.address, [("P-Asserted-Identity", "<sip:fluffy@cisco.com>")])
