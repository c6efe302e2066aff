"""Offers as the phones and servers of the field write them, and what we make of each."""

from __future__ import annotations

import pytest

from ringback.sdp import OfferAnswer, parse

X_LITE = """v=0
o=- 13094 2 IN IP4 192.168.1.4
s=CounterPath X-Lite 4
c=IN IP4 192.168.1.4
t=0 0
a=ice-ufrag:2b3d1a
a=ice-pwd:6f1c0d0a9be14be1cbb6dc56ad1bc7a5
m=audio 57600 RTP/AVP 107 119 0 98 8 3 101
a=alt:1 2 : 9n8XvRUH h3wK0dFk 192.168.1.4 57600
a=alt:2 1 : XoXbDHPR UdYKZyhl 10.8.0.2 57600
a=fmtp:101 0-15
a=rtpmap:107 BV32/16000
a=rtpmap:119 BV32-FEC/16000
a=rtpmap:98 iLBC/8000
a=rtpmap:101 telephone-event/8000
a=sendrecv
a=x-rtp-session-id:9B5A6C3CB2F0
a=candidate:1 1 UDP 659136 192.168.1.4 57600 typ host
a=candidate:1 2 UDP 659134 192.168.1.4 57601 typ host
"""

ZOIPER = """v=0
o=Z 0 188243 IN IP4 10.0.0.7
s=Z
c=IN IP4 10.0.0.7
t=0 0
m=audio 8000 RTP/AVP 3 110 97 8 0 101
a=rtpmap:110 speex/8000
a=rtpmap:97 iLBC/8000
a=fmtp:97 mode=20
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=sendrecv
"""

GRANDSTREAM = """v=0
o=1001 8000 8001 IN IP4 192.168.0.160
s=SIP Call
c=IN IP4 192.168.0.160
t=0 0
m=audio 5004 RTP/AVP 0 8 18 9 2 101
a=sendrecv
a=rtcp:5005 IN IP4 192.168.0.160
a=rtpmap:0 PCMU/8000
a=ptime:20
a=rtpmap:8 PCMA/8000
a=rtpmap:18 G729/8000
a=fmtp:18 annexb=no
a=rtpmap:9 G722/8000
a=rtpmap:2 G726-32/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
m=video 5006 RTP/AVP 99
b=AS:1024
a=sendrecv
a=rtcp:5007 IN IP4 192.168.0.160
a=rtpmap:99 H264/90000
a=fmtp:99 profile-level-id=42801F; packetization-mode=1
a=framerate:15
"""

GRANDSTREAM_OPTIONAL_SRTP = """v=0
o=1001 8000 8000 IN IP4 192.168.0.160
s=SIP Call
c=IN IP4 192.168.0.160
t=0 0
m=audio 5004 RTP/SAVP 0 101
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA|2^32
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
m=audio 5004 RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
"""

ASTERISK = """v=0
o=- 1742104961 1742104961 IN IP4 172.17.0.2
s=Asterisk
c=IN IP4 172.17.0.2
t=0 0
m=audio 10498 RTP/AVP 8 0 101
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=maxptime:140
a=sendrecv
"""

CISCO_GATEWAY = """v=0
o=CiscoSystemsSIP-GW-UserAgent 5017 8649 IN IP4 10.10.1.1
s=SIP Call
c=IN IP4 10.10.1.1
t=0 0
m=audio 16384 RTP/AVP 18 0 100 101
c=IN IP4 10.10.1.2
a=rtpmap:18 G729/8000
a=fmtp:18 annexb=yes
a=rtpmap:0 PCMU/8000
a=rtpmap:100 X-NSE/8000
a=fmtp:100 192-194
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
"""

POLYCOM = """v=0
o=- 1498041962 1498041962 IN IP4 10.1.1.20
s=Polycom IP Phone
c=IN IP4 10.1.1.20
t=0 0
a=sendrecv
m=audio 2236 RTP/AVP 9 127 0 8 18 101
a=rtpmap:9 G722/8000
a=rtpmap:127 telephone-event/16000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:18 G729/8000
a=rtpmap:101 telephone-event/8000
"""

OLD_HOLD = """v=0
o=- 1498041962 1498041963 IN IP4 10.1.1.20
s=-
c=IN IP4 0.0.0.0
t=0 0
m=audio 2236 RTP/AVP 0 101
a=rtpmap:101 telephone-event/8000
"""

IPV6_PHONE = """v=0
o=snom 1 2 IN IP6 2001:db8::77
s=call
c=IN IP6 2001:db8::77
t=0 0
m=audio 60000 RTP/AVP 0 8 101
a=rtpmap:101 telephone-event/8000
"""


@pytest.mark.parametrize(
    "offer,stream,remote,dtmf,direction",
    [
        (X_LITE, ["m=audio 20000 RTP/AVP 0 101"], ("192.168.1.4", 57600), 101, "sendrecv"),
        (ZOIPER, ["m=audio 20000 RTP/AVP 8 101"], ("10.0.0.7", 8000), 101, "sendrecv"),
        (
            GRANDSTREAM,
            ["m=audio 20000 RTP/AVP 0 101", "m=video 0 RTP/AVP 99"],
            ("192.168.0.160", 5004),
            101,
            "sendrecv",
        ),
        (
            GRANDSTREAM_OPTIONAL_SRTP,
            ["m=audio 0 RTP/SAVP 0 101", "m=audio 20000 RTP/AVP 0 101"],
            ("192.168.0.160", 5004),
            101,
            "sendrecv",
        ),
        (ASTERISK, ["m=audio 20000 RTP/AVP 8 101"], ("172.17.0.2", 10498), 101, "sendrecv"),
        (CISCO_GATEWAY, ["m=audio 20000 RTP/AVP 0 101"], ("10.10.1.2", 16384), 101, "sendrecv"),
        (POLYCOM, ["m=audio 20000 RTP/AVP 0 101"], ("10.1.1.20", 2236), 101, "sendrecv"),
        (OLD_HOLD, ["m=audio 20000 RTP/AVP 0 101"], ("0.0.0.0", 2236), 101, "recvonly"),
        (IPV6_PHONE, ["m=audio 20000 RTP/AVP 0 101"], ("2001:db8::77", 60000), 101, "sendrecv"),
    ],
    ids=[
        "x-lite",
        "zoiper",
        "grandstream",
        "grandstream-srtp",
        "asterisk",
        "cisco",
        "polycom",
        "old-hold",
        "ipv6",
    ],
)
def test_offer_of_a_phone(
    offer: str, stream: list[str], remote: tuple[str, int], dtmf: int, direction: str
) -> None:
    ours = OfferAnswer("2001:db8::1" if "IN IP6" in offer else "198.51.100.1", 20000, 7)
    answer = ours.answer(offer.replace("\n", "\r\n").encode()).decode()
    assert [line for line in answer.split("\r\n") if line.startswith("m=")] == stream
    agreed = ours.negotiated
    assert agreed is not None
    assert (agreed.remote, agreed.dtmf_payload_type, agreed.direction) == (remote, dtmf, direction)


@pytest.mark.parametrize("text", [X_LITE, ZOIPER, GRANDSTREAM, ASTERISK, CISCO_GATEWAY, POLYCOM, IPV6_PHONE])
def test_descriptions_of_phones_survive_rendering(text: str) -> None:
    wire = text.replace("\n", "\r\n").encode()
    assert parse(wire).render() == wire
