"""Ringback: a telephone exchange that speaks Twilio."""

__version__ = "0.1.0"
