"""The child process that speaks: `python -m ringback.speech.engine`. One request, one piece of text.

Request: {"engine": "hibari" | "espeak", "voice", "text", "rate", "gain"}; answer: mu-law at 8 kHz.
hibari never goes to the network: a voice is used only where its file is in the wheel or already in its cache.
"""

import importlib.util
import io
import re
import shutil
import subprocess
import wave
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ringback.media.clips import ClipRejected, ClipUnavailable
from ringback.media.pipe import Header, serve
from ringback.speech.limits import PIECE_WITHIN

if TYPE_CHECKING:
    from ringback.speech.sound import Samples

_MARKUP = re.compile(r"\[([^\]]*)\]\(/[^)]*/\)")  # hibari's notation for sounds
_ESPEAK_PACE = 165  # words a minute at rate 1
_SAME_NOISE = 0  # a text sounds the same every time


def main() -> None:
    """Loads nothing before it is asked: the first request says which engine is wanted."""
    serve(dict, _answer)


def _answer(request: Header, _: bytes) -> tuple[Header, bytes]:
    if importlib.util.find_spec("numpy") is None:
        raise ClipUnavailable(12400, "speech needs numpy: pip install 'ringback[speech]'")
    from ringback.speech import sound

    speak = _espeak if request["engine"] == "espeak" else _hibari
    samples, rate = speak(str(request["voice"]), str(request["text"]), float(request["rate"]))
    return {}, sound.telephone(samples, rate, float(request["gain"]))


def _hibari(voice: str, text: str, rate: float) -> "tuple[Samples, int]":
    engine = _loaded(voice)
    return engine(text, speed=rate, seed=_SAME_NOISE), int(engine.sample_rate)


@lru_cache(maxsize=3)
def _loaded(voice: str) -> Any:
    """One voice with its model: 0.2 s and 90 MB."""
    try:
        from hibari import Hibari
        from hibari.voices import voice_path
    except ImportError:
        raise ClipUnavailable(12400, "speech needs hibari-tts: pip install 'ringback[speech]'") from None
    try:
        model = voice_path(voice, download_missing=False)
    except (FileNotFoundError, ValueError):
        raise ClipRejected(13511, f"voice {voice} is not on this machine") from None
    return Hibari(voice=voice, model=model, threads=1)


def _espeak(voice: str, text: str, rate: float) -> "tuple[Samples, int]":
    import numpy

    program = shutil.which("espeak-ng")
    if program is None:
        raise ClipRejected(13512, "espeak-ng is not installed")
    done = subprocess.run(
        [program, "-v", voice, "-s", str(round(_ESPEAK_PACE * rate)), "-b", "1", "--stdin", "--stdout"],
        input=_MARKUP.sub(r"\1", text).encode(),
        capture_output=True,
        timeout=PIECE_WITHIN,
        check=False,
    )
    if done.returncode or not done.stdout.startswith(b"RIFF"):
        raise ClipRejected(13512, f"espeak-ng has no voice {voice}")
    with wave.open(
        io.BytesIO(done.stdout)
    ) as file:  # its header counts no frames: the length is not known yet
        rate_of_file = file.getframerate()
    start = done.stdout.index(b"data") + 8
    pcm = numpy.frombuffer(done.stdout[start : start + (len(done.stdout) - start) // 2 * 2], dtype="<i2")
    return pcm.astype(numpy.float32) * numpy.float32(1 / 32768), rate_of_file


if __name__ == "__main__":
    main()
