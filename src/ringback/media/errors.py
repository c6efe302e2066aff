"""Errors of the media package.

MediaError
+-- UsageError        we asked for something impossible
|   +-- UnknownPort   no such port or mixer, or no longer
+-- Overload          refuse for now
|   +-- PortsExhausted
+-- CoreMissing       the compiled pump was required and is not there
"""

from __future__ import annotations


class MediaError(Exception):
    """Root of everything that this package raises."""


class UsageError(MediaError):
    """The caller asked for something impossible."""


class UnknownPort(UsageError):
    """The handle names no port or mixer, or one that was closed."""


class Overload(MediaError):
    """There is no room for one more; refuse the call with 503."""


class PortsExhausted(Overload):
    """Every pair of ports in the configured range is taken."""


class CoreMissing(MediaError):
    """RINGBACK_REQUIRE_CORE is set, and ringback.media._core was not built."""
