"""SIP over TCP and TLS: streams that were accepted, and streams that we open when there is something to send.

    accepted --(TLS handshake)--> open <--(connect, TLS handshake)-- opening <-- first message to a destination
    open --closed by the peer, lost framing, idle, slow, our close--> gone: on_closed(number)

Streams that we open have even numbers, accepted ones odd: a message for a stream that is gone opens it again
only when that can work, for behind an accepted stream nobody listens.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, NamedTuple

from ringback.sip.flow import Flow, Hop

from .guard import Guard
from .stream_accept import Acceptor
from .stream_connection import Destination, Stream
from .stream_room import Guest, StreamRoom, source_of
from .stream_turns import Attention, Handshakes
from .timers import Clock
from .transport_limits import Callbacks, Counters, TransportLimits

SHUTDOWN_AFTER: Final = 3.0  # seconds for the peer's half of TLS's goodbye
FORMER_KEPT: Final = 4_096  # streams of ours that are gone and may be opened again
BACKLOG: Final = 1_024  # phones that come back all at once after a restart

ANSWER: Final = b"SIP/2.0 "
"""What a response begins with."""


class Waiting(NamedTuple):
    """A message that waits for its stream to open."""

    hop: Hop
    data: bytes
    transaction: str


class Streams:
    """All TCP and TLS connections of the server."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        callbacks: Callbacks,
        limits: TransportLimits,
        counters: Counters,
        clock: Clock,
        client_context: Callable[[str], ssl.SSLContext],
        guard: Guard | None = None,
    ) -> None:
        self.loop = loop
        self.callbacks = callbacks
        self.limits = limits
        self.counters = counters
        self.clock = clock
        self.guard = guard
        self.buffer = memoryview(bytearray(limits.stream_read))  # for all: what is read is taken out at once
        self.room = StreamRoom(limits, guard, clock)
        self.attention = Attention(loop, limits.turn)
        self._handshakes = Handshakes(loop, limits, clock)
        self._client_context = client_context
        self._acceptors: list[Acceptor] = []
        self._open: dict[int, Stream] = {}
        self._by_destination: dict[Destination, Stream] = {}
        self._opening: dict[Destination, list[Waiting]] = {}
        self._former: OrderedDict[int, Destination] = OrderedDict()  # of streams that we had opened
        self._opened = 0
        self._arriving: set[Stream] = set()
        self._welcomes: set[asyncio.Task[None]] = set()
        self._connects: set[asyncio.Task[None]] = set()
        self._accepted_number = -1
        self._opened_number = 0
        self._closing = False
        self._all_gone = asyncio.Event()
        self._all_gone.set()
        self._sweeper = loop.call_later(limits.sweep_every, self._sweep)

    def __len__(self) -> int:
        """How many streams are open."""
        return len(self._open)

    def flow(self, number: int) -> Flow | None:
        """The flow of an open stream."""
        stream = self._open.get(number)
        return None if stream is None else stream.flow

    def has_opened(self, destination: Destination) -> bool:
        """Whether a stream of ours to there is open, or was a while ago."""
        return destination in self._by_destination or destination in self._former.values()

    # -- accepting

    def listen(
        self, transport: str, host: str, port: int, context: ssl.SSLContext | None = None
    ) -> tuple[str, int]:
        """Accept streams at an IP literal and port (0: any). Returns the address. Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((host, port))
            sock.listen(BACKLOG)
        except BaseException:
            sock.close()
            raise
        take = partial(self._accepted, transport, context)
        self._acceptors.append(Acceptor(self.loop, sock, self.limits.accepts_per_turn, take))
        name = sock.getsockname()
        return name[0], name[1]

    def _accepted(
        self, transport: str, context: ssl.SSLContext | None, sock: socket.socket, address: tuple[Any, ...]
    ) -> None:
        self._accepted_number += 2
        stream = Stream(self, self._accepted_number, Destination(transport, address[0], address[1], ""))
        cut = self.room.enter(stream)
        if cut is None:
            self.counters.streams_refused += 1
            sock.close()
            return
        stream.counted = True
        for guest in cut:
            self._cut(guest)
        self._arriving.add(stream)
        stream.welcome = self._spawn(self._welcome(sock, stream, context), self._welcomes)
        stream.welcome.add_done_callback(partial(self._welcomed, sock, stream))

    def _cut(self, guest: Guest) -> None:
        """A stranger gives way to another."""
        guest.counted = False
        self.counters.streams_cut += 1
        guest.abort()

    async def _welcome(self, sock: socket.socket, stream: Stream, context: ssl.SSLContext | None) -> None:
        if context is not None:
            async with asyncio.timeout(self.limits.handshake_after):
                await self._handshakes.turn(source_of(stream.destination.host))
        await self.loop.connect_accepted_socket(
            lambda: stream,
            sock,
            ssl=context,
            ssl_handshake_timeout=None if context is None else self.limits.handshake_after,
            ssl_shutdown_timeout=None if context is None else SHUTDOWN_AFTER,
        )

    def _welcomed(self, sock: socket.socket, stream: Stream, task: asyncio.Task[None]) -> None:
        """A welcome has come to its end, whatever it was: the peer gave up, or was cut, before it began or later."""
        self._arriving.discard(stream)
        stream.welcome = None
        failed = task.cancelled() or task.exception() is not None
        if failed:
            sock.close()
            if not task.cancelled():
                self.counters.handshakes_failed += 1
        if stream.number not in self._open:
            self._let_go(stream)

    def _let_go(self, stream: Stream) -> None:
        """Count an accepted stream no more; once."""
        if stream.counted:
            stream.counted = False
            self.room.leave(stream)

    # -- sending

    def send(self, hop: Hop, data: bytes, transaction: str) -> None:
        """Send on the hop's stream, on one that leads there already, or on a new one."""
        stream = self._open.get(hop.connection) if hop.connection else None
        destination = Destination(hop.transport, hop.host, hop.port, hop.server_name)
        if hop.connection:
            # A flow does not tell what was verified; opened again, the same is verified.
            destination = self._former.get(hop.connection, destination)
        if stream is None or not stream.is_open:
            stream = self._by_destination.get(destination)
        if stream is not None and stream.is_open:
            if stream.send(data):
                self.counters.messages_out += 1
                stream.active_at = self.clock.now()
            else:
                self._unreachable(hop, transaction)
        elif self._closing or not self._may_open(
            hop, is_answer=bool(transaction) and data.startswith(ANSWER)
        ):
            self._unreachable(hop, transaction)
        else:
            self._open_for(destination, Waiting(hop, data, transaction))

    def _may_open(self, hop: Hop, *, is_answer: bool) -> bool:
        """Whether a stream to the hop can be opened, and would be verified as the one before was.

        Where they had opened it, nobody listens at the port that it came from; the answers to a request that was taken
        go to the port of its Via (RFC 3261 section 18.2.2).
        """
        if hop.connection % 2:
            return is_answer and hop.transport == "TCP"
        return not hop.connection or hop.transport != "TLS" or hop.connection in self._former

    def _open_for(self, destination: Destination, waiting: Waiting) -> None:
        queue = self._opening.get(destination)
        if queue is None:
            if self._opened + len(self._opening) >= self.limits.streams:
                self._unreachable(waiting.hop, waiting.transaction)
                return
            self._opening[destination] = [waiting]
            self._spawn(self._connect(destination), self._connects)
        elif sum(len(item.data) for item in queue) + len(waiting.data) > self.limits.opening_buffer:
            self._unreachable(waiting.hop, waiting.transaction)
        else:
            queue.append(waiting)

    async def _connect(self, destination: Destination) -> None:
        self._opened_number += 2
        stream = Stream(self, self._opened_number, destination)
        opened = False
        try:
            secure = destination.transport == "TLS"
            context = self._client_context(destination.server_name) if secure else None
            await self.loop.create_connection(
                lambda: stream,
                sock=await self._connected(destination),
                ssl=context,
                server_hostname=(destination.server_name or destination.host) if secure else None,
                ssl_handshake_timeout=self.limits.handshake_after if secure else None,
                ssl_shutdown_timeout=SHUTDOWN_AFTER if secure else None,
            )
            opened = True
        except (OSError, OverflowError, ValueError, TimeoutError):
            pass  # told below, message by message
        finally:
            for hop, data, transaction in self._opening.pop(destination, []):
                if opened and stream.send(data):
                    self.counters.messages_out += 1
                else:
                    self._unreachable(hop, transaction)

    async def _connected(self, destination: Destination) -> socket.socket:
        family = socket.AF_INET6 if ":" in destination.host else socket.AF_INET
        socket.inet_pton(family, destination.host.partition("%")[0])  # a name would be looked up
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            sock.setblocking(False)
            async with asyncio.timeout(self.limits.connect_after):
                await self.loop.sock_connect(sock, (destination.host, destination.port))
        except BaseException:
            sock.close()
            raise
        return sock

    def _unreachable(self, hop: Hop, transaction: str) -> None:
        self.counters.unreachable += 1
        self.loop.call_soon(self.callbacks.on_unreachable, hop, transaction)

    # -- the life of streams

    def made(self, stream: Stream) -> None:
        """A stream is open (called by it)."""
        if stream.number % 2:
            self.counters.streams_accepted += 1
        else:
            self.counters.streams_opened += 1
            self._opened += 1
        self._open[stream.number] = stream
        self._by_destination[stream.destination] = stream
        self._all_gone.clear()

    def lost(self, stream: Stream) -> None:
        """A stream is gone (called by it)."""
        if self._open.pop(stream.number, None) is None:
            return  # it never was open
        if self._by_destination.get(stream.destination) is stream:
            del self._by_destination[stream.destination]
        if stream.number % 2:
            self._let_go(stream)
        else:
            self._opened -= 1
            self._former[stream.number] = stream.destination
            if len(self._former) > FORMER_KEPT:
                self._former.popitem(last=False)
        if not self._open:
            self._all_gone.set()
        self.callbacks.on_closed(stream.number)

    def _sweep(self) -> None:
        now = self.clock.now()
        for stream in list(self._open.values()):
            if not stream.is_open:
                if stream.closing_seen:  # it does not take what it should still get
                    stream.abort()
                stream.closing_seen = True
            elif stream.expired(now):
                self.counters.streams_expired += 1
                stream.close()
            else:
                stream.weigh()  # some of what was written may be out
        self._sweeper = self.loop.call_later(self.limits.sweep_every, self._sweep)

    def stop_listening(self) -> None:
        """Accept nothing more; open streams stay."""
        for acceptor in self._acceptors:
            acceptor.close()
        self._acceptors.clear()

    async def close(self, grace: float) -> None:
        """Close all streams when what was written is out, or after `grace` seconds."""
        self._closing = True
        self._sweeper.cancel()
        self.stop_listening()
        for stream in self._arriving:
            stream.abort()
        try:
            async with asyncio.timeout(grace):
                if self._connects:
                    await asyncio.wait(self._connects)  # what waits for them shall still go out
                for stream in list(self._open.values()):
                    stream.close()
                await self._all_gone.wait()
        except TimeoutError:
            for task in self._connects:
                task.cancel()
            for stream in list(self._open.values()):
                stream.abort()
        await asyncio.gather(*self._welcomes, *self._connects, return_exceptions=True)
        await self._all_gone.wait()

    def _spawn(self, work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> asyncio.Task[None]:
        task = self.loop.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, (OSError, TimeoutError)):
            self.loop.call_exception_handler({"message": "a SIP stream failed", "exception": error})
