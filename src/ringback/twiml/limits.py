"""Bounds of TwiML documents, each with its reason."""

from __future__ import annotations

MAX_DOCUMENT_BYTES = 64 * 1024
"""Twilio's limit of a webhook's answer (error 11750)."""

MAX_INLINE_CHARACTERS = 4_000
"""Twilio's limit of the Twiml parameter (error 32018)."""

MAX_VERBS = 200
"""Verbs of one document: what they ask for without waiting stays below a script's bound of effects."""

MAX_STREAMS = 4
"""Streams that one Start or Stop names: Twilio taps a call at most four times at once."""

MAX_WARNINGS = 100
"""Warnings that one document may bring into its call's timeline."""

MAX_DEPTH = 20
"""SSML nests a few levels; deeper is an attack on the stack."""

MAX_ELEMENTS = 5_000
"""What 64 kB of real TwiML never reaches; <a/> repeated would."""

MAX_REMEMBERED = 100
"""Documents that are remembered as they were taken apart: the bins, and the answers that many calls share."""
