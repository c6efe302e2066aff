"""Limits of the pump, each with its reason. The compiled core is built with the same numbers."""

from __future__ import annotations

from typing import Final

MAX_PORTS: Final = 32768
"""Ports of a pump: every even number of the 16-bit range."""

MAX_MIXERS: Final = 4096
"""Mixers of a pump: a conference has two members at least."""

MAX_TAPS: Final = 8
"""Taps on one port: four streams, each with both tracks (Twilio allows four streams a call)."""

MAX_EVENTS: Final = 65536
"""Events that wait for the reader; a reader that is behind this far (14 MB) is stuck, later ones are dropped."""

MAX_FRAME_EVENTS: Final = 49152
"""Of those, how many may be audio: the rest is kept for digits and ends of playing."""

MAX_AUDIO: Final = 64 * 1024 * 1024
"""Bytes of one buffer to play: more than two hours."""
