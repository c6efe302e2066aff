"""The address of this machine that phones in its network use."""

from __future__ import annotations

import socket

from ringback.app.settings import Settings


def reachable_address(settings: Settings) -> str:
    """What was set, else where SIP listens, else the address of the default route."""
    if settings.public_address != "auto":
        return settings.public_address
    host = settings.sip.rpartition(":")[0].strip("[]")
    if host not in ("", "0.0.0.0", "::"):
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # The source address of the default route; connecting a datagram socket sends nothing.
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
