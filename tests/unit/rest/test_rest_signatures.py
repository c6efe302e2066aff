"""Signatures, judged by Twilio's own validator."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from ringback.rest.signatures import sign, signed_url, validate

TOKEN = "0123456789abcdef0123456789abcdef"
URLS = (
    "https://example.com/voice",
    "http://example.com/voice?a=1&b=%2B1650",
    "https://example.com:8443/voice",
    "https://user:pass@example.com/voice?x=",
    "wss://example.com/stream",
)


@pytest.mark.parametrize("url", URLS)
def test_a_get_is_accepted(url: str) -> None:
    assert RequestValidator(TOKEN).validate(url, {}, sign(TOKEN, url))


@given(
    st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=6),
    st.sampled_from(URLS),
)
def test_every_form_is_accepted(params: dict[str, str], url: str) -> None:
    def plain(text: str) -> bool:
        return not any("\ud800" <= letter <= "\udfff" for letter in text)

    params = {name: value for name, value in params.items() if plain(name + value)}
    assert RequestValidator(TOKEN).validate(url, params, sign(TOKEN, url, params))


class MultiDict(dict[str, list[str]]):
    """What Django hands to the validator."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


def test_repeated_values_count_once_and_sorted() -> None:
    url = URLS[0]
    params = MultiDict({"Event": ["ringing", "answered", "ringing"], "A": ["1"]})
    assert RequestValidator(TOKEN).validate(url, params, sign(TOKEN, url, params))
    pairs = [("Event", "ringing"), ("A", "1"), ("Event", "answered"), ("Event", "ringing")]
    assert sign(TOKEN, url, pairs) == sign(TOKEN, url, params)


def test_a_json_body_is_signed_by_its_hash() -> None:
    body = '{"CallSid": "CA1", "name": "é"}'
    url = signed_url("https://example.com:443/hook?x=1#rc=2", body.encode())
    assert url.startswith("https://example.com/hook?x=1&bodySHA256=")
    assert RequestValidator(TOKEN).validate(url, body, sign(TOKEN, url))
    assert not RequestValidator(TOKEN).validate(url, body + " ", sign(TOKEN, url))
    assert validate(TOKEN, url, sign(TOKEN, url), body=body.encode())
    assert not validate(TOKEN, url, sign(TOKEN, url), body=b"{}")
    assert len(parse_qs(urlsplit(url).query)["bodySHA256"][0]) == 64


def test_default_ports_and_fragments_are_not_signed() -> None:
    assert signed_url("http://example.com:80/v?a=b#ct=100") == "http://example.com/v?a=b"
    assert signed_url("wss://example.com:443/s") == "wss://example.com/s"
    assert signed_url("https://example.com:8443/v") == "https://example.com:8443/v"
    assert sign(TOKEN, "https://example.com/v#e=ashburn") == sign(TOKEN, "https://example.com/v")


@pytest.mark.parametrize("url", URLS)
def test_what_twilio_signs_is_validated_with_and_without_the_port(url: str) -> None:
    params = {"From": "+14155550100", "To": "sip:a@b"}
    signature = RequestValidator(TOKEN).compute_signature(url, params)
    assert validate(TOKEN, url, signature, params)
    assert not validate(TOKEN, url, signature, {**params, "To": "sip:c@d"})
    assert not validate("other", url, signature, params)
    assert not validate(TOKEN, url, "é" + signature, params)
    if url.startswith("https://example.com/"):
        assert validate(TOKEN, url.replace("example.com", "example.com:443"), signature, params)
