"""String identifiers: two letters for the kind and 32 hexadecimal digits."""

from __future__ import annotations

import re
from typing import Final

_HEX: Final = re.compile(r"[0-9a-fA-F]{32}\Z")


def is_sid(text: str, prefix: str) -> bool:
    """Whether `text` is a SID of the kind `prefix`, such as "CA" (letter case of the prefix matters)."""
    return text.startswith(prefix) and _HEX.match(text, len(prefix)) is not None
