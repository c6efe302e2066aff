"""Errors of speech.

ringback.media.clips.ClipRejected
+-- TextRejected         13520 no or bad text, 13521 text too long
+-- VoiceRejected        13511 no such voice
+-- LanguageRejected     13512 no such language, or no voice for it on this machine
"""

from ringback.media.clips import ClipRejected


class TextRejected(ClipRejected):
    """The text is empty, too long, or its SSML is out of bounds."""


class VoiceRejected(ClipRejected):
    """Twilio knows no such voice."""

    def __init__(self, reason: str) -> None:
        super().__init__(13511, reason)


class LanguageRejected(ClipRejected):
    """Twilio knows no such language, or nothing on this machine speaks it."""

    def __init__(self, reason: str) -> None:
        super().__init__(13512, reason)
