"""Messages: reading, changing, answering, writing."""

from __future__ import annotations

import pytest

from ringback.sip.errors import SipSyntaxError, UsageError
from ringback.sip.limits import MAX_BODY, MAX_CALL_ID, MAX_HEAD, MAX_HEADER_LINES
from ringback.sip.message import Request, Response, parse
from ringback.sip.uri import Uri

INVITE = b"""\
INVITE sip:bob@example.com SIP/2.0
Via: SIP/2.0/UDP 192.0.2.9:5062;rport;branch=z9hG4bK1, SIP/2.0/TCP other;branch=z9hG4bK0
Record-Route: <sip:edge;lr>
Max-Forwards: 70
From: "Alice" <sip:alice@example.com>;tag=a1
To: <sip:bob@example.com>
Call-ID: abc@192.0.2.9
CSeq: 20 INVITE
Timestamp: 54
Contact: <sip:alice@192.0.2.9:5062>
X-My-Header: Value; k=v
Content-Type: application/SDP;charset=utf-8
Content-Length: 4

v=0
""".replace(b"\n", b"\r\n").replace(b"v=0\r\n", b"v=0\n")


def _invite(old: bytes = b"", new: bytes = b"") -> Request:
    assert old in INVITE
    message = parse(INVITE.replace(old, new) if old else INVITE)
    assert isinstance(message, Request)
    return message


def test_a_request_is_read() -> None:
    message = _invite()
    message.validate()
    assert message.method == "INVITE"
    assert message.uri == Uri.parse("sip:bob@example.com")
    assert [via.host for via in message.vias] == ["192.0.2.9", "other"]
    assert message.via is message.vias[0]
    assert (message.from_.tag, message.to.tag, message.call_id) == ("a1", None, "abc@192.0.2.9")
    assert message.cseq == (20, "INVITE")
    assert message.contacts[0].uri.port == 5062
    assert message.record_routes[0].uri.host == "edge"
    assert (message.routes, message.max_forwards, message.expires) == ((), 70, None)
    assert message.content_type == "application/sdp"
    assert message.body == b"v=0\n"
    assert message.get("x-my-header") == "Value; k=v"
    assert ("X-My-Header", "Value; k=v") in message.headers


def test_typed_fields_are_read_once() -> None:
    message = _invite()
    assert message.from_ is message.from_
    assert message.contacts is message.contacts


def test_a_changed_field_is_read_anew() -> None:
    message = _invite()
    message.set("f", "<sip:carol@example.com>;tag=c")
    assert message.from_.uri.user == "carol"
    message.add("Contact", "<sip:second@example.com>")
    assert len(message.contacts) == 2
    message.prepend("Via", "SIP/2.0/UDP first;branch=z9hG4bKf")
    assert message.via.host == "first"
    message.remove("v")
    assert message.vias == ()
    with pytest.raises(SipSyntaxError):
        _ = message.via


def test_rfc3261_7_3_1_unknown_fields_are_found_in_any_case() -> None:
    message = Request("INFO", "sip:a@b", [("X-One", "1"), ("x-one", "2"), ("Y", "3")])
    assert message.raw("X-ONE") == ["1", "2"]
    message.set("X-oNe", "4")
    assert message.headers[0] == ("X-oNe", "4")
    assert message.raw("x-one") == ["4"]
    message.remove("X-ONE")
    assert message.get("X-One") is None


def test_set_appends_what_is_new_and_drops_what_is_double() -> None:
    message = Request("INFO", "sip:a@b", [("Subject", "1"), ("Via", "x"), ("s", "2")])
    message.set("Subject", "3")
    message.set("Expires", "60")
    assert message.headers == [("Subject", "3"), ("Via", "x"), ("Expires", "60")]


def test_rfc3261_7_3_1_only_list_fields_are_split() -> None:
    message = Request(
        "INFO", "sip:a@b", [("Supported", "timer, 100rel,"), ("k", "Replaces"), ("Subject", "a, b")]
    )
    assert message.all("Supported") == ["timer", "100rel", "Replaces"]
    assert message.tokens("Supported") == {"timer", "100rel", "replaces"}
    assert message.all("Subject") == ["a, b"]
    assert message.all("Require") == []


def test_rfc3261_18_3_bytes_beyond_the_content_length_are_dropped() -> None:
    assert parse(INVITE + b"junk").body == b"v=0\n"


def test_rfc3261_7_5_empty_lines_before_the_start_line_are_skipped() -> None:
    assert parse(b"\r\n\r\n" + INVITE).cseq.number == 20


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"SIP/2.0\r\nVia", b"SIP/3.0\r\nVia", 505),
        (b"INVITE sip:bob@example.com SIP/2.0", b"INVITE sip:bob@example.com", 400),
        (b"INVITE sip:bob@example.com SIP/2.0", b"SIP/2.0 99 X", 400),
        (b"INVITE sip:bob@example.com SIP/2.0", b"SIP/2.0 700 X", 400),
        (b"INVITE sip:bob@example.com SIP/2.0", "SIP/2.0 2\u06600 X".encode(), 400),
        (b"sip:bob@example.com SIP", b"sip:bob@exa\xc2\xa0mple.com SIP", 400),
        (b"CSeq: 20 INVITE", b"CSeq: 20 BYE", 400),
        (b"Max-Forwards: 70", b"Max-Forwards: -1", 400),
        (b"Max-Forwards: 70", b"Max-Forwards 70", 400),
        (b"Max-Forwards: 70", b": 70", 400),
        (b"Max-Forwards: 70", b"Subject: a\nMax-Forwards: 70", 400),
        (b"Max-Forwards: 70", b"Subject: a\rMax-Forwards: 70", 400),
        (b"Max-Forwards: 70", b"Subject: a\0b", 400),
        (b"abc@192.0.2.9", b"abc def", 400),
        (b"abc@192.0.2.9", b"a" * (MAX_CALL_ID + 1), 400),
        (b"Content-Length: 4", b"Content-Length: 5", 400),
        (b"Content-Length: 4", b"Content-Length: 4x", 400),
        (b"Contact: <sip:alice@192.0.2.9:5062>", b"Contact: *, <sip:a@b>", 400),
        (b"<sip:edge;lr>", b"<sip:edge;lr", 400),
        (b", SIP/2.0/TCP other", b", SIP/2.0/TCP", 400),
        (b"\r\n\r\n", b"\r\n", 400),
    ],
)
def test_malformed_requests_are_refused(old: bytes, new: bytes, status: int) -> None:
    with pytest.raises(SipSyntaxError) as caught:
        _invite(old, new)
    assert caught.value.status == status


def test_a_malformed_request_can_be_answered() -> None:
    with pytest.raises(SipSyntaxError) as caught:
        _invite(b"To: <sip:bob@example.com>", b'To: "Bob <sip:bob@example.com>')
    assert isinstance(caught.value.message, Request)
    answer = caught.value.message.reply(400, caught.value.reason, to_tag="t")
    text = answer.render().decode()
    assert text.startswith("SIP/2.0 400 Malformed address\r\nVia: SIP/2.0/UDP 192.0.2.9:5062;rport")
    assert 'To: "Bob <sip:bob@example.com>\r\n' in text


def test_limits() -> None:
    with pytest.raises(SipSyntaxError) as caught:
        parse(b"INVITE sip:a@b SIP/2.0\r\nX: " + b"a" * MAX_HEAD)
    assert caught.value.status == 513
    with pytest.raises(SipSyntaxError) as caught:
        parse(b"INVITE sip:a@b SIP/2.0\r\n" + b"X: a\r\n" * MAX_HEADER_LINES + b"\r\n")
    assert caught.value.status == 513
    with pytest.raises(SipSyntaxError) as caught:
        parse(b"INFO sip:a@b SIP/2.0\r\n\r\n" + b"x" * (MAX_BODY + 1))
    assert caught.value.status == 513


@pytest.mark.parametrize(
    "value",
    [
        b"To: " + b" " * 30000 + b"x\r\n y",
        b"To: " + b'"' * 30001,
        b"Via: SIP/2.0/UDP h" + b";a" * 10000 + b" ;",
        b"Contact: " + b"<sip:a@b>;x=" * 2500,
        b"Contact: " + b"<" * 30000,
        b"To: <sip:" + b"%41" * 1300 + b">",
        b"To: <sip:" + b"a;" * 10000 + b">",
    ],
)
def test_hostile_values_cost_no_more_than_their_length(value: bytes) -> None:
    for _ in range(20):  # anything worse than linear would run into the time limit of the tests
        with pytest.raises(SipSyntaxError):
            parse(b"OPTIONS sip:a@b SIP/2.0\r\n" + value + b"\r\n\r\n")


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_validate_wants_the_mandatory_fields(name: str) -> None:
    message = _invite()
    message.remove(name)
    with pytest.raises(SipSyntaxError) as caught:
        message.validate()
    assert caught.value.reason == f"Missing {name}"
    assert caught.value.message is message


@pytest.mark.parametrize("name", ["From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length"])
def test_validate_wants_single_fields_once(name: str) -> None:
    message = _invite()
    message.add(name, message.get(name) or "")
    with pytest.raises(SipSyntaxError):
        message.validate()


def test_old_peers_write_latin_1_and_get_it_back() -> None:
    message = _invite(b'"Alice"', b'"J\xfcrgen"')
    assert message.from_.display == "J\u00fcrgen"
    assert b'From: "J\xfcrgen" <sip' in message.reply(180).render()
    assert b"J\xfcrgen" in message.render()


def test_what_latin_1_cannot_say_goes_out_as_utf_8() -> None:
    message = _invite(b'"Alice"', b'"J\xfcrgen"')
    message.add("Subject", "\u0416")
    assert "J\u00fcrgen".encode() in message.render()


def test_rfc3261_20_14_content_length_is_always_right() -> None:
    message = Request("INFO", "sip:a@b", [("Content-Length", "999"), ("l", "7")], b"four")
    assert message.render() == b"INFO sip:a@b SIP/2.0\r\nContent-Length: 4\r\n\r\nfour"


@pytest.mark.parametrize("value", ["a\r\nVia: evil", "a\nb", "a\rb"])
def test_no_line_end_gets_into_a_field(value: str) -> None:
    with pytest.raises(UsageError):
        Request("INFO", "sip:a@b", [("Subject", value)]).render()
    with pytest.raises(UsageError):
        Response(400, value).render()


def test_rfc3261_8_2_6_2_a_reply_copies_what_it_must() -> None:
    reply = _invite().reply(180, to_tag="b2", headers=[("Contact", "<sip:me@192.0.2.1>")])
    assert reply.headers == [
        ("Via", "SIP/2.0/UDP 192.0.2.9:5062;rport;branch=z9hG4bK1, SIP/2.0/TCP other;branch=z9hG4bK0"),
        ("Record-Route", "<sip:edge;lr>"),
        ("From", '"Alice" <sip:alice@example.com>;tag=a1'),
        ("To", "<sip:bob@example.com>;tag=b2"),
        ("Call-ID", "abc@192.0.2.9"),
        ("CSeq", "20 INVITE"),
        ("Contact", "<sip:me@192.0.2.1>"),
    ]
    assert (reply.reason, reply.to.tag) == ("Ringing", "b2")
    again = parse(reply.render())
    again.validate()
    assert isinstance(again, Response)


@pytest.mark.parametrize(
    ("status", "copied"), [(100, False), (183, True), (200, True), (302, False), (486, False)]
)
def test_rfc3261_12_1_1_record_route_goes_into_what_makes_dialogs(status: int, copied: bool) -> None:
    assert (_invite().reply(status).get("Record-Route") is not None) is copied


def test_rfc3261_8_2_6_1_a_100_carries_the_timestamp() -> None:
    assert _invite().reply(100).get("Timestamp") == "54"
    assert _invite().reply(180).get("Timestamp") is None


def test_a_reply_keeps_a_to_tag_and_takes_a_body() -> None:
    reply = _invite(b"To: <sip:bob@example.com>", b"To: sip:bob@example.com;tag=old").reply(
        200, "Fine", to_tag="new", body=b"v=0", content_type="application/sdp"
    )
    assert (reply.to.tag, reply.reason, reply.content_type) == ("old", "Fine", "application/sdp")
    assert reply.render().endswith(b"Content-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0")


def test_rfc3581_4_rport_is_filled_in() -> None:
    message = _invite()
    message.stamp_via("198.51.100.7", 40000)
    assert (message.via.received, message.via.rport) == ("198.51.100.7", 40000)
    assert message.vias[1].host == "other"
    reply = parse(message.reply(100).render())
    assert (reply.via.received, reply.via.rport) == ("198.51.100.7", 40000)
    assert len(reply.vias) == 2


def test_rfc3261_18_2_1_received_only_where_it_differs() -> None:
    message = _invite(b";rport", b"")
    message.stamp_via("192.0.2.9", 40000)
    assert "received" not in message.via.params
    message.stamp_via("198.51.100.7", 40000)
    assert message.via.params == {"branch": "z9hG4bK1", "received": "198.51.100.7"}


def test_rfc3261_18_2_1_a_peer_cannot_forge_received() -> None:
    message = _invite(b";rport", b";received=203.0.113.1")
    message.stamp_via("192.0.2.9", 40000)
    assert message.via.received == "192.0.2.9"


def test_rfc3261_18_2_1_an_ipv6_source_is_stamped_without_brackets() -> None:
    message = _invite()
    message.stamp_via("2001:db8::1", 40000)
    assert parse(message.render()).via.received == "2001:db8::1"


def test_copies_are_independent() -> None:
    message = _invite()
    copy = message.copy()
    copy.set("CSeq", "21 INVITE")
    copy.uri = Uri.parse("sip:carol@example.com")
    assert (message.cseq.number, message.raw_uri) == (20, "sip:bob@example.com")
    assert copy.render().startswith(b"INVITE sip:carol@example.com SIP/2.0")
    assert copy.body == message.body


def test_the_wildcard_contact() -> None:
    message = _invite(b"<sip:alice@192.0.2.9:5062>", b"*")
    assert message.is_wildcard
    assert message.contacts == ()
    assert not _invite().is_wildcard


def test_phrases() -> None:
    assert Response(486).reason == "Busy Here"
    assert Response(499).reason == "Request Failure"
    assert parse(b"SIP/2.0 200\r\n\r\n").start_line() == "SIP/2.0 200 "


def test_controls_in_a_display_survive_by_their_escapes() -> None:
    message = _invite(b'"Alice"', b'"A\\\x07\\\x00"')
    assert message.from_.display == "A\x07\x00"
    message.set("From", str(message.from_))
    again = parse(message.render())
    assert again.from_ == message.from_
