"""Which twin of the pump, and of a SIP socket's datagrams, runs: the compiled one where it was built from the sources that are here, or the one in Python."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from ringback import twins
from ringback.media.datagrams import Datagrams, PureDatagrams
from ringback.media.errors import CoreMissing
from ringback.media.pump import REPORT_AFTER, SILENT_AFTER, Pump
from ringback.media.pure import PurePump


def create_pump(
    rtp_ports: tuple[int, int],
    *,
    pure: bool | None = None,
    report_after: float = REPORT_AFTER,
    silent_after: float = SILENT_AFTER,
) -> Pump:
    """A running pump on the UDP ports `rtp_ports` (first and last, both included).

    `pure` True or False asks for one twin; None takes the compiled one where it is built. Raises CoreMissing
    when the compiled one is asked for, or RINGBACK_REQUIRE_CORE=1 is set, and it is not built.
    """
    if pure is not True:
        reason = why_pure()
        if not reason:
            from ringback.media._core import CorePump

            core: Pump = CorePump(rtp_ports, report_after=report_after, silent_after=silent_after)
            return core
        if pure is False or os.environ.get("RINGBACK_REQUIRE_CORE") == "1":
            raise CoreMissing(reason)
    return PurePump(rtp_ports, report_after=report_after, silent_after=silent_after)


def datagrams_of(sock: socket.socket) -> Datagrams:
    """What is received and sent through a UDP socket, compiled where it can be (IPv4)."""
    if sock.family == socket.AF_INET and not why_pure():
        from ringback.media._core import CoreDatagrams

        core: Datagrams = CoreDatagrams(sock)
        return core
    return PureDatagrams(sock)


def why_pure() -> str:
    """Why the compiled pump cannot serve, and what to do; "" where it can."""
    if reason := twins.outdated(Path(__file__).parents[1], twins.PUMP):
        return reason
    try:
        import ringback.media._core  # noqa: F401
    except ImportError as error:
        return f"the packet pump is not compiled ({error}): {twins.COMPILE}"
    return ""
