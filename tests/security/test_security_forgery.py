"""Forged messages against a live server over raw sockets: who guesses gets nothing, and draws nothing out of it."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from live import LiveServer
from live_scene import MAIN_NUMBER, WITHIN, Scene, twiml
from security.sip_wire import SDP

from ringback.shell.guard import GuardLimits
from ringback.sip.message import Request, Response, parse

CHALLENGE = ("WWW-Authenticate", 'Digest realm="callee", nonce="n1", qop="auth"')
_branches = count(1)


class Peer:
    """A UDP socket at a loopback address, spoken to in threads so that the scene's loop goes on."""

    def __init__(self, server: LiveServer, host: str) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((host, 0))
        self.server = server.sip
        self.host, self.port = self.sock.getsockname()

    def send(self, message: Request | Response | bytes) -> None:
        """Send to the server."""
        self.sock.sendto(message if isinstance(message, bytes) else message.render(), self.server)

    async def hears(self, within: float = 10.0) -> Request | Response:
        """The next message. Raises TimeoutError."""
        self.sock.settimeout(within)
        return parse(await asyncio.to_thread(self.sock.recv, 65_535))

    async def hears_of(self, method: str) -> Request:
        """The next request of a method."""
        while True:
            message = await self.hears()
            if isinstance(message, Request) and message.method == method:
                return message

    async def answer_to(self, method: str) -> Response:
        """The next response to a method; a busy machine may repeat its INVITE before."""
        while True:
            message = await self.hears()
            if isinstance(message, Response) and message.cseq.method == method:
                return message

    async def is_left_alone(self, seconds: float = 0.7) -> bool:
        """Whether nothing new comes for longer than T1; copies of an INVITE that waits do not count."""
        try:
            while True:
                message = await self.hears(seconds)
                if not (isinstance(message, Request) and message.method == "INVITE"):
                    return False
                assert not message.has("Authorization")
        except TimeoutError:
            return True


@contextmanager
def peer(server: LiveServer, host: str) -> Iterator[Peer]:
    made = Peer(server, host)
    try:
        yield made
    finally:
        made.sock.close()


@pytest.fixture
def stranger(server: LiveServer) -> Iterator[Peer]:
    with peer(server, "127.6.0.66") as made:
        yield made


class Callee(Peer):
    """Whom the server calls with a password."""

    sid = ""
    invite: Request

    async def rung_by(self, scene: Scene) -> None:
        """Let the server call here."""
        call = await scene.do(
            scene.client.calls.create,
            to=f"sip:callee@{self.host}:{self.port}",
            from_=MAIN_NUMBER,
            twiml=twiml('<Pause length="60"/>'),
            sip_auth_username="trunk",
            sip_auth_password="open-sesame",
        )
        self.sid = call.sid
        self.invite = await self.hears_of("INVITE")

    def reply(
        self, status: int, *headers: tuple[str, str], to_tag: str = "callee", body: str = ""
    ) -> Response:
        """An answer to the INVITE."""
        contact = ("Contact", f"<sip:callee@{self.host}:{self.port}>")
        content = [("Content-Type", "application/sdp")] if body else []
        return self.invite.reply(
            status, to_tag=to_tag, headers=[contact, *headers, *content], body=body.encode()
        )

    def request(self, method: str, number: int, where: Peer | None = None, **wrong: str) -> Request:
        """A request in the dialog, as sent from ``where``; ``wrong`` parts replace the right ones."""
        source = where or self
        tags = {
            "ours": "callee",
            "theirs": self.invite.from_.tag or "",
            "call_id": self.invite.call_id,
        } | wrong
        headers = [
            ("Via", f"SIP/2.0/UDP {source.host}:{source.port};rport;branch=z9hG4bKc{next(_branches)}"),
            ("Max-Forwards", "70"),
            ("From", f"<{self.invite.to.uri}>;tag={tags['ours']}"),
            ("To", f"<{self.invite.from_.uri}>;tag={tags['theirs']}"),
            ("Call-ID", tags["call_id"]),
            ("CSeq", f"{number} {method}"),
            ("Contact", f"<sip:callee@{source.host}:{source.port}>"),
            ("Content-Type", "application/sdp"),
        ]
        return Request(method, self.invite.contacts[0].uri, headers, SDP.encode())

    async def answer(self, scene: Scene) -> None:
        """Accept the call, and wait until the server has it in progress."""
        self.send(self.reply(200, body=SDP))
        await self.hears_of("ACK")
        assert (await scene.do(scene.client.calls(self.sid).fetch)).status == "in-progress"

    async def leave(self, scene: Scene) -> None:
        """Hang up, whose right it is."""
        self.send(self.request("BYE", 900))
        assert (await self.answer_to("BYE")).status == 200
        await scene.ended(self.sid)


@pytest.fixture
def callee(server: LiveServer) -> Iterator[Callee]:
    made = Callee(server, "127.6.0.7")
    yield made
    made.sock.close()


async def test_a_strangers_challenge_draws_no_digest(scene: Scene, callee: Callee, stranger: Peer) -> None:
    """Even one that knows branch, tag and Call-ID: its address is not the one that was called."""
    await callee.rung_by(scene)
    for status in (401, 407):
        stranger.send(callee.reply(status, CHALLENGE, to_tag="forged"))
    assert await stranger.is_left_alone()
    assert await callee.is_left_alone(0.2)
    callee.send(callee.reply(401, CHALLENGE, to_tag="real"))
    assert (await callee.hears_of("ACK")).to.tag == "real"
    callee.invite = await callee.hears_of("INVITE")
    assert 'username="trunk"' in (callee.invite.get("Authorization") or "")
    await callee.answer(scene)
    await callee.leave(scene)


@pytest.mark.parametrize("wrong", ["branch", "sent-by", "method"])
async def test_a_guessed_200_answers_no_call(
    scene: Scene, callee: Callee, stranger: Peer, wrong: str
) -> None:
    await callee.rung_by(scene)
    via = callee.invite.raw("Via")[0]
    forged = callee.reply(200, to_tag="forged", body=SDP)
    match wrong:
        case "branch":
            forged.set("Via", re.sub(r"branch=z9hG4bK\w+", "branch=z9hG4bKguessed", via))
        case "sent-by":
            forged.set("Via", re.sub(r"UDP [^;]+", "UDP 192.0.2.1", via))
        case _:
            forged.set("CSeq", f"{callee.invite.cseq.number} OPTIONS")
    for sender in (stranger, callee):
        sender.send(forged)
    assert await stranger.is_left_alone(0.2)
    assert await callee.is_left_alone()
    assert (await scene.do(scene.client.calls(callee.sid).fetch)).status in ("queued", "ringing")
    callee.send(callee.reply(486))
    await callee.hears_of("ACK")
    assert (await scene.ended(callee.sid)).status == "busy"


@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "INFO", "OPTIONS", "REFER", "NOTIFY", "PRACK"])
async def test_guessed_requests_in_a_dialog_are_refused(
    scene: Scene, callee: Callee, stranger: Peer, method: str
) -> None:
    await callee.rung_by(scene)
    await callee.answer(scene)
    for number, wrong in enumerate(({"theirs": "guessed"}, {"ours": "guessed"}, {"call_id": "guessed"})):
        for sender in (stranger, callee):
            sender.send(callee.request(method, 100 + number, sender, **wrong))
            reply = await sender.answer_to(method)
            assert reply.status in (405, 481), (wrong, reply.start_line())
    assert (await scene.do(scene.client.calls(callee.sid).fetch)).status == "in-progress"
    await callee.leave(scene)


async def test_who_knows_the_whole_dialog_is_believed_wherever_it_sends_from(
    scene: Scene, callee: Callee, stranger: Peer
) -> None:
    """A phone that has changed networks speaks from another address, and no part of a dialog can be guessed."""
    await callee.rung_by(scene)
    await callee.answer(scene)
    assert len(callee.invite.from_.tag or "") >= 16, "64 bits"
    stranger.send(callee.request("BYE", 100, stranger))
    assert (await stranger.answer_to("BYE")).status == 200
    assert (await scene.ended(callee.sid)).status == "completed"


async def test_a_guessed_cancel_or_ack_changes_nothing(scene: Scene, callee: Callee, stranger: Peer) -> None:
    await callee.rung_by(scene)
    branch = callee.invite.via.branch
    for sender in (stranger, callee):
        cancel = callee.request("CANCEL", 1, sender)
        cancel.set("Via", f"SIP/2.0/UDP {sender.host}:{sender.port};rport;branch={branch}")
        sender.send(cancel)
        assert (await sender.answer_to("CANCEL")).status == 481
        sender.send(callee.request("ACK", 1, sender))
        assert await sender.is_left_alone(0.2)
    await callee.answer(scene)
    await callee.leave(scene)


# -- what a stranger's request may cost others: over UDP its source can be forged -----------------------------------

METHODS = (
    *(
        "INVITE",
        "REGISTER",
        "OPTIONS",
        "MESSAGE",
        "SUBSCRIBE",
        "PUBLISH",
        "REFER",
        "NOTIFY",
        "INFO",
        "UPDATE",
    ),
    *("PRACK", "BYE", "CANCEL", "ACK", "FOO"),
)
DAMAGES: dict[str, tuple[bytes, bytes]] = {
    "none": (b"", b""),
    "no call-id": (b"Call-ID:", b"X-No:"),
    "no cseq": (b"CSeq:", b"X-No:"),
    "no from": (b"From:", b"X-No:"),
    "no to": (b"\r\nTo:", b"\r\nX-No:"),
    "bad from": (b"From: <", b"From: <<"),
    "version": (b"SIP/2.0\r\n", b"SIP/9.0\r\n"),
    "length": (b"Content-Length: 0", b"Content-Length: 99"),
    "via": (b"branch=", b'branch="'),
    "no contact": (b"Contact:", b"X-No:"),
    "two contacts": (b"Max-Forwards", b"Contact: <sip:b@192.0.2.9>\r\nMax-Forwards"),
    "require": (b"Max-Forwards", b"Require: " + b"a," * 60 + b"b\r\nMax-Forwards"),
    "hops": (b"Max-Forwards: 70", b"Max-Forwards: 0"),
    "record-route": (b"Max-Forwards", b"Record-Route: <sip:192.0.2.9;lr>\r\n" * 12 + b"Max-Forwards"),
    "vias": (b"Max-Forwards", b"Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n" * 12 + b"Max-Forwards"),
    "scheme": (b" sip:", b" foo:"),
    "maddr": (b";rport", b";rport;maddr=127.6.0.99"),
    "in a dialog": (b">\r\nCall-ID", b">;tag=x\r\nCall-ID"),
}


def request_of(where: Peer, method: str, number: int, damage: str) -> bytes:
    """What a stranger sends, spoilt in one way."""
    text = (
        f"{method} sip:alice@127.0.0.1:{where.server[1]} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {where.host}:{where.port};rport;branch=z9hG4bK{damage.replace(' ', '')}{method}{number}\r\n"
        f"From: <sip:mallory@example.net>;tag=m{number}\r\nTo: <sip:alice@127.0.0.1:{where.server[1]}>\r\n"
        f"Call-ID: {method}-{number}-{damage.replace(' ', '')}@{where.host}\r\nCSeq: {number} {method}\r\n"
        f"Contact: <sip:mallory@{where.host}:{where.port}>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    return text.encode().replace(*DAMAGES[damage])


def drained(sock: socket.socket, seconds: float, *, waits: bool = False) -> list[bytes]:
    """What comes until it is silent for so long; ``waits`` for the first, however long a busy machine takes."""
    found: list[bytes] = []
    sock.settimeout(WITHIN if waits else seconds)
    try:
        while True:
            found.append(sock.recv(65_535))
            sock.settimeout(seconds)
    except TimeoutError:
        return found


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_stranger_gets_one_answer_and_little_more_than_it_sent(server: LiveServer, damage: str) -> None:
    host = f"127.6.1.{1 + list(DAMAGES).index(damage)}"
    with peer(server, host) as where, peer(server, "127.6.0.99") as victim:
        victim.sock.close()
        victim.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        victim.sock.bind(("127.6.0.99", where.port))
        sent: dict[bytes, int] = {}
        for number, method in enumerate(METHODS, 1):
            data = request_of(where, method, number, damage)
            where.send(data)
            sent[f"\r\nCSeq: {number} {method}\r\n".encode()] = len(data)
        mark = len(METHODS) + 1  # it waits behind the others, so its answer is the last
        where.send(request_of(where, "OPTIONS", mark, "none"))
        answers: list[bytes] = []
        while not (answers and b"\r\nCSeq: %d " % mark in answers[-1]):
            where.sock.settimeout(WITHIN)
            answers.append(where.sock.recv(65_535))
        answers.pop()
        answers += drained(where.sock, 0.2)
        assert len(answers) == len(METHODS) - 1, "each but the ACK"
        assert all(len(answer) <= max(sent.values()) + 200 for answer in answers)
        for cseq, size in sent.items():
            of_it = [answer for answer in answers if cseq in answer]
            assert len(of_it) <= 1
            assert all(len(answer) <= size + 200 for answer in of_it), cseq
        assert not any(answer.startswith(b"SIP/2.0 1") for answer in answers), "no provisional answers"
        assert drained(victim.sock, 0.1) == []


def test_the_answer_to_an_unauthenticated_invite_is_never_repeated(server: LiveServer) -> None:
    with peer(server, "127.6.0.31") as where:
        data = request_of(where, "INVITE", 1, "none")
        where.send(data)
        first = drained(where.sock, 2.2, waits=True)  # timer G would repeat it after 0.5 and 1.5 s
        assert len(first) == 1
        assert first[0].startswith(b"SIP/2.0 407 ")
        where.send(data)
        assert len(drained(where.sock, 0.5, waits=True)) == 1, "a copy has one answer of its own"


def test_no_source_gets_answers_beyond_its_rate(server: LiveServer) -> None:
    limits = GuardLimits()
    with (
        peer(server, "127.6.0.32") as where,
        peer(server, "127.6.0.32") as same,
        peer(server, "127.6.0.33") as other,
    ):
        for sock in (where.sock, same.sock):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        began_at = time.monotonic()
        for number in range(int(limits.burst)):
            for sender in (where, same):
                sender.send(request_of(sender, "REGISTER", number, "none"))
        answers: list[Any] = drained(where.sock, 0.7, waits=True) + drained(same.sock, 0.7)
        most = limits.burst + limits.rate * (time.monotonic() - began_at) + 1
        assert 0 < len(answers) <= most, "an address has one rate, whatever its ports"
        other.send(request_of(other, "REGISTER", 1, "none"))
        assert len(drained(other.sock, 0.7, waits=True)) == 1
