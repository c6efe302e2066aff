"""Rows of registrations: their keys, and what of a binding is written."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.sip.binding import Binding, Change
from ringback.sip.flow import Hop
from ringback.sip.limits import MAX_REMEMBERED_TEXT
from ringback.sip.uri import Uri
from ringback.store import Store, registrations
from ringback.store.facts import Batch, Facts, Rejected
from ringback.store.registrations import Registrations


async def never(_: object) -> Any:
    """Nothing is read or written but by the facts writer."""
    raise AssertionError


OURS = Registrations(Facts(never), never, never, "node")


def key_of(user: str) -> str:
    contact = Uri.parse(f"sip:{user}@192.0.2.7")
    return OURS._key(Binding("bob@home.example", contact, Hop("UDP", "192.0.2.7", 5060), 0.0, "", 1))


def remembered() -> int:
    return registrations._sid_remembered.cache_info().currsize


def test_a_short_contact_is_remembered_and_a_long_one_is_not() -> None:
    registrations._sid_remembered.cache_clear()
    long = "b" * MAX_REMEMBERED_TEXT
    assert key_of(long) == key_of(long) != key_of("bob") == key_of("bob")
    assert remembered() == 1


class Rows:
    """A store of registrations, and the rows that reached the disk."""

    def __init__(self, *, is_shared: bool = False, room: int = 10) -> None:
        self.written: list[dict[str, Any]] = []
        self.facts = Facts(self._save, rows=room)
        self.facts.start()
        self.registrations = Registrations(self.facts, never, never, "node", is_shared=is_shared)

    async def _save(self, batch: Batch) -> Rejected:
        self.written += [dict(fact.values or {}) for key, fact in batch.items() if key[0] == "registrations"]
        return []

    async def write(self, before: Binding | None, binding: Binding, domain: str = "SD1") -> bool:
        change = Change("added" if before is None else "refreshed", binding, before)
        is_taken = self.registrations.record(change, account_sid="AC1", domain_sid=domain)
        await self.facts.flush()
        return is_taken


PHONE = Binding(
    "bob@a.test", Uri.parse("sip:bob@192.0.2.7"), Hop("UDP", "192.0.2.7", 5060), 1e9, "c1", 1, "Phone/1"
)


async def test_of_a_renewed_binding_what_is_new_is_written() -> None:
    rows, first = Rows(), PHONE.replace()
    await rows.write(None, first)
    await rows.write(first, second := first.replace(expires_at=1e9 + 600, cseq=2))
    await rows.write(second, second.replace(call_id="c2"))
    assert rows.written[0]["aor"] == "bob@a.test" and rows.written[0]["domain_sid"] == "SD1"
    assert [set(row) for row in rows.written[1:]] == [{"sid", "expires_at", "call_id", "cseq"}] * 2
    assert [row["cseq"] for row in rows.written] == [1, 2, 2] and rows.written[2]["call_id"] == "c2"
    assert rows.written[1]["expires_at"].timestamp() == 1e9 + 600
    await rows.facts.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"received": Hop("UDP", "192.0.2.7", 5061)},
        {"user_agent": "Phone/2"},
        {"path": ("<sip:edge;lr>",)},
        {"q": 0.5},
    ],
)
async def test_a_binding_that_is_other_than_before_is_written_whole(changes: dict[str, Any]) -> None:
    rows, first = Rows(), PHONE.replace()
    await rows.write(None, first)
    await rows.write(first, first.replace(**changes))
    assert set(rows.written[1]) == set(rows.written[0])
    await rows.facts.close()


async def test_what_the_store_did_not_take_is_written_whole_the_next_time() -> None:
    rows, first = Rows(room=1), PHONE.replace()
    rows.facts.put("calls", {"sid": "CA1"})
    assert not await rows.write(None, first)
    assert await rows.write(first, second := first.replace(cseq=2))
    assert await rows.write(second, third := second.replace(cseq=3))
    assert await rows.write(third, third.replace(cseq=4), domain="SD2")
    assert [("aor" in row, row["cseq"]) for row in rows.written] == [(True, 2), (False, 3), (True, 4)]
    await rows.facts.close()


async def test_a_shared_database_gets_all_of_a_binding() -> None:
    rows, first = Rows(is_shared=True), PHONE.replace()
    await rows.write(None, first)
    await rows.write(first, first.replace(cseq=2))
    assert ["aor" in row for row in rows.written] == [True, True]
    await rows.facts.close()


async def test_more_rows_of_a_version_before_are_taken_over_than_may_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registrations, "ADOPTED_AT_ONCE", 2)
    async with await Store.open("sqlite://", base_domain="ringback.localhost") as store:
        few = Facts(store._saver, rows=5)
        few.start()
        old, new = (Registrations(few, store._read, store._write, node) for node in ("", "node"))
        for number in range(7):
            contact = Uri.parse(f"sip:{number}@192.0.2.7")
            bound = Binding("bob@home.example", contact, Hop("UDP", "192.0.2.7", 5060), 600.0, "id", 1)
            assert old.record(Change("added", bound), account_sid="AC1", domain_sid="SD1")
            await few.flush()
        assert len(await new.load(0.0)) == 7
        await few.flush()
        assert few.health.refused == 0
        rows = (await store.page("registrations")).rows
        assert [row["node"] for row in rows] == ["node"] * 7
        await few.close()


async def test_what_servers_left_that_did_not_come_back_goes_a_day_after_it_ended() -> None:
    async with await Store.open("sqlite://", base_domain="ringback.localhost", node="mine") as store:
        other = Registrations(store.facts, store._read, store._write, "gone")
        for number, hours in enumerate((-1, 1, 23, 25)):
            contact, ends = Uri.parse(f"sip:{number}@192.0.2.7"), 1e9 - 3600 * hours
            bound = Binding("bob@home.example", contact, Hop("UDP", "192.0.2.7", 5060), ends, "id", 1)
            assert other.record(Change("added", bound), account_sid="AC1", domain_sid="SD1")
        assert await store.registrations.load(1e9, of_all=False) == []
        left = (await store.page("registrations", order="contact")).rows
        assert [row["contact"] for row in left] == [f"sip:{number}@192.0.2.7" for number in range(3)]
