"""Connections of strangers in a process of their own: opened, and then nothing, or too little, or too much.

`python -m adversity.crowd HOST PORT DOMAIN SECONDS RATE HELD ADDRESSES KIND` prints how many it opened, how many the server closed, and how
many were open at most.
"""

from __future__ import annotations

import contextlib
import errno
import resource
import select
import socket
import ssl
import sys
import time
from collections.abc import Callable

from adversity.burden import ENOUGH, message

ADDRESSES = 250
"""127.10.0.1 and so on: each of so many opens less than one address may."""
TURN = 0.01


def hello() -> bytes:
    """The first flight of a TLS client: the server answers with its certificate, and a signature."""
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="sip.example.com").do_handshake()
    return outgoing.read()


class Crowd:
    """``act`` is told of a socket once a second while it is open, and at first when it has opened."""

    def __init__(
        self, server: tuple[str, int], act: Callable[[socket.socket, int], None], held: int, addresses: int
    ) -> None:
        self.server, self.act, self.held, self.addresses = server, act, held, addresses
        self.opened = self.closed = self.most = 0
        self._poll = select.epoll()
        self._open: dict[int, tuple[socket.socket, int]] = {}

    def add(self) -> None:
        """One more; the oldest of its own goes when it has as many as it is to hold."""
        if len(self._open) >= self.held:
            self._drop(next(iter(self._open)))
        sock = socket.socket()
        sock.setblocking(False)
        n = self.opened
        sock.bind((f"127.10.0.{n % self.addresses + 1}", 0))
        if (problem := sock.connect_ex(self.server)) not in (0, errno.EINPROGRESS):
            sock.close()
            raise OSError(problem, "connect")
        self.opened += 1
        self._open[sock.fileno()] = (sock, n)
        self.most = max(self.most, len(self._open))
        self._poll.register(sock, select.EPOLLOUT | select.EPOLLONESHOT)

    def _drop(self, number: int) -> None:
        self._open.pop(number)[0].close()

    def look(self) -> None:
        """What opened acts; what the server closed is gone."""
        for number, event in self._poll.poll(0):
            sock, n = self._open[number]
            try:
                if event & select.EPOLLOUT:
                    self.act(sock, n)
                    self._poll.modify(sock, select.EPOLLRDHUP | select.EPOLLONESHOT)
                    continue
            except OSError:
                pass
            self.closed += 1
            self._drop(number)

    def act_again(self) -> None:
        """All that are open act."""
        for number, (sock, n) in list(self._open.items()):
            try:
                self.act(sock, n)
            except BlockingIOError:
                pass
            except OSError:
                self.closed += 1
                self._drop(number)

    def run(self, seconds: float, rate: float) -> None:
        """Open so many a second; on a machine that is slow it takes longer until there were enough."""
        began_at = acted_at = time.monotonic()
        while (now := time.monotonic()) < began_at + seconds or self.opened <= ENOUGH * rate * seconds:
            for _ in range(min(int((now - began_at) * rate) - self.opened, 500)):
                with contextlib.suppress(OSError):
                    self.add()
            self.look()
            if now - acted_at >= 1:
                acted_at = now
                self.act_again()
            time.sleep(TURN)


def _nothing(sock: socket.socket, n: int) -> None:
    """Say nothing."""


def acts(domain: str) -> dict[str, Callable[[socket.socket, int], None]]:
    """What the kinds do."""
    options = message("OPTIONS", 3, "127.10.0.1", 5060, domain).replace(b"UDP", b"TCP")
    invite = message("INVITE", 4, "127.10.0.1", 5060, domain).replace(b"UDP", b"TCP")
    first = hello()
    said: dict[int, int] = {}

    def trickle(sock: socket.socket, n: int) -> None:
        said[n] = said.get(n, -1) + 1
        sock.send(options[said[n] : said[n] + 1])

    def begin_tls(sock: socket.socket, n: int) -> None:
        if n not in said:
            said[n] = sock.send(first)

    def ask(sock: socket.socket, n: int) -> None:
        if n not in said:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            said[n] = 0
        sock.send(options * 50)

    def hoard(sock: socket.socket, n: int) -> None:
        if n not in said:
            said[n] = sock.send(invite.replace(b"Content-Length: ", b"Content-Length: 6") + bytes(55_000))

    return {"silent": _nothing, "trickle": trickle, "tls": begin_tls, "unread": ask, "hoard": hoard}


KINDS = ("silent", "trickle", "tls", "unread", "hoard")

BIG_ASSET = "/assets/big.bin"
_WHOLE = b"GET /ringback/v1/vitals HTTP/1.1\r\nHost: x\r\n\r\n"
HTTP = {
    "http-head": b"GET /ringback/v1/vitals HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    "http-body": b"POST /2010-04-01/Accounts.json HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n",
    "http-idle": _WHOLE,
    "http-again": _WHOLE,
    "http-pipeline": _WHOLE * 400,
    "http-unread": f"GET {BIG_ASSET} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
}
"""What connections to the HTTP port begin with; each second, the first two go on with one byte, and those that ask again do."""


def http_act(kind: str) -> Callable[[socket.socket, int], None]:
    """What a kind of ``HTTP`` does."""
    said = set[int]()

    def act(sock: socket.socket, n: int) -> None:
        if n not in said:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            said.add(n)
            sock.send(HTTP[kind])
        elif kind in ("http-head", "http-body"):
            sock.send(b"x")
        elif kind in ("http-again", "http-pipeline"):
            with contextlib.suppress(BlockingIOError):
                while sock.recv(65_536):
                    pass
            sock.send(HTTP[kind])

    return act


if __name__ == "__main__":
    _, HOST, PORT, DOMAIN, SECONDS, RATE, HELD, FROM, KIND = sys.argv
    _, HARD = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (HARD, HARD))
    crowd = Crowd(
        (HOST, int(PORT)), http_act(KIND) if KIND in HTTP else acts(DOMAIN)[KIND], int(HELD), int(FROM)
    )
    crowd.run(float(SECONDS), float(RATE))
    print(crowd.opened, crowd.closed, crowd.most)
