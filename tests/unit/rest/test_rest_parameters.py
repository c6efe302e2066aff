"""Parameters read by their descriptions."""

from __future__ import annotations

import pytest

from ringback.rest.errors import RestError
from ringback.rest.forms import Form
from ringback.rest.parameters import Kind, Parameter, read_changes, read_new
from ringback.rest.resources import APPLICATION, CREDENTIAL_LIST, DOMAIN, INCOMING_PHONE_NUMBER
from ringback.rest.sid import is_sid
from ringback.rest.urls import is_webhook_url


def test_new_rows_get_defaults_and_changes_only_what_is_given() -> None:
    form = Form([("VoiceUrl", "https://example.com/"), ("VoiceMethod", "get"), ("Nonsense", "x")])
    new = read_new(APPLICATION.create, form)
    assert (new["voice_url"], new["voice_method"], new["sms_method"]) == (
        "https://example.com/",
        "GET",
        "POST",
    )
    assert new["friendly_name"] is None
    assert read_changes(APPLICATION.update, form) == {
        "voice_url": "https://example.com/",
        "voice_method": "GET",
    }


def test_an_empty_text_clears_urls_and_sids() -> None:
    form = Form([("VoiceUrl", ""), ("VoiceApplicationSid", "")])
    assert read_changes(INCOMING_PHONE_NUMBER.update, form) == {
        "voice_url": None,
        "voice_application_sid": None,
    }


def test_a_required_parameter_must_be_there_and_have_a_value() -> None:
    for pairs in ([], [("DomainName", "")]):
        with pytest.raises(RestError) as caught:
            read_new(DOMAIN.create, Form(pairs))
        assert caught.value.code == 21232
    with pytest.raises(RestError) as caught:
        read_changes(CREDENTIAL_LIST.update, Form())
    assert caught.value.code == 21240


def test_some_parameters_may_be_absent_but_not_empty() -> None:
    assert read_changes(DOMAIN.update, Form()) == {}
    with pytest.raises(RestError) as caught:
        read_changes(DOMAIN.update, Form([("DomainName", "")]))
    assert caught.value.code == 21232


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        (Parameter("P", "p", limit=3), "abcd"),
        (Parameter("P", "p"), "nul\0"),
        (Parameter("P", "p", Kind.BOOLEAN), "maybe"),
        (Parameter("P", "p", Kind.INTEGER, minimum=1, maximum=5), "6"),
        (Parameter("P", "p", Kind.INTEGER, minimum=1, maximum=5), "0"),
        (Parameter("P", "p", Kind.INTEGER), "five"),
        (Parameter("P", "p", Kind.SID, prefix="AP"), "AC" + "0" * 32),
        (Parameter("P", "p", Kind.CHOICE, choices=("a", "b")), "A"),
        (Parameter("P", "p", Kind.METHOD), "PUT"),
        (Parameter("P", "p", Kind.URL), "ftp://example.com/"),
    ],
)
def test_wrong_values_are_refused_without_repeating_them(parameter: Parameter, text: str) -> None:
    with pytest.raises(RestError) as caught:
        parameter.read(text)
    assert (caught.value.status, caught.value.code) == (400, 20001)
    assert caught.value.message.startswith("P ") and text not in caught.value.message.split()


def test_a_repeated_parameter_is_a_tuple() -> None:
    events = Parameter("Event", "events", repeated=True, default=("completed",))
    assert read_new((events,), Form([("Event", "a"), ("Event", "b")])) == {"events": ("a", "b")}
    assert read_new((events,), Form()) == {"events": ("completed",)}


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "http://ringback.localhost/functions/outbound",
        "http://localhost:3000/voice?callerId=+16505551234",
        "https://user:pass@example.com:8443/a#rc=2&rp=all",
        "http://127.0.0.1:5050/x",
        "http://[::1]:8080/x",
        "https://bücher.example/x",
        "https://example.com./",
        "http://web_1:8000/voice",
    ],
)
def test_webhook_urls(url: str) -> None:
    assert is_webhook_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/relative",
        "example.com/x",
        "ftp://example.com",
        "javascript:alert(1)",
        "https://",
        "https://a..b/",
        "https://example.com:99999/",
        "https://example.com:0/",
        "https://example.com/a b",
        "https://example.com/\r\nX: y",
        "http://[zz]/",
        "https://example.com/" + "x" * 4096,
        "https://" + "a" * 64 + ".example/",
    ],
)
def test_what_is_no_webhook_url(url: str) -> None:
    assert not is_webhook_url(url)


@pytest.mark.parametrize(
    "url", ["https://under_score.example/", "https://-a.example/", "https://a-.example/"]
)
def test_strict_urls_have_host_names_of_rfc_1123(url: str) -> None:
    assert is_webhook_url(url) and not is_webhook_url(url, strict=True)


def test_sids() -> None:
    sid = "CA" + "0123456789abcdef" * 2
    assert (
        is_sid(sid, "CA")
        and not is_sid(sid, "AC")
        and not is_sid(sid + "0", "CA")
        and not is_sid(sid[:-1], "CA")
    )
    assert not is_sid("ca" + sid[2:], "CA") and not is_sid(sid[:-1] + "\n", "CA")
