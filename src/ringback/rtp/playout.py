"""A playout buffer: packets of one source in, one frame of 20 ms out at each tick, for mixing.

samples by timestamp:  ...played | held (40 ms at the start) | free ...
                                 ^ read                      ^ end

The source's clock is not ours, and paths change, so what is held grows or shrinks. Where even the least that was held in
a second is more than is needed, two frames are blended into one; where it gets short, one is stretched to two: neither
clicks. When nothing is held, a packet that comes at the wrong time costs nothing: the delay begins anew with it.
What is missing sounds like what was before it, turned and fading (ITU-T G.711 appendix I would look for the pitch).
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
"""Late packets in a row after which the buffer starts anew: the source's timestamps have begun anew."""

WINDOW: Final = 50
"""Reads, one second, over which the least that was held is looked for."""

MOST: Final = DELAY + 2 * FRAME
"""Samples held at least through a window, of which one frame is too much: no packet was so late as to need it."""

SHORT: Final = FRAME + FRAME // 2
"""Samples held at least through a window, to which one frame is added, before there is nothing to play."""

FADE: Final = 3 * FRAME
"""Samples over which the sound that stands for what is missing fades away: 60 ms, as in ITU-T G.711 appendix I."""

JOIN: Final = 32
"""Samples over which that goes over into what was not missing."""

_MISSING: Final = -32768  # no sample of G.711
_NOTHING: Final = array("h", [_MISSING]) * FRAME
_SILENCE: Final = array("h", bytes(2 * FRAME))
_LIFT: Final = 32768


class PlayoutBuffer:
    """Samples of one source, ordered by their timestamps."""

    __slots__ = (
        "_end",
        "_last",
        "_late",
        "_least",
        "_missing",
        "_position",
        "_read",
        "_reads",
        "_samples",
        "_ssrc",
    )

    def __init__(self) -> None:
        self._samples = array("h", [_MISSING]) * CAPACITY
        self._read = 0
        self._position = 0  # of `_read`, a multiple of FRAME
        self._end = 0  # after the newest sample
        self._ssrc: int | None = None
        self._late = 0
        self._reads = 0
        self._least = CAPACITY
        self._last = _SILENCE
        self._missing = FADE  # samples in a row

    def write(self, ssrc: int, timestamp: int, samples: array[int]) -> None:
        """Put a packet's samples (at most CAPACITY) where their timestamp says; late ones are dropped."""
        size = len(samples)
        offset = timestamp_step(self._read, timestamp)
        is_new = timestamp_step(self._end, timestamp) >= 0
        is_out = self._missing > 0 and self._held <= 0  # nothing is held, and that is heard
        is_out_of_place = is_out and is_new and not FRAME <= offset <= DELAY
        is_other = ssrc != self._ssrc or offset + size > CAPACITY or self._late >= LATE_IN_A_ROW
        if is_other or is_out_of_place:
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
        end = (timestamp + size) & 0xFFFFFFFF
        if timestamp_step(self._end, end) > 0:
            self._end = end

    def read(self) -> array[int]:
        """The next 20 ms."""
        if self._ssrc is None:
            return _SILENCE
        held, least = self._held, self._look()
        if least >= MOST:
            first = self._last = self._next()
            self._last = _blended(first, self._next())
        elif least < SHORT and held >= FRAME and _MISSING not in (following := self._following()):
            self._last = _blended(following, self._last)
        else:
            self._last = self._next()
        return self._last

    @property
    def _held(self) -> int:
        return timestamp_step(self._read, self._end)

    def _look(self) -> int:
        """The least that was held in a window that ends now; what needs no change before."""
        if self._held <= 0:
            self._reads, self._least = 0, CAPACITY
            return DELAY
        self._reads += 1
        self._least = min(self._least, self._held)
        if self._reads < WINDOW:
            return DELAY
        least, self._reads, self._least = self._least, 0, CAPACITY
        return least

    def _following(self) -> array[int]:
        return self._samples[self._position : self._position + FRAME]

    def _next(self) -> array[int]:
        frame = self._following()
        self._samples[self._position : self._position + FRAME] = _NOTHING
        self._position = (self._position + FRAME) % CAPACITY
        self._read = (self._read + FRAME) & 0xFFFFFFFF
        if self._missing >= FADE and frame == _NOTHING:
            return _SILENCE
        if self._missing or _MISSING in frame:
            return self._concealed(frame)
        return frame

    def _concealed(self, frame: array[int]) -> array[int]:
        """Put what was before a hole, turned and fading, in its place, and lead over to what is behind it."""
        around = self._last + frame
        missing, turn, before, joining = self._missing, FRAME, self._missing, 0
        for n in range(FRAME, 2 * FRAME):
            if around[n] == _MISSING:
                if joining or not missing:
                    turn, before, joining = n, missing, 0
                around[n] = (
                    _part(around[2 * turn - 1 - n], FADE - missing, 0, FADE - before) if missing < FADE else 0
                )
                missing = min(FADE, missing + 1)
                continue
            if missing:
                turn, joining, missing = n, 0 if missing >= FADE else JOIN, 0
            if joining:
                around[n] = _part(around[2 * turn - 1 - n], joining, around[n], JOIN)
                joining -= 1
        self._missing = missing
        return around[FRAME:]

    def _start(self, ssrc: int, timestamp: int) -> None:
        self._samples = array("h", [_MISSING]) * CAPACITY
        self._ssrc = ssrc
        self._read = (timestamp - DELAY) & 0xFFFFFFFF
        self._end = timestamp
        self._position = 0
        self._late = self._reads = 0
        self._least = CAPACITY


def _part(one: int, share: int, other: int, whole: int) -> int:
    """So many shares of one sample, and the rest of another; lifted above 0, below which C and Python divide differently."""
    return (one * share + other * (whole - share) + _LIFT * whole) // whole - _LIFT


def _blended(one: array[int], other: array[int]) -> array[int]:
    """A frame that begins as one and ends as the other."""
    return array("h", [_part(one[n], FRAME - n, other[n], FRAME) for n in range(FRAME)])
