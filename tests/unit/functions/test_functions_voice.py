"""The built-in /voice."""

import pytest
from lxml import etree

from ringback.functions.voice import voice_document


@pytest.mark.parametrize(
    ("to", "dialled"),
    [
        ("sip:+15551231234@alice.sip.example.com", "+15551231234"),
        ("sip:15551231234@host;transport=tcp", "15551231234"),
        ("SIPS:%2B15551231234@host", "+15551231234"),
        ("+15551231234", "+15551231234"),
        ("sip:*98@host", "*98"),
    ],
)
def test_the_number_is_dialled_without_sip_and_host(to: str, dialled: str) -> None:
    assert voice_document({"To": to, "callerId": "+16505551234"}) == (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<Response><Dial callerId="+16505551234">{dialled}</Dial></Response>'
    )


def test_another_phone_is_dialled_at_its_address() -> None:
    root = etree.fromstring(voice_document({"To": "sip:bob@example.com;x=1"}).encode())
    assert [(e.tag, e.text) for e in root.iter()] == [
        ("Response", None),
        ("Dial", None),
        ("Sip", "sip:bob@example.com"),
    ]
    assert root[0].attrib == {}


@pytest.mark.parametrize("to", ["", "sip:", "sip:@host", "%41" * 1_000])
def test_nobody_to_dial_is_a_spoken_error(to: str) -> None:
    assert etree.fromstring(voice_document({"To": to}).encode())[0].tag == "Say"


def test_no_parameter_can_add_elements() -> None:
    evil = '"><Hangup/>'
    root = etree.fromstring(voice_document({"To": f"sip:1{evil}@x", "callerId": evil}).encode())
    assert [element.tag for element in root.iter()] == ["Response", "Dial", "Sip"]
    assert root[0].get("callerId") == evil


def test_the_last_of_several_values_counts() -> None:
    assert ">2<" in voice_document({"To": ["1", "2"]})
