"""`Speaker`: what `<Say>` needs, as one awaitable. Plans here, synthesis in a child process, pieces on disk.

A text is spoken sentence by sentence, and the sentences of several calls take turns, so that nobody waits for
somebody else's long text. Each sentence is cached by what it sounds like: a greeting that differs in a name costs
the name alone, and after a restart the common prompts are there before the engine is.
"""

import asyncio
import importlib.util
import json
import os
import shutil
import time
from collections.abc import AsyncIterator
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from ringback.media import tones
from ringback.media.child import Child
from ringback.media.clips import Clip, DiskCache
from ringback.speech import ssml, voices
from ringback.speech.errors import LanguageRejected, TextRejected
from ringback.speech.limits import MAX_WAITING, PIECE_WITHIN

SOUND_VERSION = 1
"""Part of each cache key: raise it when planning or sound processing changes what a piece sounds like."""

CACHE_BYTES = 256 * 1024 * 1024
"""Bound of the cache on disk: nine hours of speech."""


class Speaker:
    """Speaks. Use it from one event loop; `close()` it at the end.

    `cache_folder` None keeps nothing. The child process starts with the first text that is not in the cache,
    or with `warm()`.
    """

    def __init__(self, cache_folder: Path | None, *, cache_bytes: int = CACHE_BYTES) -> None:
        self._cache = DiskCache(cache_folder, cache_bytes) if cache_folder is not None else None
        self._child = Child("ringback.speech.engine", waiting=MAX_WAITING)

    async def say(self, text: ssml.Node, voice: str = "", language: str = "") -> Clip:
        """The whole of `text` as one clip; its note says what the timeline should tell.

        `text` is plain, or the tree of a `<Say>` (ringback.speech.ssml.Node). TextRejected, VoiceRejected,
        LanguageRejected where it cannot be said; ClipOverload, ClipUnavailable where the engine cannot.
        """
        utterance = _prepare(text, voice, language)
        mulaw = b"".join([part async for part in self._parts(utterance)])
        if not mulaw:
            raise TextRejected(13520, "the voice can say nothing of this text")
        return Clip.of(mulaw, "; ".join(utterance.notes))

    async def warm(self, voice: str = "", language: str = "") -> float:
        """Starts the engine and loads a voice; the seconds that it took."""
        started_at = time.monotonic()
        for piece in _prepare("Ready.", voice, language).pieces:
            if isinstance(piece, _Spoken):
                await self._synthesize(piece)
        return time.monotonic() - started_at

    @property
    def engine_pid(self) -> int | None:
        """The engine's process id while it runs."""
        return self._child.pid

    async def close(self) -> None:
        """Ends the engine."""
        await self._child.close()

    async def _parts(self, utterance: "_Utterance") -> AsyncIterator[bytes]:
        for piece in utterance.pieces:
            if isinstance(piece, ssml.Pause):
                yield tones.silence(piece.seconds)
            elif isinstance(piece, ssml.Bleep):
                yield tones.sine(1000, piece.seconds)
            else:
                yield await self._spoken(piece)

    async def _spoken(self, piece: "_Spoken") -> bytes:
        if self._cache is None:
            return await self._synthesize(piece)
        key = piece.key()
        found = await asyncio.to_thread(self._cache.get, key)
        if found is not None:
            return found[1]
        audio = await self._synthesize(piece)
        await asyncio.to_thread(self._cache.put, key, {}, audio)
        return audio

    async def _synthesize(self, piece: "_Spoken") -> bytes:
        request = {
            "engine": piece.voice.engine,
            "voice": piece.voice.name,
            "text": piece.speak.text,
            "rate": piece.speak.rate,
            "gain": piece.speak.gain,
        }
        _, audio = await self._child.ask(request, within=PIECE_WITHIN)
        return audio


class _Spoken:
    """One piece of text with the voice that says it."""

    __slots__ = ("speak", "voice")

    def __init__(self, speak: ssml.Speak, voice: voices.Voice) -> None:
        self.speak = speak
        self.voice = voice

    def key(self) -> str:
        """Everything that decides how the piece sounds."""
        voice = self.voice
        facts = [
            voice.engine,
            voice.name,
            *self.speak[:1],
            *self.speak[2:],
            _version(voice.engine),
            SOUND_VERSION,
        ]
        return json.dumps(["say", *facts])


class _Utterance:
    """What to play in order, and what to tell the timeline."""

    __slots__ = ("notes", "pieces")

    def __init__(self, pieces: list[_Spoken | ssml.Pause | ssml.Bleep], notes: list[str]) -> None:
        self.pieces = pieces
        self.notes = notes


def _prepare(text: ssml.Node, voice: str, language: str) -> _Utterance:
    """Who says what: raises all that is wrong with the request before anything is done for it."""
    hibari, espeak = hibari_voices(), shutil.which("espeak-ng") is not None
    choice = voices.choose(voice, language, hibari=hibari, espeak=espeak)
    plan = ssml.plan(text, choice.language)
    notes = [note for note in (choice.note, *plan.notes) if note]
    pieces: list[_Spoken | ssml.Pause | ssml.Bleep] = []
    for piece in plan.pieces:
        if not isinstance(piece, ssml.Speak):
            pieces.append(piece)
            continue
        speaker = choice.voice
        if piece.language and piece.language.lower() != choice.language.lower():
            try:
                speaker = voices.choose("", piece.language, hibari=hibari, espeak=espeak).voice
            except LanguageRejected as error:
                notes.append(f"lang: {error.reason}")
        pieces.append(_Spoken(piece, speaker))
    return _Utterance(pieces, list(dict.fromkeys(notes)))


@lru_cache(maxsize=1)
def hibari_voices() -> tuple[str, ...]:
    """The hibari voices on this machine: the wheel's own, and those that somebody put into its cache folder."""
    if importlib.util.find_spec("hibari") is None:
        return ()
    home = os.environ.get("HIBARI_HOME")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hibari"
    folder = Path(home) if home else cache  # hibari.voices.cache_dir, which would import numpy and more
    return tuple(
        voice.name
        for voice in voices.HIBARI
        if voice.name == "heart" or any(folder.glob(f"*_{voice.name}.*onnx"))
    )


@lru_cache(maxsize=2)
def _version(engine: str) -> str:
    """The engine's version: what it says may change with it."""
    if engine == "hibari":
        return metadata.version("hibari-tts")
    program = shutil.which("espeak-ng")
    return str(Path(program).stat().st_size) if program else ""
