"""What a stranger gets: one short answer to each request, up to a rate; silence after wrong passwords; 503 when late."""

from __future__ import annotations

import hashlib
import re
import socket
import time
from typing import Any

import pytest
from live import LiveServer
from live_scene import WITHIN

from ringback.shell.front_desk import FrontDesk
from ringback.shell.guard import Guard, GuardLimits
from ringback.sip.agent import UserAgent
from ringback.sip.authenticator import Authenticator
from ringback.sip.effects import Send
from ringback.sip.flow import Flow
from ringback.sip.message import Response, parse
from ringback.sip.registrar import Registrar


class Stranger:
    """A socket at an address of its own, so that no test uses up what another has."""

    def __init__(self, server: LiveServer, host: str) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.sock.bind((host, 0))
        self.sock.connect(server.sip)
        self.host, self.port = self.sock.getsockname()
        self.domain = server.domain
        self.number = 0

    def __enter__(self) -> Stranger:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def request(self, method: str, *, more: str = "", contact: str = "") -> bytes:
        """A request as short as it can be."""
        self.number += 1
        return (
            f"{method} sip:{self.domain} SIP/2.0\r\nv:SIP/2.0/UDP {self.host}:{self.port};branch=z9hG4bK{self.number}"
            f"\r\nf:<sip:alice@{self.domain}>;tag=a\r\nt:<sip:alice@{self.domain}>\r\ni:{self.number}-{self.port}\r\n"
            f"CSeq:{self.number} {method}\r\n{contact}{more}l:0\r\n\r\n"
        ).encode()

    def answers(self, seconds: float, *, waits: bool = False) -> list[bytes]:
        """What comes until it is silent for so long; ``waits`` for the first, however long a busy machine takes."""
        self.sock.settimeout(WITHIN if waits else seconds)
        found = []
        try:
            while True:
                found.append(self.sock.recv(65_535))
                self.sock.settimeout(seconds)
        except (TimeoutError, BlockingIOError):
            return found


@pytest.mark.parametrize("method", ["REGISTER", "OPTIONS", "INVITE", "SUBSCRIBE", "MESSAGE", "PRACK", "FOO"])
def test_one_short_answer_to_each_request(server: LiveServer, method: str) -> None:
    with Stranger(server, "127.7.0.1") as stranger:
        check_answers(stranger, method)


def check_answers(stranger: Stranger, method: str) -> None:
    asked: dict[int, int] = {}
    found: list[bytes] = []

    def answers_to(number: int) -> list[bytes]:
        return [answer for answer in found if re.search(rb"\r\nCSeq: *%d " % number, answer)]

    for more in ("", "Require:100rel\r\n", "Max-Forwards:0\r\n", "Accept:text/plain\r\n", "Contact:<\r\n"):
        request = stranger.request(method, more=more)
        stranger.sock.send(request)
        asked[stranger.number] = len(request)
        found += stranger.answers(0.15)
    phone = stranger.request(
        "REGISTER", more="User-Agent:phone/1\r\n", contact=f"m:<sip:a@{stranger.host}>\r\n"
    )
    stranger.sock.send(phone)
    asked[stranger.number] = len(phone)
    while not answers_to(stranger.number):
        found += (late := stranger.answers(0.15, waits=True))
        assert late
    assert b" 407 " in answers_to(stranger.number)[0]
    for number, length in asked.items():
        assert len(answers_to(number)) <= 1
        assert all(len(answer) <= length + 200 for answer in answers_to(number)), (method, number)
    assert sum(len(answers_to(number)) for number in asked) == len(found)


def test_no_answers_beyond_the_rate(server: LiveServer) -> None:
    limits = GuardLimits()
    with Stranger(server, "127.7.0.2") as stranger, Stranger(server, "127.7.0.3") as other:
        began_at = time.monotonic()
        for _ in range(2_000):
            stranger.sock.send(stranger.request("OPTIONS", contact=f"m:<sip:a@{stranger.host}>\r\n"))
        found = stranger.answers(1.0, waits=True)
        took = time.monotonic() - began_at
        assert limits.burst * 0.5 < len(found) <= limits.burst + limits.rate * took + 1
        other.sock.send(other.request("OPTIONS", contact=f"m:<sip:a@{other.host}>\r\n"))
        assert len(other.answers(1.0, waits=True)) == 1, "nobody else has to wait for it"


def test_guessing_passwords_ends_in_silence(server: LiveServer) -> None:
    failures = GuardLimits().failures
    with Stranger(server, "127.7.0.4") as stranger, Stranger(server, "127.7.0.5") as other:
        statuses = [guess(stranger, n, other) for n in range(failures + 3)]
    assert statuses[:failures] == [403] * failures
    assert 0 in statuses[failures:], statuses


def answer_to(stranger: Stranger, request: bytes, other: Stranger) -> str:
    """The answer to a request; "" when somebody who asked later has one, and it has not."""
    stranger.sock.send(request)
    other.sock.send(other.request("OPTIONS", contact=f"m:<sip:a@{other.host}>\r\n"))
    assert other.answers(0.0, waits=True)
    return b"".join(stranger.answers(0.0)).decode()


def guess(stranger: Stranger, number: int, other: Stranger) -> int:
    """Try to register with a password; the status, 0 for silence."""
    contact = f"m:<sip:alice@{stranger.host}:{stranger.port}>\r\n"
    challenge = answer_to(stranger, stranger.request("REGISTER", contact=contact), other)
    if not challenge:
        return 0
    found = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    one, two = (
        hashlib.md5(text.encode()).hexdigest()
        for text in (f"alice:{found['realm']}:guess-{number}", f"REGISTER:sip:{stranger.domain}")
    )
    response = hashlib.md5(f"{one}:{found['nonce']}:00000001:c:auth:{two}".encode()).hexdigest()
    given = (
        f'Authorization:Digest username="alice",realm="{found["realm"]}",nonce="{found["nonce"]}",'
        f'uri="sip:{stranger.domain}",response="{response}",algorithm=MD5,qop=auth,nc=00000001,cnonce="c"\r\n'
    )
    answer = answer_to(stranger, stranger.request("REGISTER", contact=contact, more=given), other)
    return int(answer.split()[1]) if answer else 0


class _Store:
    """A front desk that is late looks nothing up."""

    def __getattr__(self, name: str) -> Any:
        if name == "configuration":
            return None
        raise AssertionError(name)


def test_a_late_server_puts_new_work_off_and_says_for_how_long() -> None:
    agent, guard = UserAgent(lambda: "token", "x/1"), Guard()
    sent: list[Response] = []

    def carry_out(effects: list[Any]) -> None:
        for effect in effects:
            assert isinstance(effect, Send)
            answer = parse(effect.data)
            assert isinstance(answer, Response)
            sent.append(answer)

    desk = FrontDesk(
        store=_Store(),  # type: ignore[arg-type]
        agent=agent,
        registrar=Registrar(),
        authenticator=Authenticator(b"k" * 32, "y"),
        calls=None,  # type: ignore[arg-type]
        carry_out=carry_out,
        mask=str,
        guard=guard,
    )
    for _ in range(10):
        guard.late(1.0)
    flow = Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.7", 5060))
    for method in ("INVITE", "REGISTER"):
        request = parse(
            f"{method} sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\nFrom: <sip:a@y>;tag=1\r\n"
            f"To: <sip:x@y>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\nContact: <sip:a@192.0.2.7>\r\n\r\n".encode()
        )
        desk.on_request(request, flow)  # type: ignore[arg-type]
    assert [answer.status for answer in sent] == [503, 503]
    assert all(answer.get("Retry-After") for answer in sent)
    assert guard.counters.put_off == 2
