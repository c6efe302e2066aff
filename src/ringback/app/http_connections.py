"""HTTP connections: who has a place, and for how long without asking anything or taking what was answered.

    accepted --> waits --a request is whole--> served --the answer is out--> waits (keep-alive, or the next lay behind it)
                   ^                              \\--the peer does not take it--> waits
                   \\--no place for another: of its address, or of all, the one goes that never asked and waited longest, or
                      the one whose last answer is longest ago; of these two kinds, the more numerous

Places are given by the rules for SIP's streams (ringback.shell.stream_room): each address has so many, those who wait have
half of all, and who is served is not cut, as long as its address has no more of them than places are left for all others. So
idle and slow connections keep out nobody, from however many addresses they come; nor do those of a few addresses that always ask.
uvicorn has no such bounds, and waits for ever for the rest of a request.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Iterable
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol

from ringback.shell.guard import Guard, GuardLimits, Source
from ringback.shell.stream_accept import Acceptor
from ringback.shell.stream_room import Guest, StreamRoom
from ringback.shell.stream_turns import Attention, Bites
from ringback.shell.tasks import Tasks
from ringback.shell.timers import MonotonicClock
from ringback.shell.transport_limits import TransportLimits

REQUEST_WITHIN: Final = 15.0
"""Seconds in which a request must have come in whole: what Twilio gives a whole webhook."""

TAKEN_WITHIN: Final = 15.0
"""Seconds in which a peer must take ``TAKEN`` bytes of an answer."""

TAKEN: Final = 48 * 1024
"""Bytes: what goes out between two times that asyncio asks uvicorn for more."""

SECOND_LOOK: Final = 0.05
"""Seconds until an idle time that ended while something lay there unread ends again."""

SWEEP_EVERY: Final = 2.5
"""Seconds between looks for connections that are too slow."""

BEHIND_AT_ONCE: Final = 16
"""Requests that lay behind others and are worked for at once: those of thousands of connections would be a turn of seconds."""

TURN: Final = 0.005
"""Seconds in each turn of the loop for what comes on all connections."""

BITE: Final = 2 * 1024
"""Bytes that are read at once: 400 lines of a head, or as many chunks; some 5 ms."""

SHARE_OF_SOURCE: Final = 0.25
"""Of all places, for one address: that may be a proxy's, or one of an office."""

ACCEPTED: Final = GuardLimits(rate=500.0, burst=2_000.0, sources=8_192)
"""Connections of one address: each costs a third of a millisecond, and programs without keep-alive make one a request."""


class _Flow(FlowControl):
    """uvicorn's, for which what is unread waits like the peer."""

    def __init__(self, transport: asyncio.Transport, bites: Bites, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(transport)
        self._bites = bites
        self._loop = loop

    def pause_reading(self) -> None:
        if not self.read_paused:
            self.read_paused = self._bites.is_held = True
            self._loop.call_soon(self._bites.go_on)

    def resume_reading(self) -> None:
        if self.read_paused:
            self.read_paused = self._bites.is_held = False
            self._loop.call_soon(self._bites.go_on)


class Connection(H11Protocol):
    """uvicorn's, and a guest of the room: it has its place until it is gone and nobody works for it any more.

    Not uvicorn's other one, where httptools is installed: that takes up all requests that lie behind one another.
    """

    def __init__(
        self,
        room: StreamRoom,
        attention: Attention,
        behind: asyncio.Semaphore,
        number: int,
        source: Source,
        **given: Any,
    ) -> None:
        super().__init__(**given)
        self._app: ASGIApp = self.config.loaded_app
        self.app = self._serve
        self.number = number
        self.source = source
        self.held = 0
        self.counted = self.has_opened = False
        self._room = room
        self._bites = Bites(attention, BITE, self._read)
        self._behind = behind
        self._pauses = 0
        self._is_unwanted = self._is_gone = self._is_served = False
        self._lay_behind = False
        self._queued: asyncio.Task[Any] | None = None
        self._working = 0

    # -- as uvicorn calls it

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._bites.transport = transport
        self.flow = _Flow(transport, self._bites, self.loop)
        self.has_opened = True
        if self._is_unwanted:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn leaves it to those that were reset
        self.gone()

    def data_received(self, data: bytes) -> None:
        self._bites.add(data)

    def _read(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        before = self.cycle
        super().data_received(data)
        self._lay_behind &= self.cycle is before
        self._judge()

    def on_response_complete(self) -> None:
        before = self.cycle
        super().on_response_complete()
        self._lay_behind = self.cycle is not before
        if self.cycle.more_body or (not self._lay_behind and self.conn.trailing_data[0]):
            self._unset_keepalive_if_required()  # the rest of this request is owed, or of the next: no idle time
        self._judge()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._pauses += 1
        self._judge()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._judge()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing came for long. A late loop runs timers before it reads, and a request may lie there: it would be lost."""
        unread = select.poll()
        unread.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        if self._bites.is_behind or unread.poll(0):
            self.timeout_keep_alive_task = self.loop.call_later(SECOND_LOOK, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._working += 1
        try:
            if not self._lay_behind:
                await self._app(scope, receive, send)
            elif await self._has_turn():
                try:
                    await self._app(scope, receive, send)
                finally:
                    self._behind.release()
        finally:
            self._working -= 1
            self._leave()

    async def _has_turn(self) -> bool:
        """Wait for a turn among the requests that lay behind others; False for a peer that is gone before it comes."""
        self._queued = asyncio.current_task()
        try:
            return not self._is_gone and await self._behind.acquire()
        except asyncio.CancelledError:
            if not self._is_gone:
                raise
            return False
        finally:
            self._queued = None

    @property
    def taken(self) -> int:
        """A number that changes as the peer takes what is answered."""
        return self._pauses << 32 | int(self.transport.get_write_buffer_size()) // TAKEN

    # -- as a guest

    def abort(self) -> None:
        """Close at once, also before it is open."""
        self._is_unwanted = True
        if self.has_opened:
            self.transport.abort()

    def gone(self) -> None:
        """The peer is; its place is free when the last work for it is done."""
        self._is_gone = True
        if self._queued is not None:
            self._queued.cancel()
        self._leave()

    def _leave(self) -> None:
        if self._is_gone and self.counted and not self._working:
            self.counted = False
            self._room.leave(self)

    def _judge(self) -> None:
        """Whoever is served keeps the place; a request that lay behind another does not, or there need be no end of them."""
        cycle = self.cycle
        is_whole = cycle is not None and not cycle.response_complete and not cycle.more_body
        is_served = is_whole and not self.flow.write_paused and not self._lay_behind
        if self.counted and is_served is not self._is_served:
            self._is_served = is_served
            if is_served:
                self._room.keep(self)
            else:
                for guest in self._room.release(self):
                    _cut(guest)


class Slow:
    """Finds connections that have owed the rest of the same request, or not taken the same answer, for too long."""

    def __init__(self) -> None:
        self._owing: dict[Any, tuple[Any, float]] = {}

    def among(self, connections: Iterable[Any], now: float) -> list[Any]:
        """Those of the connections (uvicorn's protocols) that are to be closed."""
        owing = {}
        for protocol in connections:
            owed = self._owed(protocol)
            if owed:
                before, since = self._owing.get(protocol, (owed, now))
                owing[protocol] = (owed, since if before == owed else now)
        self._owing = owing
        return [protocol for protocol, ((_, _, within), since) in owing.items() if now - since >= within]

    @staticmethod
    def _owed(protocol: Any) -> tuple[Any, int, float] | None:
        """What is owed (of which request; how far it got), and for how many seconds it may be."""
        cycle = protocol.cycle
        if protocol.flow.write_paused or protocol.transport.is_closing():
            return cycle, protocol.taken, TAKEN_WITHIN
        if cycle is None:
            return None, 0, REQUEST_WITHIN
        if cycle.response_complete:
            # Idle ones have uvicorn's own timer; without it another request has begun.
            return (cycle, 0, REQUEST_WITHIN) if protocol.timeout_keep_alive_task is None else None
        return (cycle, 0, REQUEST_WITHIN) if cycle.more_body else None


class Door:
    """Accepts connections at a listening socket, ``most`` at once, and closes the slow ones."""

    def __init__(self, listener: socket.socket, server: uvicorn.Server, most: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = server
        limits = TransportLimits(
            streams=most, streams_per_source=max(1, int(most * SHARE_OF_SOURCE)), strangers=max(1, most // 2)
        )
        self._clock = MonotonicClock()
        self._room = StreamRoom(limits, Guard(ACCEPTED), self._clock)
        self._attention = Attention(self._loop, TURN)
        self._behind = asyncio.Semaphore(BEHIND_AT_ONCE)
        self._number = 0
        self._tasks = Tasks("http")
        self._tasks.start(self._sweep(), "slow connections")
        self._acceptor = Acceptor(self._loop, listener, limits.accepts_per_turn, self._accepted)

    def _accepted(self, sock: socket.socket, address: tuple[Any, ...]) -> None:
        self._number += 1
        connection = Connection(
            self._room,
            self._attention,
            self._behind,
            self._number,
            (address[0], address[1]),
            config=self._server.config,
            server_state=self._server.server_state,
            app_state={},
            _loop=self._loop,
        )
        cut = self._room.enter(connection)
        if cut is None:
            sock.close()
            return
        connection.counted = True
        for guest in cut:
            _cut(guest)
        self._tasks.start(self._welcome(sock, connection), "welcome")

    async def _welcome(self, sock: socket.socket, connection: Connection) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, sock)
        except OSError:  # the peer is gone
            sock.close()
        finally:
            if not connection.has_opened:
                connection.gone()

    async def _sweep(self) -> None:
        slow = Slow()
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            for protocol in slow.among(self._server.server_state.connections, self._clock.now()):
                protocol.transport.abort()

    def close(self) -> None:
        """Accept nothing more; connections stay."""
        self._acceptor.close()

    async def closed(self) -> None:
        """To be called when the connections are gone."""
        await self._tasks.close()


def _cut(guest: Guest) -> None:
    guest.counted = False
    guest.abort()
