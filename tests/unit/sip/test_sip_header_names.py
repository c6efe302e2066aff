"""Names of header fields."""

from __future__ import annotations

import pytest

from ringback.sip.errors import SipSyntaxError
from ringback.sip.header_names import SPELLINGS, canonical_name
from ringback.sip.limits import MAX_REMEMBERED_NAMES


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("v", "Via"),
        ("V", "Via"),
        ("call-id", "Call-ID"),
        ("CALL-ID", "Call-ID"),
        ("i", "Call-ID"),
        ("m", "Contact"),
        ("e", "Content-Encoding"),
        ("l", "Content-Length"),
        ("c", "Content-Type"),
        ("f", "From"),
        ("s", "Subject"),
        ("k", "Supported"),
        ("t", "To"),
        ("cseq", "CSeq"),
        ("www-authenticate", "WWW-Authenticate"),
        ("To \t", "To"),
        ("x", "Session-Expires"),
        ("X-My-HEADER", "X-My-HEADER"),
    ],
)
def test_rfc3261_7_3_3_compact_forms_are_the_same_names(given: str, kept: str) -> None:
    assert canonical_name(given) == kept
    assert canonical_name(given) == kept  # remembered


@pytest.mark.parametrize("name", ["", " ", " To", "T o", "T\u00f6", "a:b", "a\r\nb"])
def test_what_is_no_token_is_no_name(name: str) -> None:
    with pytest.raises(SipSyntaxError):
        canonical_name(name)


def test_invented_names_cannot_fill_the_memory() -> None:
    for number in range(MAX_REMEMBERED_NAMES + 100):
        assert canonical_name(f"X-Invented-{number}") == f"X-Invented-{number}"
    assert len(SPELLINGS) <= MAX_REMEMBERED_NAMES
