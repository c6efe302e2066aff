"""Header fields in order, as text: what a message is before anybody asks what they mean (RFC 3261 section 7.3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

from ringback.sip.errors import UsageError
from ringback.sip.header_names import KNOWN_NAMES, LIST_FIELDS, SPELLINGS, canonical_name
from ringback.sip.headers import split_list
from ringback.sip.limits import MAX_LIST_VALUES

_NONE: Final[frozenset[str]] = frozenset()
_NO_BODY: Final = "Content-Length: 0\r\n\r\n"
Header = tuple[str, str]
Kept = tuple[str, ...]
"""A Header whose tuple is handed on as it is: compiled, one of a known length is taken apart and made anew."""


class TextFields:
    """A list of (canonical name, value), `headers`; names that are not known keep the peer's spelling.

    It is changed only through `add`, `set`, `prepend` and `remove`, which say so by `_forget`; and by `append`, as long as
    nobody has read what is appended.
    """

    __slots__ = ("headers",)

    def __init__(self) -> None:
        self.headers: list[Header] = []

    def _forget(self, name: str) -> None:
        """A field of this name, in its canonical spelling, changes: whoever remembers what it meant reads it anew."""

    def _kept(self) -> list[Kept]:
        return cast("list[Kept]", self.headers)

    def append(self, headers: Iterable[Header]) -> None:
        """Append fields of which nobody has read any yet."""
        kept = self.headers
        for name, value in headers:
            kept.append((SPELLINGS.get(name) or canonical_name(name), value))

    def get(self, name: str) -> str | None:
        """The first value of a field, as it came; None when it is not there."""
        wanted = SPELLINGS.get(name) or canonical_name(name)
        if wanted in KNOWN_NAMES:
            for header in self._kept():
                if header[0] == wanted:
                    return header[1]
            return None
        wanted = wanted.lower()
        for kept, value in self.headers:
            if kept.lower() == wanted:
                return value
        return None

    def has(self, name: str) -> bool:
        """Whether there is a field of this name, in its canonical spelling."""
        for header in self._kept():  # noqa: SIM110 - three times as fast when compiled
            if header[0] == name:
                return True
        return False

    def raw(self, name: str) -> list[str]:
        """Every value of a field, line by line, as they came."""
        wanted = SPELLINGS.get(name) or canonical_name(name)
        if wanted in KNOWN_NAMES:
            return [header[1] for header in self._kept() if header[0] == wanted]
        wanted = wanted.lower()
        return [value for kept, value in self.headers if kept.lower() == wanted]

    def all(self, name: str) -> list[str]:
        """Every value of a field; those of list fields are split at their commas, empty ones left out."""
        values = self.raw(name)
        if values and canonical_name(name) in LIST_FIELDS:
            return [each for value in values for each in split_list(value) if each]
        return values

    def tokens(self, name: str) -> frozenset[str]:
        """The values of Supported, Require, Allow and their like, in lower case; what is no token is kept as it is.

        Never raises: a 2xx with such a field must still be acknowledged.
        """
        if name in KNOWN_NAMES and not self.has(name):
            return _NONE
        found = [each.strip(" \t") for value in self.raw(name) for each in value.split(",", MAX_LIST_VALUES)]
        return frozenset([each.lower() for each in found if each])

    def add(self, name: str, value: str) -> None:
        """Append a field."""
        name = canonical_name(name)
        self._forget(name)
        self.headers.append((name, value))

    def prepend(self, name: str, value: str) -> None:
        """Put a field in front of all others (Via, Route, Record-Route)."""
        name = canonical_name(name)
        self._forget(name)
        self.headers.insert(0, (name, value))

    def remove(self, name: str) -> None:
        """Take every field of this name away."""
        name = canonical_name(name)
        self._forget(name)
        lower = name.lower()
        self.headers = [header for header in self.headers if header[0].lower() != lower]

    def set(self, name: str, value: str) -> None:
        """Put `value` in the place of the first field of this name, take the others away; append when new."""
        name = canonical_name(name)
        self._forget(name)
        lower = name.lower()
        at = next((i for i, header in enumerate(self.headers) if header[0].lower() == lower), None)
        if at is None:
            self.headers.append((name, value))
            return
        rest = [header for header in self.headers[at + 1 :] if header[0].lower() != lower]
        self.headers[at:] = [(name, value), *rest]


def written(start_line: str, headers: list[Header], body: bytes, encoding: str) -> bytes:
    """A message's bytes, with the right Content-Length. Raises UsageError for a line end in a field."""
    lines = [start_line]
    for header in cast("list[Kept]", headers):
        name = header[0]
        if name != "Content-Length":
            lines.append(f"{name}: {header[1]}")
    whole = "".join(lines)
    if "\n" in whole or "\r" in whole:
        raise UsageError("a line end inside a header field")
    lines.append(f"Content-Length: {len(body)}\r\n\r\n" if body else _NO_BODY)
    text = "\r\n".join(lines)
    try:
        head = text.encode() if encoding == "utf-8" else text.encode(encoding)
    except UnicodeEncodeError:
        head = text.encode("utf-8", "replace")
    return head + body if body else head
