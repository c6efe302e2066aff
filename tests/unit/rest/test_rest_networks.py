"""Addresses, passwords and telephone numbers."""

from __future__ import annotations

import pytest

from ringback.rest.errors import RestError
from ringback.rest.networks import check_network
from ringback.rest.passwords import check_password, check_username
from ringback.rest.phone_numbers import formatted, number_type, to_e164


def test_an_address_has_a_prefix_and_may_be_ipv6() -> None:
    assert check_network("203.0.113.7", None) == ("203.0.113.7", 32)
    assert check_network(" 203.0.113.7 ", 24) == ("203.0.113.7", 24)
    assert check_network("2001:DB8::1", None) == ("2001:db8::1", 128)
    assert check_network("0.0.0.0", 0) == ("0.0.0.0", 0)


@pytest.mark.parametrize(
    ("address", "length"),
    [
        ("203.0.113.256", None),
        ("host", None),
        ("", None),
        ("203.0.113.1", 33),
        ("203.0.113.1", -1),
        ("fe80::1%eth0", None),
    ],
)
def test_a_wrong_address_is_21238(address: str, length: int | None) -> None:
    with pytest.raises(RestError) as caught:
        check_network(address, length)
    assert caught.value.code == 21238


@pytest.mark.parametrize("password", ["IWasAtSignal2018", "Aa1" + "ü" * 9])
def test_good_passwords(password: str) -> None:
    check_password(password)


@pytest.mark.parametrize(
    "password",
    ["", "Short1aA", "nouppercase2018", "NOLOWERCASE2018", "NoDigitsAtAllHere", "ArabicDigit٤Only"],
)
def test_weak_passwords_are_21243(password: str) -> None:
    with pytest.raises(RestError) as caught:
        check_password(password)
    assert caught.value.code == 21243
    assert not password or password not in caught.value.message


def test_user_names_fit_a_digest() -> None:
    for name in ("alice", "+14155550100", "a.b-c_d", "ü", "x" * 32):
        check_username(name)
    for name in ("", "x" * 33, "a b", 'a"b', "a:b", "a@b", "a\\b", "a\n"):
        with pytest.raises(RestError) as caught:
            check_username(name)
        assert caught.value.code == 21243


def test_numbers_are_shown_as_twilio_shows_them() -> None:
    assert formatted("+14155551234") == "(415) 555-1234"
    assert formatted("+442071838750") == "+44 20 7183 8750"
    assert formatted("sip:a@b") == "sip:a@b"
    assert formatted("") == ""
    assert formatted("+9991") == "+9991"


def test_numbers_of_north_america_need_no_country_code() -> None:
    assert to_e164("415-555-1234") == "+14155551234"
    assert to_e164("+44 20 7183 8750") == "+442071838750"
    for text in ("", "555-1234", "0415 555 1234", "+", "abc", "+1415x"):
        assert to_e164(text) is None


def test_number_types() -> None:
    assert number_type("+18005551234") == "toll-free"
    assert number_type("+886912345678") == "mobile"
    assert (number_type("+14155551234"), number_type("+9991")) == ("local", "local")
