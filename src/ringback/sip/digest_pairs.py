"""The parameters of Digest challenges and credentials, as they stand in a header field (RFC 7616 sections 3.3 and 3.4)."""

from __future__ import annotations

import re
from typing import Final

from ringback.sip.errors import SipSyntaxError
from ringback.sip.header_names import TOKEN
from ringback.sip.headers import unquote
from ringback.sip.limits import MAX_CREDENTIALS, MAX_REMEMBERED_NAMES, MAX_REMEMBERED_TEXT

_VALUE: Final = r'"(?:[^"\\]++|\\.)*+"|[^\s",]++'
_ONE: Final = rf"{TOKEN}++[ \t]*+=[ \t]*+(?:{_VALUE})[ \t]*+"
_PAIRS: Final = re.compile(rf"[ \t]*+{_ONE}(?:,[ \t,]*+{_ONE})*+", re.DOTALL)
_PAIR: Final = re.compile(rf"({TOKEN}++)[ \t]*+=[ \t]*+({_VALUE})", re.DOTALL)
_SCHEME: Final = re.compile(rf"({TOKEN}++)[ \t]++")
_PLAIN_NAMES: Final = frozenset(
    "algorithm cnonce nc nonce opaque qop realm response stale uri username".split()
)


def read_pairs(value: str) -> dict[str, str]:
    """The parameters of a Digest challenge or of Digest credentials. Raises SipSyntaxError."""
    if len(value) > MAX_CREDENTIALS:
        raise SipSyntaxError("Credentials too long")
    if value.startswith("Digest ") and (pairs := _plain_pairs(value[7:])):
        return pairs
    scheme = _SCHEME.match(value)
    if scheme is None or scheme[1].lower() != "digest":
        raise SipSyntaxError("Not Digest")
    at = scheme.end()
    if not _PAIRS.fullmatch(value, at):
        raise SipSyntaxError("Malformed Digest parameters")
    found: list[tuple[str, str]] = _PAIR.findall(value, at)
    pairs = {name.lower(): unquote(given) for name, given in found}
    if len(pairs) != len(found):
        raise SipSyntaxError("Digest parameter given twice")
    return pairs


class _Between:
    """What stands between two quoted values: whole parameters, and the name of the one whose value follows."""

    __slots__ = ("has_comma", "name", "pairs")

    def __init__(self, has_comma: bool, pairs: list[tuple[str, str]], name: str) -> None:
        self.has_comma = has_comma
        self.pairs = pairs
        self.name = name


_BETWEEN: Final[dict[str, _Between]] = {}
"""Every request of a phone has the same between its quoted values, but for the count of the nonce."""


def _plain_pairs(text: str) -> dict[str, str] | None:
    """Parameters without anything that is unusual: an eighth of the work. None where something is."""
    pieces = text.split('"')
    last = len(pieces) - 1
    if last & 1 or "\\" in text:
        return None
    pairs: dict[str, str] = {}
    count = 0
    for at in range(0, last + 1, 2):
        piece = pieces[at]
        between = _BETWEEN.get(piece)
        if between is None:
            between = _between(piece)
            if between is None:
                return None
            if len(_BETWEEN) >= MAX_REMEMBERED_NAMES:
                _BETWEEN.clear()
            if len(piece) < MAX_REMEMBERED_TEXT:
                _BETWEEN[piece] = between
        if between.has_comma != (at > 0 and bool(piece)) or bool(between.name) != (at < last):
            return None
        for name, value in between.pairs:
            pairs[name] = value
        count += len(between.pairs)
        if at < last:
            pairs[between.name] = pieces[at + 1]
            count += 1
    return pairs if len(pairs) == count else None


def _between(text: str) -> _Between | None:
    parts = [part.strip(" \t") for part in text.split(",")]
    has_comma = len(parts) > 1 and not parts[0]
    if has_comma or not text:
        del parts[0]
    pairs: list[tuple[str, str]] = []
    for at, part in enumerate(parts):
        name, _, value = part.partition("=")
        if name not in _PLAIN_NAMES:
            return None
        if not value and at == len(parts) - 1 and part.endswith("="):
            return _Between(has_comma, pairs, name)
        if not (value.isascii() and value.replace("-", "").isalnum()):
            return None
        pairs.append((name, value))
    return _Between(has_comma, pairs, "")
