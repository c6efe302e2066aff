"""What weighs on a server in these tests, and how its process bears it."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
import sys
import time

FLOODERS = int(os.environ.get("RINGBACK_ADVERSITY_FLOODERS", "40"))
"""Addresses that a flood comes from, 127.9.x.y; the first is 127.0.0.1, that of the phones."""

ENOUGH = 0.5
"""Of what is to go out in a given time, without which it takes longer, on a machine that is slow."""

_SDP = (
    "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)


def message(kind: str, number: int, host: str, port: int, domain: str) -> bytes:
    """One datagram of a flood; each is new, so that none is a retransmission."""
    if kind == "garbage":
        return random.Random(number).randbytes(300)
    method = kind
    body = _SDP.format(host=host) if method == "INVITE" else ""
    content = "Content-Type: application/sdp\r\n" if body else ""
    return (
        f"{method} sip:x{number}@{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bKf{number}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:x@{domain}>;tag=f{number}\r\nTo: <sip:x{number}@{domain}>\r\n"
        f"Call-ID: flood-{number}@{host}\r\nCSeq: 1 {method}\r\nContact: <sip:x@{host}:{port}>\r\n"
        f"User-Agent: flooder\r\n{content}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


KINDS = ("REGISTER", "INVITE", "OPTIONS", "garbage")


def flood(
    server: tuple[str, int],
    domain: str,
    seconds: float,
    rate: float,
    addresses: int,
    kinds: tuple[str, ...] = KINDS,
) -> tuple[int, int, float]:
    """Send messages of these kinds in turn: how many went out, how many answers came back, and in how many seconds.

    On a machine that is slow it takes longer until enough went out.
    """
    socks = []
    for n in range(addresses):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.bind((f"127.9.{n // 250}.{n % 250 + 1}" if n else "127.0.0.1", 0))
        sock.connect(server)
        socks.append((sock, *sock.getsockname()))
    sent = refused = answers = 0
    began_at = time.monotonic()
    while (now := time.monotonic()) < began_at + seconds or sent < ENOUGH * rate * seconds:
        due = int((now - began_at) * rate)
        for _ in range(min(due - sent, 500)):
            sock, host, port = socks[sent % len(socks)]
            try:
                sock.send(message(kinds[sent % len(kinds)], sent, host, port, domain))
            except OSError:
                refused += 1
            sent += 1
            answers += _waiting(sock)
        time.sleep(0.001)
    time.sleep(0.5)
    for sock, _, _ in socks:
        answers += _waiting(sock)
        sock.close()
    return sent - refused, answers, time.monotonic() - began_at


def _waiting(sock: socket.socket) -> int:
    """How many answers wait; they are taken."""
    answers = 0
    with contextlib.suppress(OSError):
        while sock.recv(65_535):
            answers += 1
    return answers


def dropped(port: int) -> int:
    """Datagrams that the kernel dropped at a UDP port, because nobody took them in time."""
    with open("/proc/net/udp") as file:
        rows = [line.split() for line in file][1:]
    return sum(int(row[-1]) for row in rows if int(row[1].partition(":")[2], 16) == port)


def resident(pid: int) -> int:
    """Bytes of memory of a process."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def reset(sock: socket.socket) -> None:
    """Cut a connection with RST, as a machine does that was switched off and on."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


if __name__ == "__main__":
    _, HOST, PORT, DOMAIN, SECONDS, RATE, ADDRESSES, *KINDS_WANTED = sys.argv
    found = flood(
        (HOST, int(PORT)),
        DOMAIN,
        float(SECONDS),
        float(RATE),
        int(ADDRESSES),
        tuple(KINDS_WANTED) or KINDS,
    )
    print(*found)
