"""A playout buffer: packets of one source in, one frame of 20 ms out at each tick, for mixing.

samples by timestamp:  ...played | held (40 ms at the start) | free ...
                                 ^ read
"""

from __future__ import annotations

from array import array
from typing import Final

from ringback.rtp.packet import timestamp_step

FRAME: Final = 160
"""Samples of a frame: 20 ms at 8 kHz."""

CAPACITY: Final = 3200
"""Samples held at most: 400 ms; more would be a delay that nobody can talk over."""

DELAY: Final = 2 * FRAME
"""Samples waited for before the first is played: rides out a jitter of 40 ms."""

LATE_IN_A_ROW: Final = 5
"""Late packets in a row after which the buffer starts anew: the source's clock or path has changed."""

_SILENCE: Final = array("h", bytes(2 * FRAME))


class PlayoutBuffer:
    """Samples of one source, ordered by their timestamps."""

    __slots__ = ("_late", "_position", "_read", "_samples", "_ssrc")

    def __init__(self) -> None:
        self._samples = array("h", bytes(2 * CAPACITY))
        self._read = 0
        self._position = 0  # of `_read`, a multiple of FRAME
        self._ssrc: int | None = None
        self._late = 0

    def write(self, ssrc: int, timestamp: int, samples: array[int]) -> None:
        """Put a packet's samples (at most CAPACITY) where their timestamp says; late ones are dropped."""
        size = len(samples)
        offset = timestamp_step(self._read, timestamp)
        if ssrc != self._ssrc or offset + size > CAPACITY or self._late >= LATE_IN_A_ROW:
            self._start(ssrc, timestamp)
            offset = DELAY
        if offset < 0:
            self._late += 1
            return
        self._late = 0
        size = min(size, CAPACITY - offset)
        position = (self._position + offset) % CAPACITY
        head = min(size, CAPACITY - position)
        self._samples[position : position + head] = samples[:head]
        self._samples[: size - head] = samples[head:size]

    def read(self) -> array[int]:
        """The next 20 ms; silence where nothing came."""
        if self._ssrc is None:
            return _SILENCE
        position = self._position
        frame = self._samples[position : position + FRAME]
        self._samples[position : position + FRAME] = _SILENCE
        self._position = (position + FRAME) % CAPACITY
        self._read = (self._read + FRAME) & 0xFFFFFFFF
        return frame

    def _start(self, ssrc: int, timestamp: int) -> None:
        self._samples = array("h", bytes(2 * CAPACITY))
        self._ssrc = ssrc
        self._read = (timestamp - DELAY) & 0xFFFFFFFF
        self._position = 0
        self._late = 0
