"""Who may have how many of the connections to programs, so that programs that hang leave some to all others.

    in use together         below 100   below 150   below 175   below 200
    its last answer came       50          50          50           4
    any other program          50           4           1           1

A program is what answers at one scheme, host and port. Whoever has its share waits for its own answers.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

POOL: Final = 200
"""Connections at a time; more requests wait, so that a burst of calls cannot use up all file descriptors."""
MOST: Final = 50
FEW: Final = 4
FOR_ALL: Final = 175
"""In use, from which on nobody gets more than a few."""
FOR_OTHERS: Final = 100
"""In use, from which on only who answered gets more than a few."""
FOR_FEW: Final = 150
"""In use, from which on the others get a first connection and no more."""
LATELY: Final = 60.0
"""Seconds for which an answer counts."""
SILENT: Final = 1.0
"""Seconds after which a request that came to nothing counts as not answered; a refusal comes sooner."""
REMEMBERED: Final = 4_096

Origin = tuple[str, str, int]


class Program:
    """What answers at one origin."""

    __slots__ = ("answered_at", "in_use", "silent_at", "waiting")

    def __init__(self) -> None:
        self.in_use = 0
        self.answered_at = self.silent_at = float("-inf")
        self.waiting: deque[asyncio.Future[None]] = deque()


class Shares:
    """Counts connections in use. ``now`` gives seconds of a clock that never goes back."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._in_use = 0
        self._programs: OrderedDict[Origin, Program] = OrderedDict()
        self._queue: OrderedDict[Origin, Program] = OrderedDict()

    def _share(self, program: Program, now: float) -> int:
        """How many connections a program may have at this moment."""
        used = self._in_use
        if used >= POOL:
            return 0
        if program.silent_at < program.answered_at > now - LATELY:
            return MOST if used < FOR_ALL else FEW
        if used < FOR_OTHERS:
            return MOST
        return FEW if used < FOR_FEW else 1

    async def take(self, origin: Origin) -> Program:
        """Wait for a connection that this program may have; to be given back by ``give_back``."""
        program = self._programs.get(origin)
        if program is None:
            program = self._programs[origin] = Program()
            self._forget()
        else:
            self._programs.move_to_end(origin)
        if program.waiting or program.in_use >= self._share(program, self._now()):
            turn = asyncio.get_running_loop().create_future()
            program.waiting.append(turn)
            self._queue[origin] = program
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._release(program)  # it was given and comes too late
                raise
            return program
        program.in_use += 1
        self._in_use += 1
        return program

    def give_back(self, program: Program, asked_at: float, *, is_answered: bool) -> None:
        """A request is over; ``asked_at`` is when it had its connection."""
        now = self._now()
        if is_answered:
            program.answered_at = now
        elif now - asked_at >= SILENT:
            program.silent_at = now
        self._release(program)

    def _release(self, program: Program) -> None:
        program.in_use -= 1
        self._in_use -= 1
        if self._queue:
            self._wake()

    def _wake(self) -> None:
        """Those who wait have their turns, one of each program after another."""
        now, went_on = self._now(), True
        while went_on:
            went_on = False
            for origin, program in list(self._queue.items()):
                while program.waiting and program.waiting[0].done():  # given up
                    program.waiting.popleft()
                if program.waiting and program.in_use < self._share(program, now):
                    program.waiting.popleft().set_result(None)
                    program.in_use += 1
                    self._in_use += 1
                    self._queue.move_to_end(origin)
                    went_on = True
                if not program.waiting:
                    del self._queue[origin]

    def _forget(self) -> None:
        if len(self._programs) <= REMEMBERED:
            return
        origin, program = next(iter(self._programs.items()))
        if program.in_use or program.waiting:
            self._programs.move_to_end(origin)
        else:
            del self._programs[origin]
