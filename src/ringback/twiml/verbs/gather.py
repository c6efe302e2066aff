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
    action = run.link(values["action"])
    yield from ensure_answered(run.call)
    digits, finished_on = yield from _collect(run, values, prompts)
    if not digits and not values["actionOnEmptyResult"]:
        yield info("twiml", "Gather: no input")
        return None
    yield info("twiml", f"Gather: {len(digits)} digits")
    params: Pairs = [("Digits", digits)]
    if finished_on:
        params.append(("FinishedOnKey", finished_on))
    return Goto(action, values["method"], params)


def _collect(
    run: Run, values: dict[str, Any], prompts: list[tuple[list[Any], int]]
) -> Script[tuple[str, str]]:
    """Prompts, then keys until the finish key, the wanted count, or the timeout: (digits, finish key)."""
    timer = run.call.token("gather")
    first = yield from _prompt(run, prompts, deaf_to="" if values["bargeIn"] else values["finishOnKey"][:1])
    try:
        result = yield from _keys(values, timer, first)
    except Interrupted:
        yield Disarm(timer)
        raise
    yield Disarm(timer)
    return result


def _prompt(run: Run, prompts: list[tuple[list[Any], int]], deaf_to: str) -> Script[str]:
    """Play the prompts until they end or a key stops them: that key, or "".

    With bargeIn="false" (``deaf_to`` holds the finish key) only the finish key stops them.
    """
    for source, loops in prompts:
        playing = run.call.token("prompt")
        yield Play(playing, source, loops)
        try:
            while True:
                event = yield None
                if isinstance(event, Digit) and (not deaf_to or event.digit == deaf_to):
                    yield StopPlay()
                    return event.digit
                if isinstance(event, PlayFailed) and event.token == playing:
                    yield error("media", event.message, event.code)
                    break
                if isinstance(event, Played) and event.token == playing:
                    break
        except Interrupted:
            yield StopPlay()
            raise
    return ""


def _keys(values: dict[str, Any], timer: str, first: str) -> Script[tuple[str, str]]:
    finish_key = values["finishOnKey"][:1]
    digits = ""
    key = first
    while True:
        if key and key == finish_key:
            return digits, key
        digits += key
        if values["numDigits"] and len(digits) == values["numDigits"]:
            return digits, ""
        yield Arm(timer, values["timeout"])
        while True:
            event = yield None
            if isinstance(event, Digit):
                key = event.digit
                break
            if isinstance(event, Fired) and event.token == timer:
                return digits, ""
