"""DTMF as sound, for peers without telephone events: ITU-T Q.23 frequency pairs."""

from __future__ import annotations

import math
from typing import Final

from ringback.rtp.dtmf import TICK_UNITS, TONE_TICKS

SAMPLES: Final = TICK_UNITS * TONE_TICKS

_LOW: Final = (697.0, 770.0, 852.0, 941.0)  # ITU-T Q.23
_HIGH: Final = (1209.0, 1336.0, 1477.0, 1633.0)  # ITU-T Q.23
_KEYS: Final = "123A456B789C*0#D"
_AMPLITUDE: Final = 7000.0  # each tone about -10 dBm0
_RATE: Final = 8000.0


def samples(digit: str) -> list[int]:
    """0.1 s of a digit as 16-bit samples at 8 kHz."""
    row, column = divmod(_KEYS.index(digit), 4)
    low, high = 2.0 * math.pi * _LOW[row] / _RATE, 2.0 * math.pi * _HIGH[column] / _RATE
    return [round(_AMPLITUDE * (math.sin(low * n) + math.sin(high * n))) for n in range(SAMPLES)]
