"""A bad network: a proxy that loses, delays, repeats, reorders, corrupts and cuts what passes it.

    phone <---> UdpProxy or TcpProxy <---> server

All chance comes from dice with a seed. Datagrams wait on timers of the loop, so a proxy keeps no thread and never
sleeps. The server sees each phone at a port of its own, as behind a NAT.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Address = tuple[str, int]


@dataclass(frozen=True)
class Weather:
    """Chances from 0 to 1 for each datagram; times in seconds."""

    loss: float = 0.0
    reorder: float = 0.0
    """Held back for ``held``, so that later ones overtake it."""
    repeat: float = 0.0
    corrupt: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    held: float = 0.05

    def delays(self, dice: random.Random) -> Sequence[float]:
        """After which delays copies of a datagram arrive; none: it is lost."""
        if dice.random() < self.loss:
            return ()
        delay = self.delay + self.jitter * dice.random()
        if dice.random() < self.reorder:
            delay += self.held * (0.5 + dice.random())
        if dice.random() < self.repeat:
            return (delay, delay + self.held * dice.random())
        return (delay,)

    def damaged(self, data: bytes, dice: random.Random) -> bytes:
        """The datagram as it arrives."""
        if not data or dice.random() >= self.corrupt:
            return data
        copy = bytearray(data)
        for _ in range(dice.randint(1, 4)):
            copy[dice.randrange(len(copy))] = dice.randrange(256)
        return bytes(copy)


@dataclass
class Direction:
    """What went one way of one flow."""

    passed: int = 0
    lost: int = 0
    """Between the first and the last that passed: what a receiver can know of."""
    lost_since: int = 0
    last_to: Address | None = None


@dataclass
class Path:
    """One phone's flow through a UdpProxy."""

    inside: socket.socket
    outward: Direction = field(default_factory=Direction)
    homeward: Direction = field(default_factory=Direction)


class UdpProxy:
    """Between phones and one server address. To be made in the running loop; ``weather`` may change at any time."""

    def __init__(self, server: Address, weather: Weather, seed: int = 1, host: str = "127.0.0.1") -> None:
        self.server = server
        self.weather = weather
        self.dice = random.Random(seed)
        self.paths: dict[Address, Path] = {}
        self._loop = asyncio.get_running_loop()
        self._waiting: set[asyncio.TimerHandle] = set()
        self._outside = _udp(host)
        self.address: Address = self._outside.getsockname()
        self._loop.add_reader(self._outside, self._from_phones)

    def close(self) -> None:
        """Lose what is on its way, and let go of the sockets."""
        for handle in self._waiting:
            handle.cancel()
        for sock in (self._outside, *(path.inside for path in self.paths.values())):
            self._loop.remove_reader(sock)
            sock.close()

    @property
    def lost(self) -> int:
        """All that was lost."""
        return sum(
            way.lost + way.lost_since for path in self.paths.values() for way in (path.outward, path.homeward)
        )

    @property
    def passed(self) -> int:
        """All that arrived, repetitions too."""
        return sum(way.passed for path in self.paths.values() for way in (path.outward, path.homeward))

    def path(self, phone: Address) -> Path:
        """The path of a phone; ``inside`` is how the server sees it."""
        path = self.paths.get(phone)
        if path is None:
            path = self.paths[phone] = Path(_udp(self.address[0]))
            self._loop.add_reader(path.inside, self._from_server, path, phone)
        return path

    def _from_phones(self) -> None:
        for data, phone in _received(self._outside):
            path = self.path(phone)
            self._carry(path.outward, path.inside, data, self.server)

    def _from_server(self, path: Path, phone: Address) -> None:
        for data, _ in _received(path.inside):
            self._carry(path.homeward, self._outside, data, phone)

    def _carry(self, way: Direction, sock: socket.socket, data: bytes, to: Address) -> None:
        delays = self.weather.delays(self.dice)
        if not delays:
            if way.passed:
                way.lost_since += 1
            return
        way.lost += way.lost_since
        way.lost_since = 0
        data = self.weather.damaged(data, self.dice)
        for delay in delays:
            way.passed += 1
            if delay:
                self._later(delay, sock, data, to)
            else:
                _send(sock, data, to)

    def _later(self, delay: float, sock: socket.socket, data: bytes, to: Address) -> None:
        def arrive() -> None:
            self._waiting.discard(handle)
            _send(sock, data, to)

        handle = self._loop.call_later(delay, arrive)
        self._waiting.add(handle)


def _udp(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind((host, 0))
    return sock


def _received(sock: socket.socket) -> Sequence[tuple[bytes, Address]]:
    found = []
    for _ in range(256):
        try:
            found.append(sock.recvfrom(65_535))
        except (BlockingIOError, InterruptedError):
            break
        except OSError:
            continue  # an ICMP error of what was sent before
    return found


def _send(sock: socket.socket, data: bytes, to: Address) -> None:
    try:
        sock.sendto(data, to)
    except OSError:
        return  # a network that is bad loses this too


Piece = Callable[[bytes, random.Random], Sequence[bytes]]
"""How a chunk of a stream is passed on."""


def whole(data: bytes, dice: random.Random) -> Sequence[bytes]:
    """As it came."""
    return (data,)


def crumbs(data: bytes, dice: random.Random) -> Sequence[bytes]:
    """In pieces of 1 to 40 bytes."""
    pieces = []
    at = 0
    while at < len(data):
        size = dice.randint(1, 40)
        pieces.append(data[at : at + size])
        at += size
    return pieces


class TcpProxy:
    """Between phones and one server address; it knows nothing of TLS, which passes as any bytes do.

    ``cut_after`` says after how many bytes from the phone a new connection is cut (reset); None: never.
    """

    def __init__(
        self, server: Address, *, seed: int = 1, cut_after: int | None = None, piece: Piece = whole
    ) -> None:
        self.server = server
        self.cut_after = cut_after
        self.piece = piece
        self.cuts = 0
        self.dice = random.Random(seed)
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def open(self) -> Address:
        """Listen; the address."""
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        address: Address = self._listener.sockets[0].getsockname()
        return address

    async def close(self) -> None:
        """Cut everything."""
        if self._listener is not None:
            self._listener.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        onward: asyncio.StreamWriter | None = None
        try:
            back, onward = await asyncio.open_connection(*self.server)
            home = asyncio.create_task(self._pump(back, writer, None))
            self._tasks.add(home)
            home.add_done_callback(self._tasks.discard)
            await self._pump(reader, onward, self.cut_after)
        except (OSError, asyncio.CancelledError):
            return  # the end that this proxy makes, or meets
        finally:
            for each in (writer, onward):
                if each is not None:
                    each.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut_after: int | None
    ) -> None:
        left = cut_after
        while data := await reader.read(65_536):
            if left is not None:
                data, left = data[:left], left - len(data)
            for piece in self.piece(data, self.dice):
                writer.write(piece)
                await writer.drain()
            if left is not None and left <= 0:
                self.cuts += 1
                return


def ports() -> itertools.count[int]:
    """RTP ports for phones of these tests, away from those of servers and of other tests."""
    return itertools.count(22_000, 400)
