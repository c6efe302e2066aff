"""The log, when it cannot be written."""

from __future__ import annotations

import io
from errno import ENOSPC

import structlog

from ringback.app.logs import Unbreakable


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(ENOSPC, "No space left on device")

    def flush(self) -> None:
        raise OSError(ENOSPC, "No space left on device")


def test_a_log_on_a_full_disk_stops_nobody() -> None:
    structlog.PrintLogger(Unbreakable(FullDisk())).msg("a line")  # type: ignore[arg-type]


def test_what_can_be_written_is() -> None:
    stream = io.StringIO()
    structlog.PrintLogger(Unbreakable(stream)).msg("a line")  # type: ignore[arg-type]
    assert stream.getvalue() == "a line\n"
