"""RFC 3264, clause by clause. The descriptions of sections 10.1 and 10.2 are the RFC's own."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ringback.sdp import OfferAnswer, SdpRefused, parse

# RFC 3264 section 10.1, Alice's offer.
ALICE = b"""v=0\r
o=alice 2890844526 2890844526 IN IP4 host.anywhere.com\r
s=\r
c=IN IP4 host.anywhere.com\r
t=0 0\r
m=audio 49170 RTP/AVP 0\r
a=rtpmap:0 PCMU/8000\r
m=video 51372 RTP/AVP 31\r
a=rtpmap:31 H261/90000\r
m=video 53000 RTP/AVP 32\r
a=rtpmap:32 MPV/90000\r
""".replace(b"host.anywhere.com", b"192.0.2.1")

# RFC 3264 section 10.2, an offer of several codecs; the answer with one.
SEVERAL = b"""v=0\r
o=alice 2890844526 2890844526 IN IP4 192.0.2.1\r
s=\r
c=IN IP4 192.0.2.1\r
t=0 0\r
m=audio 62986 RTP/AVP 0 4 18\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:4 G723/8000\r
a=rtpmap:18 G729/8000\r
"""


def audio(direction: str = "", address: str = "192.0.2.1", port: int = 49170, extra: str = "") -> bytes:
    family = "IP6" if ":" in address else "IP4"
    text = f"v=0\r\no=b 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\n"
    text += f"m=audio {port} RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n{extra}"
    return (text + (f"a={direction}\r\n" if direction else "")).encode()


def stated_direction(body: bytes) -> str:
    session = parse(body)
    return session.direction_of(session.media[0])


def version(body: bytes) -> int:
    return int(parse(body).origin.version)


def ours() -> OfferAnswer:
    return OfferAnswer("198.51.100.1", 20000, 1)


def test_rfc3264_10_1_streams_that_are_not_supported_are_answered_with_port_zero() -> None:
    machine = ours()
    media = parse(machine.answer(ALICE)).media
    assert [(m.kind, m.port, m.formats) for m in media] == [
        ("audio", 20000, ["0"]),
        ("video", 0, ["31"]),
        ("video", 0, ["32"]),
    ]


def test_rfc3264_10_1_bob_adds_no_line_when_he_reoffers() -> None:
    machine = ours()
    machine.answer(ALICE)
    media = parse(machine.offer()).media
    assert [(m.kind, m.port) for m in media] == [("audio", 20000), ("video", 0), ("video", 0)]


def test_rfc3264_10_2_one_of_several_codecs() -> None:
    machine = ours()
    media = parse(machine.answer(SEVERAL)).media
    assert media[0].formats == ["0"]
    assert machine.negotiated is not None
    assert machine.negotiated.remote == ("192.0.2.1", 62986)


def test_rfc3264_4_an_offer_during_our_offer_is_answered_491() -> None:
    machine = ours()
    machine.offer()
    with pytest.raises(SdpRefused) as refused:
        machine.answer(audio())
    assert refused.value.status == 491


@pytest.mark.parametrize(
    "offered,answered",
    [
        ("", "sendrecv"),
        ("sendrecv", "sendrecv"),
        ("sendonly", "recvonly"),
        ("recvonly", "sendonly"),
        ("inactive", "inactive"),
    ],
)
def test_rfc3264_6_1_the_answers_direction_mirrors_the_offers(offered: str, answered: str) -> None:
    machine = ours()
    assert stated_direction(machine.answer(audio(offered))) == answered
    assert machine.negotiated is not None
    assert machine.negotiated.direction == answered


@pytest.mark.parametrize(
    "wanted,offered,answered",
    [
        ("sendonly", "sendrecv", "sendonly"),
        ("sendonly", "sendonly", "inactive"),
        ("recvonly", "sendrecv", "recvonly"),
        ("inactive", "sendrecv", "inactive"),
        ("recvonly", "recvonly", "inactive"),
    ],
)
def test_rfc3264_6_1_an_answer_may_take_less(wanted, offered, answered) -> None:  # type: ignore[no-untyped-def]
    machine = ours()
    assert stated_direction(machine.answer(audio(offered), wanted)) == answered


def test_rfc3264_6_1_the_answer_keeps_the_offers_preference_and_numbers() -> None:
    machine = OfferAnswer("198.51.100.1", 20000, 1, single_codec=False)
    offer = audio().replace(b"0 8 101", b"8 0 96").replace(b"rtpmap:101", b"rtpmap:96")
    assert parse(machine.answer(offer)).media[0].formats == ["8", "0", "96"]


def test_rfc3264_6_1_the_answer_names_the_offers_first_codec_that_we_have() -> None:
    machine = ours()
    offer = audio().replace(b"0 8 101", b"18 8 0 96").replace(b"rtpmap:101", b"rtpmap:96")
    assert parse(machine.answer(offer)).media[0].formats == ["8", "96"]


@pytest.mark.parametrize(
    "offered,answered,result",
    [
        ("sendrecv", "sendrecv", "sendrecv"),
        ("sendrecv", "recvonly", "sendonly"),
        ("sendrecv", "sendonly", "recvonly"),
        ("sendrecv", "inactive", "inactive"),
        ("sendonly", "recvonly", "sendonly"),
        ("sendonly", "sendrecv", "sendonly"),  # not allowed to the answerer; we still do not receive
        ("inactive", "sendrecv", "inactive"),
    ],
)
def test_rfc3264_7_direction_after_the_answer(offered, answered, result) -> None:  # type: ignore[no-untyped-def]
    machine = ours()
    machine.offer(offered)
    assert machine.accept(audio(answered)).direction == result


def test_rfc3264_7_media_goes_out_with_the_answers_payload_numbers() -> None:
    machine = ours()
    machine.offer()
    agreed = machine.accept(audio().replace(b"0 8 101", b"0 120").replace(b"rtpmap:101", b"rtpmap:120"))
    assert (agreed.dtmf_payload_type, agreed.dtmf_receive_payload_type) == (120, 101)


def test_rfc3264_8_version_goes_up_by_one_for_a_change() -> None:
    machine = ours()
    first = machine.answer(audio())
    hold = machine.answer(audio("sendonly"))
    resume = machine.answer(audio("sendrecv"))
    assert [version(body) for body in (first, hold, resume)] == [1, 2, 3]


def test_rfc3264_8_version_stays_when_nothing_changes() -> None:
    machine = ours()
    first = machine.answer(audio())
    assert machine.answer(audio()) == first
    offer = machine.offer()
    machine.accept(audio())
    assert machine.offer() == offer


def test_rfc3264_8_origin_keeps_all_but_the_version() -> None:
    machine = ours()
    first, second = parse(machine.answer(audio())).origin, parse(machine.answer(audio("inactive"))).origin
    assert replace(first, version="") == replace(second, version="")


def test_rfc3264_8_1_a_new_line_in_a_reoffer_is_answered_and_kept() -> None:
    machine = ours()
    machine.answer(audio())
    media = parse(machine.answer(audio() + b"m=video 6000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n")).media
    assert [(m.kind, m.port) for m in media] == [("audio", 20000), ("video", 0)]
    assert [m.kind for m in parse(machine.offer()).media] == ["audio", "video"]


def test_rfc3264_8_2_a_removed_stream_is_refused_and_the_old_one_stays() -> None:
    machine = ours()
    machine.answer(audio())
    before = machine.negotiated
    with pytest.raises(SdpRefused):
        machine.answer(audio(port=0))
    assert machine.negotiated == before


def test_rfc3264_8_3_1_a_reoffer_moves_the_stream() -> None:
    machine = ours()
    machine.answer(audio())
    machine.answer(audio(address="192.0.2.99", port=50000))
    assert machine.negotiated is not None
    assert machine.negotiated.remote == ("192.0.2.99", 50000)
    assert machine.negotiated.remote_rtcp == ("192.0.2.99", 50001)


def test_rfc3264_8_3_2_payload_numbers_stay_for_the_session() -> None:
    machine = ours()
    machine.answer(audio().replace(b"0 8 101", b"0 96").replace(b"rtpmap:101", b"rtpmap:96"))
    assert parse(machine.offer()).media[0].formats == ["0", "8", "96"]


def test_rfc3264_8_4_hold_and_resume() -> None:
    machine = ours()
    machine.answer(audio())
    machine.answer(audio("sendonly"))
    held = machine.negotiated
    machine.answer(audio())
    resumed = machine.negotiated
    assert held is not None and resumed is not None
    assert (held.held, held.receives) == (True, True)  # the holder may play music to us
    assert (resumed.held, resumed.direction) == (False, "sendrecv")


def test_rfc3264_8_4_both_sides_hold() -> None:
    machine = ours()
    machine.offer("sendonly")
    machine.accept(audio("recvonly"))
    assert stated_direction(machine.answer(audio("sendonly"), "sendonly")) == "inactive"


@pytest.mark.parametrize(
    "direction,ours_then",
    [("", "recvonly"), ("sendonly", "recvonly"), ("recvonly", "inactive"), ("inactive",) * 2],
)
def test_rfc3264_8_4_nothing_is_sent_to_address_zero(direction: str, ours_then: str) -> None:
    machine = ours()
    body = machine.answer(audio(direction, address="0.0.0.0"))
    assert stated_direction(body) == ours_then
    assert machine.negotiated is not None
    assert machine.negotiated.held
    assert machine.negotiated.remote_rtcp is None


def test_rfc3264_8_4_address_zero_at_the_stream_wins_over_the_session() -> None:
    machine = ours()
    machine.answer(audio(extra="c=IN IP4 0.0.0.0\r\n"))
    assert machine.negotiated is not None
    assert machine.negotiated.direction == "recvonly"


def test_rfc3264_8_4_address_zero_in_an_answer() -> None:
    machine = ours()
    machine.offer()
    assert machine.accept(audio(address="0.0.0.0")).direction == "recvonly"


def test_rfc6157_address_zero_of_ipv6_holds_as_well() -> None:
    machine = ours()
    machine.answer(audio(address="::"))
    assert machine.negotiated is not None
    assert machine.negotiated.held
