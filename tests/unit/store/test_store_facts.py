"""The facts writer's queue, with a database that is played by the test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from ringback.store.errors import Unavailable, UsageError
from ringback.store.facts import Batch, Facts, RowKey, Save
from ringback.store.limits import BATCH_ROWS
from ringback.store.pace import Pace

ACCOUNT = "AC" + "0" * 32


@asynccontextmanager
async def running(save: Save, rows: int = 1000) -> AsyncIterator[Facts]:
    facts = Facts(save, rows=rows, retry_first=0.001)
    facts.start()
    yield facts
    await facts.close(within=0.5)


class Disk:
    """Takes batches; `refuse` refusals come first; holds a commit back while `gate` is shut."""

    def __init__(self, refuse: int = 0) -> None:
        self.batches: list[Batch] = []
        self.tries = 0
        self.refuse = refuse
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()

    async def __call__(self, batch: Batch) -> list[tuple[RowKey, str]]:
        self.tries += 1
        self.entered.set()
        await self.gate.wait()
        if self.tries <= self.refuse:
            raise Unavailable("database is locked")
        self.batches.append(batch)
        return []


async def test_many_puts_are_one_commit_and_later_values_win() -> None:
    disk = Disk()
    async with running(disk) as facts:
        for status in ("queued", "ringing", "in-progress"):
            assert facts.put("calls", {"sid": "CA1", "account_sid": ACCOUNT, "status": status})
        facts.put("calls", {"sid": "CA2", "status": "busy"})
        assert await facts.flush()
    (batch,) = disk.batches
    assert [fact.values and fact.values["status"] for fact in batch.values()] == ["in-progress", "busy"]


async def test_changes_of_a_row_that_waits_join_it_and_others_stand_alone() -> None:
    disk = Disk()
    async with running(disk) as facts:
        facts.put("calls", {"sid": "CA1", "status": "queued", "to": "+1"})
        assert facts.change("calls", "CA1", {"sid": "CA1", "status": "busy"})
        assert facts.change("calls", "CA2", {"sid": "CA2", "dialogs": None})
        assert await facts.flush()
    (batch,) = disk.batches
    assert [fact.values for fact in batch.values()] == [
        {"sid": "CA1", "status": "busy", "to": "+1"},
        {"sid": "CA2", "dialogs": None},
    ]


async def test_without_a_flush_rows_are_committed_soon_all_the_same() -> None:
    disk = Disk()
    async with running(disk) as facts:
        facts.put("calls", {"sid": "CA1", "status": "queued"})
        await asyncio.wait_for(disk.entered.wait(), 5)
        assert disk.batches[0]["calls", "CA1"].values == {"sid": "CA1", "status": "queued"}


async def test_a_refused_commit_is_tried_again_with_the_newest_values_and_nothing_is_lost() -> None:
    disk = Disk(refuse=3)
    async with running(disk) as facts:
        disk.gate.clear()
        facts.put("calls", {"sid": "CA1", "status": "queued", "to": "+1"})
        flushed = asyncio.create_task(facts.flush())
        await disk.entered.wait()
        facts.put("calls", {"sid": "CA0", "status": "busy"})
        facts.put("calls", {"sid": "CA1", "status": "ringing"})
        disk.gate.set()
        assert await flushed
        assert facts.health.failing == ""
    assert disk.tries >= 4
    first = disk.batches[0]
    assert first["calls", "CA1"].values == {"sid": "CA1", "status": "ringing", "to": "+1"}
    assert first["calls", "CA0"].values == {"sid": "CA0", "status": "busy"}


async def test_flush_gives_up_after_its_time_and_says_so() -> None:
    disk = Disk(refuse=10**9)
    async with running(disk) as facts:
        facts.put("calls", {"sid": "CA1", "status": "queued"})
        assert not await facts.flush(within=0.02)
        assert facts.health.failing == "database is locked"
        disk.refuse = 0
        assert await facts.flush()


async def test_flush_waits_for_what_came_before_it_and_not_for_what_comes_after() -> None:
    disk = Disk()
    disk.gate.clear()
    async with running(disk) as facts:
        facts.put("calls", {"sid": "CA1", "status": "queued"})
        first = asyncio.create_task(facts.flush())
        await disk.entered.wait()
        facts.put("calls", {"sid": "CA2", "status": "queued"})
        assert not first.done()
        disk.gate.set()
        assert await first
        assert ("calls", "CA2") not in disk.batches[0]
        assert await facts.flush()
        assert ("calls", "CA2") in disk.batches[1]


async def test_flush_with_nothing_pending_returns_at_once() -> None:
    disk = Disk()
    async with running(disk) as facts:
        assert await facts.flush(within=0)
    assert disk.tries == 0


async def test_a_full_queue_refuses_new_rows_but_takes_news_of_waiting_ones() -> None:
    disk = Disk()
    async with running(disk, rows=2) as facts:
        assert facts.put("calls", {"sid": "CA1", "status": "queued"})
        assert facts.put("calls", {"sid": "CA2", "status": "queued"})
        assert not facts.put("calls", {"sid": "CA3", "status": "queued"})
        assert facts.put("calls", {"sid": "CA2", "status": "ringing"})
        assert facts.health.refused == 1
        assert await facts.flush()
        assert facts.put("calls", {"sid": "CA3", "status": "queued"})


async def test_bytes_that_wait_are_bounded_and_given_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringback.store.facts.PENDING_BYTES", 1000)
    async with running(Disk()) as facts:
        for _ in range(3):
            assert facts.put("journals", {"call_sid": "CA1", "body": b"x" * 600})
            assert not facts.put("journals", {"call_sid": "CA2", "body": b"x" * 600})
            assert await facts.flush()


async def test_a_large_queue_is_saved_in_bounded_transactions_in_order() -> None:
    disk = Disk()
    async with running(disk, rows=10_000) as facts:
        for number in range(BATCH_ROWS + 5):
            facts.put("calls", {"sid": f"CA{number}", "status": "queued"})
        assert await facts.flush()
    assert [len(batch) for batch in disk.batches] == [BATCH_ROWS, 5]
    assert next(iter(disk.batches[0])) == ("calls", "CA0")


@pytest.mark.parametrize(
    ("steps", "wipe", "values"),
    [
        (
            lambda facts: [facts.put("calls", {"sid": "CA1", "to": "+1"}), facts.remove("calls", "CA1")],
            True,
            None,
        ),
        (
            lambda facts: [facts.remove("calls", "CA1"), facts.put("calls", {"sid": "CA1", "to": "+1"})],
            True,
            {"sid": "CA1", "to": "+1"},
        ),
    ],
)
async def test_deleting_and_putting_keep_their_order(
    steps: Callable[[Facts], object], wipe: bool, values: dict[str, str] | None
) -> None:
    disk = Disk()
    async with running(disk) as facts:
        steps(facts)
        await facts.flush()
    fact = disk.batches[0]["calls", "CA1"]
    assert (fact.wipe, fact.values) == (wipe, values)


async def test_configuration_does_not_go_past_its_cache() -> None:
    async with running(Disk()) as facts:
        with pytest.raises(UsageError):
            facts.put("sip_domains", {"sid": "SD1"})
        with pytest.raises(UsageError):
            facts.remove("accounts", ACCOUNT)


async def test_a_row_without_a_key_gets_one_or_is_refused() -> None:
    disk = Disk()
    async with running(disk) as facts:
        facts.put("notifications", {"account_sid": ACCOUNT, "log": "1"})
        with pytest.raises(UsageError):
            facts.put("registrations", {"aor": "bob@x"})
        await facts.flush()
    ((_, key),) = disk.batches[0]
    assert key.startswith("NO")


async def test_closing_saves_what_waits_and_ends_what_comes_later() -> None:
    disk = Disk(refuse=2)
    async with running(disk) as facts:
        facts.put("calls", {"sid": "CA1", "status": "queued"})
    assert ("calls", "CA1") in disk.batches[0]
    with pytest.raises(UsageError):
        facts.put("calls", {"sid": "CA2", "status": "queued"})


async def test_closing_ends_though_the_disk_never_answers() -> None:
    disk = Disk()
    disk.gate.clear()
    facts = Facts(disk)
    facts.start()
    facts.put("calls", {"sid": "CA1", "status": "queued"})
    await facts.close(within=0.02)
    assert facts.health.pending == 1


async def test_after_a_flush_that_was_given_up_the_disk_is_late_until_it_takes_rows() -> None:
    disk = Disk()
    async with running(disk) as facts:
        assert not facts.is_late
        disk.gate.clear()
        facts.put("calls", {"sid": "CA1", "status": "queued"})
        assert not await facts.flush(within=0.01)
        assert facts.is_late
        disk.gate.set()
        assert await facts.flush()
        assert not facts.is_late


class Slow(Pace):
    """Lets a commit begin so many seconds after the one before, and counts who waited."""

    def __init__(self, apart: float) -> None:
        super().__init__()
        self.by, self.waiting = apart, list[int]()

    def next_after(self, now: float, waiting: int) -> float:
        self.waiting.append(waiting)
        return now + self.by


@pytest.mark.parametrize(("apart", "commits"), [(0.05, [1, 5]), (0.0, [1, 1, 1, 1, 1, 1])])
async def test_commits_begin_at_the_pace_so_that_one_serves_all_that_wait(
    apart: float, commits: list[int]
) -> None:
    disk, pace = Disk(), Slow(apart)
    facts = Facts(disk, pace=pace)
    facts.start()
    told = []
    for number in range(6):
        facts.put("calls", {"sid": f"CA{number}", "status": "queued"})
        told.append(asyncio.Event())
        facts.when_kept(told[-1].set)
        if number == 0 or not apart:
            await told[-1].wait()
    await asyncio.gather(*(each.wait() for each in told))
    assert [len(batch) for batch in disk.batches] == pace.waiting == commits
    await facts.close()


async def test_who_gave_up_waiting_is_forgotten() -> None:
    disk = Disk()
    disk.gate.clear()
    async with running(disk) as facts:
        facts.put("calls", {"sid": "CA1", "status": "queued"})
        assert not await facts.flush(within=0.001)
        assert not facts._waiters
        disk.gate.set()


async def test_journals_leave_half_of_the_queue_to_the_records_of_calls() -> None:
    async with running(Disk(), rows=4) as facts:
        assert facts.put("journals", {"call_sid": "CA1"})
        assert facts.put("journals", {"call_sid": "CA2"})
        assert not facts.put("journals", {"call_sid": "CA3"})
        assert facts.put("calls", {"sid": "CA3"})
        assert facts.put("registrations", {"sid": "RG1"})
        assert not facts.put("calls", {"sid": "CA4"})
        assert facts.health.refused == 2


async def test_more_of_a_waiting_row_is_bounded_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringback.store.facts.PENDING_BYTES", 1000)
    async with running(Disk()) as facts:
        assert facts.put("journals", {"call_sid": "CA1", "version": "1"})
        assert not facts.put("journals", {"call_sid": "CA1", "body": b"x" * 1001})


async def test_a_mistake_of_ours_in_saving_loses_no_row_and_does_not_end_the_writer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ringback.store.facts.RETRY_MOST", 0.001)
    saved: list[Batch] = []
    mistakes = [ZeroDivisionError(), ZeroDivisionError()]

    async def save(batch: Batch) -> list[tuple[RowKey, str]]:
        if mistakes:
            raise mistakes.pop()
        saved.append(batch)
        return []

    async with running(save) as facts:
        facts.put("calls", {"sid": "CA1", "status": "queued"})
        assert await facts.flush()
        assert facts.health.failing == ""
    assert ("calls", "CA1") in saved[0]
