"""The channel between server and worker: frames of JSON, each after its length (described in node/host.js)."""

import asyncio
import base64
import json
import struct
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec
import structlog

from ringback.functions import limits
from ringback.functions.answer import FunctionAnswer, LogLine

log = structlog.get_logger("ringback.functions")

_LENGTH = struct.Struct(">I")
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict[str, Any])


class Channel(asyncio.Protocol):
    """Frames of JSON over a socket: `on_message` gets each that comes, `on_closed` is called once, at the end."""

    def __init__(self, on_message: Callable[[dict[str, Any]], None], on_closed: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_closed = on_closed
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        start = 0
        while len(received) - start >= 4:
            (length,) = _LENGTH.unpack_from(received, start)
            if length > limits.FRAME:
                log.warning("a worker sent more than a frame may hold", bytes=length)
                self.close()
                return
            end = start + 4 + length
            if len(received) < end:
                break
            message = _read(received[start + 4 : end])
            start = end
            self._on_message(message)
        del received[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._on_closed()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a frame; once the channel is closed, nothing."""
        if self._transport is not None:
            body = _written(message)
            self._transport.write(_LENGTH.pack(len(body)) + body)

    def close(self) -> None:
        """Close at once, whatever is unsent."""
        if self._transport is not None:
            self._transport.abort()


def _written(message: Mapping[str, Any]) -> bytes:
    try:
        return _encoder.encode(message)
    except (UnicodeEncodeError, TypeError):  # half a character; a kind of str of ours
        return json.dumps(message, separators=(",", ":")).encode()


def _read(frame: bytes | bytearray) -> dict[str, Any]:
    try:
        return _decoder.decode(frame)
    except msgspec.DecodeError:  # half a character
        return cast(dict[str, Any], json.loads(frame))


def read_lines(message: Mapping[str, Any]) -> tuple[LogLine, ...]:
    """What a Function printed, of a message that tells it."""
    lines = message["lines"]
    return tuple([LogLine(level, _whole(text)) for level, text in lines]) if lines else ()


def _whole(text: str) -> str:
    """Text that can be written as UTF-8: JavaScript's strings may hold half a character."""
    return text.encode("utf-8", "replace").decode() if text else ""


def read_answer(message: Mapping[str, Any], elapsed: float) -> FunctionAnswer:
    """The answer in a "done" message, after `elapsed` seconds."""
    lines = read_lines(message)
    if "base64" in message:
        body = base64.b64decode(message["base64"])
    else:
        body = message["body"].encode("utf-8", "replace")
    return FunctionAnswer(
        message["status"],
        tuple([(name, value) for name, value in message["headers"]]),
        body,
        lines,
        max(0, message["said"] - len(lines)),
        message["us"],
        elapsed,
        _whole(message.get("error", "")),
    )
