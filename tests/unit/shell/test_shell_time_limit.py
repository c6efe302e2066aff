"""A time limit ends what it is around, and nothing else; judged beside asyncio's own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from ringback.shell.time_limit import TimeLimit

Limit = Callable[[float | None], AbstractAsyncContextManager[TimeLimit | asyncio.Timeout]]


@asynccontextmanager
async def ours(seconds: float | None) -> AsyncIterator[TimeLimit]:
    with TimeLimit(seconds) as limit:
        yield limit


both = pytest.mark.parametrize("limit", [ours, asyncio.timeout])


async def for_ever() -> None:
    await asyncio.Event().wait()


@both
async def test_what_takes_too_long_is_ended(limit: Limit) -> None:
    with pytest.raises(TimeoutError):
        async with limit(0):
            await for_ever()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@both
async def test_what_is_done_in_time_is_left_alone(limit: Limit) -> None:
    async with limit(60):
        await asyncio.sleep(0)
    async with limit(None):
        await asyncio.sleep(0)


@both
async def test_a_limit_can_be_set_while_it_runs(limit: Limit) -> None:
    loop = asyncio.get_running_loop()
    with pytest.raises(TimeoutError):
        async with limit(None) as running:
            loop.call_soon(running.reschedule, loop.time())
            await for_ever()


@both
async def test_the_outer_of_two_ends_both(limit: Limit) -> None:
    with pytest.raises(TimeoutError):
        async with limit(0):
            try:
                async with limit(60):
                    await for_ever()
            except TimeoutError:
                pytest.fail("the inner one has time left")


@both
async def test_the_inner_of_two_leaves_the_outer_its_time(limit: Limit) -> None:
    async with limit(60):
        with pytest.raises(TimeoutError):
            async with limit(0):
                await for_ever()
        await asyncio.sleep(0)


@both
async def test_who_is_cancelled_is_no_time_out(limit: Limit) -> None:
    async def work() -> None:
        async with limit(60):
            await for_ever()

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@both
async def test_who_is_cancelled_at_the_last_moment_is_cancelled(limit: Limit) -> None:
    async def work() -> None:
        async with limit(None) as running:
            limits.append(running)
            await for_ever()

    limits: list[TimeLimit | asyncio.Timeout] = []
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    limits[0].reschedule(loop.time())
    loop.call_at(loop.time(), task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task


@both
async def test_an_error_passes_through(limit: Limit) -> None:
    with pytest.raises(KeyError):
        async with limit(60):
            raise KeyError
