"""Pages of a list: what the client asks for, and the envelope around what it gets.

A page after another begins where that one ended: its PageToken names the last row seen, so that rows that
come or go meanwhile neither repeat nor hide others. ``Page`` counts for the reader's eye, and stands in where
no token is given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from .errors import INVALID_PAGE_TOKEN, PAGE_SIZE_TOO_LARGE, RestError, invalid
from .forms import Form, integer
from .limits import DEFAULT_PAGE_SIZE, MAX_PAGE, MAX_PAGE_SIZE

PAGING: Final = ("PageSize", "Page", "PageToken")

_TOKEN: Final = re.compile(r"P([AB])([A-Za-z]{2}[0-9a-f]{32})-([0-9a-f]{1,16})\Z")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Cursor(NamedTuple):
    """A place in a list that is ordered by date and SID, newest first."""

    sid: str
    moment: datetime
    backward: bool = False  # the page ends before this row instead of beginning after it

    def encode(self) -> str:
        """The cursor as a PageToken; microseconds since 1970 in hexadecimal after the SID."""
        micros = (self.moment - _EPOCH) // timedelta(microseconds=1)
        return f"P{'B' if self.backward else 'A'}{self.sid}-{max(micros, 0):x}"

    @classmethod
    def decode(cls, token: str) -> Cursor:
        """Reads a PageToken. Raises RestError 21481."""
        match = _TOKEN.match(token)
        if match is None:
            raise invalid("PageToken is not valid", INVALID_PAGE_TOKEN)
        try:
            moment = _EPOCH + timedelta(microseconds=int(match[3], 16))
        except OverflowError as error:
            raise invalid("PageToken is not valid", INVALID_PAGE_TOKEN) from error
        return cls(match[2], moment, match[1] == "B")


class PageRequest(NamedTuple):
    """Which page a client wants."""

    page: int
    size: int
    cursor: Cursor | None

    @property
    def offset(self) -> int:
        """Rows before the page, when there is no cursor."""
        return 0 if self.cursor else self.page * self.size


@dataclass(frozen=True, slots=True)
class Page:
    """One page as it is shown: items already rendered, and where its neighbours begin."""

    items: Sequence[dict[str, object]]
    previous: Cursor | None = None
    following: Cursor | None = None
    more: bool = False


def page_request(query: Form) -> PageRequest:
    """Reads PageSize (default 50, at most 1000), Page (from 0) and PageToken.

    Raises RestError 20007 for a larger page, 21481 for a wrong token, 20001 otherwise.
    """
    size = _number(query, "PageSize", DEFAULT_PAGE_SIZE, 1)
    if size > MAX_PAGE_SIZE:
        raise RestError(400, PAGE_SIZE_TOO_LARGE, f"PageSize must be at most {MAX_PAGE_SIZE}")
    page = _number(query, "Page", 0, 0)
    if page > MAX_PAGE:
        raise invalid(f"Page must be at most {MAX_PAGE}")
    token = query.get("PageToken")
    return PageRequest(page, size, Cursor.decode(token) if token else None)


def envelope(path: str, query: Form, request: PageRequest, page: Page) -> dict[str, object]:
    """The keys around a list: exactly those that SDKs know, with relative URIs.

    `path` is the request's path with its suffix; the query's own filters are kept in every link.
    """
    filters = [(name, value) for name, value in query if name not in PAGING]

    def link(number: int, cursor: Cursor | None) -> str:
        pairs = [*filters, ("PageSize", str(request.size)), ("Page", str(number))]
        if cursor is not None:
            pairs.append(("PageToken", cursor.encode()))
        return f"{path}?{Form(pairs).encode()}"

    start = request.page * request.size
    has_previous = request.page > 0
    return {
        "end": start + max(len(page.items) - 1, 0),
        "first_page_uri": link(0, None),
        "next_page_uri": link(request.page + 1, page.following) if page.more else None,
        "page": request.page,
        "page_size": request.size,
        "previous_page_uri": link(request.page - 1, page.previous) if has_previous else None,
        "start": start,
        "uri": f"{path}?{query.encode()}" if len(query) else path,
    }


def _number(query: Form, name: str, default: int, minimum: int) -> int:
    text = query.get(name)
    if not text:
        return default
    try:
        value = integer(text)
    except ValueError as error:
        raise invalid(f"{name} must be an integer") from error
    if value < minimum:
        raise invalid(f"{name} must be at least {minimum}")
    return value
