"""A target: one place where bytes of other people enter, and what must hold there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """``run`` takes one input, catches the errors that are documented there, and raises for all else.

    ``share``: parts of all inputs that a campaign gives to it, fewer where each takes long. ``is_guided``: coverage guidance helps; it does not
    where a socket or a thread stands between the input and the code. ``separator``: between the pieces of an input,
    where there are any; they are doubled, moved and lost as a whole, too.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    share: int = 4
    is_guided: bool = True
    separator: bytes = b""


def text_of(data: bytes) -> str:
    """Bytes as text, as the SIP parser decodes them."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
