"""The parameters of a request: a form body or a query string, in order and with repetitions.

Twilio's forms differ from most: a list is a repeated name, a comparison is part of the name
(``StartTime>=2009-07-06`` is the name ``StartTime>`` in a query string), unknown names are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl, urlencode

from .errors import INVALID_PARAMETER, RestError, invalid
from .limits import MAX_BODY, MAX_INTEGER_DIGITS, MAX_PARAMETERS, MAX_QUERY

_INTEGER = re.compile(r"-?[0-9]+\Z")
_COMPARISON = re.compile(r"(\w+)([<>])(.+)\Z", re.DOTALL)


class Form:
    """Names and values, immutable, in the order of the request."""

    __slots__ = ("_pairs", "_values")

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._pairs = tuple(pairs)
        self._values: dict[str, list[str]] = {}
        for name, value in self._pairs:
            self._values.setdefault(name, []).append(value)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __repr__(self) -> str:
        return f"Form({sorted(self._values)})"  # names only: values may be passwords

    def get(self, name: str) -> str | None:
        """The last value of a name, None when it is absent."""
        values = self._values.get(name)
        return values[-1] if values else None

    def all(self, name: str) -> list[str]:
        """Every value of a name, in order."""
        return list(self._values.get(name, ()))

    def encode(self) -> str:
        """The form as a query string."""
        return urlencode(self._pairs)


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS, separator="&"
        )
    except UnicodeDecodeError as error:
        raise invalid("The request parameters are not valid UTF-8") from error
    except ValueError as error:
        raise invalid(f"The request has more than {MAX_PARAMETERS} parameters") from error


def parse_form(body: bytes, content_type: str | None) -> Form:
    """The form in a request's body.

    Raises RestError: 413 above MAX_BODY, 415 for a content type other than
    application/x-www-form-urlencoded (an empty body needs none), 400 for bytes that are no form.
    """
    if len(body) > MAX_BODY:
        raise RestError(413, INVALID_PARAMETER, "The request body is too large")
    if not body:
        return Form()
    kind = (content_type or "application/x-www-form-urlencoded").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise RestError(415, INVALID_PARAMETER, f"Content type {kind} is not supported")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise invalid("The request parameters are not valid UTF-8") from error
    return Form(_pairs(text))


def parse_query(query: bytes) -> Form:
    """The parameters of a query string; a comparison without an equals sign (``EndTime>2009``) counts too.

    Raises RestError: 414 above MAX_QUERY, 400 for bytes that are no query.
    """
    if len(query) > MAX_QUERY:
        raise RestError(414, INVALID_PARAMETER, "The query string is too long")
    pairs = []
    for name, value in _pairs(query.decode("latin-1")):
        comparison = _COMPARISON.match(name) if not value else None
        if comparison is not None:
            name, value = comparison[1] + comparison[2], comparison[3]
        pairs.append((name, value))
    return Form(pairs)


def boolean(text: str) -> bool:
    """``true`` or ``false`` in any letter case (SDKs send ``True``), 1 or 0. Raises ValueError otherwise."""
    match text.lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
        case _:
            raise ValueError("not a boolean")


def integer(text: str) -> int:
    """A decimal number. Raises ValueError for anything else and for more than MAX_INTEGER_DIGITS digits."""
    if len(text) > MAX_INTEGER_DIGITS or _INTEGER.match(text) is None:
        raise ValueError("not an integer")
    return int(text)
