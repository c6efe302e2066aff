"""Text to speech: Twilio's voices and SSML on engines that run here, in a child process."""

from ringback.speech.errors import LanguageRejected, TextRejected, VoiceRejected
from ringback.speech.speaker import Speaker

__all__ = ["LanguageRejected", "Speaker", "TextRejected", "VoiceRejected"]
