"""The two ends of a pipe to a child process, and the loop that a child runs. No asyncio: a child stays small.

A frame, both ways:

     0                   1                   2                   3
    +---------------------------------------------------------------+
    |                 length of the header (JSON)                   |
    +---------------------------------------------------------------+
    |                 length of the payload (bytes)                 |
    +---------------------------------------------------------------+
    |  header ...                      |  payload ...

A child says hello with one frame, then answers each frame with one, in order. An answer with `error` is
`[code, reason]`; one with `retire` asks for a fresh process. End of input ends the child.
"""

import json
import os
import resource
import struct
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from ringback.media.clips import ClipError

LENGTHS = struct.Struct("!II")

MAX_HEADER = 64 * 1024
"""Bytes of a header: a text of 4096 characters escaped as JSON is under 50 kB."""

MAX_PAYLOAD = 48 * 1024 * 1024
"""Bytes of a payload: the largest file (40 MB) there, the longest clip (29 MB) back."""

RETIRE_ABOVE = 1024 * 1024
"""kB of resident memory at which a child asks for a successor: four times what speech uses."""

Header = dict[str, Any]
Answer = Callable[[Header, bytes], tuple[Header, bytes]]


def frame_head(header: Mapping[str, Any], payload_length: int) -> bytes:
    """The lengths and the header of a frame."""
    data = json.dumps(header).encode()
    return LENGTHS.pack(len(data), payload_length) + data


def serve(hello: Callable[[], Header], answer: Answer) -> None:
    """Runs a child: hello, then answers until the input ends.

    What a library prints goes to standard error, so that it cannot break the frames. `ClipError` goes to the
    asker; any other exception too, after its traceback: one bad request does not end the child.
    """
    source = os.fdopen(os.dup(0), "rb")
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(5)  # packets go first
    _write(sink, hello(), b"")
    while (frame := _read(source)) is not None:
        header, payload = frame
        try:
            reply, audio = answer(header, payload)
        except ClipError as error:
            reply, audio = {"error": [error.code, error.reason]}, b""
        except Exception as error:  # noqa: BLE001 - the guard around a request
            traceback.print_exc()
            reply, audio = (
                {"error": [12400, f"{type(error).__name__} in {sys.argv[0].rsplit('/', 1)[-1]}"]},
                b"",
            )
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > RETIRE_ABOVE:
            reply = {**reply, "retire": True}
        _write(sink, reply, audio)


def _read(source: BinaryIO) -> tuple[Header, bytes] | None:
    lengths = source.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    header_length, payload_length = LENGTHS.unpack(lengths)
    header, payload = source.read(header_length), source.read(payload_length)
    if len(header) < header_length or len(payload) < payload_length:
        return None
    return json.loads(header), payload


def _write(sink: BinaryIO, header: Header, payload: bytes) -> None:
    sink.write(frame_head(header, len(payload)))
    sink.write(payload)
    sink.flush()
