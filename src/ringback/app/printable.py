"""What peers and programs say, on a terminal and in a log: text, and never commands or lines of its own."""

from __future__ import annotations

import re
from typing import Final

_COMMANDS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, with which terminals are commanded and lines forged; ends of lines, and what turns their direction;
halves of characters, which cannot be written."""


def printable(text: str) -> str:
    """The text, with such characters as escapes."""
    return text if text.isprintable() else _COMMANDS.sub(lambda found: ascii(found[0])[1:-1], text)
