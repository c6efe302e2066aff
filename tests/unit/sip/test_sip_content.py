"""What of a body is for the session: one description, or a part of several."""

from __future__ import annotations

from base64 import b64encode, encodebytes

import pytest

from ringback.sip.content import Found, info_of, is_plain, session_of
from ringback.sip.errors import SipSyntaxError
from ringback.sip.fields import Message
from ringback.sip.limits import MAX_BODY, MAX_PART_DEPTH, MAX_PART_HEAD, MAX_PARTS

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\n"
ISUP = b"\x01\x00\r\n\x80\x00--b"
SDP_PART = (b"Content-Type: application/sdp", SDP)
OPTIONAL = (
    b"Content-Type: application/isup; version=itu-t92+\r\nContent-Disposition: signal; handling=optional",
    ISUP,
)
REQUIRED = (b"Content-Type: application/isup\r\nContent-Disposition: signal;handling=required", ISUP)
SILENT = (b"Content-Type: application/isup", ISUP)

Part = tuple[bytes, bytes]


def session(sdp: bytes, is_understood: bool) -> Found:
    """What is found for a session."""
    return Found(sdp, is_understood, "application/sdp" if sdp else "")


def several(*parts: Part, boundary: bytes = b"b", end: bytes = b"\r\n") -> bytes:
    """A body of several parts."""
    texts = [
        b"--" + boundary + end + head + (end if head else b"") + end + body + end for head, body in parts
    ]
    return b"".join(texts) + b"--" + boundary + b"--" + end


def message(body: bytes, kind: str = "multipart/mixed; boundary=b", *fields: tuple[str, str]) -> Message:
    return Message([("Content-Type", kind), *fields], body)


def nested(depth: int) -> bytes:
    """A description within so many multiparts."""
    body = SDP_PART
    for level in range(depth - 1):
        boundary = b"in%d" % level
        body = (b"Content-Type: multipart/mixed;boundary=" + boundary, several(body, boundary=boundary))
    return several(body)


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([SDP_PART], session(SDP, True)),
        ([SDP_PART, OPTIONAL], session(SDP, True)),
        ([OPTIONAL, SDP_PART], session(SDP, True)),
        ([OPTIONAL], session(b"", True)),
        ([SDP_PART, REQUIRED], session(SDP, False)),
        ([SDP_PART, SILENT], session(SDP, False)),  # required is the default
        ([SDP_PART, (b"", b"text without a type")], session(SDP, False)),
        ([SDP_PART, SDP_PART], session(SDP, False)),
        ([(b"Content-Disposition: session\r\n" + SDP_PART[0], SDP)], session(SDP, True)),
        ([(SDP_PART[0] + b"\r\nContent-Disposition:\r\n icon", SDP)], session(b"", False)),
        ([(SDP_PART[0] + b"\r\nContent-Disposition: icon;handling=\"optional\"", SDP)], session(b"", True)),
        ([(SDP_PART[0] + b"\r\nContent-Transfer-Encoding: BINARY", SDP)], session(SDP, True)),
        ([(SDP_PART[0] + b"\r\nContent-Transfer-Encoding: x-token", SDP)], session(b"", False)),
        ([(SDP_PART[0] + b"\r\nContent-Encoding: gzip", SDP)], session(b"", False)),
        ([(SDP_PART[0] + b"\r\nContent-Encoding: identity", SDP)], session(SDP, True)),
    ],
)  # fmt: skip
def test_the_parts_of_a_mixed_body(parts: list[Part], found: Found) -> None:
    assert session_of(message(several(*parts))) == found


@pytest.mark.parametrize(
    ("coding", "text", "found"),
    [
        ("Base64", b64encode(SDP), session(SDP, True)),
        ("base64", encodebytes(SDP * 9), session(SDP * 9, True)),  # in lines of 76
        ("base64", b"not in fours", session(b"", False)),
        ("base64", b"", Found(b"", True, "application/sdp")),
        ("quoted-printable", b"v=3D0=0D=0As=3D=\r\n-", session(b"v=0\r\ns=-", True)),
        ("Quoted-Printable", SDP.replace(b"=", b"=3D"), session(SDP, True)),
        ("8bit", SDP, session(SDP, True)),
        ("gzip", SDP, session(b"", False)),
    ],
)
def test_a_part_is_decoded(coding: str, text: bytes, found: Found) -> None:
    head = SDP_PART[0] + b"\r\nContent-Transfer-Encoding: " + coding.encode()
    assert session_of(message(several((head, text)))) == found
    assert session_of(message(several((head, text), OPTIONAL))) == found


DIGIT = (b"Content-Type: application/dtmf-relay", b"Signal=5")


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([DIGIT, OPTIONAL], Found(b"Signal=5", True, "application/dtmf-relay")),
        (
            [(DIGIT[0] + b"\r\nContent-Disposition: signal", b"5")],
            Found(b"5", True, "application/dtmf-relay"),
        ),
        ([(DIGIT[0] + b"\r\nContent-Disposition: session", b"5")], Found(b"", False)),
        ([OPTIONAL], Found(b"", True)),
        ([DIGIT, REQUIRED], Found(b"Signal=5", False, "application/dtmf-relay")),
        ([DIGIT, DIGIT], Found(b"Signal=5", False, "application/dtmf-relay")),
    ],
)
def test_digits_among_other_parts(parts: list[Part], found: Found) -> None:
    assert info_of(message(several(*parts)), ("application/dtmf-relay",)) == found


@pytest.mark.parametrize("boundary", [b"unique-boundary-1", b"a b", b"----=_Part_0.1", b"'()+_,-./:=?"])
def test_boundaries_of_all_kinds(boundary: bytes) -> None:
    body = several(SDP_PART, OPTIONAL, boundary=boundary)
    assert session_of(message(body, f'Multipart/Mixed;x=1; BOUNDARY="{boundary.decode()}"')) == session(
        SDP, True
    )


def test_a_boundary_with_an_equals_sign_that_is_not_quoted() -> None:
    assert session_of(message(several(SDP_PART, boundary=b"=_P"), "multipart/mixed;boundary==_P")).body == SDP


def test_what_stands_around_the_parts_counts_for_nothing() -> None:
    body = b"a preamble --b\r\n" + several(SDP_PART) + b"an epilogue\r\n--b\r\nnot a part"
    assert session_of(message(body)) == session(SDP, True)


def test_padding_after_a_delimiter_and_bare_line_feeds() -> None:
    body = b"--b \t\nContent-Type: application/sdp\n\nv=0\no=x\n--b-- "
    assert session_of(message(body)).body == b"v=0\no=x"


def test_a_longer_boundary_is_another_one() -> None:
    body = several((SDP_PART[0], b"v=0\r\n--bc\r\ns=-"))
    assert session_of(message(body)).body == b"v=0\r\n--bc\r\ns=-"


def test_the_last_alternative_that_is_understood_counts() -> None:
    kind = "multipart/alternative;boundary=b"
    other = (SDP_PART[0], b"v=0\r\n")
    assert session_of(message(several(SDP_PART, other), kind)) == session(b"v=0\r\n", True)
    assert session_of(message(several(SDP_PART, REQUIRED), kind)) == session(SDP, True)
    assert session_of(message(several(SILENT, REQUIRED), kind)) == session(b"", False)


def test_an_alternative_among_other_parts() -> None:
    inner = several(SDP_PART, REQUIRED, boundary=b"bb")
    outer = several((b"Content-Type: multipart/alternative;boundary=bb", inner), OPTIONAL)
    assert session_of(message(outer)) == session(SDP, True)


def test_a_multipart_that_may_be_ignored_is() -> None:
    inner = several(SDP_PART, REQUIRED, boundary=b"bb")
    head = b"Content-Type: multipart/related;boundary=bb\r\nContent-Disposition: session;handling=optional"
    assert session_of(message(several((head, inner)))) == session(b"", True)
    body = several(SDP_PART, REQUIRED)
    whole = message(body, "multipart/mixed;boundary=b", ("Content-Disposition", "session;handling=optional"))
    assert session_of(whole) == session(b"", True)


@pytest.mark.parametrize(
    ("kind", "disposition", "found"),
    [
        ("application/isup", "", session(b"", False)),
        ("application/isup", "signal;handling=optional", session(b"", True)),
        ("Application/SDP ; x=y", "Session", session(SDP, True)),
        ("application/sdp", "early-session", session(b"", False)),
    ],
)
def test_a_single_body(kind: str, disposition: str, found: Found) -> None:
    fields = [("Content-Disposition", disposition)] if disposition else []
    assert session_of(message(SDP, kind, *fields)) == found


def test_most_bodies_are_plain() -> None:
    assert is_plain(message(SDP, "application/sdp"))
    assert is_plain(Message([], SDP))
    assert not is_plain(message(SDP, "application/sdp", ("Content-Disposition", "session")))
    assert not is_plain(message(several(SDP_PART)))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/mixed", several(SDP_PART)),
        ("multipart/mixed;boundary=", several(SDP_PART)),
        ('multipart/mixed;boundary=""', several(SDP_PART)),
        ('multipart/mixed;boundary="b "', several(SDP_PART)),
        ("multipart/mixed;boundary=" + 71 * "b", several(SDP_PART, boundary=71 * b"b")),
        ("multipart/mixed;boundary=\u00fc", several(SDP_PART)),
        ("multipart/mixed;boundary=c", several(SDP_PART)),
        ("multipart/mixed;boundary=b", several(SDP_PART)[:-6]),
        ("multipart/mixed;boundary=b", b"--b"),
        ("multipart/mixed;boundary=b", several((b"no colon here", SDP))),
    ],
)
def test_what_cannot_be_told_apart_is_malformed(kind: str, body: bytes) -> None:
    with pytest.raises(SipSyntaxError) as refused:
        session_of(message(body, kind))
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "body",
    [
        several(*[OPTIONAL] * (MAX_PARTS + 1)),
        several((b"X: " + MAX_PART_HEAD * b"x", SDP)),
        nested(MAX_PART_DEPTH + 1),
    ],
)
def test_parts_have_limits(body: bytes) -> None:
    with pytest.raises(SipSyntaxError) as refused:
        session_of(message(body))
    assert refused.value.status == 413


def test_what_is_within_the_limits_is_read() -> None:
    assert session_of(message(nested(MAX_PART_DEPTH))) == session(SDP, True)
    assert session_of(message(several(SDP_PART, *[OPTIONAL] * (MAX_PARTS - 1)))) == session(SDP, True)


@pytest.mark.parametrize("filling", [b"--b", b"\n--b", b"\n--b ", b"\r\n--bb\r\n", b"\n--b--b"])
def test_much_that_looks_like_a_delimiter_ends(filling: bytes) -> None:
    with pytest.raises(SipSyntaxError):
        session_of(message(filling * (MAX_BODY // len(filling))))
