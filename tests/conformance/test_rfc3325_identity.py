"""RFC 3323 and RFC 3325: who calls, and who may know it; the values are those of the RFCs."""

from __future__ import annotations

import pytest

from ringback.sip.headers import parse_name_addr
from ringback.sip.identity import asserted_identities, asserting, impossible_privacy, is_withheld, privacy
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


@pytest.mark.parametrize(
    ("value", "missing"),
    [
        ("critical;future;another", "another, future"),
        ("future", ""),  # as well as it can be done
        ("id;user;header;session;history;critical", ""),
        ("critical", ""),
        (f"critical;{300 * 'x'}", 128 * "x"),
    ],
)
def test_rfc3323_5_what_is_critical_and_unknown_cannot_be_given(value: str, missing: str) -> None:
    assert impossible_privacy(request(("Privacy", value))) == missing


def test_rfc3325_7_a_trusted_peer_gets_the_identity_and_the_wish() -> None:
    address = parse_name_addr('"Cullen" <sip:fluffy@cisco.com>;tag=1')
    assert asserting(address, True) == [
        ("P-Asserted-Identity", "Cullen <sip:fluffy@cisco.com>"),
        ("Privacy", "id"),
    ]


def test_rfc3325_9_1_an_open_caller_is_asserted_without_a_wish() -> None:
    address = parse_name_addr("<sip:fluffy@cisco.com>")
    assert asserting(address, False) == [("P-Asserted-Identity", "<sip:fluffy@cisco.com>")]
