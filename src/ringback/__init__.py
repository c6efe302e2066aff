"""Ringback: a telephone exchange that speaks Twilio."""

from pathlib import Path

from ringback import twins

__version__ = "0.1.0"

twins.choose(Path(__file__).parent)
