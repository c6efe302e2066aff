"""`Library`: every clip that a call plays, from wherever it comes, decoded, spoken, made and cached once.

Sources are tuples, so they can be keys:

    ("say", text or tree, voice, language)    `<Say>`
    ("url", url)                              `<Play>`, by GET
    ("file", path)                            a file of this machine; never from a peer
    ("tone", name)                            "beep", "information", "milliwatt", "hold", "ringback", "busy:fr"...
    ("digits", "12w3")                        `<Play digits>` as audible tones
    ("silence", seconds)                      `<Pause>`

In memory the clips used last, by bytes; on disk what came from URLs (speech keeps its own). A URL's copy is used
without asking while its Cache-Control says so, else after the server confirmed it (ETag, Last-Modified;
RFC 9111 sections 4.2 and 4.3), as Twilio does. Equal requests at one time are one flight.
"""

import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Hashable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ringback.media import tones
from ringback.media.clips import (
    MAX_CLIP_SECONDS,
    MAX_DIGITS,
    MAX_SOURCE_BYTES,
    Clip,
    ClipRejected,
    ClipUnavailable,
    DiskCache,
    MemoryCache,
)
from ringback.media.decode import Decoder, too_large

Source = tuple[Any, ...]

MEMORY_BYTES = 64 * 1024 * 1024
"""Bound of the clips in memory: two hours of audio."""

DISK_BYTES = 256 * 1024 * 1024
"""Bound of the clips from URLs on disk: nine hours."""

DECODING_VERSION = 1
"""Part of each key on disk: raise it when decoding changes what a file sounds like."""

_MAX_AGE = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?(\d{1,9})")
_ACCEPT = "audio/*"
_AUDIO = ("audio/", "application/ogg")


class Fetched(NamedTuple):
    """What a GET gave after redirects. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Fetch(Protocol):
    """GETs a URL (the webhook client, which signs as `owner`, an account's SID).

    Reads at most `limit` bytes and one more, so that a longer body can be told. Raises ClipUnavailable with
    Twilio's code (11200, 11205, 11210, 11215, 11220) where there is no answer.
    """

    async def __call__(self, url: str, *, headers: Mapping[str, str], limit: int, owner: str) -> Fetched: ...


class Says(Protocol):
    """Turns text into a clip: ringback.speech.Speaker."""

    async def say(self, text: Any, voice: str = "", language: str = "") -> Clip: ...


class _Copy(NamedTuple):
    """A URL's audio with what its freshness depends on. `fresh_until` is Unix time."""

    clip: Clip
    etag: str
    last_modified: str
    fresh_until: float


class Library:
    """Clips for one event loop; `close()` it at the end.

    `fetch` and `speaker` may be None where there are none: their sources are refused then. `cache_folder`
    is for URLs alone (None keeps nothing on disk); the speaker has a folder of its own.
    `clock` is Unix time, for freshness.
    """

    def __init__(
        self,
        *,
        speaker: Says | None = None,
        fetch: Fetch | None = None,
        cache_folder: Path | None = None,
        memory_bytes: int = MEMORY_BYTES,
        disk_bytes: int = DISK_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._speaker = speaker
        self._fetch = fetch
        self._disk = DiskCache(cache_folder, disk_bytes) if cache_folder is not None else None
        self._clips: MemoryCache[Clip] = MemoryCache(memory_bytes // 2)
        self._copies: MemoryCache[_Copy] = MemoryCache(memory_bytes // 2)
        self._decoder = Decoder()
        self._clock = clock
        self._flights: dict[Hashable, _Flight] = {}

    async def clip(self, source: Source, *, owner: str = "") -> Clip:
        """The audio of `source`. `owner` (an account's SID) parts the copies of URLs, whose answers may be private.

        Raises a ClipError with Twilio's code: 11200 and its like where a URL or file cannot be had, 12300 where
        it is no audio by its type, 13420 where it is none by its content, 13430 and 13510 to 13521 for bad digits
        and text. Anything else in `source` is the caller's mistake (ValueError).
        """
        match source:
            case ("tone", "hold"):
                return await self._kept(source, _hold_music)
            case ("tone", str(name)):
                return Clip.of(_tone(name))
            case ("digits", str(digits)):
                return Clip.of(_digits(digits))
            case ("silence", int() | float() as seconds):
                return Clip.of(tones.silence(min(MAX_CLIP_SECONDS, max(0.0, seconds))))
            case ("say", text, str(voice), str(language)):
                return await self._kept(source, lambda: self._say(text, voice, language))
            case ("file", str() | Path() as path):
                return await self._file(Path(path))
            case ("url", str(url)):
                return await self._in_flight(("url", owner, url), lambda: self._url(url, owner))
            case _:
                raise ValueError(f"no source of audio: {source[:1]}")

    async def close(self) -> None:
        """Ends what is under way, and the decoder. The speaker belongs to who gave it."""
        for flight in list(self._flights.values()):
            flight.task.cancel()
        await asyncio.gather(*(flight.task for flight in self._flights.values()), return_exceptions=True)
        await self._decoder.close()

    async def _say(self, text: Any, voice: str, language: str) -> Clip:
        if self._speaker is None:
            raise ClipUnavailable(12400, "no speech on this server: pip install 'ringback[speech]'")
        return await self._speaker.say(text, voice, language)

    async def _file(self, path: Path) -> Clip:
        try:
            stat = await asyncio.to_thread(path.stat)
        except OSError as error:
            raise ClipUnavailable(11200, f"file {path.name}: {error.strerror}") from None
        if stat.st_size > MAX_SOURCE_BYTES:
            raise too_large()
        key = ("file", str(path), stat.st_mtime_ns, stat.st_size)
        return await self._kept(key, lambda: self._decoded(path))

    async def _decoded(self, source: bytes | Path, media_type: str = "") -> Clip:
        return Clip.of(await self._decoder.decode(source, media_type))

    async def _kept(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, Clip]]) -> Clip:
        """From memory, else made once for all who ask meanwhile."""
        clip = self._clips.get(key)
        if clip is None:
            clip = await self._in_flight(key, make)
            self._clips.put(key, clip, len(clip.mulaw))
        return clip

    async def _in_flight(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, Clip]]) -> Clip:
        """One flight for equal requests; it is given up when the last who waits has gone."""
        flight = self._flights.get(key)
        if flight is None:
            task = asyncio.get_running_loop().create_task(make())
            flight = self._flights[key] = _Flight(task)
            task.add_done_callback(lambda done: self._landed(key, done))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                flight.task.cancel()
                del self._flights[key]

    def _landed(self, key: Hashable, done: asyncio.Task[Clip]) -> None:
        """Forgets the flight, unless another one has taken its place."""
        flight = self._flights.get(key)
        if flight is not None and flight.task is done:
            del self._flights[key]

    async def _url(self, url: str, owner: str) -> Clip:
        if self._fetch is None:
            raise ClipUnavailable(11200, "no HTTP client on this server")
        key = f"url {DECODING_VERSION} {owner} {url}"
        copy = self._copies.get(key) or await self._from_disk(key)
        if copy is not None and self._clock() < copy.fresh_until:
            return copy.clip
        answer = await self._ask(self._fetch, url, owner, copy)
        if answer.status == 304 and copy is not None:
            copy = copy._replace(fresh_until=self._fresh_until(answer.headers))
        else:
            clip = await self._decoded(answer.body, _audio_type(answer))
            headers = answer.headers
            copy = _Copy(
                clip, headers.get("etag", ""), headers.get("last-modified", ""), self._fresh_until(headers)
            )
        await self._keep(key, copy, answer.headers)
        return copy.clip

    async def _ask(self, fetch: Fetch, url: str, owner: str, copy: _Copy | None) -> Fetched:
        headers = {"accept": _ACCEPT}
        if copy is not None and copy.etag:
            headers["if-none-match"] = copy.etag
        if copy is not None and copy.last_modified:
            headers["if-modified-since"] = copy.last_modified
        try:
            answer = await fetch(url, headers=headers, limit=MAX_SOURCE_BYTES, owner=owner)
        except (OSError, TimeoutError) as error:
            raise ClipUnavailable(11200, f"no answer ({type(error).__name__})") from None
        if len(answer.body) > MAX_SOURCE_BYTES:
            raise too_large()
        if not (200 <= answer.status < 300 or (answer.status == 304 and copy is not None)):
            raise ClipUnavailable(11200, f"answered with status {answer.status}")
        return answer

    async def _keep(self, key: str, copy: _Copy, headers: Mapping[str, str]) -> None:
        """Keeps what may be kept and can be used again: RFC 9111 section 3."""
        if "no-store" in headers.get("cache-control", "").lower():
            self._copies.drop(key)
            return
        if not (copy.etag or copy.last_modified or copy.fresh_until > self._clock()):
            return
        self._copies.put(key, copy, len(copy.clip.mulaw))
        if self._disk is not None:
            facts = {"etag": copy.etag, "modified": copy.last_modified, "fresh": copy.fresh_until}
            await asyncio.to_thread(self._disk.put, key, facts, copy.clip.mulaw)

    async def _from_disk(self, key: str) -> _Copy | None:
        found = await asyncio.to_thread(self._disk.get, key) if self._disk is not None else None
        if found is None:
            return None
        facts, mulaw = found
        copy = _Copy(Clip.of(mulaw), str(facts["etag"]), str(facts["modified"]), float(facts["fresh"]))
        self._copies.put(key, copy, len(mulaw))
        return copy

    def _fresh_until(self, headers: Mapping[str, str]) -> float:
        """Until when no question is needed: max-age less Age (RFC 9111 section 4.2); 0.0 for always ask."""
        control = headers.get("cache-control", "").lower()
        match = _MAX_AGE.search(control)
        if match is None or "no-cache" in control:
            return 0.0
        age = headers.get("age", "0").strip()
        return self._clock() + int(match[1]) - (int(age) if age.isascii() and age.isdigit() else 0)


class _Flight:
    """A request under way, and how many wait for it."""

    __slots__ = ("task", "waiting")

    def __init__(self, task: asyncio.Task[Clip]) -> None:
        self.task = task
        self.waiting = 0


def _audio_type(answer: Fetched) -> str:
    """The media type, where it is one of audio; ClipRejected 12300 where it is another."""
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type and not media_type.startswith(_AUDIO):
        raise ClipRejected(12300, f"content type {media_type:.60} is no audio")
    return media_type


async def _hold_music() -> Clip:
    """Made in parts, with turns for everything else in between."""
    parts = []
    for part in tones.hold_music():
        parts.append(part)
        await asyncio.sleep(0)
    return Clip.of(b"".join(parts))


def _tone(name: str) -> bytes:
    """ "ringback", "busy" and "congestion" take a country after a colon; all but "beep" are to be looped."""
    kind, _, country = name.partition(":")
    makers: dict[str, Callable[[str], bytes]] = {
        "ringback": tones.ringback,
        "busy": tones.busy,
        "congestion": tones.congestion,
    }
    if kind in makers and (country or "us") in tones.COUNTRIES:
        return makers[kind](country or "us")
    match name:
        case "beep":
            return tones.beep()
        case "information":
            return tones.information()
        case "milliwatt":
            return tones.sine(1004, 1.0, 0.0)  # the test tone of GR-506: 1004 Hz at 0 dBm0
    raise ValueError(f"no tone {name!r:.40}")


def _digits(digits: str) -> bytes:
    if len(digits) > MAX_DIGITS or not re.fullmatch(r"[0-9*#A-Da-dwW]+", digits):
        raise ClipRejected(13430, f"digits {digits!r:.40} are not DTMF, or over {MAX_DIGITS}")
    return tones.dtmf(digits)
