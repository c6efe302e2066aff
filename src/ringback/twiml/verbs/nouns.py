"""The nouns of Dial: what each stands for, and how it is reached."""

from __future__ import annotations

from typing import Any

import msgspec

from ringback.call.effects import Plan, error
from ringback.call.events import Planned
from ringback.call.script import Script, wait_for
from ringback.call.setup import CallSetup, Page, StatusCallback
from ringback.call.wanted import Wanted
from ringback.twiml.document import Element
from ringback.twiml.errors import TwimlError
from ringback.twiml.run import Run
from ringback.twiml.schema import read_attributes
from ringback.twiml.verbs.sound import DTMF


class Noun(msgspec.Struct, frozen=True):
    """One noun ready to be rung: the plan that the exchange made for it, and its own wishes."""

    shown: str
    """What the timeline and the child's To call it."""
    plan: dict[str, Any]
    whisper: Page
    status_callback: StatusCallback
    send_digits: str

    def setup(self, run: Run, time_limit: float) -> CallSetup:
        """The setup of the child call that rings this noun."""
        call = run.call
        parent = call.setup
        return (
            CallSetup(  # of over 30 arguments, a name counting as one, Python would make a dictionary first
                "child",
                call.new_sid("CA"),
                parent.account_sid,
                call.new_sid(""),
                call.now,
                "outbound-dial",
                from_=self.plan["from"],
                to=self.plan["to"],
                parent_sid=parent.sid,
                is_withheld=parent.is_withheld,
                asserted=parent.asserted,
                country=parent.country,
                page=self.whisper,
                status_callback=self.status_callback,
                targets=tuple(self.plan["targets"]),
                from_user=self.plan["from_user"],
                from_domain=self.plan["from_domain"],
                display_name=self.plan["display_name"],
                time_limit=float(time_limit),  # as a journal reads it
                send_digits=self.send_digits,
            )
        )


def plan_noun(run: Run, element: Element, caller_id: str) -> Script[Noun | None]:
    """Ask how a Number or Sip is reached; None, with an error line, if it is not."""
    values, odd = read_attributes(element)
    if odd:
        yield from run.warn(*odd)
    token = run.call.token("plan")
    setup = run.call.setup
    wanted: Wanted = {
        "kind": "sip" if element.name == "Sip" else "number",
        "address": element.text,
        "caller_id": caller_id,
        "caller": setup.from_,
        "caller_direction": setup.direction,
        "is_withheld": setup.is_withheld,
        "asserted": setup.asserted,
        "account_sid": setup.account_sid,
        "country": setup.country,
        "byoc": values.get("byoc", ""),
        "username": values.get("username", ""),
        "password": values.get("password", ""),
        "referred_by": run.call.referred_by,
    }
    yield Plan(token, wanted)
    plan = (yield from wait_for(token, Planned)).plan
    if plan["error_code"]:
        yield error("call", plan["error_text"], plan["error_code"])
        return None
    digits = values.get("sendDigits", "")
    if digits and not set(digits) <= DTMF:
        raise TwimlError(13222, f"sendDigits={digits!r:.60} holds more than 0-9 * # and w")
    whisper = Page(run.link(values["url"]), values["method"]) if values["url"] else Page()
    callback = StatusCallback()
    if values["statusCallback"]:
        where = run.link(values["statusCallback"])
        callback = StatusCallback(where, values["statusCallbackMethod"], values["statusCallbackEvent"])
    return Noun(plan["to"], plan, whisper, callback, digits)
