"""The built-in voice URL, `/voice?callerId=+16505551234`: dials what the caller dialled, with that caller ID."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from ringback.functions import limits
from ringback.functions.bins import escape_xml

DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>'

_NUMBER: Final = re.compile(r"\+?[0-9*#][0-9*#().\- ]*")


def text_of(parameters: Mapping[str, Any], name: str) -> str:
    """A parameter's only or last value, "" if it has none."""
    value = parameters.get(name, "")
    if isinstance(value, list):
        value = value[-1] if value else ""
    return value.strip() if isinstance(value, str) else ""


def dialled(to: str) -> str:
    """The user part of a SIP address, without `sip:` and `@host`; other text as it is."""
    rest = to
    scheme, colon, after = to.partition(":")
    if colon and scheme.lower() in {"sip", "sips"}:
        rest = after
    return unquote(rest.partition("@")[0].partition(";")[0])


def voice_document(parameters: Mapping[str, Any]) -> str:
    """TwiML for a call to `To`, with `callerId` as its caller ID.

    A user who is no number is dialled at the SIP address that was asked for.
    """
    to = text_of(parameters, "To")
    caller_id = text_of(parameters, "callerId")
    if len(to) > limits.ADDRESS or not dialled(to):
        return _document("<Say>Error placing the call. The number to dial is required.</Say>")
    attribute = f' callerId="{escape_xml(caller_id)}"' if caller_id else ""
    user = dialled(to)
    inner = escape_xml(user)
    if not _NUMBER.fullmatch(user) and "@" in to:
        scheme = "" if to.lower().startswith(("sip:", "sips:")) else "sip:"
        inner = f"<Sip>{escape_xml(scheme + to.partition(';')[0])}</Sip>"
    return _document(f"<Dial{attribute}>{inner}</Dial>")


def _document(inner: str) -> str:
    return f"{DECLARATION}<Response>{inner}</Response>"
