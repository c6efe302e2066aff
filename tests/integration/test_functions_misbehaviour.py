"""What happens when the code of Functions misbehaves: nothing to anybody else."""

import asyncio

import pytest
from functions_place import Place, texts

from ringback.functions import limits, node_program, pool
from ringback.functions.errors import NodeMissing


async def test_a_function_that_never_answers_is_ended_and_its_worker_goes_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EXECUTION_LIMIT", 2.0)  # for a line that it logs at once
    await place.pool.start()
    before = place.pool.pids
    answer = await place.run("console.log('waiting');")
    assert (answer.status, texts(answer)[0]) == (504, "waiting")
    assert "did not answer within 2 s" in answer.error
    assert place.pool.pids == before
    monkeypatch.undo()
    assert (await place.run("callback(null, 'fine');")).body == b"fine"


async def test_a_function_that_blocks_is_killed_while_others_run(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EXECUTION_LIMIT", 2.0)
    place.put("functions/loops.js", "exports.handler = () => { for (;;); };")
    place.put("functions/fine.js", "exports.handler = (c, e, cb) => cb(null, 'fine');")
    await place.pool.start()
    before = set(place.pool.pids)
    looping = asyncio.create_task(place.call("loops"))
    await asyncio.sleep(0)
    others = await asyncio.gather(*(place.call("fine") for _ in range(50)))
    assert not looping.done()
    assert {answer.body for answer in others} == {b"fine"}
    answer = await looping
    assert answer.status == 504
    assert before == set(place.pool.pids)  # answered at the limit, not once the worker is known to be blocked
    async with asyncio.timeout(20):
        while len(before & set(place.pool.pids)) != 1 or len(place.pool.pids) != 2:
            await place.call("fine")


@pytest.mark.parametrize(
    "greed",
    [
        "const all = []; for (;;) all.push(new Array(1000).fill('x'));",
        "const all = []; for (;;) { all.push(Buffer.alloc(1 << 22, 1)); await new Promise((r) => setTimeout(r, 5)); }",
    ],
    ids=["heap", "buffers"],
)
async def test_a_function_that_takes_too_much_memory_is_killed(
    place: Place, monkeypatch: pytest.MonkeyPatch, greed: str
) -> None:
    monkeypatch.setattr(limits, "MEMORY_LIMIT", 140 * 2**20)
    monkeypatch.setattr(limits, "MEMORY_CHECK_EVERY", 0.05)
    answer = await place.run(greed)
    assert (answer.status, answer.error) == (500, "the Function used more than 140 MB of memory")
    assert (await place.run("callback(null, 'fine');")).body == b"fine"


async def test_a_function_that_ends_its_process_only_fails_itself(place: Place) -> None:
    answer = await place.run("process.exit(3);")
    assert (answer.status, answer.error) == (500, "the Function ended its process (status 3)")
    for _ in range(3):
        assert (await place.run("process.exit(3);")).status == 500
    assert (await place.run("callback(null, 'fine');")).body == b"fine"


async def test_more_calls_than_may_wait_are_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WAITING", 3)
    place.put("functions/fine.js", "exports.handler = (c, e, cb) => cb(null, 'fine');")
    await place.pool.start()
    answers = await asyncio.gather(*(place.call("fine") for _ in range(10)))
    assert sorted(answer.status for answer in answers) == [200] * 5 + [503] * 5


async def test_stopping_answers_everybody(place: Place) -> None:
    place.put("functions/waits.js", "exports.handler = () => {};")
    await place.pool.start()
    calls = [asyncio.create_task(place.call("waits")) for _ in range(100)]
    await asyncio.sleep(0)
    await place.pool.stop()
    assert {(await call).status for call in calls} <= {500, 503}
    assert place.pool.pids == []


async def test_without_node_the_answer_says_what_to_install(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> str:
        raise NodeMissing(node_program.HINT)

    monkeypatch.setattr(pool, "find_node", missing)
    answer = await place.run("callback();")
    assert answer.status == 500
    assert b"pip install 'ringback[functions]'" in answer.body
