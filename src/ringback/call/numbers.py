"""Phone numbers: what was dialed, as E.164."""

from __future__ import annotations

import re

import phonenumbers

E164 = re.compile(r"\+[1-9]\d{1,14}\Z")
_DIALABLE = re.compile(r"[+\d().\-\s/]{2,40}\Z")


def normalize(dialed: str, country: str = "US") -> str | None:
    """The E.164 form of a dialed number, or None if it is none.

    With ``+`` it is international; without, it is read as dialed in ``country`` (ISO 3166 alpha-2). A
    number needs only a possible length: fictional and new numbers are not refused.
    """
    text = dialed.strip()
    if not _DIALABLE.match(text):
        return None
    try:
        number = phonenumbers.parse(text, None if text.startswith("+") else country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    e164: str = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return e164 if E164.match(e164) else None


def country_of(number: str) -> str:
    """The country (ISO 3166 alpha-2) of a number in E.164 form, or "" if it has none: satellites, freephone."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_possible_number(parsed):
        return ""
    # A fictional number is in no country's plan, but behind its code.
    found = phonenumbers.region_code_for_number(parsed)
    region: str = found or phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return region if region.isalpha() else ""


def is_e164(text: str) -> bool:
    """Whether this is a number in E.164 form, with its +."""
    return E164.match(text) is not None
