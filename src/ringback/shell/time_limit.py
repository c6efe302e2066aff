"""A time limit around something awaited, as `asyncio.timeout` is, at a third of its instructions."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class TimeLimit:
    """``with TimeLimit(seconds): await ...`` raises TimeoutError once the time is over; with None it is never over by itself.

    Every webhook runs under two of them. Nesting, and being cancelled at the same moment, are as with `asyncio.Timeout`.
    """

    __slots__ = ("_cancelled", "_handle", "_is_over", "_seconds", "_task")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._handle: asyncio.TimerHandle | None = None
        self._is_over = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None, "a time limit is of a task"
        self._task = task
        self._cancelled = task.cancelling()
        if self._seconds is not None:
            self._handle = asyncio.get_running_loop().call_later(self._seconds, self._end)
        return self

    def reschedule(self, when: float) -> None:
        """Let the time be over at a moment of the loop's clock. Not to be called after the end of the block."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = asyncio.get_running_loop().call_at(when, self._end)

    def _end(self) -> None:
        self._handle = None
        self._is_over = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if not self._is_over:
            return
        if self._task.uncancel() <= self._cancelled and kind is asyncio.CancelledError:
            raise TimeoutError from error
