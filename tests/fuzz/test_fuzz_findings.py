"""What fuzzing found, each with the input that showed it."""

from __future__ import annotations

import re

import pytest
from fuzz.judge import judge_time, seconds
from fuzz.stories import Story
from fuzz.targets import TARGETS


def _answered_without_to() -> bytes:
    """180 to the call that the agent placed, 200 that lacks To, and a BYE in that dialog."""
    story = Story().hear(b"!c").reply("INVITE", 180).reply("INVITE", 200).ask("BYE", 1)
    story.pieces[3] = re.sub(rb"\r\nTo: [^\r]*", b"", story.pieces[3])
    return story.told()


STREAM = b"<Response><Start><Stream url='%b'/></Start></Response>"
FOUND = {
    "brackets without a colon were an address that could not be written again": (
        "sip uri",
        b"sip:a@[.1]:9",
    ),
    "a stream's URL with an open bracket ended its call": ("twiml script", STREAM % b"wss://a.[b/s"),
    "a link with an open bracket ended its call": (
        "twiml script",
        b"<Response><Redirect>http://[</Redirect></Response>",
    ),
    "a redirect to an open bracket raised out of the client": (
        "webhook answer",
        b"text/plain\n302\nhttp://ringback.localh[ost:8080/x\nhello",
    ),
    "a bin of many tags took quadratic time": ("bin template", b"{{a}}\n" * 10_000),
    "a bin's tag without an end took quadratic time": ("bin template", b"{{a}}{{" + b" " * 32_000),
    "lists within lists of a bin multiplied": (
        "bin template",
        b"{{#Names}}" * 16 + b"{{.}}" + b"{{/Names}}" * 16,
    ),
    "a response without To ended its INVITE's transaction, but not the call": (
        "sip agent",
        _answered_without_to(),
    ),
    "a list of many commas beside a quote was cut up whole": ("sip fields", b'"a"' + b"," * 65_000),
    "a journal of endless lines overflowed": ("call journal", b'{"ringback": "0.1.0", "lines": 1e999}\n'),
    "a journal of deep brackets overflowed the stack": (
        "call journal",
        b"{}\n" + b"[" * 60_000 + b"]" * 60_000,
    ),
}


@pytest.mark.parametrize("what", FOUND)
def test_what_was_found_stays_mended(what: str) -> None:
    name, data = FOUND[what]
    target = TARGETS[name]
    judge_time(target, data, seconds(target.run, data))
