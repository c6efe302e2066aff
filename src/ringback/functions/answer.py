"""What a Function answered."""

from typing import NamedTuple


class LogLine(NamedTuple):
    """One line that a Function printed: `level` is debug, info, warning or error."""

    level: str
    text: str


class FunctionAnswer(NamedTuple):
    """A Function's HTTP answer, what it printed, and how long it took.

    `error` says in one line what went wrong (a throw, the time limit, a dead worker), "" if nothing did.
    `worker_us` is the time from the handler's call to its first callback, in microseconds; `elapsed` the whole
    call in seconds, waiting for a free worker included. `lines_dropped` were printed beyond the limit.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    lines: tuple[LogLine, ...] = ()
    lines_dropped: int = 0
    worker_us: float = 0.0
    elapsed: float = 0.0
    error: str = ""


def failure(status: int, error: str, lines: tuple[LogLine, ...] = (), elapsed: float = 0.0) -> FunctionAnswer:
    """An answer for a Function that gave none of its own."""
    return FunctionAnswer(
        status,
        (("content-type", "text/plain; charset=utf-8"),),
        (error + "\n").encode(),
        (*lines, LogLine("error", error)),
        0,
        0.0,
        elapsed,
        error,
    )
