"""Structured values of header fields."""

from __future__ import annotations

import pytest

from ringback.sip.errors import SipSyntaxError
from ringback.sip.headers import (
    CSeq,
    NameAddr,
    delta_seconds,
    parse_cseq,
    parse_name_addr,
    parse_name_addrs,
    parse_params,
    parse_via,
    parse_vias,
    split_list,
)
from ringback.sip.limits import MAX_LIST_VALUES
from ringback.sip.uri import Uri


def test_lists_are_split_at_commas_outside_quotes_and_brackets() -> None:
    assert split_list("a, b ,c") == ["a", "b", "c"]
    assert split_list('"a, \\", b" <sip:x,y@h>;p="1,2", <sip:z@h>') == [
        '"a, \\", b" <sip:x,y@h>;p="1,2"',
        "<sip:z@h>",
    ]


@pytest.mark.parametrize("value", ['"a, b', "<a, b", 'a, "b', "<a>, <b"])
def test_unbalanced_lists_are_refused(value: str) -> None:
    with pytest.raises(SipSyntaxError):
        split_list(value)


def test_lists_have_a_bound() -> None:
    with pytest.raises(SipSyntaxError):
        split_list("a," * MAX_LIST_VALUES + "a")
    with pytest.raises(SipSyntaxError):
        parse_name_addrs(["<sip:a@b>"] * (MAX_LIST_VALUES + 1))
    with pytest.raises(SipSyntaxError) as caught:
        parse_vias(["SIP/2.0/UDP a;branch=b"] * (MAX_LIST_VALUES + 1))
    assert caught.value.status == 483


def test_parameters_keep_quotes_and_order() -> None:
    params = parse_params(' ; A = "x;\\"y" ;b;c=[::1]:5')
    assert list(params.items()) == [("a", '"x;\\"y"'), ("b", None), ("c", "[::1]:5")]
    assert dict(parse_params(";tag=1;lr")) == {"tag": "1", "lr": None}
    assert dict(parse_params("")) == {}


@pytest.mark.parametrize(
    "text", [";", ";;", ";a=", ";a;", "a", ";a=b c", ';a="b', ";a=1;A=2", ";a=b,c", ";é=1", '; a="1";a="2"']
)
def test_malformed_parameters_are_refused(text: str) -> None:
    with pytest.raises(SipSyntaxError):
        parse_params(text)


@pytest.mark.parametrize(
    ("value", "display", "uri", "params"),
    [
        ("sip:a@b;tag=1", "", "sip:a@b", {"tag": "1"}),
        ("<sip:a@b;lr>;tag=1", "", "sip:a@b;lr", {"tag": "1"}),
        ("Alice Smith <sip:a@b>", "Alice Smith", "sip:a@b", {}),
        ('"Al \\"A\\" <x>"<sip:a@b> ; q=0.5', 'Al "A" <x>', "sip:a@b", {"q": "0.5"}),
        ('"" <sip:a@b>', "", "sip:a@b", {}),
        ("J\u00fcrgen (home) <sip:a@b>", "J\u00fcrgen (home)", "sip:a@b", {}),
        ("<tel:+123>", "", "tel:+123", {}),
    ],
)
def test_addresses(value: str, display: str, uri: str, params: dict[str, str]) -> None:
    address = parse_name_addr(value)
    assert (address.display, str(address.uri), dict(address.params)) == (display, uri, params)
    assert parse_name_addr(str(address)) == address


@pytest.mark.parametrize(
    "value",
    [
        "",
        "<sip:a@b",
        "sip:a@b>",
        '"x <sip:a@b>',
        "<sip:a@b>x",
        "< sip:a@b >",
        "a, b <sip:a@b>",
        "<>",
        "alice",
        "sip:a@b?x=y",
        "<sip:a@b>;tag=" + "x" * 513,
    ],
)
def test_malformed_addresses_are_refused(value: str) -> None:
    with pytest.raises(SipSyntaxError):
        parse_name_addr(value)


@pytest.mark.parametrize(
    ("q", "value"),
    [("0", 0.0), ("0.25", 0.25), ("1.000", 1.0), ("nan", 1.0), ("7", 1.0), ("inf", 1.0), ("-1", 1.0)],
)
def test_preference(q: str, value: float) -> None:
    assert parse_name_addr(f"<sip:a@b>;q={q}").q == value


@pytest.mark.parametrize(("text", "seconds"), [("60", 60), ("x", 3600), ('"60"', 60), ("9" * 30, 2**32 - 1)])
def test_expiry_of_a_contact(text: str, seconds: int) -> None:
    assert parse_name_addr(f"<sip:a@b>;expires={text}").expires == seconds


def test_an_address_gets_a_tag() -> None:
    address = parse_name_addr("Alice <sip:a@b>").with_tag("x1")
    assert address.tag == "x1"
    assert str(address) == "Alice <sip:a@b>;tag=x1"


def test_displays_are_quoted_where_they_must_be() -> None:
    assert str(NameAddr('a "b" \\', Uri.parse("sip:a@b"))) == '"a \\"b\\" \\\\" <sip:a@b>'
    assert str(NameAddr("a\r\nVia: b\x07", Uri.parse("sip:a@b"))) == '"a  Via: b\\\x07" <sip:a@b>'
    assert str(NameAddr("Alice", Uri.parse("sip:a@b"))) == "Alice <sip:a@b>"


def test_via() -> None:
    via = parse_via("SIP/2.0/tls Host.Example;rport=5071;received=192.0.2.1;branch=z9hG4bKx")
    assert (via.transport, via.host, via.port) == ("TLS", "Host.Example", None)
    assert (via.branch, via.received, via.rport) == ("z9hG4bKx", "192.0.2.1", 5071)
    assert via.sent_by == "host.example:5061"
    assert parse_via(str(via)) == via
    assert parse_via("SIP/2.0/UDP [::1]:5062;rport").sent_by == "[::1]:5062"


@pytest.mark.parametrize("rport", ["", "=x", "=\u0661", "=123456"])
def test_an_rport_that_is_no_number_is_none(rport: str) -> None:
    assert parse_via(f"SIP/2.0/UDP h;rport{rport}").rport is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/3.0/UDP h",
        "HTTP/2.0/UDP h",
        "SIP/2.0/UDP h:99999",
        "SIP/2.0/UDP h;branch",
        "SIP/2.0/UDP h;",
        "SIP/2.0/UDPh",
        "SIP/2.0/UDP h i",
    ],
)
def test_malformed_vias_are_refused(value: str) -> None:
    with pytest.raises(SipSyntaxError):
        parse_via(value)


def test_cseq() -> None:
    assert parse_cseq("0009 \t INVITE") == CSeq(9, "INVITE")
    assert str(CSeq(1, "ACK")) == "1 ACK"
    assert parse_cseq(f"{2**32 - 1} X").number == 2**32 - 1


@pytest.mark.parametrize(
    "value", ["", "1", "INVITE", "-1 INVITE", f"{2**32} INVITE", "1 INV ITE", "\u0661 INVITE", "1INVITE"]
)
def test_malformed_cseqs_are_refused(value: str) -> None:
    with pytest.raises(SipSyntaxError):
        parse_cseq(value)


def test_seconds_are_bounded() -> None:
    assert delta_seconds("3600", 1) == 3600
    assert delta_seconds("9" * 10000, 1) == 2**32 - 1
    assert delta_seconds("\u00b2", 7) == 7
    assert delta_seconds("", 7) == 7
