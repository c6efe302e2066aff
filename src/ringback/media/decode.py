"""Audio files to mu-law at 8 kHz: FFmpeg (by PyAV) in a child process, `python -m ringback.media.decode`.

A child, because a decoder reads what strangers wrote: its crash, its memory and its time are not the
exchange's. FFmpeg gets a list of audio formats, and may open nothing but the bytes it is given: its playlist
formats would fetch other files and addresses.
"""

import io
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ringback.media.child import Child
from ringback.media.clips import MAX_CLIP_SECONDS, MAX_SOURCE_BYTES, RATE, ClipRejected
from ringback.media.pipe import Header, serve

FORMATS = (
    "aac,ac3,aiff,alaw,amr,amrnb,amrwb,ape,asf,au,caf,eac3,flac,g722,gsm,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,"
    "mp3,mulaw,ogg,opus,tta,w64,wav,wv"
)
"""FFmpeg's demuxers that hold audio and refer to nothing outside of the file."""

DECODE_WITHIN = 30.0
"""Seconds for one file: an hour of MP3 takes about 5 on one core."""

MAX_MEMORY = 2 * 1024**3
"""Bytes of address space of the child: FFmpeg's libraries map 0.5 GB, the largest file and its clip 0.1."""

MAX_WAITING = 64
"""Files that may wait for the decoder; later ones are refused at once."""

_RAW = {"audio/basic", "audio/ulaw", "audio/x-mulaw", "audio/x-ulaw", "audio/mulaw", "audio/pcmu"}
_HEADERS = {b".snd", b"RIFF"}
"""What files begin with that are not raw, whatever their type says."""
_FORCED = {"audio/gsm": "gsm", "audio/x-gsm": "gsm", "audio/pcma": "alaw", "audio/g722": "g722"}

_OPTIONS = {"alaw": {"sample_rate": str(RATE)}}  # else FFmpeg takes 44100


class Decoder:
    """Decodes files, one at a time. Use it from one event loop; `close()` it at the end."""

    def __init__(self) -> None:
        self._child = Child("ringback.media.decode", waiting=MAX_WAITING)

    async def decode(self, source: bytes | Path, media_type: str = "") -> bytes:
        """Mu-law of a whole file. `media_type` matters for formats without a header (mu-law, GSM, G.722).

        ClipRejected 13420 where it is no audio, or over MAX_SOURCE_BYTES or MAX_CLIP_SECONDS; ClipUnavailable
        where the decoder fails or takes longer than DECODE_WITHIN, or the file cannot be read (11200).
        """
        kind = media_type.partition(";")[0].strip().lower()
        request = {"format": _FORCED.get(kind, "")}
        if isinstance(source, Path):
            _, audio = await self._child.ask({**request, "path": str(source)}, within=DECODE_WITHIN)
            return audio
        if len(source) > MAX_SOURCE_BYTES:
            raise too_large()
        if kind in _RAW and source[:4] not in _HEADERS:
            return source[: int(MAX_CLIP_SECONDS * RATE)]
        _, audio = await self._child.ask(request, source, within=DECODE_WITHIN)
        return audio

    @property
    def pid(self) -> int | None:
        """The decoder's process id while it runs."""
        return self._child.pid

    async def close(self) -> None:
        """Ends the process."""
        await self._child.close()


def too_large() -> ClipRejected:
    """The refusal of a file that is too long to read."""
    return ClipRejected(13420, f"the file is over {MAX_SOURCE_BYTES // 1024 // 1024} MB")


def main() -> None:
    """The child: refuses to grow over MAX_MEMORY, then answers."""
    import av  # before the limit is set: the loader fails in worse ways

    av.logging.set_level(None)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    serve(dict, _answer)


def _answer(request: Header, payload: bytes) -> tuple[Header, bytes]:
    import av

    source = _read(Path(request["path"])) if "path" in request else payload
    try:
        return {}, _decoded(source, request["format"])
    except (av.error.FFmpegError, ValueError, IndexError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ClipRejected(13420, f"no audio that can be played ({reason})") from None


def _read(path: Path) -> bytes:
    from ringback.media.clips import ClipUnavailable

    try:
        if path.stat().st_size > MAX_SOURCE_BYTES:
            raise too_large()
        return path.read_bytes()
    except OSError as error:
        raise ClipUnavailable(11200, f"file {path.name}: {error.strerror}") from None


def _decoded(source: bytes, format_: str) -> bytes:
    """The first audio stream, mixed to one channel, resampled by FFmpeg, which also makes the mu-law."""
    import av

    encoder = av.CodecContext.create("pcm_mulaw", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "mono", "s16"
    out = bytearray()
    with av.open(
        io.BytesIO(source),
        format=format_ or None,
        options={**_OPTIONS.get(format_, {}), "format_whitelist": FORMATS, "protocol_whitelist": ""},
    ) as container:
        for frame in _resampled(_frames(container)):
            out += _encoded(encoder, frame)
            if len(out) > MAX_CLIP_SECONDS * RATE:
                raise ClipRejected(13420, f"the audio is longer than {MAX_CLIP_SECONDS:g} s")
    if not out:
        raise ValueError("empty")
    return bytes(out)


def _frames(container: Any) -> Iterator[Any]:
    """Frames of the first audio stream; damage in the middle of a file ends it there."""
    import av

    stream = container.streams.audio[0]
    some = False
    try:
        for frame in container.decode(stream):
            some = True
            frame.pts = None
            yield frame
    except av.error.FFmpegError:
        if not some:
            raise


def _resampled(frames: Iterator[Any]) -> Iterator[Any]:
    """One channel at RATE. Files may change their rate and channels on the way, as MP3s that were joined do."""
    import av

    resampler, shape = None, None
    for frame in frames:
        found = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or found != shape:
            if resampler is not None:
                yield from resampler.resample(None)
            resampler, shape = av.AudioResampler(format="s16", layout="mono", rate=RATE), found
        yield from resampler.resample(frame)
    if resampler is not None:
        yield from resampler.resample(None)


def _encoded(encoder: Any, frame: Any) -> bytes:
    frame.pts = None
    return b"".join(bytes(packet) for packet in encoder.encode(frame))


if __name__ == "__main__":
    main()
