"""What is written to SQLite, and what happens when it refuses: with a connection that fails as it is told."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import JSON, create_engine
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import StaticPool

from ringback.store.errors import Unavailable, UsageError
from ringback.store.facts import Batch, Fact, Facts
from ringback.store.pace import Pace
from ringback.store.rows import check_of
from ringback.store.sqlite_writer import FileSaver, Writing, _made_of, _put
from ringback.store.tables import FACTS, metadata

NOW = datetime(2026, 5, 1, 12, 30, 15, 5, tzinfo=UTC)
ACCOUNT = "AC" + "0" * 32


def failure(code: int, kind: type[sqlite3.Error] = sqlite3.OperationalError) -> sqlite3.Error:
    error = kind(f"error {code}")
    error.sqlite_errorcode = code
    return error


FULL = failure(sqlite3.SQLITE_FULL)
BUSY = failure(sqlite3.SQLITE_BUSY)
BROKEN = failure(sqlite3.SQLITE_IOERR_WRITE)
CORRUPT = failure(sqlite3.SQLITE_CORRUPT, sqlite3.DatabaseError)


class Faulty:
    """A connection that fails at the statements that begin with certain words."""

    def __init__(self, real: sqlite3.Connection, faults: dict[str, list[sqlite3.Error]]) -> None:
        self.real = real
        self.faults = faults
        self.closed = False

    def _run(self, sql: str) -> None:
        for beginning, errors in self.faults.items():
            if sql.startswith(beginning) and errors:
                raise errors.pop(0)

    def execute(self, sql: str) -> None:
        self._run(sql)
        self.real.execute(sql)

    def executemany(self, sql: str, rows: list[Any]) -> None:
        self._run(sql)
        self.real.executemany(sql, rows)

    @property
    def in_transaction(self) -> bool:
        return self.real.in_transaction

    def close(self) -> None:
        self.closed = True
        if self.real.in_transaction:
            self.real.execute("ROLLBACK")


class Disk:
    """One database; each connection is counted, and fails by the same list of faults."""

    def __init__(self, real: sqlite3.Connection) -> None:
        self.real = real
        self.faults: dict[str, list[sqlite3.Error]] = {}
        self.connections: list[Faulty] = []

    def connect(self) -> Any:
        for error in self.faults.get("connect", []):
            self.faults["connect"].remove(error)
            raise error
        self.connections.append(Faulty(self.real, self.faults))
        return self.connections[-1]

    def column(self, name: str = "sid", table: str = "calls") -> list[Any]:
        return [row[0] for row in self.real.execute(f'SELECT "{name}" FROM {table} ORDER BY 1')]


@pytest.fixture
def disk() -> Iterator[Disk]:
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    metadata.create_all(engine)
    with engine.connect() as connection:
        real = connection.connection.driver_connection
        assert isinstance(real, sqlite3.Connection)
        real.isolation_level = None
        yield Disk(real)
    engine.dispose()


def batch_of(*rows: dict[str, Any]) -> Batch:
    return {
        ("calls", row["sid"]): Fact({"account_sid": ACCOUNT, **row}, False, place, 0)
        for place, row in enumerate(rows)
    }


SAMPLES: dict[str, list[Any]] = {
    "TEXT": ["plain", "Zoë ☎\x00", "caf\udce9", "", 7],
    "INTEGER": [0, -5, 2**31 - 1],
    "BIGINT": [2**62],
    "DOUBLE": [0.5, 1],
    "DATETIME": [NOW, NOW.astimezone(timezone(timedelta(hours=9))), datetime(1999, 1, 1, tzinfo=UTC)],
    "JSON": [{"a": [1, None, "\udce9 ☎"]}, ["UDP", 5060], ("a", "b"), {}],
    "BLOB": [b"", b"\x00\xff"],
}


@pytest.mark.parametrize("table", sorted(FACTS))
def test_values_are_those_that_sqlalchemy_would_store(table: str) -> None:
    dialect = sqlite.dialect()
    for column in metadata.tables[table].columns:
        kind = column.type.dialect_impl(dialect)
        process = kind.bind_processor(dialect) or (lambda value: value)
        for value in SAMPLES[column.type.compile(dialect)]:
            expected, made = process(check_of(column)(value)), _made_of(column)(value)
            if isinstance(column.type, JSON):
                expected, made = json.loads(expected), json.loads(made)
            assert made == expected, column


@pytest.mark.parametrize(
    "bad",
    [{"to": 1.5}, {"start_time": NOW.replace(tzinfo=None)}, {"sip_response_code": 2**31}, {"nope": "x"}],
)
def test_a_row_that_no_database_would_take_is_left_out_and_named(disk: Disk, bad: dict[str, Any]) -> None:
    ((key, _),) = Writing(disk.connect).save(
        batch_of({"sid": "CA1"}, {"sid": "CA2", **bad}, {"sid": "CA3"}), NOW
    )
    assert key == ("calls", "CA2")
    assert disk.column() == ["CA1", "CA3"]


def test_what_the_database_refuses_of_a_row_is_left_out_and_the_others_are_kept(disk: Disk) -> None:
    batch = batch_of({"sid": "CA1"}, {"sid": "CA2", "account_sid": None}, {"sid": "CA3"})
    ((key, why),) = Writing(disk.connect).save(batch, NOW)
    assert (key, "NOT NULL" in why) == (("calls", "CA2"), True)
    assert disk.column() == ["CA1", "CA3"]
    assert len(disk.connections) == 1


def test_text_is_cleaned_and_dates_are_filled_in(disk: Disk) -> None:
    row = {"sid": "CA1", "to": "Zoë\x00\udce9", "from": 7, "date_created": NOW + timedelta(1)}
    assert Writing(disk.connect).save(batch_of(row), NOW) == []
    assert disk.column("to") == ["Zoë?"]
    assert disk.column("from") == ["7"]
    assert disk.column("date_created") == ["2026-05-02 12:30:15.000005"]
    assert disk.column("date_updated") == ["2026-05-01 12:30:15.000005"]


def test_rows_of_one_statement_need_not_name_their_columns_in_one_order() -> None:
    one, other = _put("calls", ("sid", "account_sid", "to")), _put("calls", ("to", "sid", "account_sid"))
    row = {"to": "+1", "account_sid": ACCOUNT, "sid": "CA1"}
    assert one.sql == other.sql
    assert one.values(row, "now") == other.values(row, "now")


def test_defaults_are_filled_in_for_columns_that_are_not_given(disk: Disk) -> None:
    event = Fact({"sid": "EV1", "account_sid": ACCOUNT, "call_sid": "CA1"}, False, 1, 0)
    assert Writing(disk.connect).save({("call_events", "EV1"): event}, NOW) == []
    assert disk.column("sequence", "call_events") == [0]


@pytest.mark.parametrize("where", ["BEGIN", "INSERT", "UPDATE", "DELETE", "COMMIT"])
@pytest.mark.parametrize(("error", "connections"), [(FULL, 1), (BUSY, 1), (BROKEN, 2), (CORRUPT, 2)])
def test_a_refusal_takes_nothing_and_the_next_try_takes_all(
    disk: Disk, where: str, error: sqlite3.Error, connections: int
) -> None:
    writing = Writing(disk.connect)
    writing.save(batch_of({"sid": "CA0"}, {"sid": "CA1", "status": "queued"}), NOW)
    batch = {
        ("calls", "CA0"): Fact(None, True, 1, 0),
        ("calls", "CA1"): Fact({"sid": "CA1", "status": "busy"}, False, 2, 0),
        **batch_of({"sid": "CA2"}),
    }
    disk.faults |= {where: [error]}
    with pytest.raises(Unavailable):
        writing.save(batch, NOW)
    assert (disk.column(), disk.real.in_transaction) == (["CA0", "CA1"], False)
    assert writing.save(batch, NOW) == []
    assert (disk.column(), disk.column("status")) == (["CA1", "CA2"], [None, "busy"])
    assert len(disk.connections) == connections


def test_a_database_that_cannot_be_opened_is_tried_again(disk: Disk) -> None:
    disk.faults |= {"connect": [failure(sqlite3.SQLITE_CANTOPEN)]}
    writing = Writing(disk.connect)
    with pytest.raises(Unavailable):
        writing.save(batch_of({"sid": "CA1"}), NOW)
    assert writing.save(batch_of({"sid": "CA1"}), NOW) == []


def test_a_connection_that_cannot_even_roll_back_is_given_up(disk: Disk) -> None:
    writing = Writing(disk.connect)
    disk.faults |= {"COMMIT": [FULL], "ROLLBACK": [BROKEN]}
    with pytest.raises(Unavailable):
        writing.save(batch_of({"sid": "CA1"}), NOW)
    assert disk.connections[0].closed
    assert writing.save(batch_of({"sid": "CA1"}), NOW) == []


async def test_the_queue_keeps_what_the_disk_refuses_until_it_takes_it(disk: Disk) -> None:
    disk.faults |= {"COMMIT": [FULL, BROKEN, BUSY], "connect": [failure(sqlite3.SQLITE_CANTOPEN)]}
    saver = FileSaver(disk.connect, asyncio.Lock(), lambda: NOW, lambda batch: None)
    facts = Facts(saver, retry_first=0.001, pace=Pace(0.0))
    facts.start()
    facts.put("calls", {"sid": "CA1", "account_sid": ACCOUNT, "status": "queued"})
    facts.put("calls", {"sid": "CA2", "account_sid": ACCOUNT, "to": 1.5})
    assert await facts.flush(30)
    assert facts.health == (0, 0, 1, "")
    assert disk.column() == ["CA1"]
    await facts.close()
    await saver.close()
    assert disk.connections[-1].closed


def test_a_column_that_is_not_there_is_our_mistake() -> None:
    with pytest.raises(UsageError):
        _put("calls", ("sid", "nope"))
