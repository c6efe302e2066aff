"""What a Function gets as `event`."""

import pytest

from ringback.functions import limits
from ringback.functions.event import build_event, gather, read_body, read_parameters, restore_plus

FORM = "application/x-www-form-urlencoded; charset=utf-8"


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("From", " 15551231234", "+15551231234"),
        ("To", " 15551231234", "+15551231234"),
        ("callerId", " 16505551234", "+16505551234"),
        ("Caller", " 1", "+1"),
        ("From", "sip: 15551231234@example.com", "sip:+15551231234@example.com"),
        ("From", "15551231234", "15551231234"),
        ("From", "+15551231234", "+15551231234"),
        ("From", " home", " home"),
        ("Body", " 15551231234", " 15551231234"),
        ("Digits", " 1", " 1"),
    ],
)
def test_a_number_gets_back_the_plus_that_a_browser_lost(name: str, value: str, meant: str) -> None:
    assert restore_plus([(name, value)]) == [(name, meant)]


def test_the_body_wins_over_the_query() -> None:
    _, body = read_body(FORM, b"From=%2B1555&Digits=5")
    event = build_event([("From", "+1999"), ("Only", "query")], body, [])
    assert event["From"] == "+1555"
    assert event["Digits"] == "5"
    assert event["Only"] == "query"


def test_a_parameter_that_comes_twice_is_a_list() -> None:
    assert gather([("a", "1"), ("b", "2"), ("a", "3"), ("a", "4")]) == {"a": ["1", "3", "4"], "b": "2"}


def test_a_json_body_is_read_as_parameters() -> None:
    assert read_body("application/json", b'{"To": "+1", "nested": {"x": [1]}}')[1] == {
        "To": "+1",
        "nested": {"x": [1]},
    }


@pytest.mark.parametrize("body", [b"{", b"[" * 200_000, b"\xff\xfe"])
def test_a_body_that_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        read_body("application/json", body)


def test_the_signature_sees_the_form_as_it_was_sent() -> None:
    pairs, body = read_body(FORM, b"From=+15551231234")
    assert pairs == [("From", " 15551231234")]
    assert body == {"From": "+15551231234"}


def test_headers_of_the_proxy_are_hidden_and_the_others_in_lower_case() -> None:
    event = build_event(
        [],
        {},
        [
            ("User-Agent", "TwilioProxy/1.1"),
            ("I-Twilio-Idempotency-Token", "x"),
            ("X-Forwarded-For", "1.2.3.4"),
            ("Connection", "close"),
            ("X-Twilio-Signature", "abc"),
            ("X-Two", "1"),
            ("x-two", "2"),
        ],
    )
    assert event["request"]["headers"] == {
        "user-agent": "TwilioProxy/1.1",
        "x-twilio-signature": "abc",
        "x-two": ["1", "2"],
    }


def test_cookies_are_read_from_every_cookie_header() -> None:
    event = build_event([], {}, [("Cookie", 'a=1; b="two"; c'), ("cookie", "a=9; d=x=y")])
    assert event["request"]["cookies"] == {"a": "1", "b": "two", "d": "x=y"}


def test_more_parameters_than_allowed_are_refused() -> None:
    read_parameters("&".join(["a=1"] * limits.PARAMETERS))
    with pytest.raises(ValueError):
        read_parameters("&".join(["a=1"] * (limits.PARAMETERS + 1)))


@pytest.mark.parametrize("value", [b"[]", b'{"a":1}', b"0"])
def test_json_with_more_values_than_allowed_is_refused_unread(value: bytes) -> None:
    most = b"[" + b",".join([value] * (limits.JSON_VALUES // 4)) + b"]"
    assert read_body("application/json", most)[1]["body"]
    with pytest.raises(ValueError, match="values"):
        read_body("application/json", b"[" + b",".join([value] * (limits.JSON_VALUES + 2)) + b"]")
