"""Errors of the call layer.

::

    CallError
    |-- UsageError            ours: a caller of this package did what cannot be
    |   `-- ScriptStalled     a script gave effects without end
    |-- JournalError          a journal cannot be read or does not fit
    `-- Overload              no room for one more call
"""

from __future__ import annotations


class CallError(Exception):
    """Anything that goes wrong in ringback.call."""


class UsageError(CallError):
    """This program did what it must not."""


class ScriptStalled(UsageError):
    """A script yielded effects and never waited."""


class JournalError(CallError):
    """A journal is damaged, cut short, or was written by another version."""


class Overload(CallError):
    """No more calls for now."""
