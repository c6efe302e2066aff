"""The starter's Function, and those of other people."""

import json
import re
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from functions_place import DECLARATION, SEEDS, Place

from ringback.functions.starter import write_starter


@pytest.mark.parametrize(
    ("query", "inner"),
    [
        (
            "To=+15551231234&From=sip:alice@home.example",
            '<Dial callerId="+15550100001" referUrl="transfer">+15551231234</Dial>',
        ),
        (
            "To=sip:15551231234@home.example&From=sip:bob@home.example",
            '<Dial callerId="+15550100002" referUrl="transfer">15551231234</Dial>',
        ),
        (
            "To=sip:%2B1555@h;transport=tls&From=sip:alice@h&callerId=+1999",
            '<Dial callerId="+1999" referUrl="transfer">+1555</Dial>',
        ),
        (
            "To=sip:bob@h&From=sip:alice@h",
            '<Dial callerId="+15550100001" referUrl="transfer"><Sip>sip:bob@home.example</Sip></Dial>',
        ),
        ("To=+1555&From=sip:stranger@h", '<Dial callerId="+15550100001" referUrl="transfer">+1555</Dial>'),
    ],
)
async def test_the_starters_function_dials(place: Place, query: str, inner: str) -> None:
    write_starter(place.directory, "home.example", {"alice": "+15550100001", "bob": "+15550100002"})
    place.project.read()
    answer = await place.get(f"/functions/outbound?{query}")
    assert answer.body.decode() == f"{DECLARATION}<Response>{inner}</Response>"


@pytest.mark.parametrize(
    ("target", "caller", "inner"),
    [
        ("<sip:bob@h?X-A=b>", "sip:alice@h", ' callerId="+15550100001"><Sip>sip:bob@home.example</Sip>'),
        ("<tel:+15551231234>", "+442079460123", ">+15551231234"),
        ("sip:+1555@h;transport=tls", "sip:stranger@h", ">+1555"),
    ],
)
async def test_the_starters_transfers_dial(place: Place, target: str, caller: str, inner: str) -> None:
    write_starter(place.directory, "home.example", {"alice": "+15550100001"})
    place.project.read()
    query = urlencode({"ReferTransferTarget": target, "From": caller})
    answer = await place.get(f"/functions/transfer?{query}")
    assert (
        answer.body.decode() == f'{DECLARATION}<Response><Dial referUrl="transfer"{inner}</Dial></Response>'
    )


async def test_the_starters_function_says_what_is_missing(place: Place) -> None:
    write_starter(place.directory, "home.example", {"alice": "+15550100001"})
    place.project.read()
    answer = await place.get("/functions/outbound?From=sip:alice@h")
    assert answer.status == 200
    assert b"<Say" in answer.body
    assert b"<Dial" not in answer.body


@pytest.fixture
def foreign(place: Place) -> Callable[[int], None]:
    """Installs one of the Functions in the texts that this project began from, unchanged."""
    source = next(iter(sorted(SEEDS.glob("000_*.txt"))), None)
    if source is None:
        pytest.skip("the texts are not here")
    functions = re.findall(
        r"^exports\.handler.*?^};", source.read_text("utf-8", "replace"), re.DOTALL | re.MULTILINE
    )
    assert len(functions) == 2

    def install(number: int) -> None:
        place.put("functions/foreign.js", functions[number])

    return install


SAY = '<Say voice="alice" language="en-CA">Error placing the call. {} is required.</Say>'


@pytest.mark.parametrize(
    ("number", "query", "inner"),
    [
        (0, "To=15551231234&From=sip:home@sub.sip.us1.twilio.com", ("+16508663333", "15551231234")),
        (0, "To=sip:12098319168@sdt.sip.us1.twilio.com&From=sip:home@s", ("+16508663333", "12098319168")),
        (0, "To=6508662222&callerId=+16508661111", ("+16508661111", "6508662222")),
        (0, "To=6421234567&From=sip:home@s", ("+16508663333", "+6421234567")),
        (0, "To=6591234567&From=sip:home@s", ("+16508663333", "+6591234567")),
        (0, "From=sip:home@s", "To caller"),
        (1, "To=15551231234&From=sip:home@s", ("+16505551111", "15551231234")),
        (1, "To=15551231234&From=sip:zoiper@s", ("+16505552222", "15551231234")),
        (1, "To=15551231234&From=sip:other@s", ("+16505550000", "15551231234")),
        (1, "To=15551231234&From=sip:home@s&callerId=+16508661111", ("+16508661111", "15551231234")),
        (1, "", "From caller"),
        (1, "From=sip:home@s", "To caller"),
    ],
)
async def test_functions_written_for_twilio_run_unchanged(
    place: Place, foreign: Callable[[int], None], number: int, query: str, inner: tuple[str, str] | str
) -> None:
    foreign(number)
    answer = await place.get(f"/functions/foreign?{query}")
    if isinstance(inner, str):
        expected = SAY.format(inner)
    else:
        expected = f'<Dial callerId="{inner[0]}" record="do-not-record">{inner[1]}</Dial>'
    assert answer.body.decode() == f"{DECLARATION}<Response>{expected}</Response>"
    assert (answer.status, answer.content_type) == (200, "text/xml; charset=utf-8")


async def test_a_function_that_fails_before_it_answers_fails_here_as_it_does_at_twilio(
    place: Place, foreign: Callable[[int], None]
) -> None:
    foreign(0)
    answer = await place.get(
        "/functions/foreign"
    )  # reads a property of its missing From, then would have spoken
    assert (answer.status, json.loads(answer.body)["name"]) == (500, "TypeError")
