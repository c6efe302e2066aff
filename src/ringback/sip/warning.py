"""What was incompatible with a session: the Warning of a 488 or 606, RFC 3261 sections 20.43 and 21.4.26."""

from __future__ import annotations

from typing import Final

from ringback.sip.headers import quoted

ADDRESS_FORMATS: Final = 301
TRANSPORT_PROTOCOL: Final = 302
MEDIA_TYPE: Final = 304
MEDIA_FORMAT: Final = 305
SIPS_NOT_ALLOWED: Final = 380  # RFC 5630 section 6.3
MISCELLANEOUS: Final = 399

_AGENT: Final = "ringback"
"""A pseudonym in the place of our address, which behind a NAT says nothing."""


def warning(code: int, text: str) -> tuple[str, str]:
    """The field, with a text for people."""
    return "Warning", f"{code} {_AGENT} {quoted(text)}"
