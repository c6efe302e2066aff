"""The speaker with its real child process and engines; another program (PocketSphinx) judges what is said."""

import asyncio
import contextlib
import difflib
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hibari")

from ringback.media import g711, tones
from ringback.media.child import Child
from ringback.media.clips import Clip, ClipOverload, ClipRejected, ClipUnavailable
from ringback.speech import LanguageRejected, Speaker, TextRejected

GRAMMAR = (
    "#JSGF V1.0; grammar words; public <words> = (plus | press | one | two | three | four | five | six | seven | "
    "eight | nine | zero | hello | sales | support)+;"
)
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


@pytest.fixture
async def speaker(tmp_path: Path) -> AsyncIterator[Speaker]:
    speaker = Speaker(tmp_path)
    yield speaker
    await speaker.close()


def _recognized(clip: Clip) -> list[str]:
    """What PocketSphinx (which listens at 16 kHz) understands."""
    pocketsphinx = pytest.importorskip("pocketsphinx")
    av = pytest.importorskip("av")
    samples = g711.decode_ulaw(tones.silence(0.3) + clip.mulaw + tones.silence(0.3))
    frame = av.AudioFrame(format="s16", layout="mono", samples=len(samples))
    frame.sample_rate = 8000
    frame.planes[0].update(samples.tobytes())
    wide = av.AudioResampler(format="s16", layout="mono", rate=16000).resample(frame)
    decoder = pocketsphinx.Decoder(samprate=16000, loglevel="FATAL")
    decoder.add_jsgf_string("words", GRAMMAR)
    decoder.activate_search("words")
    decoder.start_utt()
    for part in wide:
        decoder.process_raw(bytes(part.planes[0])[: part.samples * 2], full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return hypothesis.hypstr.split() if hypothesis else []


async def test_digits_are_understood_by_a_recognizer(speaker: Speaker) -> None:
    clip = await speaker.say(("Say", (), (("say-as", (("interpret-as", "digits"),), ("9087342",)),)))
    assert _recognized(clip) == "nine zero eight seven three four two".split()
    assert clip.note == ""


async def test_a_telephone_number_is_understood_digit_by_digit(speaker: Speaker) -> None:
    heard = _recognized(await speaker.say("+16505551234"))
    wanted = "plus one six five zero five five five one two three four".split()
    assert difflib.SequenceMatcher(None, heard, wanted).ratio() > 0.85


async def test_speech_is_as_loud_as_a_telephone_wants_and_starts_at_once(speaker: Speaker) -> None:
    clip = await speaker.say("Welcome. Please press one for sales, or two for support.")
    blocks = [tones.level(clip.mulaw[at : at + 160]) for at in range(0, len(clip.mulaw), 160)]
    spoken = [clip.mulaw[at : at + 160] for at in range(0, len(clip.mulaw), 160)]
    active = b"".join(block for block, level in zip(spoken, blocks, strict=True) if level > max(blocks) - 25)
    assert tones.level(active) == pytest.approx(-18, abs=2)
    assert next(index for index, level in enumerate(blocks) if level > -45) * 0.02 <= 0.1
    assert clip.duration == len(clip.mulaw) / 8000


async def test_the_same_text_gives_the_same_bytes_also_in_a_second_process(speaker: Speaker) -> None:
    first = await speaker.say("Hello.")
    other = Speaker(None)
    try:
        assert (await other.say("Hello.")).mulaw == first.mulaw
    finally:
        await other.close()


async def test_a_second_start_speaks_from_the_disk_without_an_engine(
    speaker: Speaker, tmp_path: Path
) -> None:
    first = await speaker.say("Hello. Press one.")
    again = Speaker(tmp_path)
    assert (await again.say("Hello. Press one.")).mulaw == first.mulaw
    assert again.engine_pid is None
    await again.close()


async def test_breaks_bleeps_and_volume_are_heard(speaker: Speaker) -> None:
    plain = await speaker.say("Hello")
    broken = await speaker.say(("Say", (), ("Hello", ("break", (("time", "2s"),), ()), "Hello")))
    assert broken.duration == pytest.approx(2 * plain.duration + 2, abs=0.01)
    bleep = await speaker.say(("Say", (), (("say-as", (("interpret-as", "expletive"),), ("heck",)),)))
    assert tones.tone_present(bleep.mulaw, 1000) > 0.95
    soft = await speaker.say(("Say", (), (("prosody", (("volume", "x-soft"),), ("Hello",)),)))
    assert tones.level(plain.mulaw) - tones.level(soft.mulaw) == pytest.approx(12, abs=1)
    slow = await speaker.say(("Say", (), (("prosody", (("rate", "x-slow"),), ("Hello",)),)))
    assert slow.duration > 1.4 * plain.duration


async def test_the_engine_is_restarted_after_its_death(speaker: Speaker) -> None:
    await speaker.warm()
    first = speaker.engine_pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    with contextlib.suppress(ClipUnavailable):  # of this request, unless the death was seen before it
        await speaker.say("Hello one.")
    assert (await speaker.say("Hello two.")).duration > 0.5
    assert speaker.engine_pid not in (None, first)


async def test_a_request_that_is_given_up_does_not_shift_the_answers(speaker: Speaker) -> None:
    await speaker.warm()
    leaving = asyncio.ensure_future(
        speaker.say("This is a long sentence that nobody wants to hear any more.")
    )
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    together = list(await asyncio.gather(speaker.say("one"), speaker.say("two")))
    other = Speaker(None)
    try:
        assert together == [await other.say("one"), await other.say("two")]
    finally:
        await other.close()


async def test_what_cannot_be_said_has_twilios_code(speaker: Speaker) -> None:
    for node, kind, code in (
        ("", TextRejected, 13520),
        ("a" * 4097, TextRejected, 13521),
        ("你好", TextRejected, 13520),
    ):
        with pytest.raises(kind) as caught:
            await speaker.say(node)
        assert caught.value.code == code


async def test_a_language_without_a_voice_is_13512(speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(LanguageRejected) as caught:
        await speaker.say("Guten Tag", "Polly.Hans")
    assert caught.value.code == 13512
    clip = await speaker.say(("Say", (), ("Hello ", ("lang", (("xml:lang", "de-DE"),), ("Tag",)))))
    assert "no voice on this machine speaks de-DE" in clip.note


@needs_espeak
async def test_espeak_speaks_other_languages(speaker: Speaker) -> None:
    clip = await speaker.say("Guten Tag, Ihre Nummer ist 123.", "Polly.Hans")
    assert clip.duration > 1.5
    assert clip.note == "voice Polly.Hans (de-DE) is spoken by espeak-ng (de-DE)"


async def _asked(child: Child, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    return await child.ask(header, within=30)


async def test_a_queue_that_is_full_refuses_at_once() -> None:
    child = Child("ringback.speech.engine", waiting=2)
    request = {"engine": "hibari", "voice": "heart", "text": "one", "rate": 1.0, "gain": 0.0}
    try:
        results = await asyncio.gather(*(_asked(child, request) for _ in range(4)), return_exceptions=True)
        assert [type(result) for result in results] == [tuple, tuple, ClipOverload, ClipOverload]
    finally:
        await child.close()


async def test_a_request_over_its_time_costs_its_process_and_no_other_request() -> None:
    child = Child("ringback.speech.engine")
    request = {"engine": "hibari", "voice": "heart", "text": "one", "rate": 1.0, "gain": 0.0}
    try:
        await child.start()
        long = {**request, "text": "A long sentence. " * 200}
        results: list[Any] = await asyncio.gather(
            child.ask(long, within=0.001), _asked(child, request), return_exceptions=True
        )
        late, after = results
        assert isinstance(late, ClipUnavailable)
        assert isinstance(after, tuple)
        assert child.starts == 2
    finally:
        await child.close()


async def test_a_voice_that_is_not_here_is_not_fetched() -> None:
    child = Child("ringback.speech.engine")
    request = {"engine": "hibari", "voice": "nobody", "text": "one", "rate": 1.0, "gain": 0.0}
    try:
        with pytest.raises(ClipRejected) as caught:
            await _asked(child, request)
        assert caught.value.code == 13511
    finally:
        await child.close()


async def test_a_child_that_does_not_start_is_an_error_and_not_tried_at_once_again() -> None:
    child = Child("ringback.speech.no_such_module")
    try:
        for reason in ("does not start", "tried again soon"):
            with pytest.raises(ClipUnavailable, match=reason):
                await _asked(child, {})
    finally:
        await child.close()


async def test_a_bad_request_does_not_end_the_child() -> None:
    child = Child("ringback.speech.engine")
    try:
        with pytest.raises(ClipUnavailable, match="KeyError"):
            await _asked(child, {})
        request = {"engine": "hibari", "voice": "heart", "text": "one", "rate": 1.0, "gain": 0.0}
        assert len((await _asked(child, request))[1]) > 1000
        assert child.starts == 1
    finally:
        await child.close()


async def test_the_child_gets_none_of_the_servers_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "a-very-secret-token")
    child = Child("ringback.speech.engine")
    try:
        await child.start()
        assert b"a-very-secret-token" not in Path(f"/proc/{child.pid}/environ").read_bytes()
    finally:
        await child.close()
        assert child.pid is None
