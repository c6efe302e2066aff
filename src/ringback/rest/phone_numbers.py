"""Telephone numbers as the API takes and shows them."""

from __future__ import annotations

import re
from typing import Final

import phonenumbers

_E164: Final = re.compile(r"\+[1-9][0-9]{1,14}\Z")  # ITU-T E.164 section 6.2.1: 15 digits at most
_PUNCTUATION: Final = re.compile(r"[\s().\-]+")
_NANP: Final = re.compile(r"1?([2-9][0-9]{9})\Z")  # ten digits as dialled in North America


def is_e164(text: str) -> bool:
    """Whether a text is ``+`` and 2 to 15 digits. Says nothing of the numbering plan of the country."""
    return _E164.match(text) is not None


def to_e164(text: str) -> str | None:
    """The E.164 form of a number as people write it; a number of ten digits is North American, as at Twilio.

    None when it cannot be one. A space in front is an unescaped ``+`` of a form.
    """
    if text.startswith(" "):
        text = "+" + text.lstrip()
    bare = _PUNCTUATION.sub("", text)
    if is_e164(bare):
        return bare
    national = _NANP.match(bare)
    return f"+1{national[1]}" if national else None


def formatted(text: str) -> str:
    """A number as Twilio shows it: national for North America, ``(415) 555-1234``, international otherwise.

    Anything but a number (a SIP address, a client) is shown as it is.
    """
    if not is_e164(text):
        return text
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return text
    style = (
        phonenumbers.PhoneNumberFormat.NATIONAL
        if number.country_code == 1
        else phonenumbers.PhoneNumberFormat.INTERNATIONAL
    )
    return phonenumbers.format_number(number, style)


def number_type(text: str) -> str:
    """What kind of number it is by its country's plan: ``toll-free``, ``mobile``, else ``local``."""
    try:
        kind = phonenumbers.number_type(phonenumbers.parse(text, None))
    except phonenumbers.NumberParseException:
        return "local"
    return _TYPES.get(kind, "local")


_TYPES: Final = {
    phonenumbers.PhoneNumberType.TOLL_FREE: "toll-free",
    phonenumbers.PhoneNumberType.MOBILE: "mobile",
}
