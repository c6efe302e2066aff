"""Where a call goes, and whose number it may show (sip.md sections 2, 3 and 7)."""

from __future__ import annotations

from typing import Any

import pytest
from unit.call.fake_directory import (
    ACCOUNT,
    DOMAIN,
    OTHER_ACCOUNT,
    OURS,
    VERIFIED,
    Carrier,
    Contact,
    FakeDirectory,
    FakeRegistrations,
    domain_row,
    target_row,
    trunk_row,
)

from ringback.call.numbers import country_of, is_e164, normalize
from ringback.call.routing import Unroutable, parse_sip_address, plan
from ringback.sip.flow import Hop
from ringback.sip.uri import Uri

BY = trunk_row()["sid"]


def planned(directory: FakeDirectory | None = None, **changes: Any) -> dict[str, Any]:
    wanted = {
        "kind": "number",
        "address": "+14155552222",
        "caller_id": "",
        "caller": OURS,
        "caller_direction": "outbound-api",
        "is_withheld": False,
        "asserted": "",
        "account_sid": ACCOUNT,
        "country": "US",
        "byoc": "",
        "username": "",
        "password": "",
    }
    return plan(wanted | changes, directory or FakeDirectory(), FakeRegistrations(), 0.0)


def test_number_goes_to_the_default_carrier() -> None:
    found = planned(address="(415) 555-2222")
    assert found["to"] == "+14155552222"
    assert (found["from"], found["from_user"], found["from_domain"]) == (OURS, OURS, "ringback.localhost")
    (target,) = found["targets"]
    assert target["uri"] == "sip:+14155552222@sandbox.test;transport=tcp"
    assert target["hop"] is None
    assert target["follow_redirects"]


def test_number_by_a_named_trunk_with_its_from_domain() -> None:
    trunk = trunk_row(sid="BY" + "2" * 32, from_domain_sid=domain_row()["sid"])
    directory = FakeDirectory()
    directory.carriers[trunk["sid"]] = Carrier(
        trunk, [target_row("sip:carrier.test"), target_row("sip:fixed@carrier.test:5070")]
    )
    found = planned(directory, byoc=trunk["sid"])
    assert found["from_domain"] == DOMAIN
    assert [target["uri"] for target in found["targets"]] == [
        "sip:+14155552222@carrier.test",
        "sip:fixed@carrier.test:5070",
    ]


def test_trunk_of_another_account_is_21300() -> None:
    directory = FakeDirectory()
    directory.carriers["BY2"] = Carrier(
        trunk_row(sid="BY2", account_sid=OTHER_ACCOUNT), [target_row("sip:x.test")]
    )
    assert planned(directory, byoc="BY2")["error_code"] == 21300
    assert planned(directory, byoc="BY3")["error_code"] == 21300


def test_no_carrier_and_no_target_are_32010() -> None:
    directory = FakeDirectory()
    directory.carriers[BY].targets.clear()
    assert planned(directory)["error_code"] == 32010
    directory.carriers.clear()
    assert planned(directory)["error_code"] == 32010


@pytest.mark.parametrize("address", ["", "911", "hello", "+1", "sip:bob@example.com", "+1415555222233334444"])
def test_what_is_no_number_is_13224(address: str) -> None:
    found = planned(address=address)
    assert found["error_code"] == 13224
    assert found["targets"] == []


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"caller_id": VERIFIED}, VERIFIED),
        ({"caller": "+442079460123", "caller_direction": "inbound"}, "+442079460123"),
        ({"caller": "sip:alice@x.test", "caller_direction": "inbound", "caller_id": OURS}, OURS),
    ],
)
def test_caller_ids_that_may_be_shown(changes: dict[str, Any], shown: str) -> None:
    assert planned(**changes)["from"] == shown


@pytest.mark.parametrize(
    "changes",
    [
        {"caller_id": "+14155559999"},
        {"caller": "sip:alice@x.test", "caller_direction": "inbound"},
        {"caller": "anonymous", "caller_direction": "inbound"},
        {"caller": "+442079460123", "caller_direction": "outbound-api"},
        {"caller_id": "sip:alice@x.test"},
        {"caller_id": OURS, "account_sid": OTHER_ACCOUNT},
    ],
)
def test_caller_ids_that_may_not_are_13214(changes: dict[str, Any]) -> None:
    assert planned(**changes)["error_code"] == 13214


# -- SIP ----------------------------------------------------------------------------------------------------


def test_sip_address_elsewhere() -> None:
    found = planned(
        kind="sip",
        address="bob@example.com:5070;transport=tcp?x-a=1%3B2&User-to-User=ff",
        username="u",
        password="secret:1",
    )
    assert found["to"] == "sip:bob@example.com"
    assert found["from_user"] == OURS
    (target,) = found["targets"]
    assert target["uri"] == "sip:bob@example.com:5070;transport=tcp"
    assert target["headers"] == [["x-a", "1;2"], ["User-to-User", "ff"]]
    assert (target["username"], target["password"]) == ("u", "secret:1")


def test_sips_becomes_sip_over_tls() -> None:
    (target,) = planned(kind="sip", address="sips:bob@example.com")["targets"]
    assert target["uri"] == "sip:bob@example.com;transport=tls"


def test_sip_parameters_of_twilio_stay_here() -> None:
    (target,) = planned(kind="sip", address="sip:bob@example.com;edge=dublin;region=ie1;tnx=TN1;x=y")[
        "targets"
    ]
    assert target["uri"] == "sip:bob@example.com;x=y"


def test_secure_media_is_not_dropped_silently() -> None:
    found = planned(kind="sip", address="sip:bob@example.com;secure=true")
    assert found["error_code"] == 12400
    assert "secure" in found["error_text"]


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("mailto:bob@example.com", 13243),
        ("sip:bob:secret@example.com", 13243),
        ("sip:", 13243),
        ("", 13243),
        ("sip:bob@example.com?From=me", 13252),
        ("sip:bob@example.com?Route=x", 13252),
        ("sip:bob@example.com?x-a=1%0d%0aVia: x", 13253),
        ("sip:bob@example.com?x-a=1%00", 13253),
        ("sip:" + "b" * 260 + "@example.com", 13253),
        ("sip:bob@example.com?x-a=" + "1" * 1024, 13253),
    ],
)
def test_sip_addresses_that_cannot_be(address: str, code: int) -> None:
    with pytest.raises(Unroutable) as problem:
        parse_sip_address(address)
    assert problem.value.code == code
    assert planned(kind="sip", address=address)["error_code"] == code


@pytest.mark.parametrize("caller", ["bad caller", "a;b", "", "sip:example.com", "x" * 65])
def test_sip_caller_ids_have_letters_digits_and_a_few_signs(caller: str) -> None:
    assert planned(kind="sip", address="sip:bob@example.com", caller=caller)["error_code"] == 13247


def test_sip_caller_id_need_not_be_verified() -> None:
    found = planned(kind="sip", address="sip:bob@example.com", caller_id="front-desk_1.a")
    assert (found["error_code"], found["from_user"]) == (0, "front-desk_1.a")


def test_sip_caller_from_sip_keeps_its_user() -> None:
    found = planned(kind="sip", address=f"sip:alice@{DOMAIN}", caller="sip:carol@office.test")
    assert (found["from"], found["from_user"], found["from_domain"]) == (
        "sip:carol@office.test",
        "carol",
        DOMAIN,
    )


def test_registered_user_is_rung_where_the_register_came_from() -> None:
    found = planned(kind="sip", address=f"sip:alice@{DOMAIN.upper()}?x-a=1")
    (target,) = found["targets"]
    assert found["to"] == f"sip:alice@{DOMAIN}"
    assert target["uri"] == "sip:alice@10.0.0.7:5062"
    assert target["hop"][:3] == ["UDP", "192.0.2.7", 5062]
    assert target["headers"] == [["x-a", "1"]]
    assert not target["follow_redirects"]


@pytest.mark.parametrize(("address", "code"), [(f"sip:bob@{DOMAIN}", 32009), (f"sip:{DOMAIN}", 32223)])
def test_registered_user_who_is_not_there(address: str, code: int) -> None:
    assert planned(kind="sip", address=address)["error_code"] == code


def test_domain_of_another_account_is_13255() -> None:
    directory = FakeDirectory(domains={"other.test": domain_row("other.test", account_sid=OTHER_ACCOUNT)})
    assert planned(directory, kind="sip", address="sip:alice@other.test")["error_code"] == 13255


def test_contact_keeps_its_path() -> None:
    contact = Contact(
        Uri.parse("sip:alice@10.0.0.9"), Hop("TLS", "192.0.2.8", 5061, 4), ("<sip:edge.test;lr>",)
    )
    registrations = FakeRegistrations({f"alice@{DOMAIN}": [contact]})
    wanted = {
        "kind": "sip",
        "address": f"sip:alice@{DOMAIN}",
        "caller_id": "x",
        "caller": "x",
        "is_withheld": False,
        "account_sid": ACCOUNT,
    }
    (target,) = plan({**wanted, "username": "", "password": ""}, FakeDirectory(), registrations, 0.0)[
        "targets"
    ]
    assert target["route"] == ["<sip:edge.test;lr>"]


# -- numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialed", "country", "number"),
    [
        ("+14155552222", "US", "+14155552222"),
        ("415-555-2222", "US", "+14155552222"),
        ("1 (415) 555.2222", "US", "+14155552222"),
        ("020 7946 0000", "GB", "+442079460000"),
        ("011 44 20 7946 0000", "US", "+442079460000"),
        ("030/123456", "DE", "+4930123456"),
        ("+49 30 123456", "US", "+4930123456"),
        ("+15005550006", "US", "+15005550006"),
        ("5", "US", None),
        ("", "US", None),
        ("+", "US", None),
        ("415555CALL", "US", None),
        ("+999", "US", None),
        ("4155552222\n", "US", "+14155552222"),
        ("1" * 41, "US", None),
    ],
)
def test_normalize(dialed: str, country: str, number: str | None) -> None:
    assert normalize(dialed, country) == number


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("+14155552222", "US"),
        ("+15005550006", "US"),
        ("+14165552222", "CA"),
        ("+442079460000", "GB"),
        ("+266696687", ""),  # a caller who withholds his number
        ("+80012345678", ""),
        ("+999", ""),
        ("+", ""),
    ],
)
def test_the_country_of_a_number(number: str, country: str) -> None:
    assert country_of(number) == country


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("+14155552222", True),
        ("14155552222", False),
        ("+0155", False),
        ("+1415555222\n", False),
        ("+1", False),
    ],
)
def test_is_e164(text: str, result: bool) -> None:
    assert is_e164(text) is result


# -- who may know who calls --------------------------------------------------------------------------------------


def identities(**changes: Any) -> list[list[Any]]:
    return [target["identity"] for target in planned(**changes)["targets"]]


def test_rfc3325_9_1_a_carrier_is_told_the_number_and_nobody_else_is() -> None:
    assert identities() == [[False, OURS]]
    assert identities(kind="sip", address="sip:bob@example.com", caller="x") == [[False, ""]]


def test_rfc3325_7_a_withheld_number_is_asserted_to_carriers_alone() -> None:
    hidden: dict[str, Any] = {"is_withheld": True, "asserted": "+442079460123"}
    assert identities(caller="+266696687", caller_direction="inbound", **hidden) == [[True, "+442079460123"]]
    assert identities(kind="sip", address="sip:bob@example.com", caller="x", **hidden) == [[True, ""]]


def test_a_withheld_caller_of_whom_no_number_is_known_asserts_none() -> None:
    assert identities(caller="+266696687", caller_direction="inbound", is_withheld=True) == [[True, ""]]


def test_a_number_of_the_account_is_asserted_instead_of_who_is_forwarded() -> None:
    forwarded = {"caller": "+266696687", "caller_direction": "inbound", "asserted": "+442079460123"}
    assert identities(caller_id=OURS, is_withheld=True, **forwarded) == [[True, OURS]]
