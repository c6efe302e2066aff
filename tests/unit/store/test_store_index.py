"""Indexes in memory stay what a fresh start would build, whatever happens to the rows."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ringback.store.index import MemoryTable

SIDS = st.sampled_from("abcde")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), SIDS, st.sampled_from([None, "x", "y"]), st.integers(0, 2)),
        st.tuples(st.just("drop"), SIDS),
    ),
    max_size=40,
)


def _table() -> MemoryTable:
    return MemoryTable(colour=lambda row: row["colour"], both=lambda row: (row["colour"], row["size"]))


@given(STEPS)
def test_indexes_agree_with_the_rows(steps: list[tuple[Any, ...]]) -> None:
    table, rows = _table(), dict[str, dict[str, Any]]()
    for step in steps:
        if step[0] == "put":
            _, sid, colour, size = step
            rows[sid] = {"sid": sid, "colour": colour, "size": size}
            table.put(rows[sid])
        else:
            rows.pop(step[1], None)
            table.drop(step[1])
    assert table.rows == rows
    for colour in ("x", "y", "z"):
        expected = {sid for sid, row in rows.items() if row["colour"] == colour}
        assert {row["sid"] for row in table["colour"].all(colour)} == expected
        assert (table["colour"].first(colour) is None) is (not expected)
        for size in range(3):
            both = {sid for sid in expected if rows[sid]["size"] == size}
            assert {row["sid"] for row in table["both"].all((colour, size))} == both
    assert table["colour"].all(None) == []


def test_rows_come_in_order_of_creation_and_keep_their_place_when_changed() -> None:
    table = _table()
    for sid in "abc":
        table.put({"sid": sid, "colour": "x", "size": 0})
    table.put({"sid": "a", "colour": "x", "size": 1})
    assert [row["sid"] for row in table["colour"].all("x")] == ["a", "b", "c"]
    table.load([{"sid": "d", "colour": "x", "size": 0}])
    assert [row["sid"] for row in table["colour"].all("x")] == ["d"]
