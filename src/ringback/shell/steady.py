"""The time of day for what was given for a while: registrations and nonces.

A machine's clock may be stepped, by hand or by NTP. Who was given an hour keeps it all the same: this clock starts
with the machine's and then goes on evenly. Records of calls begin with the machine's own time, and last as long as
the call did.
"""

from __future__ import annotations

import time
from typing import Final

_ORIGIN: Final = time.time() - time.monotonic()


def steady_time() -> float:
    """Seconds since the epoch, as the machine's clock said at the start of this process, and as many as passed since."""
    return _ORIGIN + time.monotonic()
