"""What peers play and what they recorded: WAV files of 16 bits at 8 kHz."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

from ringback.media import g711, tones

LOUD = -45.0
"""dBFS over which something is sound; a null device records digital silence."""


BLOCK = 3200
"""Bytes of 200 ms."""


def write_wav(path: Path, mulaw: bytes) -> Path:
    """A WAV file of this sound."""
    samples = g711.decode_ulaw(mulaw)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return path


def tone_wav(folder: Path, frequency: int, seconds: float = 2.0) -> Path:
    """A WAV file with a sine; whole periods, so that it loops without a click."""
    path = folder / f"tone{frequency}.wav"
    return path if path.exists() else write_wav(path, tones.render(tones.Tone((frequency,))) * int(seconds))


def read_pcm(path: Path) -> bytes:
    """The samples of a recording; b"" where there is none."""
    try:
        with wave.open(str(path), "rb") as file:
            assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (8000, 2, 1)
            return file.readframes(file.getnframes())
    except (FileNotFoundError, EOFError, wave.Error):  # the call ended meanwhile
        return b""


def share(pcm: bytes, *frequencies: float) -> float:
    """The most of the power that is at these frequencies in any 200 ms: a lost packet must not spoil a verdict."""
    blocks = [pcm[start : start + BLOCK] for start in range(0, len(pcm) - BLOCK + 1, BLOCK)]
    shares = [
        sum(tones.tone_present(part, each, encoding="pcm") for each in frequencies)
        for part in blocks
        if loud(part)
    ]
    return max(shares, default=0.0)


def loud(pcm: bytes) -> bool:
    """Whether there is any sound."""
    return tones.level(pcm, encoding="pcm") > LOUD
