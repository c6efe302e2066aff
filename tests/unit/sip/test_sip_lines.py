"""Lines that come as most write them are read quickly, and give what a careful look gives."""

from __future__ import annotations

import pytest

from ringback.sip import message
from ringback.sip.errors import SipSyntaxError
from ringback.sip.lines import KnownLines, is_plain
from ringback.sip.message import Request, parse, parse_head

HEAD = (
    "REGISTER sip:example.com SIP/2.0",
    "Via: SIP/2.0/UDP 192.0.2.9:5062;rport;branch=z9hG4bK-1_a.b~c",
    "v: SIP/2.0/TCP other;branch=z9hG4bK0",
    "From: Alice <sip:alice@example.com>;tag=a1",
    "To: <sip:alice@example.com>",
    "Call-ID: abc@192.0.2.9",
    "CSeq: 20 REGISTER",
    "Contact: <sip:alice@192.0.2.9:5062>;expires=600",
    "Route: <sip:edge;lr>, <sip:core;lr>",
    "Max-Forwards: 300",
    "Expires: 3600",
    "X-Of-Mine: \u00fc",
    "Content-Length: 0",
)
TYPED = "via vias from_ to call_id cseq contacts routes record_routes max_forwards content_length".split()


def _both(*lines: str) -> tuple[object, object]:
    head = "\r\n".join(lines).encode()
    return _facts(message._parse_plain(head)), _facts(message._parse_with_care(head))


def _facts(read: object) -> object:
    if not isinstance(read, Request):
        return None
    return [read.method, read.raw_uri, read.headers, *[getattr(read, name) for name in TYPED]]


@pytest.mark.parametrize("without", [2, 7, 8, 9])
def test_the_quick_look_sees_what_the_careful_one_sees(without: int) -> None:
    lines = [line for at, line in enumerate(HEAD) if at not in (2, without)]
    for _ in range(2):  # new, and known
        quick, careful = _both(*lines)
        assert quick == careful and quick is not None


AROUND = (
    "Via: SIP/2.0/UDP 192.0.2.9:5062;branch=%s",
    "Via: SIP/2.0/UDP 192.0.2.9:5062;rport;branch=%s",
    "v:SIP/2.0/TLS [2001:DB8::1];branch=%s;rport;alias",
    'Via: SIP/2.0/UDP a;x="1;y";branch=%s;rport',
    'Via: SIP/2.0/UDP a;branch=real;x="q;branch=%s;y"',
    "Via: SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b;branch=%s",
    "From: <sip:alice@example.com>;tag=%s",
    'f:  "Alice; \u00fc" <sip:alice@example.com>;tag=%s',
    "From: <sip:alice@example.com>;tag=%s;x=1",
    "To: Bob <sip:bob@example.com;lr>;tag=%s",
    "T: <sip:bob@example.com> ;tag=%s",
)


@pytest.mark.parametrize("form", AROUND)
def test_a_branch_or_a_tag_is_read_as_if_its_line_were_new(form: str) -> None:
    known = KnownLines()
    for new in ("a1", "z9hG4bK-1-2.3", "a_b~c", "real", "\u00e4", "a1", "x" * 300):
        text = (form % new).encode()
        try:
            fresh = KnownLines().read(text)
        except SipSyntaxError:
            with pytest.raises(SipSyntaxError):
                known.read(text)
            continue
        line = known.read(text)
        assert fresh is not None and line is not None
        assert (line.header, line.field, line.typed) == (fresh.header, fresh.field, fresh.typed)


def test_no_more_beginnings_are_known_than_lines() -> None:
    known = KnownLines(10)
    for number in range(100):
        known.read(f"Via: SIP/2.0/UDP host{number};branch=z9hG4bK1".encode())
        assert len(known._around) <= 10


@pytest.mark.parametrize(
    "line",
    [
        " folded",
        "v: SIP/2.0/TCP other;branch=z9hG4bK0",
        "X-Control: \x01",
        "X-Bare: a\rb",
        "X-Bare: a\nb",
        "",
        "no colon",
        "Bad Name: x",
    ],
)
def test_what_is_not_plain_is_left_to_the_careful_look(line: str) -> None:
    head = "\r\n".join((HEAD[0], HEAD[1], line, *HEAD[3:])).encode()
    try:
        assert message._parse_plain(head) is None
    except SipSyntaxError:
        return


def test_what_is_written_twice_is_kept_once_and_refused() -> None:
    quick, careful = _both(HEAD[0], HEAD[1], *HEAD[3:], "To: <sip:bob@example.com>")
    assert quick == careful
    read = parse_head("\r\n".join((HEAD[0], HEAD[1], *HEAD[3:], "To: <sip:bob@example.com>")).encode())
    assert read.to.uri.user == "alice"
    with pytest.raises(SipSyntaxError, match="twice"):
        read.validate()


def test_a_message_that_lacks_a_field_is_not_valid_however_it_was_read() -> None:
    with pytest.raises(SipSyntaxError, match="Call-ID"):
        parse_head("\r\n".join((HEAD[0], HEAD[1], *HEAD[3:5], *HEAD[6:])).encode()).validate()


def test_one_message_may_be_changed_and_its_twin_stays() -> None:
    data = "\r\n".join((HEAD[0], HEAD[1], *HEAD[3:])).encode() + b"\r\n\r\n"
    one, other = parse(data), parse(data)
    one.set("To", "<sip:bob@example.com>")
    one.remove("Max-Forwards")
    assert (one.to.uri.user, one.max_forwards) == ("bob", None)
    assert (other.to.uri.user, other.max_forwards) == ("alice", 255)


def test_as_many_lines_are_known_as_there_may_be() -> None:
    known = KnownLines(10)
    first = known.read(b"X-Line: 0")
    for number in range(200):
        line = known.read(f"X-Line: {number}".encode())
        assert line is not None and line.header == ("X-Line", str(number))
        assert known.read(b"X-Line: 0") is first  # asked for all the time
        assert len(known) <= 20
    known.read(b"Call-ID: never-again")
    known.read(b"X-Long: " + b"a" * 300)
    assert len(known) <= 20


@pytest.mark.parametrize("text", [b"", b" a", b"\ta", b"a\x00", b"a\x7f", b"a\r", b"a\nb"])
def test_not_plain(text: bytes) -> None:
    assert not is_plain(text) and is_plain(b"a\tb") and is_plain("\u00e4".encode())


def test_a_line_end_in_a_line_is_no_beginning_that_was_read_before() -> None:
    """It would come back in an answer, and end a header field there."""
    known = KnownLines()
    assert known.read(b"Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKone;rport") is not None
    assert known.read(b"Via: SIP/2.0/UDP 192.0.2.9:5060\nrport;branch=z9hG4bKtwo") is None
