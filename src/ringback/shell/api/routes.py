"""Which handler a path and a method have. Paths are case-sensitive, as Twilio's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .request import Handler


class Match(NamedTuple):
    """A path that exists: its methods, and the values of its parameters."""

    handlers: Mapping[str, Handler]
    parts: dict[str, str]


class Routes:
    """Templates such as ``/Accounts/{account_sid}/Calls/{sid}``; the first that was added wins."""

    def __init__(self) -> None:
        self._by_length: dict[int, list[tuple[tuple[str, ...], Mapping[str, Handler]]]] = {}

    def add(self, template: str, handlers: Mapping[str, Handler]) -> None:
        """Adds a path with the handlers of its methods."""
        segments = tuple(template.split("/"))
        self._by_length.setdefault(len(segments), []).append((segments, handlers))

    def match(self, path: str) -> Match | None:
        """Finds a path; every parameter is one segment that is not empty."""
        given = path.split("/")
        for segments, handlers in self._by_length.get(len(given), ()):
            parts: dict[str, str] = {}
            for segment, value in zip(segments, given, strict=True):
                if segment.startswith("{") and value:
                    parts[segment[1:-1]] = value
                elif segment != value:
                    break
            else:
                return Match(handlers, parts)
        return None
