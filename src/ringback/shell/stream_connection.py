"""One TCP or TLS connection that carries SIP: messages in and out, and its limits on time and space."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple, Protocol, cast

from ringback.sip.errors import SipSyntaxError
from ringback.sip.flow import Flow
from ringback.sip.message import Request, Response
from ringback.sip.stream import PONG, KeepAlive, Malformed, StreamParser

from .guard import Guard
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
    room: memoryview

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
    then its peer's window fills, and nobody else waits for it.
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
        self.counted = number % 2 == 1  # against the limits of its source, from before its handshake
        self.closing_seen = False  # by the last sweep
        self._begun_at: float | None = None  # when the message began that is not whole yet

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

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._streams.lost(self)

    def eof_received(self) -> bool:
        return False  # half-open streams carry no calls

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._streams.room

    def buffer_updated(self, size: int) -> None:
        streams = self._streams
        guard = streams.guard
        before = streams.counters.messages_in + streams.counters.garbage
        self._received(bytes(streams.room[:size]))
        pause = 0.0
        if guard is not None:
            messages = streams.counters.messages_in + streams.counters.garbage - before
            remote = self.flow.remote
            pause = guard.charge((remote[0], remote[1]), messages, streams.clock.now())
        if (pause or size == len(streams.room)) and self._transport is not None and self.is_open:
            self._transport.pause_reading()
            streams.loop.call_later(pause, self._resume)

    def _resume(self) -> None:
        if self._transport is not None and self.is_open:
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
            self._begun_at = None
        elif items or self._begun_at is None:
            self._begun_at = now

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
        return True

    def expired(self, now: float) -> bool:
        """Whether one of the limits on time has passed."""
        limits = self._streams.limits
        if self._begun_at is not None and now - self._begun_at > limits.message_after:
            return True
        if not self.spoke and self.number % 2 and now - self.opened_at > limits.first_message_after:
            return True
        return now - self.active_at > limits.idle_after

    def close(self) -> None:
        """Close when what was written is out."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

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
