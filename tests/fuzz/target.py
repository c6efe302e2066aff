"""A target: one place where bytes of other people enter, and what must hold there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """``run`` takes one input, catches the errors that are documented there, and raises for all else.

    ``share``: parts of all inputs that a campaign gives to it, fewer where each takes long. ``is_guided``: coverage guidance helps; it does not
    where a socket or a thread stands between the input and the code.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    share: int = 4
    is_guided: bool = True


def text_of(data: bytes) -> str:
    """Bytes as text, as the SIP parser decodes them."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
