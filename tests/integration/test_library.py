"""The library with its real decoder: files that FFmpeg's own program made, and files made to do harm."""

import asyncio
import contextlib
import io
import os
import random
import shutil
import signal
import subprocess
import wave
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

pytest.importorskip("av")

from ringback.media import tones
from ringback.media.clips import MAX_SOURCE_BYTES, ClipError, ClipRejected, ClipUnavailable
from ringback.media.decode import Decoder
from ringback.media.library import Fetched, Library

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="the ffmpeg program is not installed"
)


@pytest.fixture
async def decoder() -> AsyncIterator[Decoder]:
    decoder = Decoder()
    yield decoder
    await decoder.close()


def _wav(seconds: float, rate: int = 8000, channels: int = 1) -> bytes:
    """A square wave of 1000 Hz by Python's own writer."""
    out = io.BytesIO()
    half = rate // 2000
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        period = (b"\x00\x20" * channels) * half + (b"\x00\xe0" * channels) * half
        file.writeframes(period * int(seconds * rate / half / 2))
    return out.getvalue()


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 2), (48000, 1), (44000, 2)])
async def test_wav_becomes_mulaw(decoder: Decoder, rate: int, channels: int) -> None:
    audio = await decoder.decode(_wav(1.0, rate, channels), "audio/wav")
    assert len(audio) == pytest.approx(8000, abs=40)
    assert tones.tone_present(audio[400:-400], 1000) > 0.75  # of a square wave 8 / pi^2


async def test_a_wav_whose_type_says_that_it_is_raw_is_none(decoder: Decoder) -> None:
    audio = await decoder.decode(_wav(1.0), "audio/basic")
    assert len(audio) == pytest.approx(8000, abs=40)


@needs_ffmpeg
async def test_an_mp3_that_changes_its_rate_and_channels_is_played_to_its_end(
    decoder: Decoder, tmp_path: Path
) -> None:
    joined = b""
    for number, (rate, channels) in enumerate(((44100, 2), (22050, 1), (44100, 1))):
        path = tmp_path / f"{number}.mp3"
        source = [
            "-f",
            "lavfi",
            "-i",
            f"sine=frequency=1000:sample_rate={rate}:duration=1",
            "-ac",
            str(channels),
        ]
        subprocess.run(["ffmpeg", "-loglevel", "error", *source, "-id3v2_version", "0", path], check=True)
        joined += path.read_bytes()
    audio = await decoder.decode(joined, "audio/mpeg")
    assert len(audio) == pytest.approx(24000, abs=2000)
    assert all(tones.tone_present(audio[start : start + 4000], 1000) > 0.9 for start in (2000, 10000, 18000))


@needs_ffmpeg
@pytest.mark.parametrize(
    ("suffix", "arguments", "media_type"),
    [
        ("mp3", [], "audio/mpeg"),
        ("wav", ["-acodec", "pcm_mulaw", "-ar", "8000"], "audio/wav"),
        ("wav", ["-acodec", "adpcm_ms"], "audio/x-wav"),
        ("aiff", [], "audio/aiff"),
        ("ogg", [], "application/ogg"),
        ("flac", [], "audio/flac"),
        ("m4a", [], "audio/mp4"),
        ("webm", [], "audio/webm"),
        ("au", [], "audio/basic"),
        ("ul", ["-f", "mulaw", "-ar", "8000"], "audio/ulaw"),
        ("al", ["-f", "alaw", "-ar", "8000"], "audio/PCMA; rate=8000"),
    ],
)
async def test_what_ffmpeg_writes_is_read(
    decoder: Decoder, tmp_path: Path, suffix: str, arguments: list[str], media_type: str
) -> None:
    path = tmp_path / f"tone.{suffix}"
    source = ["-f", "lavfi", "-i", "sine=frequency=1000:sample_rate=44100:duration=2"]
    subprocess.run(["ffmpeg", "-loglevel", "error", *source, "-ac", "1", *arguments, path], check=True)
    audio = await decoder.decode(path.read_bytes(), media_type)
    assert len(audio) == pytest.approx(16000, abs=800)
    assert tones.tone_present(audio[800:-800], 1000) > 0.95
    assert tones.level(audio[800:-800]) == pytest.approx(
        -21.1, abs=0.7
    )  # the sine of lavfi: 1/8 of full scale


async def test_a_playlist_does_not_make_the_decoder_open_other_files(
    decoder: Decoder, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(_wav(1.0))
    playlists = [
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {secret}\n",
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\na=x:{secret}\n",
    ]
    for playlist in playlists:
        with pytest.raises(ClipRejected) as caught:
            await decoder.decode(playlist.encode(), "audio/x-mpegurl")
        assert caught.value.code == 13420


@pytest.mark.parametrize(
    "content", [b"", b"<html>no audio</html>" * 50, b"RIFF\xff\xff\xff\xffWAVEfmt ", _wav(0.0)]
)
async def test_what_is_no_audio_is_13420(decoder: Decoder, content: bytes) -> None:
    with pytest.raises(ClipRejected) as caught:
        await decoder.decode(content, "audio/wav")
    assert caught.value.code == 13420


async def test_damage_never_costs_more_than_the_file(decoder: Decoder) -> None:
    dice = random.Random(4)
    good = _wav(0.5)
    for _ in range(40):
        bad = bytearray(good)
        for _ in range(dice.randrange(1, 30)):
            bad[dice.randrange(min(len(bad), 100))] = dice.randrange(256)
        try:
            audio = await decoder.decode(bytes(bad), "audio/wav")
        except ClipError as error:
            assert error.code in (13420, 12400)
        else:
            assert audio
    assert len(await decoder.decode(good)) == pytest.approx(4000, abs=10)


async def test_audio_over_an_hour_is_refused_without_being_decoded_to_its_end(decoder: Decoder) -> None:
    """3601 s of 8-bit audio at 8 kHz is under the bound of bytes."""
    header = bytearray(_wav(0.0)[:44])
    size = 3601 * 8000
    header[4:8], header[40:44] = (size + 36).to_bytes(4, "little"), size.to_bytes(4, "little")
    header[20:22], header[28:32] = (7).to_bytes(2, "little"), (8000).to_bytes(4, "little")  # mu-law
    header[32:34], header[34:36] = (1).to_bytes(2, "little"), (8).to_bytes(2, "little")
    with pytest.raises(ClipRejected, match="longer than") as caught:
        await decoder.decode(bytes(header) + b"\xff" * size)
    assert caught.value.code == 13420


async def test_the_decoder_is_restarted_after_its_death(decoder: Decoder) -> None:
    await decoder.decode(_wav(0.1))
    first = decoder.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    with contextlib.suppress(ClipUnavailable):  # of this request, unless the death was seen before it
        await decoder.decode(_wav(0.1))
    assert len(await decoder.decode(_wav(0.1))) == pytest.approx(800, abs=10)
    assert decoder.pid not in (None, first)


async def test_files_are_decoded_once_until_they_change(tmp_path: Path) -> None:
    library = Library(cache_folder=tmp_path / "cache")
    path = tmp_path / "hold.wav"
    path.write_bytes(_wav(0.5))
    try:
        first = await library.clip(("file", str(path)))
        assert await library.clip(("file", path)) is first
        path.write_bytes(_wav(1.0))
        assert (await library.clip(("file", path))).duration == pytest.approx(1.0, abs=0.01)
        (tmp_path / "folder").mkdir()
        for name, kind, code in (("gone.wav", ClipUnavailable, 11200), ("folder", ClipUnavailable, 11200)):
            with pytest.raises(kind) as caught:
                await library.clip(("file", tmp_path / name))
            assert caught.value.code == code
    finally:
        await library.close()


async def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.wav"
    with path.open("wb") as file:
        file.truncate(MAX_SOURCE_BYTES + 1)
    library = Library()
    with pytest.raises(ClipRejected) as caught:
        await library.clip(("file", path))
    assert caught.value.code == 13420
    await library.close()


async def test_play_of_a_url_fetches_decodes_and_confirms() -> None:
    asked: list[Mapping[str, str]] = []

    async def fetch(url: str, *, headers: Mapping[str, str], limit: int, owner: str) -> Fetched:
        asked.append(dict(headers))
        if "if-none-match" in headers:
            return Fetched(304, {"etag": '"1"'}, b"")
        return Fetched(200, {"content-type": "audio/x-wav", "etag": '"1"'}, _wav(1.0))

    library = Library(fetch=fetch)
    try:
        clips = [await library.clip(("url", "https://example.test/a.wav"), owner="AC1") for _ in range(2)]
        assert clips[0] is clips[1]
        assert clips[0].duration == pytest.approx(1.0, abs=0.01)
        assert [headers.get("if-none-match") for headers in asked] == [None, '"1"']
    finally:
        await library.close()


async def test_closing_ends_what_is_under_way() -> None:
    started = asyncio.Event()

    async def fetch(url: str, *, headers: Mapping[str, str], limit: int, owner: str) -> Fetched:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    library = Library(fetch=fetch)
    asking = asyncio.ensure_future(library.clip(("url", "http://a/")))
    await started.wait()
    await library.close()
    await asyncio.wait([asking])
    assert asking.cancelled()
