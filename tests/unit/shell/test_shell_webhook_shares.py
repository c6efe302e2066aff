"""Programs that hang leave connections to those that answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from ringback.shell import webhook_shares
from ringback.shell.webhook_shares import (
    FEW,
    FOR_ALL,
    FOR_ANY,
    LATELY,
    MOST,
    POOL,
    REMEMBERED,
    SILENT,
    Origin,
    Place,
    Shares,
)


class Scene:
    def __init__(self) -> None:
        self.time = 1000.0
        self.shares = Shares(lambda: self.time)
        self.tasks: list[asyncio.Task[Place]] = []
        self.hanging: list[asyncio.Task[None]] = []

    async def ask(self, name: str, count: int = 1) -> list[asyncio.Task[Place]]:
        """So many requests at once; those that have a connection are done."""
        tasks = [asyncio.ensure_future(self.shares.take(origin(name))) for _ in range(count)]
        self.tasks += tasks
        await turn()
        return tasks

    def answer(self, task: asyncio.Task[Place], *, after: float = 0.01, is_answered: bool = True) -> None:
        place = task.result()
        place.asked_at = self.time  # it may have had its place for long; what counts is the request
        self.time += after
        self.shares.give_back(place, is_answered=is_answered)

    async def hang(self, name: str) -> asyncio.Task[None]:
        """A request that is never answered; it is over when it gives way."""

        async def one() -> None:
            place = await self.shares.take(origin(name))
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(None) as place.limit:
                        await asyncio.Event().wait()
            finally:
                self.shares.give_back(place, is_answered=False)

        task = asyncio.ensure_future(one())
        self.hanging.append(task)
        await turn()
        return task


def origin(name: str) -> Origin:
    return "http", name, 80


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def served(tasks: list[asyncio.Task[Place]]) -> int:
    return sum(task.done() for task in tasks)


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def drop(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_program_has_its_share_and_then_waits_for_its_own_answers(scene: Scene) -> None:
    tasks = await scene.ask("one", 60)
    assert served(tasks) == MOST
    scene.answer(tasks[0])
    await turn()
    assert served(tasks) == MOST + 1
    assert served(await scene.ask("other")) == 1
    await drop(scene.tasks)


async def test_however_many_programs_hang_the_next_is_asked_at_once(scene: Scene) -> None:
    taken = [served(await scene.ask(f"hangs-{n}", 100)) for n in range(40)]
    assert taken[:2] == [MOST, MOST] and taken[2] == FEW and taken[-1] == 1
    for n in range(5):
        quick = await scene.ask("quick", 3)
        for index, task in enumerate(quick):
            assert task.done() or index, n
            await task
            scene.answer(task)
            await turn()
    assert sum(taken) < POOL
    await drop(scene.tasks)


async def test_programs_that_answered_and_hang_all_at_once_leave_some_too(scene: Scene) -> None:
    for n in range(6):
        scene.answer((await scene.ask(f"good-{n}"))[0])
    taken = [served(await scene.ask(f"good-{n}", 100)) for n in range(6)]
    assert taken == [MOST, MOST, MOST, FOR_ALL - 3 * MOST, FEW, FEW]
    assert served(await scene.ask("new", 5)) == 1
    assert sum(taken) < POOL
    await drop(scene.tasks)


async def test_an_answer_counts_until_a_silence_or_a_minute(scene: Scene) -> None:
    for name in ("good", "silent", "old"):
        scene.answer((await scene.ask(name))[0])
    scene.answer((await scene.ask("silent"))[0], after=15.0, is_answered=False)
    assert served(await scene.ask("a", 50)) + served(await scene.ask("b", 50)) == 100
    assert served(await scene.ask("silent", 10)) == FEW
    assert served(await scene.ask("good", 10)) == 10
    scene.time += LATELY
    assert served(await scene.ask("old", 10)) == FEW
    await drop(scene.tasks)


async def test_a_refusal_is_no_silence(scene: Scene) -> None:
    scene.answer((await scene.ask("good"))[0])
    scene.answer((await scene.ask("good"))[0], is_answered=False)
    await scene.ask("a", 50)
    await scene.ask("b", 50)
    assert served(await scene.ask("good", 10)) == 10
    await drop(scene.tasks)


async def test_who_gives_up_waiting_leaves_nothing_behind(scene: Scene) -> None:
    first = await scene.ask("one", MOST)
    waiting = await scene.ask("one", 3)
    waiting[0].cancel()
    scene.answer(first[0])  # for the second, which is given up in the same moment
    waiting[1].cancel()
    await turn()
    assert waiting[0].cancelled() and waiting[1].cancelled() and waiting[2].done()
    for task in (*first[1:], waiting[2]):
        scene.answer(task)
    assert not scene.shares._places and not scene.shares._queue
    with suppress(asyncio.CancelledError):
        await waiting[0]


async def test_programs_that_wait_have_their_turns_one_after_another(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_shares, "FOR_OTHERS", 2)
    monkeypatch.setattr(webhook_shares, "FOR_FEW", 2)
    monkeypatch.setattr(webhook_shares, "FOR_ANY", 2)
    full = await scene.ask("full", 2)
    a, b = await scene.ask("a", 2), await scene.ask("b", 2)
    for task in full:
        scene.answer(task)
    await turn()
    assert [served(a), served(b)] == [1, 1]
    await drop(scene.tasks)


async def test_programs_are_forgotten(scene: Scene) -> None:
    for n in range(REMEMBERED + 100):
        scene.answer((await scene.ask(f"p{n}"))[0])
        scene.tasks.clear()
    assert len(scene.shares._programs) <= REMEMBERED


async def until_made(scene: Scene) -> None:
    """The shares look again for what hangs, as they do every quarter of a second."""
    scene.shares._make_room()
    await turn()
    await turn()


async def test_more_programs_hang_than_there_are_connections_and_the_next_is_asked_all_the_same(
    scene: Scene,
) -> None:
    hanging = [await scene.hang(f"hangs-{n}") for n in range(300)]
    assert len(scene.shares._places) == FOR_ANY
    (new,) = await scene.ask("new")
    assert not new.done()
    await until_made(scene)
    assert not any(task.done() for task in hanging)  # all have their second
    scene.time += SILENT
    await until_made(scene)
    assert new.done()
    assert [task.done() for task in hanging] == [True] * 101 + [False] * 199
    assert len(scene.shares._places) == FOR_ANY
    scene.answer(new)
    await drop(hanging)
    assert not scene.shares._places and not scene.shares._queue


async def test_who_answered_lately_is_asked_at_once_and_gives_way_last(scene: Scene) -> None:
    for name in ("good", "other"):
        scene.answer((await scene.ask(name))[0])
    good = await scene.hang("good")
    hanging = [await scene.hang(f"hangs-{n}") for n in range(FOR_ANY)]
    assert served(await scene.ask("other", 10)) == FEW
    scene.time += SILENT
    await until_made(scene)
    assert [good.done(), *(task.done() for task in hanging[:3])] == [False, True, False, False]
    await drop([*scene.tasks, *hanging, good])


async def test_who_answers_while_others_wait_gives_way_to_nobody(scene: Scene) -> None:
    slow = await scene.ask("slow", MOST)
    hanging = [await scene.hang(f"hangs-{n}") for n in range(FOR_ANY - MOST + 1)]
    scene.time += SILENT
    scene.answer(slow[0])
    await until_made(scene)
    for place in (task.result() for task in slow[1:]):
        assert not place.is_cut
    await drop([*slow[1:], *hanging])
