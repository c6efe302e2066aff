"""JSON and XML."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from lxml import etree

from ringback.rest.errors import RestError, UsageError, not_found
from ringback.rest.rendering import json_body, xml_error, xml_list, xml_resource
from ringback.rest.resources import CALL, DOMAIN, INCOMING_PHONE_NUMBER, PARTICIPANT

ROW = {
    "sid": "CA" + "0" * 32,
    "account_sid": "AC" + "1" * 32,
    "from": "sip:<a&b>@x",
    "duration": 42,
    "status": "completed",
    "date_created": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
    "sip_call_id": "not shown",
}
URI = f"/2010-04-01/Accounts/{ROW['account_sid']}/Calls/{ROW['sid']}"


def test_a_row_is_shown_with_twilios_types() -> None:
    shown = CALL.render(ROW, ".json")
    assert shown["duration"] == "42"
    assert shown["date_created"] == "Tue, 02 Jan 2024 03:04:05 +0000"
    assert shown["uri"] == URI + ".json"
    assert shown["price"] is None and shown["api_version"] == "2010-04-01"
    assert isinstance(shown["subresource_uris"], dict)
    assert shown["subresource_uris"]["recordings"] == f"{URI}/Recordings.json"
    assert "sip_call_id" not in shown
    assert json.loads(json_body(shown)) == shown


def test_a_resource_is_xml_without_the_suffix() -> None:
    root = etree.fromstring(xml_resource(CALL, CALL.render(ROW, "")))
    assert root.tag == "TwilioResponse"
    assert root.findtext("Call/From") == "sip:<a&b>@x"
    assert root.findtext("Call/Uri") == URI
    assert root.findtext("Call/DateCreated") == "Tue, 02 Jan 2024 03:04:05 +0000"
    assert root.findtext("Call/SubresourceUris/Events") == f"{URI}/Events"
    assert root.find("Call/Price") is not None and not root.findtext("Call/Price")


def test_a_list_carries_its_envelope_as_attributes() -> None:
    envelope = {"page": 0, "page_size": 50, "next_page_uri": '/x?a="1"&b=2', "previous_page_uri": None}
    root = etree.fromstring(xml_list(CALL, envelope, [CALL.render(ROW, ""), CALL.render(ROW, "")]))
    calls = root.find("Calls")
    assert calls is not None
    assert (calls.get("pagesize"), calls.get("nextpageuri"), calls.get("previouspageuri")) == (
        "50",
        '/x?a="1"&b=2',
        "",
    )
    assert len(calls.findall("Call")) == 2


def test_booleans_and_maps_are_xml_words() -> None:
    row = {"sid": "PN" + "0" * 32, "account_sid": "AC" + "1" * 32, "voice_caller_id_lookup": True}
    root = etree.fromstring(xml_resource(INCOMING_PHONE_NUMBER, INCOMING_PHONE_NUMBER.render(row, "")))
    assert root.findtext("IncomingPhoneNumber/VoiceCallerIdLookup") == "true"
    assert root.findtext("IncomingPhoneNumber/Capabilities/Voice") == "true"
    assert root.findtext("IncomingPhoneNumber/Capabilities/Sms") == "false"


def test_what_xml_cannot_hold_is_replaced() -> None:
    row = {**ROW, "from": "bell\x07 and \ud800 half"}
    root = etree.fromstring(xml_resource(CALL, CALL.render(row, "")))
    assert root.findtext("Call/From") == "bell\ufffd and \ufffd half"
    assert json_body({"x": "\ud800"})  # does not raise


def test_errors_have_twilios_shape() -> None:
    error = not_found("/2010-04-01/Accounts/AC1/Calls/CA1.json")
    assert error.body() == {
        "code": 20404,
        "message": "The requested resource /2010-04-01/Accounts/AC1/Calls/CA1.json was not found",
        "more_info": "https://www.twilio.com/docs/errors/20404",
        "status": 404,
    }
    root = etree.fromstring(xml_error(RestError(400, 21205, "Url <x> is bad")))
    assert root.findtext("RestException/Code") == "21205"
    assert root.findtext("RestException/Message") == "Url <x> is bad"
    assert root.findtext("RestException/Status") == "400"


def test_defaults_are_shown_for_what_a_row_lacks() -> None:
    row = {"sid": "SD" + "0" * 32, "account_sid": "AC" + "1" * 32}
    shown = DOMAIN.render(row, ".json")
    assert (shown["auth_type"], shown["secure"], shown["voice_method"], shown["voice_url"]) == (
        "",
        False,
        "POST",
        None,
    )


def test_a_row_without_its_place_is_our_mistake() -> None:
    with pytest.raises(UsageError, match="call_sid"):
        PARTICIPANT.render({"account_sid": "AC", "conference_sid": "CF"}, "")
