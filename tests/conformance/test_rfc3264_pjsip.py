"""Our offers and answers as PJSIP understands them: its own stack answers, offers, holds and judges."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringback.sdp import Negotiated, OfferAnswer, parse
from ringback.sip.message import Request, Response
from ringback.sip.message import parse as parse_sip

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pjsua2") is None, reason="pjsua2-python is not there"
)

PATIENCE = 30.0  # seconds
RTP_PORT = 45_000  # nothing needs to listen there


class Phone:
    """The process with PJSIP in it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("rfc3264_pjsip_peer.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        host, port = self.wait("ready")["address"].split(":")
        self.address = (host, int(port))

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                self.events.put(json.loads(line))

    def wait(self, event: str, **expected: Any) -> dict[str, Any]:
        """The next event of that name with these values; others are passed over."""
        while True:
            got = self.events.get(timeout=PATIENCE)
            if got["event"] == event and all(got.get(key) == value for key, value in expected.items()):
                return got

    def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.tell("quit")
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


class Far:
    """The least of a SIP user agent, around the machine under test."""

    def __init__(self, **options: Any) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.settimeout(PATIENCE)
        self.host, self.port = self.sock.getsockname()
        self.sdp = OfferAnswer("127.0.0.1", RTP_PORT, 1, **options)
        self.numbers = itertools.count(1)
        self.here = f"<sip:far@{self.host}:{self.port}>"
        self.mine, self.theirs, self.target, self.call_id = f"{self.here};tag=far", "", "", "call-1"
        self.peer: tuple[str, int] = ("", 0)
        self.seen: set[str] = set()

    def request(self, method: str, number: int, body: bytes = b"") -> None:
        headers = [
            ("Via", f"SIP/2.0/UDP {self.host}:{self.port};branch=z9hG4bK{method}{number}"),
            ("Max-Forwards", "70"),
            ("From", self.mine),
            ("To", self.theirs),
            ("Call-ID", self.call_id),
            ("CSeq", f"{number} {method}"),
            ("Contact", self.here),
        ]
        if body:
            headers.append(("Content-Type", "application/sdp"))
        self.sock.sendto(Request(method, self.target, headers, body).render(), self.peer)

    def receive(self) -> Request | Response:
        while True:
            data, self.peer = self.sock.recvfrom(65_535)
            if data.strip():
                return parse_sip(data)

    def offer(self, direction: Any = "sendrecv") -> Negotiated:
        """INVITE or re-INVITE, take the answer, ACK."""
        number = next(self.numbers)
        self.request("INVITE", number, self.sdp.offer(direction))
        while True:
            message = self.receive()
            if isinstance(message, Response) and message.status >= 200 and message.cseq.method == "INVITE":
                break
        assert message.status == 200
        self.theirs = message.get("To") or ""
        self.target = str(message.contacts[0].uri)
        self.request("ACK", number)
        return self.sdp.accept(message.body)

    def answer(self) -> bytes:
        """Take the next new offer and answer it with 200. Gives the answer."""
        while True:
            message = self.receive()
            if not isinstance(message, Request) or message.method == "ACK":
                continue
            key = f"{message.method} {message.cseq.number}"
            if message.method in ("INVITE", "UPDATE") and message.body and key not in self.seen:
                break
        self.seen.add(key)
        body = self.sdp.answer(message.body)
        response = message.reply(
            200,
            to_tag="far",
            headers=[("Contact", self.here), ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE")],
            body=body,
            content_type="application/sdp",
        )
        self.sock.sendto(response.render(), self.peer)
        return body


@pytest.fixture
def phone() -> Iterator[Phone]:
    phone = Phone()
    yield phone
    phone.close()


@pytest.fixture
def far() -> Iterator[Far]:
    far = Far()
    yield far
    far.sock.close()


def dial(far: Far, phone: Phone) -> Negotiated:
    far.peer = phone.address
    far.target = f"sip:phone@{phone.address[0]}:{phone.address[1]}"
    far.theirs = f"<{far.target}>"
    return far.offer()


def test_rfc3264_5_pjsip_answers_our_offer(far: Far, phone: Phone) -> None:
    agreed = dial(far, phone)
    media = phone.wait("media", status="active")
    assert (media["codec"], media["direction"]) == (agreed.codec, "sendrecv") == ("PCMU", agreed.direction)
    assert media["remote"] == f"127.0.0.1:{RTP_PORT}"
    assert media["sends"] == agreed.payload_type
    assert agreed.dtmf_payload_type is not None and agreed.dtmf_receive_payload_type == 101
    assert agreed.remote[0] == "127.0.0.1" and agreed.remote_rtcp is not None


def test_rfc3264_6_pjsip_takes_our_answer(far: Far, phone: Phone) -> None:
    phone.tell(f"call sip:far@{far.host}:{far.port}")
    answer = far.answer()
    media = phone.wait("media", status="active")
    agreed = far.sdp.negotiated
    assert agreed is not None
    assert (media["codec"], media["direction"]) == (agreed.codec, "sendrecv")
    assert media["remote"] == f"127.0.0.1:{RTP_PORT}"
    assert media["sends"] == agreed.payload_type
    assert str(agreed.dtmf_payload_type) in parse(answer).media[0].formats


def test_rfc3264_8_4_pjsip_holds_and_resumes(far: Far, phone: Phone) -> None:
    dial(far, phone)
    phone.wait("media", status="active")
    phone.wait("state", state="CONFIRMED")
    phone.tell("hold")
    far.answer()
    held = far.sdp.negotiated
    assert held is not None
    assert (held.direction, held.held) == ("recvonly", True)
    assert phone.wait("media", status="local-hold")["direction"] == "sendonly"
    phone.tell("resume")
    far.answer()
    resumed = far.sdp.negotiated
    assert resumed is not None and resumed.direction == "sendrecv"
    phone.wait("media", status="active", direction="sendrecv")


@pytest.mark.parametrize(
    "ours,theirs,status", [("sendonly", "recvonly", "remote-hold"), ("inactive", "inactive", "remote-hold")]
)
def test_rfc3264_8_4_pjsip_is_held_by_us(ours: str, theirs: str, status: str, far: Far, phone: Phone) -> None:
    dial(far, phone)
    phone.wait("media", status="active")
    phone.wait("state", state="CONFIRMED")
    assert far.offer(ours).direction == ours
    assert phone.wait("media", status=status)["direction"] == theirs
    assert far.offer("sendrecv").direction == "sendrecv"
    assert phone.wait("media", status="active")["direction"] == "sendrecv"


def test_rfc3264_8_3_1_pjsip_follows_a_moved_stream(far: Far, phone: Phone) -> None:
    dial(far, phone)
    phone.wait("media", status="active")
    phone.wait("state", state="CONFIRMED")
    far.sdp.move("127.0.0.1", RTP_PORT + 2)
    far.offer()
    phone.wait("media", status="active", remote=f"127.0.0.1:{RTP_PORT + 2}")


def test_rfc3264_8_pjsip_sends_nothing_to_address_zero(far: Far, phone: Phone) -> None:
    dial(far, phone)
    phone.wait("media", status="active")
    phone.wait("state", state="CONFIRMED")
    far.sdp.move("0.0.0.0", RTP_PORT)
    agreed = far.offer()
    assert agreed.held  # PJSIP answers with address zero too
    phone.wait("media", status="remote-hold")
