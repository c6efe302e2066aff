"""From an engine's samples to what a telephone gets: trimmed, level, band-limited, 8 kHz mu-law. Needs numpy.

Runs in the child process only.
"""

from typing import Any

import numpy
from numpy.typing import NDArray

from ringback.media import g711

RATE = 8000

LEVEL = -18.0
"""dBFS (of a full-scale square wave) of the speech alone, pauses left out: P.56's idea of an active level."""

CEILING = 0.94
"""Peaks above are bent, not cut."""

_EDGE = 0.02  # seconds kept before the first and after the last sound
_TAIL = 0.06
_FRAME = 0.01
_QUIET = -42.0  # dB under the loudest frame: silence
_PAUSE = -25.0  # dB under the loudest frame: not active speech
_PASS = 0.47  # of the lower rate: 3760 Hz, more than the telephone's 3400, for the sake of s and f
_LOBES = 48  # of the sinc on either side, counted at the lower rate

Samples = NDArray[numpy.float32]

_COMPRESS = numpy.frombuffer(g711.LINEAR_TO_ULAW, dtype=numpy.uint8)


def telephone(samples: Samples, rate: int, gain: float = 0.0) -> bytes:
    """`samples` (-1 to 1) at `rate` Hz as mu-law, `gain` dB over the usual level. Empty where all is silence."""
    sound = trimmed(samples, rate)
    if not len(sound):
        return b""
    if gain <= -60.0:
        return bytes([g711.ULAW_SILENCE]) * round(len(sound) * RATE / rate)
    return mulaw(limited(levelled(resampled(sound, rate, RATE), RATE, LEVEL + gain)))


def trimmed(samples: Samples, rate: int) -> Samples:
    """Without the silence before and after."""
    power = _frames(samples, rate)
    if not len(power) or power.max() < 1e-8:
        return samples[:0]
    sounding = numpy.flatnonzero(power > power.max() * 10 ** (_QUIET / 10))
    frame = round(rate * _FRAME)
    start = max(0, int(sounding[0]) * frame - round(_EDGE * rate))
    end = (int(sounding[-1]) + 1) * frame + round(_TAIL * rate)
    return samples[start:end]


def levelled(samples: Samples, rate: int, level: float) -> Samples:
    """At `level` dBFS while somebody speaks."""
    power = _frames(samples, rate)
    if not len(power):
        return samples
    active = power[power > power.max() * 10 ** (_PAUSE / 10)]
    if not len(active):
        return samples
    return samples * numpy.float32(10 ** (level / 20) / numpy.sqrt(active.mean()))


def limited(samples: Samples) -> Samples:
    """Peaks over 0.6 are bent towards the ceiling; all below stays as it is."""
    knee = 0.6
    over = numpy.abs(samples) > knee
    bent = samples.copy()
    room = CEILING - knee
    bent[over] = numpy.sign(samples[over]) * (
        knee + room * numpy.tanh((numpy.abs(samples[over]) - knee) / room)
    )
    return bent


def resampled(samples: Samples, rate: int, to: int) -> Samples:
    """At `to` Hz through a windowed sinc (Blackman, over 70 dB down outside of the band), one filter a phase."""
    if rate == to:
        return samples
    common = numpy.gcd(rate, to)
    up, down = to // common, rate // common
    low = min(rate, to)
    half = round(_LOBES * rate / low)
    length = len(samples) * up // down
    padded = numpy.concatenate(
        [numpy.zeros(half, numpy.float32), samples, numpy.zeros(half + down, numpy.float32)]
    )
    windows = numpy.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    out = numpy.zeros(length, numpy.float32)
    taps = numpy.arange(-half, half + 1)
    for phase in range(min(up, length)):
        whole, part = divmod(phase * down, up)
        times = taps - part / up
        kernel = numpy.sinc(2 * _PASS * low / rate * times) * _blackman(times / (half + 1))
        kernel = (kernel / kernel.sum()).astype(numpy.float32)
        count = len(range(phase, length, up))
        out[phase::up] = windows[whole::down][:count] @ kernel
    return out


def mulaw(samples: Samples) -> bytes:
    """-1 to 1 as mu-law."""
    linear = numpy.clip(numpy.rint(samples * 32767), -32768, 32767).astype(numpy.int32)
    return _COMPRESS[linear + 0x8000].tobytes()


def _blackman(x: NDArray[Any]) -> NDArray[Any]:
    """The window over -1 to 1."""
    window: NDArray[Any] = 0.42 + 0.5 * numpy.cos(numpy.pi * x) + 0.08 * numpy.cos(2 * numpy.pi * x)
    return window


def _frames(samples: Samples, rate: int) -> NDArray[Any]:
    """Mean power of each 10 ms."""
    frame = round(rate * _FRAME)
    whole = samples[: len(samples) // frame * frame].reshape(-1, frame)
    power: NDArray[Any] = (whole.astype(numpy.float64) ** 2).mean(axis=1)
    return power
