"""One UDP socket for SIP: a reader that drains in batches, and sends that never wait.

Deviation: ICMP errors are not listened to (RFC 3261 section 18.4 would have them reported): a phone that restarts
answers with them for a while and is there for the next retransmission, and anybody can forge them.
Pinned by `test_icmp_errors_are_ignored`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

from ringback.media.datagrams import AT_ONCE
from ringback.media.twins import datagrams_of
from ringback.sip import stun
from ringback.sip.errors import SipSyntaxError
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import parse

from .guard import Guard, Source
from .inbox import Inbox
from .timers import Clock, MonotonicClock
from .transport_limits import Callbacks, Counters, TransportLimits

_SO_SNDBUFFORCE: Final = 32  # asm-generic/socket.h; the socket module does not name them
_SO_RCVBUFFORCE: Final = 33
# Full for a moment: the queue or the next retransmission helps. Anything else concerns the destination.
_FULL: Final = (errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS, errno.ENOMEM)


_Waiting = tuple[Hop, bytes, str]
"""What `send` was given."""
FLOWS_KEPT: Final = 4_096
"""Sources whose flows are remembered: those who send within seconds of each other; then all are forgotten."""


class UdpSocket:
    """A bound socket. `local` is its address as it was bound (the wildcard stays the wildcard).

    With a guard, what arrives is taken out of the kernel's buffer at once, and waits in an Inbox.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        callbacks: Callbacks,
        limits: TransportLimits,
        counters: Counters,
        guard: Guard | None,
        clock: Clock,
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._callbacks = callbacks
        self._limits = limits
        self._counters = counters
        self._datagrams = datagrams_of(sock)
        self._queue: deque[_Waiting] = deque()
        self._flows: dict[Source, Flow] = {}
        self._flushed = asyncio.Event()
        self._flushed.set()
        self._inbox = None if guard is None else Inbox(guard)
        # The machine's own clock is asked three times a datagram.
        self._now: Callable[[], float] = monotonic if isinstance(clock, MonotonicClock) else clock.now
        self._working = False  # a turn is due for what is left in the inbox
        self.family: int = sock.family
        name = sock.getsockname()
        self.local: tuple[str, int] = (name[0], name[1])
        loop.add_reader(sock.fileno(), self._readable if guard is None else self._drain)

    @classmethod
    def bind(
        cls,
        loop: asyncio.AbstractEventLoop,
        host: str,
        port: int,
        callbacks: Callbacks,
        limits: TransportLimits,
        counters: Counters,
        guard: Guard | None,
        clock: Clock,
    ) -> UdpSocket:
        """Bind to an IP literal and port (0: any). Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            sock.setblocking(False)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            _enlarge(sock, limits.socket_buffer)
            sock.bind((host, port))
            return cls(loop, sock, callbacks, limits, counters, guard, clock)
        except BaseException:
            sock.close()
            raise

    def send(self, hop: Hop, data: bytes, transaction: str) -> None:
        """Send now, or as soon as the socket takes it; behind what waits already."""
        if self._queue:
            self._wait((hop, data, transaction))
        elif not self._try(hop, data, transaction):
            self._wait((hop, data, transaction))
            self._loop.add_writer(self._sock.fileno(), self._writable)

    def waited(self) -> float:
        """Seconds that the oldest new call or registration waits to be read."""
        return 0.0 if self._inbox is None else self._inbox.waited(self._now())

    async def flush(self) -> None:
        """Until nothing waits."""
        await self._flushed.wait()

    def close(self) -> None:
        """Close at once; what still waits is lost."""
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._queue.clear()
        self._flushed.set()
        self._datagrams.close()
        self._sock.close()

    def _wait(self, waiting: _Waiting) -> None:
        if len(self._queue) >= self._limits.datagram_queue:
            self._counters.datagrams_dropped += 1
            return
        self._queue.append(waiting)
        self._flushed.clear()

    def _try(self, hop: Hop, data: bytes, transaction: str) -> bool:
        """False when the socket is full; failures for good are reported and count as done."""
        error = self._datagrams.send(data, hop.host, hop.port)
        if not error:
            self._counters.messages_out += 1
        elif error in _FULL:
            return False
        else:
            self._counters.unreachable += 1
            self._loop.call_soon(self._callbacks.on_unreachable, hop, transaction)
        return True

    def _writable(self) -> None:
        queue = self._queue
        for _ in range(self._limits.datagrams_per_turn):
            if not queue:
                break
            if not self._try(*queue[0]):
                return
            queue.popleft()
        if not queue:
            self._loop.remove_writer(self._sock.fileno())
            self._flushed.set()

    def _readable(self) -> None:
        left = self._limits.datagrams_per_turn
        while left > 0:
            asked = min(left, AT_ONCE)
            left -= asked
            try:
                received = self._datagrams.receive(asked)
            except OSError:
                continue  # an error of an earlier send; the bound ends the loop
            for data, source in received:
                self._datagram(data, source)
                if self._sock.fileno() < 0:
                    return  # closed by the one who got the message
            if len(received) < asked:
                return

    def _drain(self) -> None:
        inbox, receive = self._inbox, self._datagrams.receive
        assert inbox is not None
        now = self._now()
        for _ in range(0, self._limits.datagrams_drained, AT_ONCE):
            try:
                received = receive(AT_ONCE)
            except OSError:
                continue  # an error of an earlier send; the bound ends the loop
            for data, source in received:
                if len(data) <= 4:
                    self._counters.keep_alives += 1
                elif source[1]:
                    inbox.put((data, source, now))
            if len(received) < AT_ONCE:
                break
        if not self._working:
            self._work()

    def _work(self) -> None:
        """Read what waits, the urgent first, for one turn."""
        inbox, now = self._inbox, self._now
        assert inbox is not None
        self._working = False
        if self._sock.fileno() < 0:
            return
        until = now() + self._limits.turn
        for _ in range(self._limits.datagrams_per_turn):
            received = inbox.take()
            if received is None:
                return
            self._datagram(received[0], received[1])
            if self._sock.fileno() < 0:
                return
            if now() > until:
                break
        if len(inbox):
            self._working = True
            self._loop.call_soon(self._work)

    def _datagram(self, data: bytes, address: Source) -> None:
        # CRLF, spaces, NULs and "jaK" keep NAT bindings open and want no answer.
        if len(data) <= 4:
            self._counters.keep_alives += 1
            return
        if not address[1]:
            return  # nobody can be answered at port 0
        if data[0] < 0x40:  # below the letters
            if not data.strip(b"\r\n\0 \t"):
                self._counters.keep_alives += 1
                return
            if stun.is_stun(data):
                self._answer_stun(data, address)
                return
        self._counters.at_hand = len(data)
        flow = self._flow(address)
        try:
            try:
                message = parse(data)
            except SipSyntaxError as problem:  # another name than below: compiled, a name has one type
                self._counters.garbage += 1
                self._callbacks.on_garbage(problem, flow)
                return
            self._counters.messages_in += 1
            self._callbacks.on_message(message, flow)
        except Exception as error:  # noqa: BLE001  the guard around a datagram
            self._loop.call_exception_handler({"message": "a SIP datagram failed", "exception": error})
        finally:
            self._counters.at_hand = 0

    def _flow(self, source: Source) -> Flow:
        """The way to a source, one object for all its messages and bindings."""
        flow = self._flows.get(source)
        if flow is None:
            if len(self._flows) >= FLOWS_KEPT:
                self._flows.clear()
            flow = self._flows[source] = Flow("UDP", self.local, (source[0], source[1]))
        return flow

    def _answer_stun(self, data: bytes, address: Source) -> None:
        """A keep-alive that asks for its own address (RFC 5626 section 8); it is repeated when this is lost."""
        self._counters.keep_alives += 1
        answer = stun.answer(data, (address[0], address[1]))
        if answer is not None:
            self._datagrams.send(answer, address[0], address[1])


def _enlarge(sock: socket.socket, size: int) -> None:
    """Bigger kernel buffers. Without CAP_NET_ADMIN the system gives no more than net.core.rmem_max."""
    for option, forced in ((socket.SO_RCVBUF, _SO_RCVBUFFORCE), (socket.SO_SNDBUF, _SO_SNDBUFFORCE)):
        sock.setsockopt(socket.SOL_SOCKET, option, size)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, forced, size)
