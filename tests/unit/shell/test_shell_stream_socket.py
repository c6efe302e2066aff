"""What the far end of a media stream may say, and how much of it is read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from ringback.shell.stream_socket import UNSENT, StreamSocket
from ringback.shell.stream_turns import Attention, Reader

PING, EMPTY, HELLO = b"\x89\x00", b"\x81\x00", b"\x81\x05hello"


class Transport(asyncio.Transport):
    """The network: what was sent, and how much of it the far end has not taken."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.untaken = 0
        self.is_aborted = False

    def write(self, data: Any) -> None:
        self.sent += data

    def get_write_buffer_size(self) -> int:
        return self.untaken

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nobody is held up."""

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True

    def pause_reading(self) -> None:
        """It has said all it will."""

    def resume_reading(self) -> None:
        """It has said all it will."""


class Turns(Attention):
    """Has no time before it is told."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop(), 1.0)
        self.readers: list[tuple[Reader, bytes]] = []

    def give(self, reader: Reader, data: bytes) -> bool:
        self.readers.append((reader, data))
        return False

    def go_on(self) -> None:
        while self.readers:
            reader, data = self.readers.pop()
            reader.read(data)


def opened() -> tuple[StreamSocket, Transport]:
    protocol = ClientProtocol(parse_uri("ws://far.test/"), state=OPEN)
    stream = StreamSocket(Attention(asyncio.get_running_loop(), 1.0), protocol)
    transport = Transport()
    stream.connection_made(transport)
    stream.response = object()  # type: ignore[assignment]  # that of the handshake
    return stream, transport


async def test_what_the_far_end_says_is_passed_over_and_its_pings_are_answered() -> None:
    stream, transport = opened()
    stream.data_received(HELLO + PING + EMPTY * 2_000 + PING)
    assert transport.sent.count(b"\x8a\x80") == 2
    assert not stream.recv_messages.frames.queue, "nothing is kept"


async def test_who_takes_no_pongs_is_cut() -> None:
    stream, transport = opened()
    stream.data_received(PING)
    assert not transport.is_aborted
    transport.untaken = UNSENT + 1
    stream.data_received(PING)
    assert transport.is_aborted


@pytest.mark.parametrize("ends", ["eof_received", "connection_lost"])
async def test_what_is_unread_at_the_end_is_lost_without_a_word(ends: str) -> None:
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, fault: faults.append(fault))
    stream, transport = opened()
    attention = Turns()
    stream._bites._attention = attention
    stream.data_received(PING * 2_000)
    assert not transport.sent
    if ends == "eof_received":
        stream.eof_received()
    else:
        stream.connection_lost(None)
    before = len(transport.sent)
    attention.go_on()
    assert len(transport.sent) == before
    await asyncio.sleep(0)
    assert not faults
