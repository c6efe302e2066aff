"""Sets calls up for the media lines, one after the other: INVITE from one UDP socket, the answer at another."""

from __future__ import annotations

import select
import socket
from typing import NamedTuple

HERE = "127.0.0.1"
WITHIN = 10.0
"""Seconds for one call."""

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0 101\r\n"
    "a=rtpmap:101 telephone-event/8000\r\n"
)


class Leg(NamedTuple):
    """The server's RTP ports towards the caller and the callee (0 where there is no callee)."""

    caller: int
    callee: int


class Dialler:
    """A caller at one port, a callee at another."""

    def __init__(self, server: tuple[str, int], domain: str) -> None:
        self._server = server
        self._domain = domain
        self._calls: dict[str, str] = {}
        self._caller, self._callee = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for udp in (self._caller, self._callee):
            udp.bind((HERE, 0))
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        self.callee_port: int = self._callee.getsockname()[1]

    def call(self, number: int, caller_rtp: int, callee_rtp: int = 0) -> Leg:
        """One call; with ``callee_rtp`` it is answered here."""
        call_id = f"bench-{number}"
        self._caller.sendto(self._request("INVITE", call_id, SDP.format(caller_rtp)), self._server)
        at_callee, final = 0, b""
        while not final:
            ready, _, _ = select.select([self._caller, self._callee], [], [], WITHIN)
            if not ready:
                raise TimeoutError(f"call {number} was not answered")
            for udp in ready:
                data = udp.recv(65536)
                if udp is self._callee:
                    at_callee = self._at_callee(data, callee_rtp) or at_callee
                elif call_id.encode() in data and b"CSeq: 1 INVITE" in data and data[8:9] != b"1":
                    final = data
        if not final.startswith(b"SIP/2.0 200"):
            raise RuntimeError(f"call {number}: {final.splitlines()[0].decode()}")
        to = next(line[4:] for line in final.decode().splitlines() if line.startswith("To: "))
        self._calls[call_id] = to
        self._caller.sendto(self._request("ACK", call_id, "", to), self._server)
        return Leg(_port(final), at_callee)

    def hang_up(self) -> None:
        """End all calls; what the server answers is read until it is silent."""
        for count, (call_id, to) in enumerate(self._calls.items()):
            self._caller.sendto(self._request("BYE", call_id, "", to), self._server)
            self._silence(0.0 if count % 20 else 0.05)
        self._silence(1.0)
        self._calls.clear()
        self._caller.close()
        self._callee.close()

    def _silence(self, within: float) -> None:
        while ready := select.select([self._caller, self._callee], [], [], within)[0]:
            for udp in ready:
                data = udp.recv(65536)
                if udp is self._callee:
                    self._at_callee(data, 9)

    def _request(self, method: str, call_id: str, body: str, to: str = "") -> bytes:
        port = self._caller.getsockname()[1]
        number = 2 if method == "BYE" else 1
        head = [
            f"{method} sip:100@{self._domain} SIP/2.0"
            if method == "INVITE"
            else f"{method} sip:{HERE}:{self._server[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {HERE}:{port};branch=z9hG4bK-{call_id}-{method}",
            f"From: <sip:alice@{self._domain}>;tag={call_id}",
            f"To: {to or f'<sip:100@{self._domain}>'}",
            f"Call-ID: {call_id}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:alice@{HERE}:{port}>",
            "Max-Forwards: 70",
        ]
        if body:
            head.append("Content-Type: application/sdp")
        return "\r\n".join([*head, f"Content-Length: {len(body)}", "", body]).encode()

    def _at_callee(self, data: bytes, rtp: int) -> int:
        """Answer a request at once; the RTP port of an offer."""
        if data.startswith((b"ACK", b"SIP/2.0")) or not data[:1].isalpha():  # RTCP goes beside every RTP port
            return 0
        lines = data.decode().splitlines()
        kept = [line for line in lines if line.startswith(("Via:", "From:", "Call-ID:", "CSeq:"))]
        to = next(line for line in lines if line.startswith("To:"))
        is_invite = data.startswith(b"INVITE")
        body = SDP.format(rtp) if is_invite else ""
        answer = ["SIP/2.0 200 OK", *kept, to if ";tag=" in to else f"{to};tag=callee"]
        answer += [f"Contact: <sip:uas@{HERE}:{self.callee_port}>", "Content-Type: application/sdp"]
        text = "\r\n".join([*answer, f"Content-Length: {len(body)}", "", body])
        self._callee.sendto(text.encode(), self._server)
        return _port(data) if is_invite else 0


def _port(message: bytes) -> int:
    return int(message.split(b"m=audio ")[1].split()[0])
