"""The library with a fetcher and a speaker of the test's own; no process is started (the audio is raw mu-law)."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ringback.media import tones
from ringback.media.clips import MAX_SOURCE_BYTES, Clip, ClipError, ClipRejected, ClipUnavailable
from ringback.media.library import Fetched, Library

AUDIO = bytes(range(256)) * 20
RAW = {"content-type": "audio/basic"}


class Web:
    """Answers GETs from a list, and remembers what was asked."""

    def __init__(self, *answers: Fetched | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, str], str]] = []
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, url: str, *, headers: Mapping[str, str], limit: int, owner: str) -> Fetched:
        assert limit == MAX_SOURCE_BYTES
        self.asked.append((url, dict(headers), owner))
        self.reached.set()
        await self.gate.wait()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Voice:
    """Says one byte a letter."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, str, str]] = []

    async def say(self, text: Any, voice: str = "", language: str = "") -> Clip:
        self.said.append((text, voice, language))
        return Clip.of(b"\x80" * len(text), "somebody else spoke")


async def _code(library: Library, source: tuple[Any, ...]) -> tuple[type[ClipError], int]:
    with pytest.raises(ClipError) as caught:
        await library.clip(source)
    return type(caught.value), caught.value.code


async def test_tones_digits_and_silence_need_nothing_else() -> None:
    library = Library()
    assert (await library.clip(("tone", "ringback:fr"))).duration == 5.0
    assert (await library.clip(("tone", "ringback"))).mulaw == tones.ringback("us")
    assert (await library.clip(("tone", "busy:us"))).mulaw == tones.busy("us")
    assert (await library.clip(("tone", "congestion:br"))).mulaw == tones.congestion("br")
    assert (await library.clip(("tone", "beep"))).mulaw == tones.beep()
    assert (await library.clip(("tone", "information"))).mulaw == tones.information()
    assert tones.tone_present((await library.clip(("tone", "milliwatt"))).mulaw, 1004) > 0.98
    assert tones.hear_digits((await library.clip(("digits", "12w3"))).mulaw) == "123"
    assert (await library.clip(("silence", 1.5))).mulaw == b"\xff" * 12000
    await library.close()


async def test_bad_digits_are_13430() -> None:
    library = Library()
    for digits in ("", "12x", "1" * 257, "１"):
        assert await _code(library, ("digits", digits)) == (ClipRejected, 13430)


async def test_a_source_that_is_none_is_the_callers_mistake() -> None:
    library = Library()
    for source in (("tone", "ringback:xx"), ("tone", "gong"), ("music",), ("url",)):
        with pytest.raises(ValueError, match="no "):
            await library.clip(source)


async def test_text_is_spoken_once() -> None:
    voice = Voice()
    library = Library(speaker=voice)
    source = ("say", ("Say", (), ("Hello",)), "man", "en-US")
    first, second = await library.clip(source), await library.clip(source)
    assert first is second
    assert first.note == "somebody else spoke"
    assert voice.said == [(("Say", (), ("Hello",)), "man", "en-US")]


async def test_what_this_server_does_not_have_is_said_with_a_code() -> None:
    library = Library()
    assert await _code(library, ("say", "Hello", "", "")) == (ClipUnavailable, 12400)
    assert await _code(library, ("url", "http://a/")) == (ClipUnavailable, 11200)
    assert await _code(library, ("file", "/nowhere/a.wav")) == (ClipUnavailable, 11200)


async def test_a_url_without_validators_is_fetched_each_time() -> None:
    web = Web(Fetched(200, RAW, AUDIO), Fetched(200, RAW, AUDIO[:160]))
    library = Library(fetch=web)
    assert (await library.clip(("url", "http://a/x"), owner="AC1")).mulaw == AUDIO
    assert (await library.clip(("url", "http://a/x"), owner="AC1")).mulaw == AUDIO[:160]
    assert web.asked[1] == ("http://a/x", {"accept": "audio/*"}, "AC1")


async def test_a_url_is_confirmed_by_etag_and_date() -> None:
    validators = {**RAW, "etag": '"v1"', "last-modified": "Sat, 01 Nov 2025 00:00:00 GMT"}
    web = Web(Fetched(200, validators, AUDIO), Fetched(304, {}, b""), Fetched(200, RAW, AUDIO[:160]))
    library = Library(fetch=web)
    await library.clip(("url", "http://a/x"))
    assert (await library.clip(("url", "http://a/x"))).mulaw == AUDIO
    assert web.asked[1][1]["if-none-match"] == '"v1"'
    assert web.asked[1][1]["if-modified-since"] == "Sat, 01 Nov 2025 00:00:00 GMT"
    assert (await library.clip(("url", "http://a/x"))).mulaw == AUDIO[:160]


async def test_a_fresh_copy_needs_no_question_until_its_age_is_reached() -> None:
    now = [1000.0]
    headers = {**RAW, "cache-control": "public, max-age=60", "age": "10"}
    web = Web(Fetched(200, headers, AUDIO), Fetched(200, RAW, AUDIO[:160]))
    library = Library(fetch=web, clock=lambda: now[0])
    await library.clip(("url", "http://a/x"))
    now[0] = 1049.0
    assert (await library.clip(("url", "http://a/x"))).mulaw == AUDIO
    now[0] = 1051.0
    assert (await library.clip(("url", "http://a/x"))).mulaw == AUDIO[:160]


@pytest.mark.parametrize("control", ["no-store, max-age=60", "no-cache, max-age=60", "private", "max-age=0"])
async def test_cache_control_that_forbids_is_obeyed(control: str) -> None:
    answer = Fetched(200, {**RAW, "cache-control": control}, AUDIO)
    web = Web(answer, answer)
    library = Library(fetch=web)
    for _ in range(2):
        await library.clip(("url", "http://a/x"))
    assert len(web.asked) == 2


async def test_a_copy_outlives_the_process(tmp_path: Path) -> None:
    answer = Fetched(200, {**RAW, "etag": '"v1"'}, AUDIO)
    await Library(fetch=Web(answer), cache_folder=tmp_path).clip(("url", "http://a/x"))
    web = Web(Fetched(304, {}, b""))
    assert (await Library(fetch=web, cache_folder=tmp_path).clip(("url", "http://a/x"))).mulaw == AUDIO
    assert web.asked[0][1]["if-none-match"] == '"v1"'


async def test_copies_of_two_accounts_are_apart() -> None:
    web = Web(
        Fetched(200, {**RAW, "cache-control": "max-age=60"}, AUDIO),
        Fetched(200, {**RAW, "cache-control": "max-age=60"}, AUDIO[:160]),
    )
    library = Library(fetch=web)
    assert (await library.clip(("url", "http://a/x"), owner="AC1")).mulaw == AUDIO
    assert (await library.clip(("url", "http://a/x"), owner="AC2")).mulaw == AUDIO[:160]


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (Fetched(404, RAW, b""), ClipUnavailable, 11200),
        (Fetched(304, RAW, b""), ClipUnavailable, 11200),
        (Fetched(200, {"content-type": "text/html; charset=utf-8"}, b"<html>"), ClipRejected, 12300),
        (Fetched(200, {"content-type": "application/octet-stream"}, AUDIO), ClipRejected, 12300),
        (Fetched(200, RAW, bytes(MAX_SOURCE_BYTES + 1)), ClipRejected, 13420),
        (ConnectionResetError(), ClipUnavailable, 11200),
        (ClipUnavailable(11210, "bad host"), ClipUnavailable, 11210),
    ],
)
async def test_what_is_wrong_with_a_url_has_twilios_code(
    answer: Fetched | Exception, kind: type[ClipError], code: int
) -> None:
    assert await _code(Library(fetch=Web(answer)), ("url", "http://a/x")) == (kind, code)


async def test_equal_requests_at_one_time_are_one_flight() -> None:
    web = Web(Fetched(200, RAW, AUDIO))
    web.gate.clear()
    library = Library(fetch=web)
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(library.clip(("url", "http://a/x"))) for _ in range(5)]
        await web.reached.wait()
        web.gate.set()
    assert {task.result().mulaw for task in asking} == {AUDIO}
    assert len(web.asked) == 1


async def test_one_who_goes_away_does_not_take_the_others_audio_along() -> None:
    web = Web(Fetched(200, RAW, AUDIO))
    web.gate.clear()
    library = Library(fetch=web)
    leaving, staying = (asyncio.ensure_future(library.clip(("url", "http://a/x"))) for _ in range(2))
    await web.reached.wait()
    leaving.cancel()
    await asyncio.wait([leaving])
    web.gate.set()
    assert (await staying).mulaw == AUDIO
    assert leaving.cancelled()


async def test_a_flight_that_nobody_waits_for_is_given_up_and_can_be_started_anew() -> None:
    web = Web(Fetched(200, RAW, AUDIO))
    web.gate.clear()
    library = Library(fetch=web)
    leaving = asyncio.ensure_future(library.clip(("url", "http://a/x")))
    await web.reached.wait()
    leaving.cancel()
    await asyncio.wait([leaving])
    web.gate.set()
    assert (await library.clip(("url", "http://a/x"))).mulaw == AUDIO
    assert len(web.asked) == 2


async def test_a_flight_given_up_does_not_end_the_one_that_follows_at_once() -> None:
    web = Web(Fetched(200, RAW, AUDIO), Fetched(200, RAW, AUDIO))
    web.gate.clear()
    library = Library(fetch=web)
    leaving = asyncio.ensure_future(library.clip(("url", "http://a/x")))
    await web.reached.wait()
    web.reached.clear()
    leaving.cancel()
    staying = [asyncio.ensure_future(library.clip(("url", "http://a/x")))]
    await web.reached.wait()
    staying.append(asyncio.ensure_future(library.clip(("url", "http://a/x"))))
    await asyncio.wait([leaving])
    web.gate.set()
    assert [(await task).mulaw for task in staying] == [AUDIO, AUDIO]
    assert len(web.asked) == 2


async def test_a_failure_is_not_kept() -> None:
    library = Library(fetch=Web(Fetched(503, {}, b""), Fetched(200, RAW, AUDIO)))
    assert await _code(library, ("url", "http://a/x")) == (ClipUnavailable, 11200)
    assert (await library.clip(("url", "http://a/x"))).mulaw == AUDIO


async def test_the_music_on_hold_is_made_once_and_gives_turns_meanwhile() -> None:
    library = Library()
    making = asyncio.ensure_future(library.clip(("tone", "hold")))
    turns = 0
    while not making.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 60
    assert len((await making).mulaw) == 8 * tones.RATE
    assert await library.clip(("tone", "hold")) is await making
