"""Gather of digits (TwiML reference, "Gather"; semantics, "Gather").

Any key stops the nested prompt and counts as the first digit. The timeout starts when the prompts have
ended and again at each key. No input makes no request: the next verb runs.
"""

from __future__ import annotations

from typing import Any

from ringback.call.effects import Arm, Disarm, Pairs, Play, StopPlay, error, info
from ringback.call.events import Digit, Fired, Played, PlayFailed
from ringback.call.script import Interrupted, Script
from ringback.twiml.document import Element
from ringback.twiml.errors import TwimlError
from ringback.twiml.run import Goto, Outcome, Run, ensure_answered
from ringback.twiml.verbs.sound import source_of

PROMPTS = frozenset({"Say", "Play", "Pause"})


def gather(run: Run, element: Element) -> Script[Outcome]:
    """Collect keys, with prompts before, and give them to the action."""
    values = yield from run.attributes(element)
    prompts = []
    for child in element.children:
        if child.name not in PROMPTS:
            raise TwimlError(13320, f"Gather cannot hold <{child.name}>: Say, Play and Pause only")
        prompts.append((yield from source_of(run, child)))
    if values["action"]:
        run.link(values["action"])  # a wrong one is told before anybody presses a key
    yield from ensure_answered(run.call)
    digits, finished_on = yield from _collect(run, values, prompts)
    if not digits and not values["actionOnEmptyResult"]:
        yield info("twiml", "Gather: no input")
        return None
    yield info("twiml", f"Gather: {len(digits)} digits")
    params: Pairs = [("Digits", digits)]
    if finished_on:
        params.append(("FinishedOnKey", finished_on))
    return Goto(run.link(values["action"]), values["method"], params)


def _collect(
    run: Run, values: dict[str, Any], prompts: list[tuple[list[Any], int]]
) -> Script[tuple[str, str]]:
    """Prompts, then keys until the finish key, the wanted count, or the timeout: (digits, finish key)."""
    timer = run.call.token("gather")
    ahead = yield from _prompt(run, prompts, values["bargeIn"])
    try:
        result = yield from _keys(values, timer, ahead)
    except Interrupted:
        yield Disarm(timer)
        raise
    yield Disarm(timer)
    return result


def _prompt(run: Run, prompts: list[tuple[list[Any], int]], barge_in: bool) -> Script[str]:
    """Play the prompts until they end or a key stops them: the keys that were pressed meanwhile.

    With bargeIn="false" no key stops them, and none is lost.
    """
    keys = ""
    for source, loops in prompts:
        playing = run.call.token("prompt")
        yield Play(playing, source, loops)
        try:
            while True:
                event = yield None
                if isinstance(event, Digit):
                    keys += event.digit
                    if barge_in:
                        yield StopPlay()
                        return keys
                elif isinstance(event, PlayFailed) and event.token == playing:
                    yield error("media", event.message, event.code)
                    break
                elif isinstance(event, Played) and event.token == playing:
                    break
        except Interrupted:
            yield StopPlay()
            raise
    return keys


def _keys(values: dict[str, Any], timer: str, ahead: str) -> Script[tuple[str, str]]:
    """Keys, those that came ``ahead`` first. The timer is armed again at each."""
    digits = ""
    while True:
        if ahead:
            key, ahead = ahead[0], ahead[1:]
        else:
            yield Arm(timer, values["timeout"])
            key = yield from _next_key(timer)
        if not key:
            return digits, ""
        if key == values["finishOnKey"]:
            return digits, key
        digits += key
        if len(digits) == values["numDigits"]:
            return digits, ""


def _next_key(timer: str) -> Script[str]:
    """The next key, or "" when the time is up."""
    while True:
        match (yield None):
            case Digit(key):
                return key
            case Fired(token) if token == timer:
                return ""
