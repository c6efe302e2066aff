"""Documents that programs let us keep: answers to GET with an ETag or a Last-Modified, RFC 9111 section 4.3.

Every use is confirmed by the program (304), so nothing is ever stale and nothing is shown to the wrong call.
"""

from collections import OrderedDict
from typing import Final, Generic, NamedTuple, TypeVar

DOCUMENTS: Final = 256
"""Documents kept; each has 64 kB at most, so 16 MB in all."""

T = TypeVar("T")


class Kept(NamedTuple, Generic[T]):
    """A document, and the headers of a request that asks whether it is still right."""

    conditions: dict[str, str]
    document: T


class DocumentCache(Generic[T]):
    """Documents by the URL that was asked, query and all; the one unused for longest goes first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept[T]] = OrderedDict()

    def find(self, url: str) -> Kept[T] | None:
        """What we have for a URL. Ask with its conditions; a 304 says that the document is still right."""
        kept = self._kept.get(url)
        if kept is not None:
            self._kept.move_to_end(url)
        return kept

    def keep(self, url: str, etag: str, last_modified: str, document: T) -> None:
        """Keeps a document, or drops the older one if this one names no validator."""
        self._kept.pop(url, None)
        conditions = {}
        if etag:
            conditions["If-None-Match"] = etag
        if last_modified:
            conditions["If-Modified-Since"] = last_modified
        if conditions:
            self._kept[url] = Kept(conditions, document)
            while len(self._kept) > DOCUMENTS:
                self._kept.popitem(last=False)
