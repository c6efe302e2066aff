"""Calls create and update requests read into values."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rest.calls import CallUpdate, read_call, read_call_update, refusal
from ringback.rest.endpoints import EndpointKind, parse_from, parse_to
from ringback.rest.errors import RestError
from ringback.rest.forms import Form, parse_form

BASE = {"To": "+14155550199", "From": "+14155550100", "Url": "https://example.com/twiml"}


def form(**changes: str | list[str]) -> Form:
    return parse_form(urlencode(BASE | changes, doseq=True).encode(), None)


def code(wanted: Form) -> int:
    with pytest.raises(RestError) as caught:
        read_call(wanted)
    assert caught.value.status == 400
    return caught.value.code


def test_the_defaults_are_twilios() -> None:
    call = read_call(form(Unknown="ignored"))
    assert (call.method, call.timeout, call.time_limit) == ("POST", 60, None)
    assert call.status_callback_events == ("completed",)
    assert (call.record, call.machine_detection, call.twiml) == (None, None, None)


def test_url_wins_over_twiml_and_an_application_excludes_both() -> None:
    assert read_call(form(Twiml="<Response/>")).twiml is None
    assert read_call(form(Url="", Twiml="<Response/>")).twiml == "<Response/>"
    application = "AP" + "0" * 32
    assert code(form(ApplicationSid=application)) == 21218
    call = read_call(form(Url="", ApplicationSid=application, StatusCallbackEvent="nonsense", Method="GET"))
    assert (call.application_sid, call.method, call.status_callback_events) == (
        application,
        "POST",
        ("completed",),
    )
    assert code(form(Url="", ApplicationSid="AP123")) == 21218


def test_twiml_is_bounded_at_4000_characters() -> None:
    assert len(read_call(form(Url="", Twiml="x" * 4000)).twiml or "") == 4000
    assert code(form(Url="", Twiml="x" * 4001)) == 32018


def test_events_are_repeated_and_unknown_ones_are_left_out() -> None:
    assert read_call(form(StatusCallbackEvent=["completed", "initiated"])).status_callback_events == (
        "initiated",
        "completed",
    )
    assert read_call(form(StatusCallbackEvent="")).status_callback_events == ("completed",)
    call = read_call(form(StatusCallbackEvent=["busy", "answered", "busy"]))
    assert (call.status_callback_events, call.unknown_events) == (("answered",), ("busy",))
    call = read_call(form(StatusCallbackEvent="ringing answered"))  # TwiML's form is not REST's
    assert (call.status_callback_events, call.unknown_events) == ((), ("ringing answered",))


def test_what_is_asked_for_and_does_not_happen_is_warned_of() -> None:
    assert read_call(form()).warnings == []
    call = read_call(form(CallReason="offer", CallToken="tok", StatusCallbackEvent="busy"))
    assert call.warnings == [
        (20001, "CallReason has no effect on this server"),
        (20001, "CallToken has no effect on this server"),
        (21626, "Invalid 'StatusCallbackEvent'"),
    ]
    (warning,) = read_call(form(ClientNotificationUrl="https://example.com/push")).warnings
    assert warning[1].startswith("ClientNotificationUrl ")


def test_recording_events_are_repeated_or_separated_by_spaces() -> None:
    for events in ("completed in-progress", ["completed", "in-progress"]):
        call = read_call(form(Record="true", RecordingStatusCallbackEvent=events))
        assert call.record is not None
        assert call.record.status_callback_events == ("in-progress", "completed")
    assert code(form(RecordingStatusCallbackEvent="answered")) == 20001


def test_a_status_callback_has_no_underscore_in_its_host_name() -> None:
    assert read_call(form(Url="http://my_app:3000/voice")).url == "http://my_app:3000/voice"
    assert code(form(StatusCallback="http://my_app:3000/status")) == 21609


def test_the_first_fault_in_twilios_order_is_reported() -> None:
    assert code(Form()) == 21201
    assert code(Form([("To", "x")])) == 21213
    assert code(form(To="x", From="y")) == 21211


def test_machine_detection_is_ignored_with_digits() -> None:
    call = read_call(form(MachineDetection="Enable", MachineDetectionTimeout="10", AsyncAmd="true"))
    assert call.machine_detection is not None
    assert (call.machine_detection.timeout, call.machine_detection.asynchronous) == (10, True)
    assert read_call(form(MachineDetection="Enable", SendDigits="1")).machine_detection is None
    assert code(form(MachineDetectionTimeout="60")) == 21263


def test_byoc_is_meaningful_for_numbers_only() -> None:
    byoc = "BY" + "0" * 32
    assert read_call(form(Byoc=byoc)).byoc == byoc
    assert read_call(form(Byoc=byoc, To="sip:a@example.com")).byoc is None
    assert code(form(Byoc="BY1")) == 21300


def test_secrets_stay_out_of_the_repr() -> None:
    call = read_call(form(SipAuthUsername="u", SipAuthPassword="hunter2", CallToken="tok"))
    assert "hunter2" not in repr(call) and "tok'" not in repr(call)


@pytest.mark.parametrize(
    ("text", "kind", "address"),
    [
        ("+14155550199", EndpointKind.NUMBER, "+14155550199"),
        (" 14155550199", EndpointKind.NUMBER, "+14155550199"),  # an unescaped plus
        ("(415) 555-0199", EndpointKind.NUMBER, "+14155550199"),
        ("14155550199", EndpointKind.NUMBER, "+14155550199"),
        ("+886912345678", EndpointKind.NUMBER, "+886912345678"),
        ("sip:jack@example.com", EndpointKind.SIP, "sip:jack@example.com"),
        ("sips:jack@example.com:5061", EndpointKind.SIP, "sips:jack@example.com:5061"),
        (
            "sip:+1415@[2001:db8::1]:5060;transport=tcp",
            EndpointKind.SIP,
            "sip:+1415@[2001:db8::1]:5060;transport=tcp",
        ),
        ("client:joe", EndpointKind.CLIENT, "client:joe"),
        ("client:joe?mood=good", EndpointKind.CLIENT, "client:joe?mood=good"),
        ("app:AP" + "0" * 32, EndpointKind.APPLICATION, "app:AP" + "0" * 32),
    ],
)
def test_endpoints_are_recognised(text: str, kind: EndpointKind, address: str) -> None:
    assert parse_to(text) == (kind, address)


@pytest.mark.parametrize(
    "text",
    ["", "911", "+", "+0123456789", "+12345678901234567", "sip:", "sip:@x", "sip:a@", "sip:a b@x",
     "sip:a@x:99999", "sip:a@x>", "sip:" + "a" * 260 + "@x", "client:", "client:a b", "app:AP1",
     "mailto:a@b", "+1415555０199"],
)  # fmt: skip
def test_what_cannot_be_called_is_21211(text: str) -> None:
    with pytest.raises(RestError) as caught:
        parse_to(text)
    assert caught.value.code == 21211


def test_a_name_may_call_a_sip_address_but_no_number() -> None:
    sip = parse_to("sip:a@example.com")
    for text in ("Reception", "client:joe", "sip:desk@example.com", "a.b_c-d"):
        assert parse_from(text, sip) == text
        with pytest.raises(RestError):
            parse_from(text, parse_to("+14155550199"))
    for text in ("two words", "a\r\nX: y", "<sip:a@b>", '"q"', "x" * 256):
        with pytest.raises(RestError) as caught:
            parse_from(text, sip)
        assert caught.value.code == 21212


@given(st.text(max_size=40))
def test_any_text_is_an_endpoint_or_a_rest_error(text: str) -> None:
    for prefix in ("", "sip:", "client:", "+", "sip:a@b?"):
        try:
            endpoint = parse_to(prefix + text)
        except RestError as error:
            assert error.code in (21211, 21227, 21228, 21229)
        else:
            assert "\n" not in endpoint.address and "\r" not in endpoint.address


def update(**values: str) -> CallUpdate:
    return read_call_update(Form(values.items()))


def test_updates_hold_only_what_was_given() -> None:
    changes = update(Url="https://example.com/x", Method="get", StatusCallback="https://example.com/s")
    assert (changes.url, changes.method, changes.status_callback, changes.fallback_url) == (
        "https://example.com/x",
        "GET",
        "https://example.com/s",
        None,
    )
    assert changes.redirects and not update(Status="completed").redirects
    for bad in (
        {"Url": "x"},
        {"Url": ""},
        {"Status": "ringing"},
        {"Url": "https://a/", "Twiml": "<Response/>"},
    ):
        with pytest.raises(RestError):
            update(**bad)


@pytest.mark.parametrize(
    ("status", "direction", "changes", "allowed"),
    [
        ("in-progress", "inbound", {"Twiml": "<Response/>"}, True),
        ("ringing", "inbound", {"Twiml": "<Response/>"}, True),
        ("ringing", "outbound-api", {"Twiml": "<Response/>"}, False),
        ("queued", "outbound-api", {"Twiml": "<Response/>"}, False),
        ("queued", "outbound-api", {"Status": "canceled"}, True),
        ("ringing", "outbound-dial", {"Status": "canceled"}, True),
        ("in-progress", "inbound", {"Status": "canceled"}, False),
        ("ringing", "outbound-api", {"Status": "completed"}, True),
        ("in-progress", "inbound", {"Status": "completed"}, True),
        ("completed", "inbound", {"Status": "completed"}, False),
        ("busy", "outbound-api", {"Twiml": "<Response/>"}, False),
        ("in-progress", "inbound", {"TimeLimit": "60"}, True),
    ],
)
def test_the_state_decides_what_an_update_may_do(
    status: str, direction: str, changes: dict[str, str], allowed: bool
) -> None:
    error = refusal(status, direction, update(**changes))
    assert (error is None) is allowed
    if error is not None:
        assert (error.status, error.code) == (400, 21220)
