"""SIP torture test messages, RFC 4475: what the parser takes, and what a server would answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.sip.errors import SipSyntaxError
from ringback.sip.message import Request, Response, parse
from ringback.sip.stream import Malformed, StreamParser

CORPUS = Path(__file__).parents[3] / "shared" / "corpora" / "rfc4475"
EXPECTED = CORPUS / "expected.tsv"


def _table() -> list[tuple[str, str, str]]:
    if not EXPECTED.exists():
        return []
    rows = [line.split("\t") for line in EXPECTED.read_text().splitlines() if not line.startswith("#")]
    return [(row[0], row[2], row[3]) for row in rows[1:]]


TABLE = _table()
pytestmark = pytest.mark.skipif(not TABLE, reason="no corpus of RFC 4475 beside the repository")


def _read(name: str) -> bytes:
    return (CORPUS / name).read_bytes()


def test_all_messages_are_there() -> None:
    assert len(TABLE) == 49


@pytest.mark.parametrize(("name", "verdict", "server"), TABLE, ids=[row[0] for row in TABLE])
def test_rfc4475_verdict(name: str, verdict: str, server: str) -> None:
    try:
        message = parse(_read(name))
    except SipSyntaxError as error:
        assert verdict in ("reject", "either")
        if isinstance(error.message, Response):
            assert "drop" in server
        elif server != "drop":
            assert str(error.status) in server
            assert isinstance(error.message, Request)  # there is something to answer
            answer = error.message.reply(error.status, error.reason, to_tag="t").render()
            assert answer.startswith(b"SIP/2.0 " + str(error.status).encode())
        return
    assert verdict in ("accept", "either")
    if server == "400":
        with pytest.raises(SipSyntaxError) as caught:
            message.validate()
        assert caught.value.status == 400
        assert caught.value.message is message
    else:
        message.validate()


@pytest.mark.parametrize("name", [row[0] for row in TABLE if row[1] == "accept"])
def test_rfc4475_written_again_reads_the_same(name: str) -> None:
    message = parse(_read(name))
    again = parse(message.render())
    assert again.start_line() == message.start_line()
    assert [h for h in again.headers if h[0] != "Content-Length"] == [
        h for h in message.headers if h[0] != "Content-Length"
    ]
    assert again.body == message.body


def test_rfc4475_3_1_1_1_a_short_tortuous_invite() -> None:
    message = parse(_read("wsinv.dat"))
    assert isinstance(message, Request)
    assert message.to.tag == "1918181833n"
    assert message.from_.display == 'J Rosenberg \\"'
    assert message.from_.tag == "98asjd8"
    assert message.max_forwards == 68
    assert message.content_length == 150
    assert message.cseq == (9, "INVITE")
    assert [via.sent_by for via in message.vias] == [
        "192.0.2.2:5060",
        "spindle.example.com:5060",
        "192.168.255.111:5060",
    ]
    assert [via.branch for via in message.vias] == ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]
    assert message.get("Subject") == ""
    assert message.get("newfangledheader") == "newfangled value continued newfangled value"
    assert message.get("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    assert message.routes[0].uri.params == {"lr": None, "unknownwith": "value", "unknown-no-value": None}
    (contact,) = message.contacts
    assert contact.display == 'Quoted string ""'
    assert (contact.param("newparam"), contact.q) == ("newvalue", 0.33)
    assert message.uri.params == {"unknownparam": None}


def test_rfc4475_3_1_1_2_wide_range_of_valid_characters() -> None:
    message = parse(_read("intmeth.dat"))
    assert isinstance(message, Request)
    assert message.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert message.uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert message.uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert message.uri.host == "example.com"
    assert message.to.display == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert message.from_.display == "token1~` token2'+_ token3*%!.-"
    assert message.from_.tag == "_token~1'+`*%!-."
    assert message.from_.param("fromparam''~+*_!.-%") == "работающий"
    assert message.get("extensionheader-!.%*+_`'~") == "\ufeff大停電"


def test_rfc4475_3_1_1_3_valid_use_of_percent_escapes() -> None:
    message = parse(_read("esc01.dat"))
    assert isinstance(message, Request)
    assert (message.uri.user, message.uri.host) == ("sips:user@example.com", "example.net")
    assert message.to.uri.user == "user"
    assert message.from_.uri.user == "I have spaces"
    assert message.contacts[0].uri.user == "caller"
    assert message.contacts[0].uri.params == {"lr": None, "name": "value%41"}
    assert message.content_type == "application/sdp"


def test_rfc4475_3_1_1_4_escaped_nulls_are_kept() -> None:
    message = parse(_read("escnull.dat"))
    assert message.to.uri.user == "null-\x00-null"
    assert message.to.uri.aor == "null-%00-null@example.com"
    assert [contact.uri.user for contact in message.contacts] == ["\x00", "\x00\x00"]
    assert not message.contacts[0].uri.matches(message.contacts[1].uri)


def test_rfc4475_3_1_1_5_percent_is_no_escape_in_names() -> None:
    message = parse(_read("esc02.dat"))
    assert isinstance(message, Request)
    assert message.method == "RE%47IST%45R"
    assert [contact.uri.user for contact in message.contacts] == ["alias1", "alias3"]
    assert message.get("c%6fntact") == "<sip:alias2@host2.example.com>"
    assert message.to.display == "%Z%45"


def test_rfc4475_3_1_1_6_no_white_space_before_the_bracket() -> None:
    message = parse(_read("lwsdisp.dat"))
    assert (message.from_.display, message.from_.uri.user) == ("caller", "caller")


def test_rfc4475_3_1_1_7_long_values() -> None:
    message = parse(_read("longreq.dat"))
    assert len(message.vias) == 34
    assert message.vias[-1].received == "192.0.2.5"
    assert message.to.uri.port == 6000


def test_rfc4475_3_1_1_8_the_second_request_of_a_datagram_is_not_there() -> None:
    message = parse(_read("dblreq.dat"))
    assert isinstance(message, Request)
    assert message.method == "REGISTER"
    assert message.body == b""


def test_rfc4475_3_1_1_8_a_stream_has_both_requests() -> None:
    first, *_, second = StreamParser().feed(_read("dblreq.dat"))
    assert isinstance(first, Request)
    assert isinstance(second, Request)
    assert (first.method, second.method) == ("REGISTER", "INVITE")


def test_rfc4475_3_1_1_9_semicolons_in_the_user_part() -> None:
    message = parse(_read("semiuri.dat"))
    assert isinstance(message, Request)
    assert message.uri.user == "user;par=u@example.net"
    assert message.uri.params == {}
    assert len(message.all("Accept")) == 6


def test_rfc4475_3_1_1_10_unknown_transports() -> None:
    message = parse(_read("transports.dat"))
    assert [via.transport for via in message.vias] == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]


def test_rfc4475_3_1_1_12_unusual_reason_phrase() -> None:
    message = parse(_read("unreason.dat"))
    assert isinstance(message, Response)
    assert message.reason == "= 2**3 * 5**2 но сто девяносто девять - простое"


def test_rfc4475_3_1_1_13_empty_reason_phrase() -> None:
    message = parse(_read("noreason.dat"))
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (100, "")


def test_rfc4475_3_2_1_the_cookie_alone_names_no_transaction() -> None:
    assert parse(_read("badbranch.dat")).via.branch == "z9hG4bK"


@pytest.mark.parametrize(
    ("name", "scheme"), [("unkscm.dat", "nobodyknowsthisscheme"), ("novelsc.dat", "soap.beep")]
)
def test_rfc4475_3_3_unknown_schemes_stay_opaque(name: str, scheme: str) -> None:
    message = parse(_read(name))
    assert isinstance(message, Request)
    assert message.uri.scheme == scheme
    assert not message.uri.is_sip


def test_rfc4475_3_3_12_and_13_parameters_of_contact_and_of_its_uri() -> None:
    outside, inside = (parse(_read(name)).contacts[0] for name in ("cparam01.dat", "cparam02.dat"))
    assert (outside.params, outside.uri.params) == ({"unknownparam": None}, {})
    assert (inside.params, inside.uri.params) == ({}, {"unknownparam": None})


def test_rfc4475_3_3_14_headers_in_a_contact_belong_to_its_uri() -> None:
    (contact,) = parse(_read("regescrt.dat")).contacts
    assert contact.uri.headers == (("Route", "<sip:sip.example.com>"),)


def test_rfc4475_3_4_1_an_invite_of_rfc_2543() -> None:
    message = parse(_read("inv2543.dat"))
    assert message.from_.tag is None
    assert message.max_forwards is None
    assert message.body.startswith(b"v=0\r\n")  # no Content-Length: the body ends with the datagram


def test_a_stream_survives_a_message_that_is_wrong_but_framed() -> None:
    items = StreamParser().feed(_read("mismatch01.dat") + _read("semiuri.dat"))
    assert isinstance(items[0], Malformed)
    assert items[0].error.reason == "CSeq method mismatch"
    assert isinstance(items[-1], Request)


@pytest.mark.parametrize("name", ["mcl01.dat", "ncl.dat", "inv2543.dat"])
def test_a_stream_is_lost_without_exactly_one_content_length(name: str) -> None:
    parser = StreamParser()
    with pytest.raises(SipSyntaxError) as caught:
        parser.feed(_read(name))
    assert caught.value.status == 400
    assert isinstance(caught.value.message, Request)
