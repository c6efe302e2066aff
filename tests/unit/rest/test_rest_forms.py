"""Forms and query strings."""

from __future__ import annotations

import pytest

from ringback.rest.errors import RestError
from ringback.rest.forms import Form, boolean, integer, parse_form, parse_query
from ringback.rest.limits import MAX_BODY, MAX_PARAMETERS, MAX_QUERY

FORM = "application/x-www-form-urlencoded"


def test_repeated_names_keep_their_order_and_the_last_one_counts() -> None:
    form = parse_form(b"StatusCallbackEvent=answered&To=%2B1415&StatusCallbackEvent=ringing&Empty=", FORM)
    assert form.all("StatusCallbackEvent") == ["answered", "ringing"]
    assert form.get("StatusCallbackEvent") == "ringing"
    assert (form.get("To"), form.get("Empty"), form.get("Url")) == ("+1415", "", None)
    assert "Empty" in form and "Url" not in form and len(form) == 4


def test_a_form_is_utf8_and_its_charset_parameter_does_not_matter() -> None:
    assert (
        parse_form("FriendlyName=Büro+1&X=%C3%A9".encode(), f"{FORM}; charset=UTF-8").get("FriendlyName")
        == "Büro 1"
    )
    with pytest.raises(RestError) as caught:
        parse_form(b"FriendlyName=%ff", FORM)
    assert (caught.value.status, caught.value.code) == (400, 20001)
    with pytest.raises(RestError) as caught:
        parse_form(b"FriendlyName=\xff", FORM)
    assert caught.value.status == 400


def test_an_empty_body_needs_no_content_type_and_another_type_is_refused() -> None:
    assert len(parse_form(b"", None)) == 0
    assert parse_form(b"a=1", None).get("a") == "1"
    with pytest.raises(RestError) as caught:
        parse_form(b'{"To": 1}', "application/json")
    assert caught.value.status == 415


def test_bodies_queries_and_parameters_are_bounded() -> None:
    with pytest.raises(RestError) as caught:
        parse_form(b"a" * (MAX_BODY + 1), FORM)
    assert caught.value.status == 413
    with pytest.raises(RestError) as caught:
        parse_form(b"&".join([b"a=1"] * (MAX_PARAMETERS + 1)), FORM)
    assert caught.value.status == 400
    with pytest.raises(RestError) as caught:
        parse_query(b"a" * (MAX_QUERY + 1))
    assert caught.value.status == 414


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [
        (b"StartTime%3E=2009-07-06", "StartTime>", "2009-07-06"),
        (b"StartTime>=2009-07-06", "StartTime>", "2009-07-06"),
        (b"StartTime>2009-07-06", "StartTime>", "2009-07-06"),
        (b"EndTime%3C2009-07-06&x=1", "EndTime<", "2009-07-06"),
        (b"StartTime=2009-07-06", "StartTime", "2009-07-06"),
    ],
)
def test_comparisons_are_part_of_the_name(query: bytes, name: str, value: str) -> None:
    assert parse_query(query).get(name) == value


def test_encode_gives_the_query_back() -> None:
    form = Form([("StartTime>", "2009-07-06"), ("To", "+1 415"), ("a", ""), ("a", "2")])
    assert list(parse_query(form.encode().encode())) == list(form)


def test_booleans_of_every_sdk_are_read() -> None:
    assert [boolean(text) for text in ("true", "True", "TRUE", "1", "false", "False", "0")] == [True] * 4 + [
        False
    ] * 3
    for text in ("yes", "", "2"):
        with pytest.raises(ValueError, match="boolean"):
            boolean(text)


def test_integers_are_decimal_and_bounded() -> None:
    assert (integer("42"), integer("-1"), integer("007")) == (42, -1, 7)
    for text in ("", "4.2", "1e3", "٤", "9" * 19, "0x10", " 1", "1\n"):
        with pytest.raises(ValueError, match="integer"):
            integer(text)


def test_a_forms_repr_shows_names_only() -> None:
    assert "hunter2" not in repr(Form([("Password", "hunter2")]))
