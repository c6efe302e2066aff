"""Audio of calls: the packet pump with its two twins, G.711, and the library of clips."""

from __future__ import annotations

from ringback.media.errors import CoreMissing, MediaError, Overload, PortsExhausted, UnknownPort, UsageError
from ringback.media.pump import Address, Codec, Event, Port, PortStats, Pump, RemoteReport, Track
from ringback.media.twins import create_pump

__all__ = [
    "Address",
    "Codec",
    "CoreMissing",
    "Event",
    "MediaError",
    "Overload",
    "Port",
    "PortStats",
    "PortsExhausted",
    "Pump",
    "RemoteReport",
    "Track",
    "UnknownPort",
    "UsageError",
    "create_pump",
]
