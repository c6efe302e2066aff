"""SQLite in a file when things go wrong: locked, full, killed; and who may read it."""

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from ringback.store import Store, Unavailable
from ringback.store import engine as store_engine
from ringback.store.sqlite_writer import FileSaver

ACCOUNT = "AC" + "1" * 32


def call(sid: str, **values: object) -> dict[str, object]:
    return {"sid": sid, "account_sid": ACCOUNT, **values}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ringback.db"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_engine, "SQLITE_BUSY", 0.05)


async def failing(store: Store) -> str:
    """Why facts are not saved, once the first attempt has failed."""
    async with asyncio.timeout(30):
        while not store.facts.health.failing:
            assert not await store.facts.flush(within=0.05)
    return store.facts.health.failing


@pytest.mark.usefixtures("impatient")
async def test_a_locked_database_delays_facts_and_loses_none(path: Path) -> None:
    async with await Store.open(str(path), base_domain="exchange.test") as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        store.facts.put("calls", call("CA1", status="queued"))
        assert "locked" in await failing(store)
        store.facts.put("calls", call("CA1", status="busy"))
        with pytest.raises(Unavailable):
            await store.insert("applications", {"account_sid": ACCOUNT})
        other.execute("ROLLBACK")
        other.close()
        assert await store.facts.flush(within=30)
        assert store.facts.health == (0, 0, 0, "")
        assert (await store.fetch("calls", "CA1") or {})["status"] == "busy"


async def test_a_full_disk_delays_facts_and_loses_none(path: Path) -> None:
    async with await Store.open(str(path), base_domain="exchange.test") as store:

        async def limit_pages(pages: int) -> None:
            # each connection has its own limit: take all that the pool may hand out
            connections = [await store._engine.connect() for _ in range(8)]
            for connection in connections:
                await connection.execute(text(f"PRAGMA max_page_count={pages}"))
            for connection in connections:
                await connection.close()
            assert isinstance(store._saver, FileSaver)
            writing = store._saver.writing
            await store._saver.run(
                lambda: writing.connection().execute(f"PRAGMA max_page_count={pages}").close()
            )

        await limit_pages(1)  # SQLite takes the present size for it
        body = {"call_sid": "CA1", "account_sid": ACCOUNT, "body": b"x" * 1_000_000}
        store.facts.put("journals", body)
        store.facts.put("calls", call("CA1"))
        assert "full" in await failing(store)
        await limit_pages(1_000_000)
        assert await store.facts.flush(within=30)
        assert len((await store.fetch("journals", "CA1") or {})["body"]) == 1_000_000
        assert await store.fetch("calls", "CA1") is not None


async def test_the_loop_goes_on_while_sqlite_waits_for_a_lock(path: Path) -> None:
    async with await Store.open(str(path), base_domain="exchange.test") as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        write = asyncio.create_task(store.insert("accounts", {"sid": ACCOUNT, "auth_token": "t"}))
        turns = 0
        while turns < 1000:  # each turn of the loop would last as long as SQLite waits, did it wait here
            await asyncio.sleep(0)
            turns += 1
        assert not write.done()
        assert store.configuration.account(ACCOUNT) is None
        assert (await store.page("accounts")).rows == []  # readers do not wait for writers
        other.execute("ROLLBACK")
        other.close()
        await write
        assert store.configuration.account(ACCOUNT) is not None


async def test_a_write_holds_the_lock_from_its_first_read(path: Path) -> None:
    async with await Store.open(str(path), base_domain="exchange.test") as store:
        other = sqlite3.connect(path, isolation_level=None, timeout=0)
        async with store._writes.begin() as connection:
            await connection.execute(text("SELECT count(*) FROM accounts"))
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")  # else it would write, and our own write fail half-way
        other.execute("BEGIN IMMEDIATE")
        other.close()


async def test_a_commit_is_on_the_disk_itself(path: Path) -> None:
    async with (
        await Store.open(str(path), base_domain="exchange.test") as store,
        store._engine.connect() as c,
    ):
        modes = [
            (await c.execute(text(f"PRAGMA {name}"))).scalar_one() for name in ("journal_mode", "synchronous")
        ]
    assert modes == ["wal", 2]  # 2 is FULL: the log is synchronized with each commit


CHILD = """
import asyncio, os, signal, sys
from ringback.store import Store

async def main():
    store = await Store.open(sys.argv[1], base_domain="exchange.test")
    store.facts.put("calls", {"sid": "CA1", "account_sid": "AC1", "status": "in-progress"})
    assert await store.facts.flush(60)
    store.facts.put("calls", {"sid": "CA2", "account_sid": "AC1", "status": "queued"})
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_what_was_flushed_survives_a_killed_process(path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], timeout=60, capture_output=True, text=True
    )
    assert child.returncode == -9, child.stderr
    async with await Store.open(str(path), base_domain="exchange.test") as store:
        assert [row["sid"] for row in (await store.page("calls")).rows] == ["CA1"]


async def test_only_the_owner_may_read_the_database(path: Path) -> None:
    async with await Store.open(str(path), base_domain="exchange.test") as store:
        await store.insert("accounts", {"sid": ACCOUNT, "auth_token": "t" * 32})
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes.keys() >= {"ringback.db", "ringback.db-wal"}
    assert set(modes.values()) == {0o600}


async def test_a_folder_that_cannot_be_written_is_said_plainly(path: Path) -> None:
    path.mkdir()
    with pytest.raises(Unavailable):
        await Store.open(str(path), base_domain="exchange.test")


async def test_a_file_that_is_no_database_is_said_plainly_and_kept(path: Path) -> None:
    path.write_bytes(b"somebody's letters, not a database at all" * 100)
    with pytest.raises(Unavailable):
        await Store.open(str(path), base_domain="exchange.test")
    assert path.read_bytes().startswith(b"somebody's letters")
