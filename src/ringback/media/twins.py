"""Which twin of the pump runs: the compiled one where it was built, or the one in Python."""

from __future__ import annotations

import os

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
        try:
            from ringback.media._core import CorePump
        except ImportError as error:
            if pure is False or os.environ.get("RINGBACK_REQUIRE_CORE") == "1":
                raise CoreMissing("build it with: python setup.py build_ext --inplace") from error
        else:
            core: Pump = CorePump(rtp_ports, report_after=report_after, silent_after=silent_after)
            return core
    return PurePump(rtp_ports, report_after=report_after, silent_after=silent_after)
