"""One TCP or TLS connection that carries SIP: messages in and out, and its limits on time and space."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple, Protocol, cast

from ringback.sip.errors import SipSyntaxError
from ringback.sip.flow import Flow
from ringback.sip.message import Request, Response
from ringback.sip.stream import PONG, KeepAlive, Malformed, StreamParser

from .guard import Guard, Source
from .stream_room import StreamRoom
from .stream_turns import Attention
from .timers import Clock
from .transport_limits import Callbacks, Counters, TransportLimits


class Owner(Protocol):
    """Who has the connections."""

    loop: asyncio.AbstractEventLoop
    callbacks: Callbacks
    limits: TransportLimits
    counters: Counters
    clock: Clock
    guard: Guard | None
    buffer: memoryview
    room: StreamRoom
    attention: Attention

    def made(self, stream: Stream) -> None:
        """The stream is open."""
        ...

    def lost(self, stream: Stream) -> None:
        """The stream is gone."""
        ...


class Destination(NamedTuple):
    """Whom a stream leads to; `server_name` is what its certificate was verified for ("": nothing)."""

    transport: str
    host: str
    port: int
    server_name: str


class Stream(asyncio.BufferedProtocol):
    """One TCP or TLS connection.

    One that sends more than a turn's worth, or more than the guard lets its source send, is not read for a while;
    then its peer's window fills, and nobody else waits for it. A stranger's waits for its turn among strangers.
    """

    def __init__(self, streams: Owner, number: int, destination: Destination) -> None:
        self._streams = streams
        self._parser = StreamParser()
        self._transport: asyncio.Transport | None = None
        self.number = number
        self.destination = destination
        self.flow = Flow(destination.transport, ("", 0), (destination.host, destination.port), number)
        self.opened_at = self.active_at = streams.clock.now()
        self.spoke = False  # it said something sensible
        self.welcome: asyncio.Task[None] | None = None  # of an accepted stream, until its handshake is over
        self.counted = False  # in the room for accepted streams, from before its handshake
        self.held = 0  # bytes, as the room counts them
        self.closing_seen = False  # by the last sweep
        self._is_paused = False
        self._is_unwanted = False
        self._begun_at: float | None = None  # when the message began that is not whole yet
        self._unfinished = 0  # bytes since then

    @property
    def source(self) -> Source:
        """Address and port of the peer."""
        return self.destination.host, self.destination.port

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        local, remote = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        if local and remote:
            self.flow = Flow(self.flow.transport, local[:2], remote[:2], self.number)
        self._streams.made(self)
        # Without TLS the welcome is not cancelled: uvloop might have opened the transport by then, and would close it
        # without telling.
        if self._is_unwanted:
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._streams.lost(self)

    def eof_received(self) -> bool:
        return False  # half-open streams carry no calls

    @property
    def _is_strange(self) -> bool:
        return self.counted and not self._streams.room.is_proven(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        buffer = self._streams.buffer
        return buffer[: self._streams.limits.stranger_read] if self._is_strange else buffer

    def buffer_updated(self, size: int) -> None:
        streams = self._streams
        data = bytes(streams.buffer[:size])
        if not self._is_strange:
            self.read(data)
        elif not streams.attention.give(self, data):
            self._pause()

    def read(self, data: bytes) -> None:
        """Read what came, and go on when it is this stream's turn again."""
        streams = self._streams
        guard = streams.guard
        before = streams.counters.messages_in + streams.counters.garbage
        self._received(data)
        pause = 0.0
        if guard is not None:
            messages = streams.counters.messages_in + streams.counters.garbage - before
            pause = guard.charge(self.source, messages, streams.clock.now())
            if self.counted:
                if messages:
                    streams.room.hear(self)
                self.weigh()
        if pause or len(data) >= streams.limits.stranger_read:
            self._pause()
            streams.loop.call_later(pause, self._resume)
        else:
            self._resume()

    def _pause(self) -> None:
        if self._transport is not None and self.is_open and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._transport is not None and self.is_open and self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    def _received(self, data: bytes) -> None:
        if not self.is_open:
            return
        self.active_at = now = self._streams.clock.now()
        try:
            items = self._parser.feed(data)
        except SipSyntaxError as error:
            self._give_up(error)
            return
        for item in items:
            self._take(item)
        if self._parser.failure is not None:
            self._give_up(self._parser.failure)
        elif self._parser.is_idle:
            self._begun_at, self._unfinished = None, 0
        elif items or self._begun_at is None:
            self._begun_at, self._unfinished = now, len(data)
        else:
            self._unfinished += len(data)

    def send(self, data: bytes) -> bool:
        """False when the stream is closed, or its reader so slow that it was closed now."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        transport.write(data)
        if transport.get_write_buffer_size() > self._streams.limits.write_buffer:
            self._streams.counters.slow_readers += 1
            transport.abort()
            return False
        return self.weigh()

    def weigh(self) -> bool:
        """Have the room count what this stream makes us hold; False when it was too much, and the stream was cut."""
        transport = self._transport
        if transport is None or not self.counted:
            return True
        if self._streams.room.weigh(self, self._unfinished + transport.get_write_buffer_size()):
            return True
        self._streams.counters.streams_cut += 1
        transport.abort()
        return False

    def expired(self, now: float) -> bool:
        """Whether one of the limits on time has passed."""
        limits = self._streams.limits
        if self._begun_at is not None and now - self._begun_at > limits.message_after:
            return True
        if not self.spoke and self.number % 2 and now - self.opened_at > limits.first_message_after:
            return True
        is_trusted = not self.counted or self._streams.room.is_proven(self)
        return now - self.active_at > (limits.idle_after if is_trusted else limits.stranger_idle_after)

    def close(self) -> None:
        """Close when what was written is out."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, also in the handshake."""
        self._is_unwanted = True
        if self._transport is not None:
            self._transport.abort()
        elif self.welcome is not None and self.destination.transport == "TLS":
            self.welcome.cancel()

    def _take(self, item: Request | Response | KeepAlive | Malformed) -> None:
        counters, callbacks = self._streams.counters, self._streams.callbacks
        if isinstance(item, KeepAlive):
            counters.keep_alives += 1
            if item is KeepAlive.PING:
                self.send(PONG)
            return
        self.spoke = True
        if isinstance(item, Malformed):
            self._garbage(item.error)
            return
        counters.messages_in += 1
        self._guarded(lambda: callbacks.on_message(item, self.flow))

    def _garbage(self, error: SipSyntaxError) -> None:
        self._streams.counters.garbage += 1
        self._guarded(lambda: self._streams.callbacks.on_garbage(error, self.flow))

    def _guarded(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception as error:  # noqa: BLE001  the guard around a message
            self._streams.loop.call_exception_handler(
                {"message": "a SIP message of a stream failed", "exception": error}
            )

    def _give_up(self, error: SipSyntaxError) -> None:
        """Nobody can tell where the next message begins."""
        self._garbage(error)
        self.close()
