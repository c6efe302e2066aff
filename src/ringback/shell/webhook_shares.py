"""Who may have how many of the connections to programs, so that programs that hang leave some to all others.

    in use together         below 100   below 150   below 175   below 200   below 225
    its last answer came       50          50          50           4           4
    any other program          50           4           1           1           -

A program is what answers at one scheme, host and port. Whoever has its share waits for its own answers. Where a program that
has no connection at all would have to wait, because however many others have all of them, requests that came to nothing for a
second give way to it: first those to programs that did not answer lately, the oldest of them first.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from ringback.shell.time_limit import TimeLimit

POOL: Final = 225
"""Connections at a time; more requests wait, so that a burst of calls cannot use up all file descriptors."""
MOST: Final = 50
FEW: Final = 4
FOR_ANY: Final = 200
"""In use, from which on the others are for programs that answered."""
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
LOOK_EVERY: Final = 0.25
"""Seconds between looks for requests that are to give way, while somebody waits for that."""
REMEMBERED: Final = 4_096

Origin = tuple[str, str, int]


class Program:
    """What answers at one origin."""

    __slots__ = ("answered_at", "in_use", "silent_at", "waiting")

    def __init__(self) -> None:
        self.in_use = 0
        self.answered_at = self.silent_at = float("-inf")
        self.waiting: deque[asyncio.Future[Place]] = deque()

    def answers(self, now: float) -> bool:
        """Whether its last request was answered, lately."""
        return self.silent_at < self.answered_at > now - LATELY

    def is_left_out(self) -> bool:
        """Whether somebody waits for its first connection."""
        return not self.in_use and not all(turn.done() for turn in self.waiting)


class Place:
    """One of the connections. ``limit`` is the time of the request that has it, once that has begun: it is ended by that."""

    __slots__ = ("asked_at", "is_cut", "limit", "program")

    def __init__(self, program: Program, asked_at: float) -> None:
        self.program = program
        self.asked_at = asked_at
        self.limit: asyncio.Timeout | TimeLimit | None = None
        self.is_cut = False


class Shares:
    """Counts connections in use. ``now`` gives seconds of a clock that never goes back."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._places: OrderedDict[int, Place] = OrderedDict()
        """In use, the oldest first."""
        self._cut = 0
        """Of these, how many are about to be free."""
        self._programs: OrderedDict[Origin, Program] = OrderedDict()
        self._queue: OrderedDict[Origin, Program] = OrderedDict()
        self._look: asyncio.TimerHandle | None = None

    def _share(self, program: Program, now: float) -> int:
        """How many connections a program may have at this moment."""
        used = len(self._places)
        if program.answers(now):
            return MOST if used < FOR_ALL else FEW if used < POOL else 0
        if used < FOR_OTHERS:
            return MOST
        if used < FOR_FEW:
            return FEW
        return 1 if used < FOR_ANY else 0

    async def take(self, origin: Origin) -> Place:
        """Wait for a connection that this program may have; to be given back by ``give_back``."""
        program = self._programs.get(origin)
        if program is None:
            program = self._programs[origin] = Program()
            self._forget()
        else:
            self._programs.move_to_end(origin)
        now = self._now()
        if not program.waiting and program.in_use < self._share(program, now):
            return self._give(program, now)
        turn: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        program.waiting.append(turn)
        self._queue[origin] = program
        if self._look is None and not program.in_use:
            self._make_room()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release(turn.result())  # it was given and comes too late
            raise

    def _give(self, program: Program, now: float) -> Place:
        program.in_use += 1
        place = Place(program, now)
        self._places[id(place)] = place
        return place

    def give_back(self, place: Place, *, is_answered: bool) -> None:
        """A request is over."""
        now = self._now()
        if is_answered:
            place.program.answered_at = now
        elif now - place.asked_at >= SILENT:
            place.program.silent_at = now
        self._release(place)

    def _release(self, place: Place) -> None:
        del self._places[id(place)]
        place.program.in_use -= 1
        self._cut -= place.is_cut
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
                    program.waiting.popleft().set_result(self._give(program, now))
                    self._queue.move_to_end(origin)
                    went_on = True
                if not program.waiting:
                    del self._queue[origin]

    def _make_room(self) -> None:
        """End what hangs, for programs that have no connection at all; now, and again while they wait."""
        wanted = sum(program.is_left_out() for program in self._queue.values())
        now = self._now()
        for place in self._hanging(now) if wanted > self._cut else ():
            if wanted <= self._cut:
                break
            assert place.limit is not None
            place.is_cut = True
            self._cut += 1
            place.limit.reschedule(asyncio.get_running_loop().time())
        look_again = asyncio.get_running_loop().call_later
        self._look = look_again(LOOK_EVERY, self._make_room) if wanted else None

    def _hanging(self, now: float) -> list[Place]:
        """Requests that may give way, the first first."""
        found = [
            place
            for place in self._places.values()
            if place.asked_at <= now - SILENT
            and place.program.answered_at <= place.asked_at
            and place.limit is not None
            and not place.is_cut
        ]
        return sorted(found, key=lambda place: place.program.answers(now))

    def _forget(self) -> None:
        if len(self._programs) <= REMEMBERED:
            return
        origin, program = next(iter(self._programs.items()))
        if program.in_use or program.waiting:
            self._programs.move_to_end(origin)
        else:
            del self._programs[origin]
