"""Say and Play (TwiML reference, "Say", "Play")."""

from __future__ import annotations

from typing import Any

from ringback.call.effects import Play, SendDigits, StopPlay, error
from ringback.call.events import PlayFailed
from ringback.call.script import Call, Interrupted, Script, wait_for_sound
from ringback.twiml.document import Element
from ringback.twiml.errors import TwimlError
from ringback.twiml.run import Outcome, Run, ensure_answered

DTMF = frozenset("0123456789*#ABCDabcdwW")


def say(run: Run, element: Element) -> Script[Outcome]:
    """Speak a text, with SSML if it has any."""
    source, loops = yield from source_of(run, element)
    yield from ensure_answered(run.call)
    yield from play_to_end(run.call, source, loops)
    return None


def play(run: Run, element: Element) -> Script[Outcome]:
    """Play a file, or DTMF digits."""
    source, loops = yield from source_of(run, element)
    yield from ensure_answered(run.call)
    if source[0] == "digits":
        yield from _repeat_digits(run.call, source[1], loops)
    else:
        yield from play_to_end(run.call, source, loops)
    return None


def source_of(run: Run, element: Element) -> Script[tuple[list[Any], int]]:
    """What a Say, Play or Pause stands for: a source for the Play effect, and how often. 0: endless."""
    values = yield from run.attributes(element)
    match element.name:
        case "Say":
            return ["say", element.plain()[2], values["voice"], values["language"]], values["loop"]
        case "Pause":
            return ["silence", values["length"]], 1
        case "Play" if values["digits"]:
            if not set(values["digits"]) <= DTMF:
                raise TwimlError(
                    13430, f"Play digits={values['digits']!r:.60} holds more than 0-9 * # A-D and w"
                )
            return ["digits", values["digits"]], values["loop"]
        case "Play":
            if not element.text:
                raise TwimlError(13420, "Play needs a URL or digits")
            return ["url", run.link(element.text)], values["loop"]
    raise TwimlError(13320, f"<{element.name}> cannot be played")


def play_to_end(call: Call, source: list[Any], loops: int) -> Script[None]:
    """Play a clip and wait for its end. One that cannot be had is an error line, and the call goes on."""
    token = call.token("play")
    yield Play(token, source, loops)
    yield from _to_its_end(token)


def _to_its_end(token: str) -> Script[None]:
    """Wait until a sound is over, and stop it for what interrupts; one that failed is an error line."""
    try:
        event = yield from wait_for_sound(token)
    except Interrupted:
        yield StopPlay()
        raise
    if isinstance(event, PlayFailed):
        yield error("media", event.message, event.code)


def send_digits(call: Call, digits: str) -> Script[None]:
    """Send DTMF and wait until the last digit is out."""
    token = call.token("digits")
    yield SendDigits(token, digits)
    yield from _to_its_end(token)


def _repeat_digits(call: Call, digits: str, loops: int) -> Script[None]:
    sent = 0
    while sent < loops or not loops:
        yield from send_digits(call, digits)
        sent += 1
