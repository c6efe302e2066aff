"""A PJSIP phone judges the pump: its digits, ours, our sound, and RTCP both ways.

The SIP side is a socket that says 200 to everything, so that nothing of ours but the pump is in the call.
"""

from __future__ import annotations

import math
import re
import select
import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from peers.pjsip import Call, Phone, require_pjsip

from ringback.media import CoreMissing, Port, Pump, create_pump, g711

require_pjsip()

HERE = "127.0.0.1"
WAIT = 30.0
TAP = 3
CODECS = {0: "PCMU", 8: "PCMA"}


class AnsweringSocket:
    """Accepts every call with the sound at `port`, and keeps what the phone offered."""

    def __init__(self, port: Port, payload_type: int) -> None:
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((HERE, 0))
        self.address = self._udp.getsockname()
        self.offer = ""
        self.offered = threading.Event()
        self._port = port
        self._payload_type = payload_type
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._udp.sendto(b"", self.address)
        self._thread.join()
        self._udp.close()

    def _run(self) -> None:
        while True:
            data, source = self._udp.recvfrom(65535)
            if not data:
                return
            head, _, body = data.decode().partition("\r\n\r\n")
            method = head.partition(" ")[0]
            if method in ("INVITE", "BYE"):
                self._udp.sendto(self._answer(head, method).encode(), source)
            if method == "INVITE":
                self.offer = body
                self.offered.set()

    def _answer(self, head: str, method: str) -> str:
        lines = re.findall(r"(?im)^(?:via|from|call-id|cseq|v|f|i):.*$", head)
        to = re.findall(r"(?im)^(?:to|t):.*$", head)[0].strip()
        body = ""
        if method == "INVITE":
            number = self._payload_type
            to += ";tag=pump"
            body = (
                f"v=0\r\no=- 1 1 IN IP4 {HERE}\r\ns=-\r\nc=IN IP4 {HERE}\r\nt=0 0\r\n"
                f"m=audio {self._port.port} RTP/AVP {number} 96\r\n"
                f"a=rtpmap:{number} {CODECS[number]}/8000\r\n"
                "a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\n"
            )
        lines += [
            to,
            f"Contact: <sip:pump@{self.address[0]}:{self.address[1]}>",
            "Content-Type: application/sdp",
        ]
        lines.append(f"Content-Length: {len(body)}")
        return "SIP/2.0 200 OK\r\n" + "".join(line.strip() + "\r\n" for line in lines) + "\r\n" + body


class Talk:
    """A call of the phone to the pump."""

    def __init__(self, pump: Pump, port: Port, call: Call) -> None:
        self.pump = pump
        self.port = port
        self.call = call
        self._events: list[tuple[Any, ...]] = []

    def quiet(self) -> None:
        self.pump.stop(self.port.id)
        self.pump.untap(TAP)
        self.pump.events()
        self._events.clear()

    def events(self, kind: str, count: int) -> list[tuple[Any, ...]]:
        until = time.monotonic() + WAIT
        while len(found := [event for event in self._events if event[0] == kind]) < count:
            assert time.monotonic() < until, self._events
            select.select([self.pump.fileno()], [], [], 1.0)
            self._events += self.pump.events()
        return found


@pytest.fixture(
    scope="module", params=[(True, 0), (False, 0), (False, 8)], ids=["pure-PCMU", "core-PCMU", "core-PCMA"]
)
def long_talk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    """One call for all tests of a twin."""
    pure, number = request.param
    try:
        pump = create_pump((32000, 32766), pure=pure, report_after=0.3)
    except CoreMissing:
        pytest.skip("the compiled core is not built")
    port = pump.open(HERE)
    far = AnsweringSocket(port, number)
    server: Any = SimpleNamespace(sip=far.address, sips=far.address, domain="pump.test", password="")
    try:
        with Phone(server, "judge", tmp_path_factory.mktemp("judge")) as phone:
            call = phone.call("anybody")
            assert far.offered.wait(WAIT)
            audio, event = (
                re.search(r"m=audio (\d+)", far.offer),
                re.search(r"rtpmap:(\d+) telephone-event", far.offer),
            )
            assert audio is not None
            assert event is not None
            pump.configure(
                port.id,
                remote=(HERE, int(audio[1])),
                rtcp_remote=None,
                payload_type=number,
                codec="PCMU" if number == 0 else "PCMA",
                dtmf_payload_type=int(event[1]),
                dtmf_receive_payload_type=96,
                send=True,
                receive=True,
                signalling_host=HERE,
            )
            call.up().plays(1000)  # PJSIP sends neither digits nor reports while it has no sound to send
            yield Talk(pump, port, call)
    finally:
        far.close()
        pump.close()


@pytest.fixture
def talk(long_talk: Talk) -> Talk:
    """The call with nothing going on."""
    long_talk.quiet()
    return long_talk


def test_rfc4733_digits_of_pjsip_are_read(talk: Talk) -> None:
    talk.call.tell("dial", digits="1590*#AD")
    assert [event[2] for event in talk.events("digit", 8)] == list("1590*#AD")


def test_rfc4733_digits_are_read_by_pjsip(talk: Talk) -> None:
    talk.pump.send_digits(talk.port.id, "27w*#0BB", 5)
    heard = [talk.call.expect("digit")["digit"] for _ in range(7)]
    assert heard == list("27*#0BB")
    assert talk.events("played", 1) == [("played", talk.port.id, 5, False)]


def test_rfc3551_our_sound_is_heard_by_pjsip_and_its_own_comes_back(talk: Talk) -> None:
    tone = [round(8000 * math.sin(2 * math.pi * 500 * n / 8000)) for n in range(1600)]
    talk.pump.play(talk.port.id, 1, g711.encode_ulaw(tone), 0)
    talk.call.hears(500)
    talk.pump.stop(talk.port.id)
    talk.pump.tap(talk.port.id, TAP, "inbound")
    loudest = 0
    until = time.monotonic() + WAIT
    while loudest < 1000:
        assert time.monotonic() < until
        count = len(talk.events("frames", 1))
        loudest = max(g711.decode_ulaw(talk.events("frames", count + 5)[-1][2]))


def test_rfc3550_pjsips_reports_are_read(talk: Talk) -> None:
    talk.pump.play(talk.port.id, 1, bytes(b"\xff" * 1600), 0)
    until = time.monotonic() + WAIT
    while (stats := talk.pump.stats(talk.port.id)).rtt is None:
        assert time.monotonic() < until, stats
        select.select([talk.pump.fileno()], [], [], 0.2)
        talk.pump.events()
    assert stats.remote is not None
    assert stats.remote.lost < 50
    assert 0 <= stats.rtt < 2.0
    assert stats.packets_in > 0
