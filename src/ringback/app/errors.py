"""Errors of the program as a whole.

::

    AppError
    `-- Unusable      it cannot start as it was told to: one line that says what to do, exit status 2
"""

from __future__ import annotations


class AppError(Exception):
    """Anything that ends the program."""


class Unusable(AppError):
    """A setting, a file or an address cannot be used."""
