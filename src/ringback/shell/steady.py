"""The time of day for what was given for a while: registrations and nonces.

A machine's clock may be stepped, by hand or by NTP, also while the server is down. Who was given an hour keeps it all the
same: this clock begins with the machine's and then goes on evenly, over restarts of the server as long as the machine
is not restarted. After that only the machine's clock can tell how long it was off: a step forward in between
ends leases early, and phones register again; a step back prolongs none, as this clock never goes back. Records of calls
begin with the machine's own time, and last as long as the call did.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from functools import partial
from pathlib import Path
from typing import Final

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_SINCE_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""It counts what the machine slept, too."""


_since_boot: Final = partial(time.clock_gettime, _SINCE_BOOT)

_origin = time.time() - _since_boot()


def steady_time() -> float:
    """Seconds since the epoch, as the machine's clock said at the first start, and as many as passed since."""
    return _origin + _since_boot()


class Continuity:
    """Hands the clock over to the next process, by a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def take_over(self) -> None:
        """Go on where the process before was. A file that cannot be read is none."""
        global _origin
        try:
            before = json.loads(self._file.read_text())
            boot, origin, seen = str(before["boot"]), float(before["origin"]), float(before["seen"])
        except (OSError, ValueError, TypeError, KeyError):
            return
        if boot and boot == _boot():
            _origin = origin
        else:
            _origin = max(_origin, seen - _since_boot())

    def note(self) -> None:
        """Write down how late it is. A disk that is full costs the next process no more than some exactness."""
        draft = self._file.with_suffix(".new")
        with contextlib.suppress(OSError):
            draft.write_text(json.dumps({"boot": _boot(), "origin": _origin, "seen": steady_time()}))
            os.replace(draft, self._file)


def _boot() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
