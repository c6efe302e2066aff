"""What mutation starts from: small, correct inputs of every kind, written for these tests."""

from __future__ import annotations

import json
from base64 import encodebytes
from pathlib import Path

from ringback.rtp.dtmf import Event
from ringback.rtp.packet import Packet
from ringback.rtp.rtcp import (
    Bye,
    Description,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    render_compound,
)

SHARED = Path(__file__).resolve().parents[3] / "shared" / "corpora"
"""Corpora of other people, read where they are; none of it is copied."""


def corpus(folder: str, *patterns: str) -> tuple[bytes, ...]:
    """The files of a shared corpus; nothing where there is none."""
    place = SHARED / folder
    return tuple(
        path.read_bytes() for pattern in patterns for path in sorted(place.rglob(pattern)) if path.is_file()
    )


OFFER = (
    b"v=0\r\no=alice 53655765 2353687637 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"
    b"m=audio 49170 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
)
BROWSER_OFFER = (
    b"v=0\r\no=- 46117 2 IN IP6 2001:db8::7\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=ice-lite\r\n"
    b"m=audio 9 UDP/TLS/RTP/SAVPF 111 0 126\r\nc=IN IP6 ::\r\na=rtcp:9 IN IP6 ::\r\na=ice-ufrag:x\r\n"
    b"a=rtpmap:111 opus/48000/2\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d2hhdGV2ZXI=|2^20|1:32\r\n"
    b"m=video 0 RTP/AVP 31 32\r\na=inactive\r\nm=audio 7000/2 RTP/AVP 8\r\nc=IN IP4 0.0.0.0\r\n"
    b"a=maxptime:60\r\na=sendonly\r\nb=AS:64\r\nk=clear:1\r\nz=0 0\r\n"
)

PARTS = (
    b"--b\r\nContent-Type: application/sdp\r\n\r\n%b\r\n--b\r\nContent-Type: application/isup;version=x\r\n"
    b"Content-Disposition: signal;\r\n handling=optional\r\n\r\n\x01\x00\x80\r\n--b--\r\n"
) % OFFER
BODIES = (
    b"multipart/mixed;boundary=b\n" + PARTS,
    b'multipart/alternative; boundary="b"\npreamble\r\n' + PARTS + b"epilogue",
    b"multipart/mixed;boundary=a\n--a\nContent-Type: multipart/related;boundary=b\n\n" + PARTS + b"\n--a--",
    b"application/sdp\n" + OFFER,
    b"multipart/mixed;boundary=b\n--b\nContent-Type:application/dtmf-relay\n\nSignal=5\n--b\nContent-Type:application/sdp\n"
    b"Content-Transfer-Encoding:base64\n\n" + encodebytes(OFFER) + b"\n--b--",
    b"multipart/mixed;boundary=b\n--b\nContent-Type:application/sdp\nContent-Transfer-Encoding:quoted-printable\n\n"
    b"v=3D0=0D=0A=\n\n--b--",
)
"""The type in the first line, then the body."""

_CREDENTIALS = (
    b'Digest username="alice", realm="sip.twilio.com", nonce="18c0ffee.0.1.00112233445566778899aabbccddeeff", '
    b'uri="sip:bob@example.com", response="00112233445566778899aabbccddeeff", algorithm=MD5, '
    b'cnonce="abc", qop=auth, nc=00000001'
)
_CHALLENGE = (
    b'Digest realm="sip.twilio.com", qop="auth,auth-int", nonce="84a4cc", algorithm=SHA-256, stale=TRUE'
)


def request(method: bytes, *, to_tag: bytes = b"", body: bytes = b"", more: bytes = b"") -> bytes:
    """A request as a phone at 192.0.2.7 sends it."""
    return (
        b"%b sip:bob@example.com;user=phone SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bK776asdhds\r\n"
        b"Max-Forwards: 70\r\nFrom: Alice <sip:alice@example.com>;tag=far\r\n"
        b"To: <sip:bob@example.com>%b\r\nCall-ID: a84b4c76e66710\r\nCSeq: 314159 %b\r\n"
        b"Contact: <sip:alice@192.0.2.7:5060>\r\n%bContent-Length: %d\r\n\r\n%b"
    ) % (method, b";tag=" + to_tag if to_tag else b"", method, more, len(body), body)


INVITE = request(b"INVITE", body=OFFER, more=b"Content-Type: application/sdp\r\n")
REGISTER = request(b"REGISTER", more=b"Expires: 600\r\nAuthorization: " + _CREDENTIALS + b"\r\n")
RESPONSE = (
    b"SIP/2.0 407 Proxy Authentication Required\r\n"
    b"v: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKours;received=192.0.2.1;rport=5060\r\n"
    b'f: "The \\"Server\\"" <sips:x%%40y@example.com:5061;transport=tls?Subject=a%%20b>;tag=1\r\n'
    b"t: sip:bob@example.com;tag=2\r\ni: 7@192.0.2.1\r\nCSeq: 2 INVITE\r\nm: *\r\n"
    b"Record-Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>\r\n"
    b"Proxy-Authenticate: " + _CHALLENGE + b"\r\nSubject: one\r\n two\r\nl: 0\r\n\r\n"
)
SIP = (
    INVITE,
    REGISTER,
    RESPONSE,
    request(b"OPTIONS"),
    request(b"BYE", to_tag=b"near"),
    request(b"CANCEL"),
    request(b"ACK", to_tag=b"near"),
    request(b"INFO", to_tag=b"near", body=b"Signal=5\r\nDuration=160", more=b"c: application/dtmf-relay\r\n"),
    b"\r\n\r\n",
)
URIS = (
    b"sip:alice:secret@example.com:5060;transport=tcp;lr?Subject=hi&Priority=urgent",
    b"sips:%61lice%40x@[2001:db8::1]:5061;maddr=224.0.0.1;ttl=15",
    b"tel:+1-415-555-0100;phone-context=example.com",
    b"sip:example.com",
    b"urn:service:sos",
)
FIELDS = (
    b'"Bob \\" \\\\ Smith" <sip:bob@example.com;lr>;tag=a6c85cf;q=0.7;expires=60, <sip:c@d>',
    b"SIP / 2.0 / UDP first.example.com:4000 ;ttl=16;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1;rport",
    b"4711 INVITE",
    b';a=b;c="d,e;f";g',
    b"*",
    b"4294967295",
)
DIGEST = (_CREDENTIALS, _CHALLENGE, b'Digest realm="",nonce="a"', b"Basic dXNlcjpwdw==")
RTP = (
    Packet(0, 65535, 4294967295, 0xABCD, bytes(160)).render(),
    Packet(8, 1, 160, 0xABCD, b"\xd5" * 80, True, (1, 2), (0xBEDE, b"\x10\xff\x00\x00")).render(),
    Packet(101, 2, 160, 0xABCD, Event(5, True, 10, 800).render()).render(),
    bytes.fromhex("000100002112a442") + bytes(12),
    bytes.fromhex("16fefd0000000000000000"),
)
STUN = (
    bytes.fromhex("000100002112a442") + bytes(range(12)),
    bytes.fromhex("000100082112a442") + bytes(range(12)) + bytes.fromhex("80220004746573740a"),
    bytes.fromhex("000100102112a442") + bytes(range(12)) + bytes.fromhex("000300040000000280280004dca54853"),
)
RTCP = (
    render_compound(
        [
            SenderReport(1, 1 << 63, 160, 10, 1600, (ReportBlock(2, 3, -1, 65536, 9, 8, 7),)),
            Description(((1, "alice@192.0.2.7"),)),
            Bye((1,), "done"),
        ]
    ),
    render_compound([ReceiverReport(1)]),
)
EVENTS = (b"\x05\x0a\x00\xa0" * 3 + b"\x05\x8a\x03\x20" * 3, b"\x0b\x8a\xff\xff\x00\x00\x00\x00")
TWIML = (
    b'<?xml version="1.0" encoding="UTF-8"?><Response><Say voice="alice" language="en-GB" loop="2">Hi &amp; bye'
    b"<break time='1s'/></Say><Gather numDigits=\"4\" timeout='5' action=\"/next\"><Play>a.wav</Play></Gather>"
    b'<Dial callerId="+14155550100" timeout="20"><Number url="/w">+14155550101</Number><Sip username="u" '
    b'password="p">sip:x@example.com</Sip></Dial><Redirect>/again</Redirect></Response>',
    b"<Response><Pause length='2'/><Play digits='12w3'/><Reject reason='busy'/><Hangup/></Response>",
    b"<Response><Dial><Conference beep='false' waitUrl=''>Room</Conference></Dial></Response>",
    b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><Response><Say>&b;</Say></Response>',
    b"<Response><Start><Stream url='wss://example.com/s'><Parameter name='a' value='b'/></Stream></Start>"
    b"<Enqueue>x</Enqueue><Record/></Response>",
)
ANSWERS = (
    *(b"text/xml; charset=utf-8\n200\n/next?a=b\n" + document for document in TWIML[:2]),
    b"text/plain\n302\nhttp://ringback.localhost:8080/x#ct=1000&rc=2\nhello",
    b'application/json\n401\n//u:p@ringback.localhost/\nDigest realm="a", nonce="b", qop="auth"',
    b"audio/mpeg\n200\n\nID3",
    b"text/html\n200\n..\\/%zz?\na=b; Path=/; Max-Age=5; Secure",
)
FORMS = (
    b"To=%2B14155550100&From=%2B14155550101&Url=http%3A%2F%2Fexample.com%2F&Method=POST&Timeout=30",
    b"StatusCallbackEvent=initiated&StatusCallbackEvent=ringing&Twiml=%3CResponse%2F%3E&Record=true",
    b"StartTime%3E=2009-07-06&PageSize=50&Page=1&StartTime<2010",
    b"Status=completed&SendDigits=1234%23&MachineDetection=Enable&SipAuthUsername=a&TimeLimit=60",
    b"VoiceUrl=https://example.com/&SmsUrl=&IpAddress=10.0.0.1&CidrPrefixLength=24&Password=Abcdefghij12",
)
BINS = (
    b"<Response><Say>Hello {{From}} {{{Name}}} {{&Name}}</Say>{{! remark }}</Response>",
    b"{{#Names}}<Number>{{#e164}}{{.}}{{/e164}}</Number>{{/Names}}{{^Names}}none{{/Names}}",
    b"{{#e164}}sip:+1 (415) 555-0100@example.com;x=y{{/e164}}",
)

_SETUP = {
    "kind": "inbound",
    "sid": "CA" + "1" * 32,
    "account_sid": "AC" + "1" * 32,
    "seed": "00" * 16,
    "started_at": 1.7e9,
    "direction": "inbound",
    "from_": "+14155550100",
    "to": "+14155550101",
    "page": {
        "url": "http://example.com/",
        "method": "POST",
        "fallback_url": "",
        "fallback_method": "POST",
        "document": None,
    },
    "status_callback": {"url": "", "method": "POST", "events": ["completed"]},
    "targets": [],
}
JOURNALS = (
    "\n".join(
        json.dumps(line)
        for line in (
            {"ringback": "0.1.0", "setup": _SETUP, "truncated": False, "lines": 5},
            ["start", 0.0, [["Fetch", "t1"]]],
            ["event", 0.5, ["Digit", "5"], []],
            ["event", 1.0, ["Fetched", "t1", "http://example.com/", 200, ["Response", {}, ["x"]], 0, ""], []],
            ["note", 1.5, "sip", "text", "info", 0],
            ["event", 2.0, ["LegEnded", "bye", 200, "OK", {}, "x"], [["Finish"]]],
        )
    ).encode(),
)
