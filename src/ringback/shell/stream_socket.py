"""The WebSockets of media streams: to whatever server a program names, which may say anything, and as much as it likes.

    far end --bytes--> unread --a bite, when it is this stream's turn--> websockets
                          \\--there are some--> not read from the network

Nobody uses what the far end says, but it has to be read for pings and its close. A second of the event loop goes by over
256 kB of empty frames, which is what one read gives, or over 100 kB that were deflated.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.client import ClientProtocol
from websockets.frames import DATA_OPCODES, Frame
from websockets.protocol import Event
from websockets.uri import parse_uri

from ringback.shell.http_names import HttpNames
from ringback.shell.stream_turns import Attention, Bites

CONNECT_WITHIN: Final = 5.0
"""Seconds to find the host, to connect, and for the WebSocket's handshake (error 31901 after it)."""

TURN: Final = 0.005
"""Seconds in each turn of the loop for what the far ends of all streams say."""

BITE: Final = 1_024
"""Bytes that are read at once: 512 frames at most, some 3 ms."""

LONGEST: Final = 64 * 1024
"""Bytes of a message of the far end."""

UNSENT: Final = 256 * 1024
"""Bytes that wait for the far end: its own sound is 32 kB at most, the rest are pongs that it asks for and does not take."""


class StreamSocket(ClientConnection):
    """One connection, whose far end is read in turn with those of the others."""

    def __init__(self, attention: Attention, protocol: ClientProtocol, **given: Any) -> None:
        super().__init__(protocol, **given)
        self._bites = Bites(attention, BITE, self._read)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The network is there."""
        super().connection_made(transport)
        self._bites.transport = self.transport

    def data_received(self, data: bytes) -> None:
        """What came: as much of it as there is time for."""
        self._bites.add(data)

    def eof_received(self) -> None:
        """The far end says no more: what is unread is lost with it."""
        self._bites.drop()
        super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone, perhaps without an end: what is unread is lost with it."""
        self._bites.drop()
        super().connection_lost(exc)

    def process_event(self, event: Event) -> None:
        """A frame, or the answer to the handshake: what frames hold is passed over."""
        if not (isinstance(event, Frame) and event.opcode in DATA_OPCODES):
            super().process_event(event)

    def _read(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.get_write_buffer_size() > UNSENT:
            self.transport.abort()


class StreamSockets:
    """Opens them. To be used in the running loop."""

    def __init__(self) -> None:
        self._names: HttpNames | None = None
        self._attention: Attention | None = None
        self._tls: ssl.SSLContext | None = None

    @asynccontextmanager
    async def open(self, url: str, signature: str) -> AsyncIterator[ClientConnection]:
        """A connection. Raises OSError, TimeoutError, ValueError or WebSocketException where there is none.

        Redirects to other servers are not followed: what was signed for one is not for another.
        """
        loop = asyncio.get_running_loop()
        attention = self._attention = self._attention or Attention(loop, TURN)
        there = parse_uri(url)
        options: dict[str, Any] = {}
        async with asyncio.timeout(CONNECT_WITHIN):
            if there.secure:
                self._tls = self._tls or await asyncio.to_thread(ssl.create_default_context)
                options["ssl"] = self._tls
            socket_ = await self._connected(there.host, there.port)
            connection = await connect(
                url,
                sock=socket_,
                compression=None,
                proxy=None,
                additional_headers={"X-Twilio-Signature": signature},
                user_agent_header="TwilioMediaStreams/1.0",
                open_timeout=None,
                ping_interval=20,
                max_size=LONGEST,
                create_connection=partial(StreamSocket, attention),  # type: ignore[arg-type]  # not a class
                **options,
            )
        async with connection:
            yield connection

    async def _connected(self, host: str, port: int) -> socket.socket:
        """A connection to the first address of a host that takes one. Raises OSError."""
        self._names = self._names or HttpNames()
        loop = asyncio.get_running_loop()
        problem: OSError | None = None
        for found in await self._names.resolve(host, port, socket.AF_UNSPEC):
            sock = socket.socket(found["family"], socket.SOCK_STREAM)
            try:
                sock.setblocking(False)
                await loop.sock_connect(sock, (found["host"], port))
                return sock
            except OSError as failure:
                sock.close()
                problem = failure
            except BaseException:
                sock.close()
                raise
        raise problem or OSError(f"no address of {host}")

    async def close(self) -> None:
        """Give up the questions that are open."""
        if self._names is not None:
            await self._names.close()
