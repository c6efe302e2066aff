"""The judge that reads along is one: it sees the faults that it is to see, and does not take our word for anything."""

from __future__ import annotations

import pytest
from conformance.conftest import compare
from peers import wireshark
from peers.wireshark import Packet

HERE, THERE = ("192.0.2.1", 5060), ("192.0.2.2", 5060)
BYE = (
    b"BYE sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bKone\r\nMax-Forwards: 70\r\n"
    b"From: <sip:alice@192.0.2.1>;tag=a\r\nTo: <sip:bob@192.0.2.2>;tag=b\r\nCall-ID: one\r\nCSeq: 2 BYE\r\n"
    b"Reason: SIP;cause=200\r\nContent-Length: 0\r\n\r\n"
)
SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"

if not wireshark.is_installed():
    pytest.skip("Wireshark is missing: apt-get install tshark", allow_module_level=True)


def packet(data: bytes, at: float = 1000.0) -> Packet:
    return Packet(at, HERE, THERE, data)


def test_a_right_message_is_read_as_it_is_meant() -> None:
    (reading,) = wireshark.read([packet(BYE)])
    compare([packet(BYE)], 0, reading)
    assert reading.one("sip.CSeq.method") == "BYE"
    assert not reading.complaints


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b"CSeq: 2 BYE", b"CSeq: 3 BYE"),
        (b"tag=a", b"tag=A"),
        (b"branch=z9hG4bKone", b"branch=z9hG4bKtwo"),
        (b"Reason: SIP;cause=200", b"Reason: SIP;cause=600"),
        (b"BYE sip:bob@192.0.2.2", b"BYE sip:bob@192.0.2.3"),
        (b"Reason: ", b"Subject: "),
    ],
)
def test_another_message_is_not_taken_for_it(right: bytes, wrong: bytes) -> None:
    """Wireshark reads one message, we another: that must be seen."""
    (reading,) = wireshark.read([packet(BYE.replace(right, wrong))])
    with pytest.raises(AssertionError):
        compare([packet(BYE)], 0, reading)


def test_a_damaged_description_is_complained_about() -> None:
    invite = BYE.replace(b"BYE", b"INVITE").replace(
        b"Reason: SIP;cause=200", b"Content-Type: application/sdp"
    )
    for body, is_good in ((SDP, True), (SDP.replace(b"c=IN", b"no line"), False)):
        data = invite.replace(b"Length: 0\r\n\r\n", b"Length: %d\r\n\r\n%b" % (len(body), body))
        (reading,) = wireshark.read([packet(data)])
        assert (not reading.complaints) is is_good


def test_it_tells_retransmissions_from_new_requests() -> None:
    invite = BYE.replace(b"BYE", b"INVITE").replace(b";tag=b", b"")
    again = invite.replace(b"CSeq: 2", b"CSeq: 3").replace(b"one", b"two")
    readings = wireshark.read([packet(invite), packet(invite, 1000.5), packet(again, 1001.0)])
    assert [reading.is_repeated for reading in readings] == [False, True, False]
