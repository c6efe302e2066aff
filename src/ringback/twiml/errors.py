"""Errors of TwiML documents.

::

    TwimlError                theirs: code is Twilio's, the call takes its fallback flow
    |-- DocumentError         the document cannot be read (12100, 12102, 11750 ...)
    `-- NotYet                it is Twilio's, and Ringback cannot do it yet
"""

from __future__ import annotations


class TwimlError(Exception):
    """A document that cannot be carried out. ``code`` is of Twilio's error dictionary, 0 for none."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class DocumentError(TwimlError):
    """Not a TwiML document."""


class NotYet(TwimlError):
    """Valid TwiML that this version does not carry out."""

    def __init__(self, what: str) -> None:
        super().__init__(12400, f"{what} is valid TwiML, but this version of Ringback cannot do it yet")
