"""The offer/answer machine: what real phones offer and answer, refusals, records."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sdp import Negotiated, OfferAnswer, SdpRefused, SdpSyntaxError, UsageError, parse

US = "198.51.100.1"


def machine(**options: object) -> OfferAnswer:
    return OfferAnswer(US, 20000, 77, **options)  # type: ignore[arg-type]


def body(*lines: str, address: str = "192.0.2.1") -> bytes:
    family = "IP6" if ":" in address else "IP4"
    head = ["v=0", f"o=- 1 1 IN {family} {address}", "s=-", f"c=IN {family} {address}", "t=0 0"]
    return "\r\n".join([*head, *lines, ""]).encode()


DESK = ("m=audio 5004 RTP/AVP 8 0 101", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=ptime:20")


def media_lines(text: bytes) -> list[str]:
    return [line for line in text.decode().split("\r\n") if line.startswith("m=")]


def test_first_offer() -> None:
    assert machine().offer() == (
        b"v=0\r\no=ringback 77 1 IN IP4 198.51.100.1\r\ns=Ringback\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n"
        b"m=audio 20000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
        b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )


def test_offer_of_an_ipv6_address() -> None:
    text = OfferAnswer("2001:db8::1", 20000, 7).offer()
    assert b"o=ringback 7 1 IN IP6 2001:db8::1\r\n" in text
    assert b"c=IN IP6 2001:db8::1\r\n" in text


def test_offer_without_telephone_event() -> None:
    text = machine(codecs=("PCMA",), telephone_event=False).offer()
    assert media_lines(text) == ["m=audio 20000 RTP/AVP 8"]


def test_answer_mirrors_order_and_numbers() -> None:
    ours = machine(single_codec=False)
    text = ours.answer(body("m=audio 5004 RTP/AVP 18 8 0 96", "a=rtpmap:96 telephone-event/8000"))
    assert media_lines(text) == ["m=audio 20000 RTP/AVP 8 0 96"]
    assert ours.negotiated == Negotiated(
        codec="PCMA",
        payload_type=8,
        remote_payload_type=8,
        dtmf_payload_type=96,
        dtmf_receive_payload_type=96,
        remote=("192.0.2.1", 5004),
        remote_rtcp=("192.0.2.1", 5005),
        direction="sendrecv",
        ptime=20,
        receive=((8, "PCMA"), (0, "PCMU")),
    )


def test_answer_with_one_codec_only() -> None:
    ours = machine()
    assert media_lines(ours.answer(body(*DESK))) == ["m=audio 20000 RTP/AVP 8 101"]


def test_codecs_that_are_not_ours_are_left_out() -> None:
    ours = machine(codecs=("PCMU",))
    assert media_lines(ours.answer(body(*DESK))) == ["m=audio 20000 RTP/AVP 0 101"]


def test_codec_names_compare_without_case_and_with_channels() -> None:
    ours = machine()
    ours.answer(
        body(
            "m=audio 5004 RTP/AVP 97 126",
            "a=rtpmap:97 pcma/8000/1",
            "a=rtpmap:126 Telephone-Event/8000/1",
        )
    )
    agreed = ours.negotiated
    assert agreed is not None
    assert (agreed.codec, agreed.payload_type, agreed.dtmf_payload_type) == ("PCMA", 97, 126)


def test_telephone_event_of_another_clock_is_not_taken() -> None:
    ours = machine()
    text = ours.answer(
        body(
            "m=audio 7078 RTP/AVP 96 0 101 99 100",
            "a=rtpmap:96 opus/48000/2",
            "a=rtpmap:101 telephone-event/48000",
            "a=rtpmap:99 telephone-event/16000",
            "a=rtpmap:100 telephone-event/8000",
        )
    )
    assert media_lines(text) == ["m=audio 20000 RTP/AVP 0 100"]


def test_peer_without_telephone_event() -> None:
    ours = machine()
    text = ours.answer(body("m=audio 5004 RTP/AVP 0"))
    assert b"telephone-event" not in text
    assert ours.negotiated is not None
    assert ours.negotiated.dtmf_payload_type is None
    assert ours.negotiated.dtmf_receive_payload_type is None


def test_accept_takes_the_answers_numbers_for_sending() -> None:
    ours = machine()
    ours.offer()
    agreed = ours.accept(body("m=audio 5004 RTP/AVP 8 97", "a=rtpmap:97 telephone-event/8000"))
    assert (agreed.codec, agreed.payload_type, agreed.remote_payload_type) == ("PCMA", 8, 8)
    assert (agreed.dtmf_payload_type, agreed.dtmf_receive_payload_type) == (97, 101)


def test_accept_understands_our_number_without_a_map() -> None:
    ours = machine()
    ours.offer()
    assert ours.accept(body("m=audio 5004 RTP/AVP 0 101")).dtmf_payload_type == 101


def test_accept_does_not_take_our_number_for_something_else() -> None:
    ours = machine()
    ours.offer()
    agreed = ours.accept(body("m=audio 5004 RTP/AVP 0 101", "a=rtpmap:101 opus/48000/2"))
    assert agreed.dtmf_payload_type is None


def test_accept_again_after_early_media() -> None:
    ours = machine()
    ours.offer()
    early = ours.accept(body("m=audio 5004 RTP/AVP 0"))
    late = ours.accept(body("m=audio 6004 RTP/AVP 8", address="192.0.2.2"))
    assert early.remote == ("192.0.2.1", 5004)
    assert late.remote == ("192.0.2.2", 6004)
    assert ours.negotiated == late


def test_rtcp_address() -> None:
    ours = machine()
    ours.answer(body("m=audio 5004 RTP/AVP 0", "a=rtcp:6000 IN IP4 192.0.2.44"))
    assert ours.negotiated is not None
    assert ours.negotiated.remote_rtcp == ("192.0.2.44", 6000)
    ours.answer(body("m=audio 5004 RTP/AVP 0", "a=rtcp:6001"))
    assert ours.negotiated.remote_rtcp == ("192.0.2.1", 6001)


def test_no_rtcp_port_after_the_last_one() -> None:
    ours = machine()
    ours.answer(body("m=audio 65535 RTP/AVP 0"))
    assert ours.negotiated is not None
    assert ours.negotiated.remote_rtcp is None


@pytest.mark.parametrize(
    "lines,expected",
    [
        ([], 20),
        (["a=ptime:30"], 30),
        (["a=ptime:25"], 20),
        (["a=ptime:0"], 20),
        (["a=ptime:1"], 10),
        (["a=ptime:500"], 60),
        (["a=maxptime:10"], 10),
        (["a=ptime:40", "a=maxptime:20"], 20),
    ],
)
def test_packet_time(lines: list[str], expected: int) -> None:
    ours = machine()
    ours.answer(body("m=audio 5004 RTP/AVP 0", *lines))
    assert ours.negotiated is not None
    assert ours.negotiated.ptime == expected


def test_encrypted_line_beside_a_plain_one() -> None:
    ours = machine()
    text = ours.answer(
        body(
            "m=audio 5004 RTP/SAVP 0",
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "m=audio 5006 RTP/AVP 0",
        )
    )
    assert media_lines(text) == ["m=audio 0 RTP/SAVP 0", "m=audio 20000 RTP/AVP 0"]
    assert ours.negotiated is not None
    assert ours.negotiated.remote == ("192.0.2.1", 5006)


def test_optional_encryption_in_a_plain_line_is_not_taken() -> None:
    ours = machine()
    text = ours.answer(body("m=audio 5004 RTP/AVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA"))
    assert b"crypto" not in text


def test_feedback_profile_is_mirrored() -> None:
    text = machine().answer(body("m=audio 5004 RTP/AVPF 0", "a=rtcp-fb:* trr-int 1000"))
    assert media_lines(text) == ["m=audio 20000 RTP/AVPF 0"]
    assert b"rtcp-fb" not in text


def test_browser_style_bundle_of_plain_rtp() -> None:
    text = machine().answer(
        body(
            "a=group:BUNDLE 0 1",
            "a=ice-options:trickle",
            "m=audio 5004 RTP/AVP 0",
            "a=mid:0",
            "a=rtcp-mux",
            "a=candidate:1 1 udp 2130706431 192.0.2.1 5004 typ host",
            "m=video 5004 RTP/AVP 96",
            "a=mid:1",
            "a=bundle-only",
            "a=rtpmap:96 VP8/90000",
        )
    )
    assert media_lines(text) == ["m=audio 20000 RTP/AVP 0", "m=video 0 RTP/AVP 96"]
    assert b"candidate" not in text and b"rtcp-mux" not in text and b"BUNDLE" not in text


@pytest.mark.parametrize(
    "text,cause",
    [
        (body(), "no-audio"),
        (body("m=video 5004 RTP/AVP 96"), "no-audio"),
        (body("m=audio 0 RTP/AVP 0"), "no-audio"),
        (body("m=audio 0 RTP/AVP"), "no-audio"),
        (body("m=image 5004 udptl t38"), "no-audio"),
        (body("m=audio 5004 TCP/RTP/AVP 0"), "no-audio"),
        (body("m=audio 5004 RTP/AVP 18 9"), "no-codec"),
        (body("m=audio 5004 RTP/AVP 97", "a=rtpmap:97 PCMU/16000"), "no-codec"),
        (body("m=audio 5004 RTP/AVP 97", "a=rtpmap:97 PCMU/8000/2"), "no-codec"),
        (body("m=audio 5004 RTP/AVP 0", "a=rtpmap:0 telephone-event/8000"), "no-codec"),
        (body("m=audio 5004 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"), "no-codec"),
        (body("m=audio 5004 RTP/SAVP 0", "a=crypto:1 X inline:AAAA"), "secure-media"),
        (body("m=audio 9 UDP/TLS/RTP/SAVPF 0"), "secure-media"),
        (body("m=audio 5004 RTP/AVP 0", address="2001:db8::1"), "address"),
        (body("m=audio 5004 RTP/AVP 0", address="phone.example.com"), "address"),
        (body("m=audio 5004 RTP/AVP 0", address="224.2.1.1"), "address"),
        (body("m=audio 5004 RTP/AVP 0", address="255.255.255.255"), "address"),
        (b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nm=audio 5004 RTP/AVP 0\r\n", "address"),
    ],
)
def test_refusals_are_488_and_change_nothing(text: bytes, cause: str) -> None:
    ours = machine()
    ours.answer(body(*DESK))
    before = ours.record()
    with pytest.raises(SdpRefused) as refused:
        ours.answer(text)
    assert (refused.value.status, refused.value.cause) == (488, cause)
    assert ours.record() == before


def test_broken_bodies_are_400_and_change_nothing() -> None:
    ours = machine()
    before = ours.record()
    with pytest.raises(SdpSyntaxError):
        ours.answer(b"not sdp")
    assert ours.record() == before


@pytest.mark.parametrize(
    "text,cause",
    [
        (body("m=audio 0 RTP/AVP 0"), "no-audio"),
        (body("m=audio 5004 RTP/AVP 18"), "no-codec"),
        (body("m=audio 5004 RTP/SAVP 0"), "secure-media"),
        (body("m=audio 5004 RTP/AVP 0", address="2001:db8::1"), "address"),
    ],
)
def test_answers_that_leave_no_stream(text: bytes, cause: str) -> None:
    ours = machine()
    ours.offer()
    with pytest.raises(SdpRefused) as refused:
        ours.accept(text)
    assert refused.value.cause == cause
    assert ours.negotiated is None


def test_ipv4_mapped_address_is_an_ipv4_address() -> None:
    ours = machine()
    ours.answer(body("m=audio 5004 RTP/AVP 0", address="::ffff:192.0.2.10"))
    assert ours.negotiated is not None
    assert ours.negotiated.remote == ("192.0.2.10", 5004)


def test_out_of_turn() -> None:
    ours = machine()
    with pytest.raises(UsageError):
        ours.accept(body(*DESK))
    ours.offer()
    with pytest.raises(UsageError):
        ours.offer()
    ours.withdraw()
    ours.answer(body(*DESK))
    with pytest.raises(UsageError):
        ours.accept(body(*DESK))


def test_unknown_codecs_are_our_mistake() -> None:
    with pytest.raises(UsageError):
        machine(codecs=("OPUS",))
    with pytest.raises(UsageError):
        machine(codecs=())


def test_withdrawn_offer_leaves_the_agreement() -> None:
    ours = machine()
    ours.answer(body(*DESK))
    agreed = ours.negotiated
    ours.offer("sendonly")
    assert ours.pending
    ours.withdraw()
    assert not ours.pending
    assert ours.negotiated == agreed


def test_reoffer_puts_the_codec_in_use_first() -> None:
    ours = machine()
    ours.answer(body(*DESK))
    assert media_lines(ours.offer()) == ["m=audio 20000 RTP/AVP 8 0 101"]


def test_reoffer_avoids_a_number_that_the_peer_uses_otherwise() -> None:
    ours = machine()
    ours.answer(body("m=audio 5004 RTP/AVP 0 101", "a=rtpmap:101 opus/48000/2"))
    assert media_lines(ours.offer()) == ["m=audio 20000 RTP/AVP 0 8 127"]


def test_move_gives_the_new_address_and_a_new_version() -> None:
    ours = machine()
    ours.answer(body(*DESK))
    ours.move("198.51.100.2", 30000)
    text = ours.offer()
    assert b"o=ringback 77 2 IN IP4 198.51.100.2\r\n" in text
    assert b"m=audio 30000 " in text


def test_record_survives_json() -> None:
    ours = machine(single_codec=False)
    ours.answer(body("m=video 9 RTP/AVP 96", *DESK))
    again = OfferAnswer.restore(json.loads(json.dumps(ours.record())))
    assert again.negotiated == ours.negotiated
    assert again.record() == ours.record()
    assert again.offer("sendonly") == ours.offer("sendonly")


ADDRESSES = st.sampled_from(["192.0.2.1", "0.0.0.0", "2001:db8::1", "::", "name.example"])
LINES = st.lists(
    st.sampled_from(
        [
            "m=audio 5004 RTP/AVP 0 8 101",
            "m=audio 0 RTP/AVP 8",
            "m=audio 5008 RTP/AVP 97 101",
            "m=video 5006 RTP/AVP 96",
            "a=rtpmap:101 telephone-event/8000",
            "a=rtpmap:97 PCMU/8000",
            "a=sendonly",
            "a=inactive",
            "a=rtcp:9",
            "c=IN IP4 0.0.0.0",
            "a=ptime:30",
        ]
    ),
    max_size=8,
)


@given(st.lists(st.tuples(ADDRESSES, LINES), max_size=4))
def test_every_answer_fits_its_offer(offers: list[tuple[str, list[str]]]) -> None:
    ours = machine()
    for address, lines in offers:
        offer = body(*lines, address=address)
        try:
            text = ours.answer(offer)
        except SdpRefused:
            continue
        asked, given_ = parse(offer), parse(text)
        assert [(m.kind, m.protocol) for m in asked.media] == [(m.kind, m.protocol) for m in given_.media]
        for theirs, answered in zip(asked.media, given_.media, strict=True):
            assert set(answered.formats) <= set(theirs.formats)
            if not theirs.port:
                assert not answered.port
        assert ours.negotiated is not None
        assert not (ours.negotiated.sends and ours.negotiated.remote[0] in ("0.0.0.0", "::"))
        echo = ours.offer()  # our next offer keeps every line
        assert len(parse(echo).media) == len(asked.media)
        ours.withdraw()
