"""The parser and renderer of session descriptions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sdp import Connection, RtcpAddress, Rtpmap, SdpSyntaxError, Session, parse
from ringback.sdp.limits import MAX_BODY, MAX_FORMATS, MAX_LINE, MAX_LINES, MAX_MEDIA

# What a call of Linphone's looks like with ICE, feedback, optional SDES and video.
LINPHONE = b"""v=0\r
o=alice 1234 5678 IN IP4 192.168.1.20\r
s=Talk\r
c=IN IP4 192.168.1.20\r
t=0 0\r
a=ice-pwd:0123456789abcdef01234567\r
a=ice-ufrag:abcdefgh\r
a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics\r
a=record:off\r
m=audio 7078 RTP/AVPF 96 97 98 0 8 18 101 99 100\r
c=IN IP4 203.0.113.9\r
a=rtpmap:96 opus/48000/2\r
a=fmtp:96 useinbandfec=1\r
a=rtpmap:97 speex/16000\r
a=fmtp:97 vbr=on\r
a=rtpmap:98 speex/8000\r
a=fmtp:18 annexb=yes\r
a=rtpmap:101 telephone-event/48000\r
a=rtpmap:99 telephone-event/16000\r
a=rtpmap:100 telephone-event/8000\r
a=rtcp:53913\r
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r
a=candidate:1 1 UDP 2130706303 192.168.1.20 7078 typ host\r
a=rtcp-fb:* trr-int 1000\r
m=video 9078 RTP/AVPF 96\r
a=rtpmap:96 VP8/90000\r
"""


def body(*lines: str) -> bytes:
    return "\r\n".join(["v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", *lines, ""]).encode()


def test_a_softphones_offer_is_understood() -> None:
    session = parse(LINPHONE)
    audio, video = session.media
    assert session.origin.username == "alice"
    assert session.attribute("ice-ufrag") == "abcdefgh"
    assert (audio.kind, audio.port, audio.protocol) == ("audio", 7078, "RTP/AVPF")
    assert session.connection_of(audio) == Connection("IP4", "203.0.113.9")
    assert session.connection_of(video) == Connection("IP4", "192.168.1.20")
    assert list(audio.rtpmaps()) == [96, 97, 98, 0, 8, 18, 101, 99, 100]
    assert audio.rtpmaps()[96] == Rtpmap(96, "OPUS", 48000, 2)
    assert audio.rtpmaps()[100] == Rtpmap(100, "TELEPHONE-EVENT", 8000)
    assert audio.fmtp(18) == "annexb=yes"
    assert audio.rtcp is not None and audio.rtcp.port == 53913
    assert audio.crypto == ["1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
    assert session.direction_of(audio) == "sendrecv"


def test_rendering_returns_what_was_parsed() -> None:
    assert parse(LINPHONE).render() == LINPHONE


def test_all_lines_are_rendered_in_the_standards_order() -> None:
    text = body(
        "i=info",
        "u=http://example.com/",
        "e=a@example.com",
        "p=+1",
        "c=IN IP4 233.252.0.1/127",
        "b=AS:64",
        "t=1 2",
        "r=7d 1h 0",
        "t=3 4",
        "z=0 0",
        "k=clear:x",
        "a=recvonly",
        "m=audio 5004/2 RTP/AVP 0",
        "i=title",
        "c=IN IP4 192.0.2.3",
        "b=AS:32",
        "k=prompt",
        "a=sendonly",
    )
    assert parse(text).render() == text


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\r\n", b"\n"),
        lambda text: text.replace(b"\r\n", b"\r"),
        lambda text: text.replace(b"\r\n", b"\r\n\r\n"),
        lambda text: text.replace(b"\r\n", b" \r\n"),
        lambda text: text.removesuffix(b"\r\n"),
        lambda text: b"\r\n" + text,
        lambda text: text.replace(b"s=-\r\n", b""),
        lambda text: text.replace(b"t=0 0\r\n", b""),
        lambda text: text.replace(b"s=-\r\n", b"s=\r\n"),
        lambda text: text.replace(b"s=-\r\n", b"s= \r\n"),
        lambda text: text.replace(b"t=0 0\r\n", b"t=0 0\r\nq=unknown\r\nnonsense\r\n"),
    ],
)
def test_sloppy_phones_are_understood(change) -> None:  # type: ignore[no-untyped-def]
    clean = body("c=IN IP4 192.0.2.1", "t=0 0", "m=audio 4000 RTP/AVP 0 8", "a=sendonly")
    assert parse(change(clean)) == Session(
        parse(clean).origin,
        connection=Connection("IP4", "192.0.2.1"),
        media=parse(clean).media,
        others=[("t", "0 0")] if b"t=0 0" in change(clean) else [],
    )


def test_lines_before_the_origin_are_kept() -> None:
    session = parse(b"v=0\ns=early\nc=IN IP4 192.0.2.7\no=- 1 1 IN IP4 192.0.2.1\nm=audio 4 RTP/AVP 0\n")
    assert session.name == "early"
    assert session.connection_of(session.media[0]) == Connection("IP4", "192.0.2.7")


def test_an_origin_may_have_a_user_name_with_spaces() -> None:
    session = parse(b"v=0\r\no=Meeting Room 5 77 78 IN IP4 192.0.2.1\r\ns=-\r\n")
    assert session.origin.username == "Meeting Room 5"
    assert (session.origin.session_id, session.origin.version) == ("77", "78")


def test_ipv6_addresses() -> None:
    session = parse(body("c=IN IP6 2001:db8::20", "m=audio 6000 RTP/AVP 0"))
    assert session.connection == Connection("IP6", "2001:db8::20")


def test_bytes_that_are_not_utf8_survive() -> None:
    text = body("t=0 0", "a=tool:caf\xe9").replace("\xe9".encode(), b"\xe9")
    assert parse(text).render() == text


@pytest.mark.parametrize(
    "attribute,direction",
    [("sendonly", "sendonly"), ("SENDONLY", "sendonly"), ("inactive", "inactive"), ("recvonly", "recvonly")],
)
def test_direction_of_the_session_is_the_default_of_its_streams(attribute: str, direction: str) -> None:
    session = parse(body(f"a={attribute}", "m=audio 4000 RTP/AVP 0", "m=audio 4002 RTP/AVP 0", "a=sendrecv"))
    assert [session.direction_of(media) for media in session.media] == [direction, "sendrecv"]


def test_rtpmaps_ignore_what_makes_no_sense() -> None:
    media = parse(
        body(
            "m=audio 4000 RTP/AVP 0 8 96 97 98 200 x 99",
            "a=rtpmap:96",
            "a=rtpmap:97 opus",
            "a=rtpmap:98 opus/zero",
            "a=rtpmap:200 PCMU/8000",
            "a=rtpmap:99 pcmu/8000/1",
            "a=rtpmap:99 PCMA/8000",
            "a=rtpmap:111 unlisted/8000",
        )
    ).media[0]
    assert media.rtpmaps() == {
        0: Rtpmap(0, "PCMU", 8000),
        8: Rtpmap(8, "PCMA", 8000),
        99: Rtpmap(99, "PCMU", 8000),
    }


@pytest.mark.parametrize(
    "value,expected",
    [("53020", RtcpAddress(53020, "")), ("53020 IN IP4 192.0.2.4", RtcpAddress(53020, "192.0.2.4"))],
)
def test_rtcp_attribute(value: str, expected: RtcpAddress) -> None:
    media = parse(body("m=audio 4000 RTP/AVP 0", f"a=rtcp:{value}")).media[0]
    assert media.rtcp == expected


@pytest.mark.parametrize("value", ["", "0", "65536", "x", "-1", "99999999999999999999"])
def test_an_impossible_rtcp_attribute_is_ignored(value: str) -> None:
    assert parse(body("m=audio 4000 RTP/AVP 0", f"a=rtcp:{value}")).media[0].rtcp is None


@pytest.mark.parametrize(
    "value,expected", [("20", 20), ("30.0", 30), ("", None), ("x", None), ("9" * 5000, None)]
)
def test_ptime(value: str, expected: int | None) -> None:
    line = f"a=ptime:{value}"[:4000]
    assert parse(body("m=audio 4000 RTP/AVP 0", line)).media[0].ptime == expected


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\r\n",
        b"v=1\r\no=- 1 1 IN IP4 192.0.2.1\r\n",
        b"hello",
        b"v=0\r\ns=-\r\n",
        b"v=0\r\no=- 1 1 IN\r\n",
        b"v=0\r\nm=audio 4000 RTP/AVP 0\r\no=- 1 1 IN IP4 192.0.2.1\r\n",
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\0\r\n",
        body("m=audio"),
        body("m=audio 4000"),
        body("m=audio x RTP/AVP 0"),
        body("m=audio -1 RTP/AVP 0"),
        body("m=audio 65536 RTP/AVP 0"),
        body("m=audio 99999999999999999999 RTP/AVP 0"),
        body("m=audio \u0664 RTP/AVP 0"),
        body("c=IN IP4"),
        body("c=ATM NSAP 47"),
        body("c=IN IP5 1.2.3.4"),
    ],
)
def test_what_cannot_be_read_is_refused_with_400(text: bytes) -> None:
    with pytest.raises(SdpSyntaxError) as refused:
        parse(text)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "text",
    [
        body("a=" + "x" * MAX_LINE),
        body(*["a=x"] * MAX_LINES),
        body(*["m=audio 0 RTP/AVP 0"] * (MAX_MEDIA + 1)),
        body("m=audio 4000 RTP/AVP " + " ".join(["0"] * (MAX_FORMATS + 1))),
        body("a=x" * MAX_BODY),
    ],
)
def test_limits_hold(text: bytes) -> None:
    with pytest.raises(SdpSyntaxError, match=r"more than|longer than"):
        parse(text)


def test_the_most_that_is_allowed_is_read() -> None:
    media = ["m=audio 4000 RTP/AVP " + " ".join(["0"] * MAX_FORMATS)] * MAX_MEDIA
    assert len(parse(body(*media)).media) == MAX_MEDIA


@given(st.binary(max_size=400))
def test_any_bytes_give_a_session_or_a_syntax_error(noise: bytes) -> None:
    for text in (noise, b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n" + noise, body("m=audio 4 RTP/AVP 0") + noise):
        try:
            session = parse(text)
        except SdpSyntaxError:
            continue
        again = parse(session.render())
        assert again.media == session.media
        assert again.connection == session.connection


@given(st.lists(st.sampled_from(LINPHONE.split(b"\r\n")), max_size=30))
def test_any_mixture_of_real_lines_is_survived(lines: list[bytes]) -> None:
    try:
        session = parse(b"\n".join([b"v=0", b"o=- 1 1 IN IP4 192.0.2.1", *lines]))
    except SdpSyntaxError:
        return
    for media in session.media:
        assert set(media.rtpmaps()) <= {int(f) for f in media.formats}
