"""Names of SIP domains and what follows from mappings."""

from __future__ import annotations

import pytest

from ringback.rest.domain_names import auth_type, domain_name
from ringback.rest.errors import RestError


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("office", "office.sip.ringback.localhost"),
        ("Office", "office.sip.ringback.localhost"),
        ("jokerrr.sip.twilio.com", "jokerrr.sip.twilio.com"),
        ("PBX.Example.org.", "pbx.example.org"),
        ("a.b.c", "a.b.c"),
        ("192.0.2.1", "192.0.2.1"),
    ],
)
def test_any_host_name_is_a_domain_and_a_bare_one_is_completed(text: str, name: str) -> None:
    assert domain_name(text, "ringback.localhost") == name


@pytest.mark.parametrize(
    "text", ["", ".", "a b", "a_b", "-a", "a..b", "bücher", "x" * 64, "a." * 130 + "a", "a/b", "a:5060"]
)
def test_what_is_no_host_name_is_21232(text: str) -> None:
    with pytest.raises(RestError) as caught:
        domain_name(text, "ringback.localhost")
    assert (caught.value.status, caught.value.code) == (400, 21232)


def test_auth_type_is_alphabetical() -> None:
    assert auth_type(credential_lists=False, ip_access_control_lists=False) == ""
    assert auth_type(credential_lists=False, ip_access_control_lists=True) == "IP_ACL"
    assert auth_type(credential_lists=True, ip_access_control_lists=True) == "CREDENTIAL_LIST,IP_ACL"
