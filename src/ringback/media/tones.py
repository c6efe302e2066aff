"""Telephone tones: ringback, busy and congestion by country, beeps, DTMF, and ears for tests.

Everything is mu-law at 8 kHz, computed once from sines and cached. A tone repeats after a whole number of
samples (8000 / gcd of its frequencies), so one period is computed and the rest is copied: no tone costs more
than a few milliseconds, even where its cadence is 6 s long.

Cadences: ITU-T E.180 Supplement 2 ("Various tones used in national networks", February 2003) as public tone
tables pass it on, with national sources where it leaves something open: ACIF S002 (Australia), BT SIN 350
(United Kingdom), TNA 102 (New Zealand), IDA TS PSTN 1 (Singapore), GR-506 (United States). Those tables
differ on Israel (400 or 414 Hz) and Thailand (400 or 420 Hz); 400 Hz is taken for both. Levels: ITU-T
E.180/Q.35 clause 5.
Names of countries: the values of `<Dial ringTone>`.
"""

import math
import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from ringback.media import g711

RATE = 8000
"""Samples (and bytes) a second of everything in this module."""

TONE_LEVEL = -10.0
"""dBm0 of a progress tone, both frequencies together: ITU-T E.180/Q.35 clause 5 (nominal)."""

DTMF_LOW_LEVEL, DTMF_HIGH_LEVEL = -9.0, -7.0
"""dBm0 of the low and the high frequency; the high one leads by 2 dB: ETSI ES 201 235-2 clause 4.2.2."""

_FULL_SCALE_DBM0 = 3.17  # a sine that fills the mu-law range: ITU-T G.711 section 4
_FULL_SCALE = 4 * 8159.0  # the virtual decision value that ends the mu-law range, on the 16-bit scale
_RAMP = 40  # samples (5 ms) of fade at either end of a burst, against clicks
_SILENCE = b"\xff"  # mu-law zero


class Tone(NamedTuple):
    """One or two sines in a rhythm.

    `cadence` is seconds on, off, on, off...; empty means continuous. `product` tells that the second
    frequency modulates the first (written 400x25 in the supplement) and is not added to it.
    """

    frequencies: tuple[int, ...]
    cadence: tuple[float, ...] = ()
    product: bool = False


class Country(NamedTuple):
    """The tones of one national network."""

    ringback: Tone
    busy: Tone
    congestion: Tone


def _tone(frequencies: str, *cadence: float) -> Tone:
    """`_tone("400+450", 0.4, 0.2)`: "+" adds, "x" modulates."""
    return Tone(tuple(int(f) for f in frequencies.replace("x", "+").split("+")), cadence, "x" in frequencies)


def _network(ring: Tone, busy: tuple[str, float], congestion: tuple[str, float]) -> Country:
    """A network whose busy and congestion tones are as long on as off."""
    (busy_frequencies, busy_half), (congestion_frequencies, congestion_half) = busy, congestion
    return Country(
        ring,
        _tone(busy_frequencies, busy_half, busy_half),
        _tone(congestion_frequencies, congestion_half, congestion_half),
    )


_DOUBLE = (0.4, 0.2, 0.4, 2.0)  # two short rings, the rhythm of the British tradition

COUNTRIES: dict[str, Country] = {
    "at": _network(_tone("420", 1.0, 5.0), ("420", 0.4), ("420", 0.2)),
    "au": _network(_tone("413+438", *_DOUBLE), ("425", 0.375), ("425", 0.375)),
    "bg": _network(_tone("425", 1.0, 4.0), ("425", 0.5), ("425", 0.25)),
    "br": Country(_tone("425", 1.0, 4.0), _tone("425", 0.25, 0.25), _tone("425", 0.25, 0.25, 0.75, 0.25)),
    "be": _network(_tone("425", 1.0, 3.0), ("425", 0.5), ("425", 0.167)),
    "ch": _network(_tone("425", 1.0, 4.0), ("425", 0.5), ("425", 0.2)),
    "cl": _network(_tone("400", 1.0, 3.0), ("400", 0.5), ("400", 0.2)),
    "cn": _network(_tone("450", 1.0, 4.0), ("450", 0.35), ("450", 0.7)),
    "cz": _network(_tone("425", 1.0, 4.0), ("425", 0.33), ("425", 0.165)),
    "de": _network(_tone("425", 1.0, 4.0), ("425", 0.48), ("425", 0.24)),
    "dk": _network(_tone("425", 1.0, 4.0), ("425", 0.5), ("425", 0.2)),
    "ee": _network(_tone("425", 1.0, 4.0), ("425", 0.3), ("425", 0.2)),
    "es": Country(_tone("425", 1.5, 3.0), _tone("425", 0.2, 0.2), _tone("425", 0.2, 0.2, 0.2, 0.2, 0.2, 0.6)),
    "fi": _network(_tone("425", 1.0, 4.0), ("425", 0.3), ("425", 0.2)),
    "fr": _network(_tone("440", 1.5, 3.5), ("440", 0.5), ("440", 0.25)),
    "gr": _network(_tone("425", 1.0, 4.0), ("425", 0.3), ("425", 0.2)),
    "hu": _network(_tone("425", 1.25, 3.75), ("425", 0.3), ("425", 0.3)),
    "il": _network(_tone("400", 1.0, 3.0), ("400", 0.5), ("400", 0.25)),
    "in": _network(_tone("400x25", *_DOUBLE), ("400", 0.75), ("400", 0.25)),
    "it": _network(_tone("425", 1.0, 4.0), ("425", 0.5), ("425", 0.2)),
    "lt": _network(_tone("425", 1.0, 4.0), ("425", 0.35), ("425", 0.2)),
    "jp": _network(_tone("400x16", 1.0, 2.0), ("400", 0.5), ("400", 0.5)),
    "mx": _network(_tone("425", 1.0, 4.0), ("425", 0.25), ("425", 0.25)),
    "my": _network(_tone("425", *_DOUBLE), ("425", 0.5), ("425", 0.5)),
    "nl": _network(_tone("425", 1.0, 4.0), ("425", 0.5), ("425", 0.25)),
    "no": _network(_tone("425", 1.0, 4.0), ("425", 0.5), ("425", 0.2)),
    "nz": _network(_tone("400+450", *_DOUBLE), ("400", 0.5), ("400", 0.25)),
    "ph": _network(_tone("425+480", 1.0, 4.0), ("480+620", 0.5), ("480+620", 0.25)),
    "pl": _network(_tone("425", 1.0, 4.0), ("425", 0.5), ("425", 0.5)),
    "pt": _network(_tone("425", 1.0, 5.0), ("425", 0.5), ("425", 0.2)),
    "ru": _network(_tone("425", 1.0, 4.0), ("425", 0.35), ("425", 0.175)),
    "se": Country(_tone("425", 1.0, 5.0), _tone("425", 0.25, 0.25), _tone("425", 0.25, 0.75)),
    "sg": _network(_tone("425x24", *_DOUBLE), ("425", 0.75), ("425", 0.25)),
    "th": _network(_tone("400", 1.0, 4.0), ("400", 0.5), ("400", 0.3)),
    "uk": Country(
        _tone("400+450", *_DOUBLE), _tone("400", 0.375, 0.375), _tone("400", 0.4, 0.35, 0.225, 0.525)
    ),
    "us": _network(_tone("440+480", 2.0, 4.0), ("480+620", 0.5), ("480+620", 0.25)),
    # Before the precise tone plan: audible ring 420x40, low tone 600x120 (Bell, Notes on Distance Dialing).
    "us-old": _network(_tone("420x40", 2.0, 4.0), ("600x120", 0.5), ("600x120", 0.25)),
    "tw": _network(_tone("440+480", 1.0, 2.0), ("480+620", 0.5), ("480+620", 0.25)),
    "ve": _network(_tone("425", 1.0, 4.0), ("425", 0.5), ("425", 0.25)),
    "za": _network(_tone("400x33", *_DOUBLE), ("400", 0.5), ("400", 0.25)),
}
"""The 40 values of `<Dial ringTone>`."""

_ROWS, _COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)  # ITU-T Q.23
_KEYS = "123A456B789C*0#D"
DTMF: dict[str, tuple[int, int]] = {
    key: (_ROWS[index // 4], _COLUMNS[index % 4]) for index, key in enumerate(_KEYS)
}
"""Key to its low and high frequency, Hz: ITU-T Q.23."""


def ringback(country: str = "us") -> bytes:
    """One whole ring (burst and pause) of `<Dial ringTone>`; to be looped. KeyError where unknown."""
    return render(COUNTRIES[country].ringback)


def busy(country: str = "us") -> bytes:
    """One period of the busy tone; to be looped. KeyError where unknown."""
    return render(COUNTRIES[country].busy)


def congestion(country: str = "us") -> bytes:
    """One period of the congestion (reorder) tone; to be looped. KeyError where unknown."""
    return render(COUNTRIES[country].congestion)


@lru_cache(maxsize=4)
def beep(seconds: float = 0.5) -> bytes:
    """The beep before a recording and at a conference's door: 1000 Hz."""
    return sine(1000, seconds)


@lru_cache(maxsize=1)
def information() -> bytes:
    """Special information tone, once, then its pause: 950, 1400, 1800 Hz, 330 ms each, 1 s: E.180 clause 7."""
    return b"".join(sine(frequency, 0.33) for frequency in (950, 1400, 1800)) + silence(1.0)


_HOLD_MUSIC: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = (
    ((220.0, 277.18, 329.63), (659.26, 554.37, 440.0, 554.37)),  # A: its chord, and four notes above it
    ((185.0, 220.0, 277.18), (554.37, 440.0, 369.99, 440.0)),  # F sharp minor
    ((146.83, 220.0, 293.66), (587.33, 440.0, 369.99, 440.0)),  # D
    ((164.81, 246.94, 329.63), (493.88, 415.3, 329.63, 415.3)),  # E
)
_BEAT = RATE // 2
"""Samples of a note of the hold music."""
_PART = 1000
"""Samples that are made at a time."""
_HOLD_PEAK = 4500.0
"""Of one note on the 16-bit scale: some -22 dBm0 for all of it together, below speech."""


def hold_music() -> Iterator[bytes]:
    """The music of the house, in parts that take two or three milliseconds to make: 8 s, to be looped.

    A quiet walk through four chords, each swelling and fading below four notes that are struck and die away.
    """
    for chord, notes in _HOLD_MUSIC:
        for start in range(0, len(notes) * _BEAT, _PART):
            yield _part(chord, notes[start // _BEAT], start, len(notes) * _BEAT)


def _part(chord: tuple[float, ...], note: float, start: int, length: int) -> bytes:
    """Some of a note and of its chord, which began ``start`` samples before and has ``length`` in all."""
    low, middle, high = (2 * math.pi * frequency / RATE for frequency in chord)
    turn, swell = 2 * math.pi * note / RATE, math.pi / length
    samples = []
    for at in range(start, start + _PART):
        n = at % _BEAT
        tied = math.sin(low * at) + math.sin(middle * at) + math.sin(high * at)
        struck = min(1.0, n / 80) * math.exp(-4.0 * n / _BEAT) * min(1.0, (_BEAT - n) / 160)
        sample = 0.5 * tied * math.sin(swell * at) + struck * math.sin(turn * n)
        samples.append(round(_HOLD_PEAK * sample))
    return g711.encode_ulaw(samples)


@lru_cache(maxsize=16)
def sine(frequency: int, seconds: float, level: float = TONE_LEVEL) -> bytes:
    """One sine of `level` dBm0 with soft ends."""
    return _burst((frequency,), False, (level,), round(seconds * RATE))


def silence(seconds: float) -> bytes:
    """So much mu-law silence."""
    return _SILENCE * round(seconds * RATE)


@lru_cache(maxsize=64)
def render(tone: Tone) -> bytes:
    """One period of `tone` as mu-law: its whole cadence, or 1 s where it is continuous."""
    level = TONE_LEVEL if tone.product else TONE_LEVEL - 10 * math.log10(len(tone.frequencies))
    levels = (level,) * len(tone.frequencies)
    if not tone.cadence:
        return _steady(tone.frequencies, tone.product, levels, RATE)
    parts = []
    for index, seconds in enumerate(tone.cadence):
        count = round(seconds * RATE)
        sounds = index % 2 == 0
        parts.append(_burst(tone.frequencies, tone.product, levels, count) if sounds else _SILENCE * count)
    return b"".join(parts)


@lru_cache(maxsize=32)
def _key(key: str, samples: int) -> bytes:
    return _burst(DTMF[key], False, (DTMF_LOW_LEVEL, DTMF_HIGH_LEVEL), samples)


def dtmf(digits: str, *, on: float = 0.1, off: float = 0.1) -> bytes:
    """Digits as audible DTMF; `w` waits 0.5 s, `W` 1 s (`<Play digits>`). KeyError for any other letter.

    100 ms on and off is over the least that Q.24 makes a receiver hear (40 ms).
    """
    parts = []
    for letter in digits:
        if letter in "wW":
            parts.append(silence(0.5 if letter == "w" else 1.0))
        else:
            parts.append(_key(letter.upper(), round(on * RATE)) + silence(off))
    return b"".join(parts)


def _samples(frequencies: tuple[int, ...], product: bool, levels: Sequence[float], count: int) -> list[float]:
    """The first `count` samples on the 16-bit scale, phase 0 at the start."""
    peaks = [_FULL_SCALE * 10 ** ((level - _FULL_SCALE_DBM0) / 20) for level in levels]
    turns = [2 * math.pi * frequency / RATE for frequency in frequencies]
    if product:
        carrier, modulator = turns
        # 100 % modulation; the factor keeps the power of the carrier alone: mean of (1 + cos)^2 is 1.5.
        peak = peaks[0] / math.sqrt(1.5)
        return [peak * math.sin(carrier * n) * (1.0 - math.cos(modulator * n)) for n in range(count)]
    if len(turns) == 1:
        return [peaks[0] * math.sin(turns[0] * n) for n in range(count)]
    return [sum(p * math.sin(t * n) for p, t in zip(peaks, turns, strict=True)) for n in range(count)]


def _steady(frequencies: tuple[int, ...], product: bool, levels: Sequence[float], count: int) -> bytes:
    period = RATE // math.gcd(RATE, *frequencies)
    one = g711.encode_ulaw([round(s) for s in _samples(frequencies, product, levels, min(period, count))])
    return (one * (count // len(one) + 1))[:count] if count else b""


def _burst(frequencies: tuple[int, ...], product: bool, levels: Sequence[float], count: int) -> bytes:
    """A steady tone with a raised-cosine ramp at both ends."""
    ramp = min(_RAMP, count // 2)
    steady = bytearray(_steady(frequencies, product, levels, count))
    window = [0.5 - 0.5 * math.cos(math.pi * (n + 0.5) / ramp) for n in range(ramp)] if ramp else []
    for n, gain in enumerate(window):
        for at in (n, count - 1 - n):
            steady[at] = g711.LINEAR_TO_ULAW[round(g711.ULAW_TO_LINEAR[steady[at]] * gain) + 0x8000]
    return bytes(steady)


# Ears: for tests, and for the demonstration's proof of sound.

Encoding = Literal["mulaw", "pcm"]


def tone_present(audio: bytes, frequency: float, *, encoding: Encoding = "mulaw") -> float:
    """The share of the signal's power at `frequency` Hz (Goertzel): 1.0 a pure tone, 0.0 none of it.

    `audio` is mu-law, or 16-bit little-endian PCM, at 8 kHz. Silence gives 0.0. The band is as wide as
    8000 / samples: 100 ms of audio hear 10 Hz around the frequency.
    """
    samples = _decoded(audio, encoding)
    power = sum(sample * sample for sample in samples)
    if not samples or power < len(samples):  # nothing, or under one step of 16 bits: silence
        return 0.0
    turn = 2 * math.pi * frequency / RATE
    coefficient = 2 * math.cos(turn)
    before, last = 0.0, 0.0
    for sample in samples:
        before, last = last, sample + coefficient * last - before
    energy = before * before + last * last - coefficient * before * last
    return min(1.0, 2 * energy / (len(samples) * power))


def level(audio: bytes, *, encoding: Encoding = "mulaw") -> float:
    """Mean power in dBFS of a full-scale square wave (a full-scale sine is -3.01); -100.0 for silence."""
    samples = _decoded(audio, encoding)
    power = sum(sample * sample for sample in samples) / max(1, len(samples))
    return max(-100.0, 10 * math.log10(power / 32768**2)) if power else -100.0


def hear_digits(audio: bytes, *, encoding: Encoding = "mulaw") -> str:
    """The DTMF digits in `audio`, by blocks of 20 ms; a key counts when two blocks in a row agree."""
    size = 160 if encoding == "mulaw" else 320
    heard, previous, held = "", "", ""
    for start in range(0, len(audio) - size + 1, size):
        key = _key_in(audio[start : start + size], encoding)
        if key and key == previous and key != held:
            heard, held = heard + key, key
        if not key and not previous:
            held = ""
        previous = key
    return heard


def _key_in(block: bytes, encoding: Encoding) -> str:
    rows = [tone_present(block, frequency, encoding=encoding) for frequency in _ROWS]
    columns = [tone_present(block, frequency, encoding=encoding) for frequency in _COLUMNS]
    if max(rows) < 0.2 or max(columns) < 0.2 or max(rows) + max(columns) < 0.75:
        return ""
    return _KEYS[4 * rows.index(max(rows)) + columns.index(max(columns))]


def _decoded(audio: bytes, encoding: Encoding) -> Sequence[int]:
    if encoding == "pcm":
        return struct.unpack(f"<{len(audio) // 2}h", audio[: len(audio) // 2 * 2])
    return g711.decode_ulaw(audio)
