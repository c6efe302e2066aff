"""String identifiers: two letters for the kind and 32 hexadecimal digits."""

from __future__ import annotations

import re
from typing import Final

from .errors import UsageError

_HEX: Final = re.compile(r"[0-9a-fA-F]{32}\Z")
_TOKEN: Final = re.compile(r"[0-9a-f]{32}\Z")


def is_sid(text: str, prefix: str) -> bool:
    """Whether `text` is a SID of the kind `prefix`, such as "CA" (letter case of the prefix matters)."""
    return text.startswith(prefix) and _HEX.match(text, len(prefix)) is not None


def make_sid(prefix: str, token: str) -> str:
    """A SID from 32 random lower-case hexadecimal digits, which the caller draws.

    Raises UsageError when `token` has another form.
    """
    if _TOKEN.match(token) is None:
        raise UsageError("a SID needs 32 lower-case hexadecimal digits")
    return prefix + token
