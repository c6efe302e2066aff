"""Whatever is put, removed, merged and refused in between: in the end the disk holds what was said last."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ringback.store.errors import Unavailable
from ringback.store.facts import Batch, Facts, RowKey

KEYS = st.sampled_from(["CA1", "CA2", "CA3"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.sampled_from(["to", "from"]), st.integers(0, 99).map(str)),
        st.tuples(st.just("remove"), KEYS),
        st.tuples(st.just("yield")),
    ),
    max_size=30,
)


class Rows:
    """A database with upsert semantics that refuses by a script."""

    def __init__(self, refusals: list[bool]) -> None:
        self.rows: dict[RowKey, dict[str, Any]] = {}
        self.refusals = list(refusals)

    async def __call__(self, batch: Batch) -> list[tuple[RowKey, str]]:
        await asyncio.sleep(0)
        if self.refusals and self.refusals.pop():
            raise Unavailable("full")
        for key, fact in batch.items():
            if fact.wipe:
                self.rows.pop(key, None)
            if fact.values is not None:
                self.rows.setdefault(key, {}).update(fact.values)
        return []


async def _play(steps: list[tuple[Any, ...]], refusals: list[bool]) -> tuple[Any, Any]:
    disk = Rows(refusals)
    facts = Facts(disk, retry_first=0)
    facts.start()
    expected: dict[RowKey, dict[str, Any]] = {}
    flushes = []
    for step in steps:
        match step:
            case ("put", sid, column, value):
                facts.put("calls", {"sid": sid, column: value})
                expected.setdefault(("calls", sid), {}).update({"sid": sid, column: value})
            case ("remove", sid):
                facts.remove("calls", sid)
                expected.pop(("calls", sid), None)
            case _:
                flushes.append(asyncio.create_task(facts.flush()))
                await asyncio.sleep(0)
    assert await facts.flush()
    assert all(await asyncio.gather(*flushes))
    rows = dict(disk.rows)
    await facts.close()
    return rows, expected


@given(STEPS, st.lists(st.booleans(), max_size=5))
def test_the_disk_ends_up_with_what_was_said_last(steps: list[tuple[Any, ...]], refusals: list[bool]) -> None:
    rows, expected = asyncio.run(_play(steps, refusals))
    assert rows == expected
