"""Telephone events: DTMF digits beside the audio, RFC 4733.

 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|     event     |E|R| volume    |          duration             |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

import struct
from enum import Enum
from typing import Final, NamedTuple

from ringback.rtp.errors import UsageError
from ringback.rtp.limits import MAX_DIGITS
from ringback.rtp.packet import timestamp_step

DIGITS: Final = "0123456789*#ABCD"
"""In the order of their event codes, RFC 4733 section 3.2 table 3."""

PAUSES: Final = {"w": 25, "W": 50}
"""Twilio's pauses of half a second and of a second, in ticks."""

TICK_UNITS: Final = 160
"""Timestamp units of one tick of 20 ms."""

TONE_TICKS: Final = 5
"""A digit sounds for 0.1 s; RFC 4733 table 3 and ITU-T Q.24 want 40 ms at least."""

DIGIT_TICKS: Final = 10
"""A digit and the pause after it, which ITU-T Q.24 wants to be 40 ms at least."""

END_PACKETS: Final = 3
"""The last packet of an event is sent three times, RFC 4733 section 2.5.1.4."""

_SEGMENT: Final = 0xFFFF  # the longest duration of one segment, RFC 4733 section 2.5.1.3
_LOST_END: Final = 0.2  # seconds without an update until an event counts as ended
_FORGET: Final = 1.0  # seconds after which an old timestamp is no retransmission any more
_VOLUME: Final = 10  # -10 dBm0


class Event(NamedTuple):
    """The payload of one telephone-event packet."""

    code: int
    ended: bool
    volume: int
    duration: int
    """Timestamp units."""

    @classmethod
    def parse(cls, payload: bytes) -> Event | None:
        """The first event of a payload; None when it is cut."""
        if len(payload) < 4:
            return None
        code, flags, duration = struct.unpack_from("!BBH", payload)
        return cls(code, bool(flags & 0x80), flags & 0x3F, duration)

    def render(self) -> bytes:
        """The four bytes of the payload."""
        return struct.pack("!BBH", self.code, self.ended << 7 | self.volume, self.duration)


class Digit(NamedTuple):
    """A digit that was pressed and let go."""

    digit: str
    duration_ms: int


class DtmfReceiver:
    """Turns the packets of one source into digits: each once, whatever is lost or repeated."""

    __slots__ = ("_at", "_carried", "_duration", "_event", "_sounding", "_timestamp")

    def __init__(self) -> None:
        self._event = -1
        self._sounding = False
        self._timestamp = 0
        self._carried = 0
        self._duration = 0
        self._at = 0.0

    def receive(self, timestamp: int, payload: bytes, now: float) -> list[Digit]:
        """One packet of the telephone-event payload type; `now` in seconds. Gives the digits that ended by it."""
        event = Event.parse(payload)
        if event is None or event.code >= len(DIGITS):
            return []
        digits: list[Digit] = []
        step = timestamp_step(self._timestamp, timestamp) if self._event >= 0 else 1
        if now - self._at > _FORGET and not self._sounding:
            step = 1
        if step < 0:
            return []  # a late packet
        if step == 0 and not self._sounding:  # a repeated end (RFC 4733 section 2.5.1.4), or more after a gap
            self._at = now
            return []
        if step > 0:
            if self._sounding and step == _SEGMENT and event.code == self._event:
                self._carried += _SEGMENT  # the next segment of a long event, RFC 4733 section 2.5.1.3
            else:
                digits += self._finish()
                self._carried = 0
            self._event, self._sounding, self._duration = event.code, True, 0
            self._timestamp = timestamp
        self._duration = max(self._duration, event.duration)
        self._at = now
        if event.ended:
            digits += self._finish()
        return digits

    def expire(self, now: float) -> list[Digit]:
        """The digit whose end was lost, once no packet came for 0.2 s."""
        return self._finish() if self._sounding and now - self._at > _LOST_END else []

    def _finish(self) -> list[Digit]:
        if not self._sounding:
            return []
        self._sounding = False
        return [Digit(DIGITS[self._event], (self._carried + self._duration) // 8)]


class Phase(Enum):
    """What a tick of the sender is for."""

    TONE = "the digit sounds"
    END = "its last packet is repeated"
    GAP = "nothing is sent between two digits"
    WAIT = "a pause that was asked for: other audio may pass"


class Tick(NamedTuple):
    """20 ms of sending digits; `event` for TONE and END; `number` counts the ticks of this digit."""

    phase: Phase
    digit: str
    number: int
    event: Event | None


class DtmfSender:
    """Spells digits in ticks of 20 ms. The packets of one digit share the timestamp of its first."""

    __slots__ = ("_digits", "_index", "_position")

    def __init__(self, digits: str) -> None:
        self._digits = checked(digits)
        self._position = 0
        self._index = 0

    def add(self, digit: str) -> None:
        """Spell one more, if there is room."""
        if len(self._digits) - self._position < MAX_DIGITS:
            self._digits = self._digits[self._position :] + checked(digit)
            self._position = 0

    def tick(self) -> Tick | None:
        """The next 20 ms; None when all is sent."""
        if self._position >= len(self._digits):
            return None
        digit, index = self._digits[self._position], self._index
        self._index += 1
        if self._index >= PAUSES.get(digit, DIGIT_TICKS):
            self._position, self._index = self._position + 1, 0
        if digit in PAUSES:
            return Tick(Phase.WAIT, digit, index, None)
        if index >= TONE_TICKS + END_PACKETS - 1:
            return Tick(Phase.GAP, digit, index, None)
        ended = index >= TONE_TICKS - 1
        duration = min(index + 1, TONE_TICKS) * TICK_UNITS
        event = Event(DIGITS.index(digit), ended, _VOLUME, duration)
        return Tick(Phase.TONE if index < TONE_TICKS else Phase.END, digit, index, event)


def checked(digits: str) -> str:
    """`digits` with a to d in upper case; raises UsageError for what cannot be sent."""
    if len(digits) > MAX_DIGITS:
        raise UsageError(f"{len(digits)} digits, at most {MAX_DIGITS}")
    upper = "".join(digit.upper() if digit in "abcd" else digit for digit in digits)
    for digit in upper:
        if digit not in DIGITS and digit not in PAUSES:
            raise UsageError(f"{digit!r} is no digit")
    return upper
