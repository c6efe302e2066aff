"""JavaScript that people wrote for Twilio, unchanged, as a domain's voice URL and in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from live import LiveServer, live_server
from live_scene import Scene, answered, hears, over

from ringback.media import tones

TEXTS = sorted((Path(__file__).parents[3] / "shared/seeds").glob("000_*.txt"))
"""A text of somebody's own set-up, with two Functions; where it is absent there is nothing to try."""

pytestmark = pytest.mark.skipif(not TEXTS, reason="the text with the Functions is not here")


def functions_of(text: str) -> list[str]:
    """The JavaScript of a text, each handler to its closing brace at the margin."""
    return re.findall(r"^exports\.handler = .*?^};", text, re.M | re.S)


def documents_of(text: str) -> list[str]:
    """The answers that a text promises for a browser."""
    return [
        document
        for document in re.findall(r"<\?xml[^>]*\?><Response>.*?</Response>", text)
        if "\n" not in document
    ]


@pytest.fixture(scope="module")
def text() -> str:
    return TEXTS[0].read_text()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, text: str) -> Iterator[LiveServer]:
    directory = tmp_path_factory.mktemp("functions") / "project"
    first, second = functions_of(text)
    (directory / "functions").mkdir(parents=True)
    (directory / "functions/sipoutboundcall.js").write_text(first)
    (directory / "functions/mapped.js").write_text(second)
    with live_server(directory) as running:
        yield running


async def browse(scene: Scene, path: str) -> tuple[int, str, str]:
    headers = {"Accept": "text/html,application/xhtml+xml", "User-Agent": "Mozilla/5.0"}
    async with scene.session.get(scene.server.api + path, headers=headers) as response:
        return response.status, response.content_type, await response.text()


async def test_a_browser_sees_the_very_documents_of_the_text(scene: Scene, text: str) -> None:
    error, dial = documents_of(text)
    query = "?To=15551231234&From=sip:home@yoursubdomain.sip.us1.twilio.com"
    status, kind, body = await browse(scene, f"/functions/mapped{query}")
    assert (status, kind) == (200, "text/xml")
    shown = re.sub(r'callerId="[^"]*"', 'callerId=""', body)
    assert shown == re.sub(r'callerId="[^"]*"', 'callerId=""', dial)
    assert ElementTree.fromstring(body).find("Dial").get("callerId") == "+16505551111"  # type: ignore[union-attr]
    # The Function calls back with the error, and fails after it: the first answer counts, as at Twilio.
    status, kind, body = await browse(scene, "/functions/mapped")
    assert (status, kind, body) == (200, "text/xml", error)


async def test_the_number_that_the_text_maps_is_what_the_document_shows(scene: Scene) -> None:
    status, _, body = await browse(
        scene, "/functions/sipoutboundcall?To=sip:6421234567@x.sip.twilio.com&From=sip:home@x.sip.twilio.com"
    )
    assert status == 200
    dial = ElementTree.fromstring(body).find("Dial")
    assert dial is not None
    assert (dial.text, dial.get("callerId"), dial.get("record")) == (
        "+6421234567",
        "+16508663333",
        "do-not-record",
    )


@pytest.mark.parametrize("name", ["sipoutboundcall", "mapped"])
async def test_a_phones_call_goes_out_as_the_function_says(scene: Scene, name: str) -> None:
    alice = await scene.registered("alice")
    url = f"http://ringback.localhost/functions/{name}?callerId=%2B16505550101"
    await scene.home(voice_url=url)
    call = alice.dial("+15005550001")
    sid = await answered(call)
    await call.play(tones.sine(1000, 0.2), loops=0)
    assert await hears(call, 1000)
    call.hang_up()
    await over(call)
    children = await scene.do(scene.client.calls.list, parent_call_sid=sid)
    assert [(row.to, row._from) for row in children] == [("+15005550001", "+16505550101")]
    assert "+ callTo: +15005550001" in await scene.timeline(sid)
