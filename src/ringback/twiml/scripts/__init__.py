"""The scripts of calls: one that came in, one that a program started, one that a Dial rang, one that replaces."""

from __future__ import annotations

from ringback.call.script import Call, Script
from ringback.twiml.scripts.child import child
from ringback.twiml.scripts.inbound import inbound
from ringback.twiml.scripts.outbound import outbound
from ringback.twiml.scripts.replacing import replacing

SCRIPTS = {"inbound": inbound, "api": outbound, "child": child}


def script_of(call: Call) -> Script[None]:
    """The script that a call's setup asks for."""
    return replacing(call) if call.setup.replaces else SCRIPTS[call.setup.kind](call)
