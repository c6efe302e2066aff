"""Paging arithmetic and the envelope that SDKs take apart."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import pytest
from twilio.base.page import Page as TwilioPage

from ringback.rest.errors import RestError
from ringback.rest.forms import Form, parse_query
from ringback.rest.paging import Cursor, Page, PageRequest, envelope, page_request

SID = "CA" + "0123456789abcdef" * 2
AT = datetime(2024, 5, 6, 7, 8, 9, 123_456, UTC)


def test_the_defaults_are_twilios() -> None:
    assert page_request(Form()) == PageRequest(0, 50, None)
    assert page_request(Form([("PageSize", "1000"), ("Page", "3")])) == PageRequest(3, 1000, None)


@pytest.mark.parametrize(
    ("pairs", "code"),
    [
        ([("PageSize", "1001")], 20007),
        ([("PageSize", "0")], 20001),
        ([("PageSize", "many")], 20001),
        ([("Page", "-1")], 20001),
        ([("Page", "99999999")], 20001),
        ([("PageToken", "PA123")], 21481),
        ([("PageToken", f"PA{SID}-ffffffffffffffff")], 21481),
    ],
)
def test_wrong_pages_are_refused(pairs: list[tuple[str, str]], code: int) -> None:
    with pytest.raises(RestError) as caught:
        page_request(Form(pairs))
    assert (caught.value.status, caught.value.code) == (400, code)


@pytest.mark.parametrize("backward", [False, True])
def test_a_cursor_survives_its_token(backward: bool) -> None:
    cursor = Cursor(SID, AT, backward)
    assert Cursor.decode(cursor.encode()) == cursor
    assert page_request(Form([("PageToken", cursor.encode())])).offset == 0


def test_the_envelope_has_exactly_one_key_that_is_not_paging() -> None:
    around = envelope("/2010-04-01/Accounts/AC1/Calls.json", Form(), PageRequest(0, 50, None), Page([{}]))
    assert set(around) < TwilioPage.META_KEYS
    assert {**around, "calls": []}.keys() - TwilioPage.META_KEYS == {"calls"}
    assert all(not str(value).startswith("http") for value in around.values())


def test_links_are_relative_and_keep_the_filters() -> None:
    query = parse_query(b"To=%2B1415&StartTime%3E=2024-01-01&PageSize=2&Page=1&PageToken=x")
    page = Page([{}, {}], Cursor(SID, AT, True), Cursor(SID, AT), more=True)
    around = envelope("/2010-04-01/Accounts/AC1/Calls.json", query, PageRequest(1, 2, None), page)
    assert (around["start"], around["end"], around["page"], around["page_size"]) == (2, 3, 1, 2)
    following = urlsplit(str(around["next_page_uri"]))
    assert following.path == "/2010-04-01/Accounts/AC1/Calls.json"
    assert dict(parse_qsl(following.query)) == {
        "To": "+1415",
        "StartTime>": "2024-01-01",
        "PageSize": "2",
        "Page": "2",
        "PageToken": Cursor(SID, AT).encode(),
    }
    assert "Page=0" in str(around["first_page_uri"]) and "PageToken" not in str(around["first_page_uri"])
    assert "Page=0" in str(around["previous_page_uri"])


def test_an_empty_list_has_no_neighbours() -> None:
    around = envelope("/x.json", Form(), PageRequest(0, 50, None), Page([]))
    assert (around["start"], around["end"], around["next_page_uri"], around["previous_page_uri"]) == (
        0,
        0,
        None,
        None,
    )
