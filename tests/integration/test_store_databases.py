"""The store on real databases: SQLite in a file, and PostgreSQL on a private server where it is installed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from postgresql import PostgreSQL
from sqlalchemy import Connection, text

from ringback.shell.recovery import find_left_behind
from ringback.sip.binding import Binding, Change
from ringback.sip.flow import Hop
from ringback.sip.uri import Uri
from ringback.store import Conflict, SchemaTooNew, Store, UsageError, new_sid
from ringback.store.engine import alembic_config, open_engine
from ringback.store.tables import metadata

ACCOUNT = "AC" + "1" * 32
OTHER = "AC" + "2" * 32


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store/ringback.db"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return await server.new_database(f"test_{new_sid('DB').lower()}")


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Store]:
    async with await Store.open(url, base_domain="exchange.test", **options) as store:
        yield store


def call(sid: str, **values: Any) -> dict[str, Any]:
    return {"sid": sid, "account_sid": ACCOUNT, "from": "+16505550100", "to": "sip:bob@x", **values}


async def test_everything_is_there_after_a_restart(url: str) -> None:
    async with opened(url, realm="pbx.example") as store:
        await store.insert("accounts", {"sid": ACCOUNT, "auth_token": "t" * 32})
        domain = await store.insert("sip_domains", {"account_sid": ACCOUNT, "domain_name": "home.test"})
        await store.set_default_domain(domain["sid"])
        store.facts.put("calls", call("CA1", status="in-progress"))
        keys = store.installation
    async with opened(url, realm="ignored.example") as store:
        assert store.installation == keys
        assert store.installation.realm == "pbx.example"
        assert len(store.installation.nonce_key) == 32
        assert store.configuration.default_domain() == domain
        assert (store.configuration.account(ACCOUNT) or {})["auth_token"] == "t" * 32
        assert (await store.fetch("calls", "CA1") or {})["status"] == "in-progress"


async def test_the_migrations_make_exactly_the_declared_tables(url: str) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    async with opened(url) as store, store._engine.begin() as connection:
        assert await connection.run_sync(differences) == []
        await connection.execute(text("ALTER TABLE calls ADD COLUMN surplus TEXT"))
        assert len(await connection.run_sync(differences)) == 1


async def test_dialogs_of_calls_that_were_up_at_an_upgrade_are_kept(url: str) -> None:
    def first_version(connection: Connection) -> None:
        command.upgrade(alembic_config(connection), "0001")
        dates = "'2026-05-01 12:00:00', '2026-05-01 12:00:00'"
        for sid, end in (("CA1", "NULL"), ("CA2", "'2026-05-01 12:00:00'")):
            connection.exec_driver_sql(
                "INSERT INTO calls (sid, account_sid, date_created, date_updated, end_time)"
                f" VALUES ('{sid}', '{ACCOUNT}', {dates}, {end})"
            )
            connection.exec_driver_sql(
                "INSERT INTO journals (call_sid, account_sid, date_created, date_updated, dialogs)"
                f" VALUES ('{sid}', '{ACCOUNT}', {dates}, '[1]')"
            )

    engine = open_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(first_version)
    await engine.dispose()
    async with opened(url) as store:
        page = await store.page("calls", order="sid")
        assert [row["dialogs"] for row in page.rows] == [[1], None]


async def test_a_database_of_a_newer_version_is_left_alone(url: str) -> None:
    async with opened(url) as store, store._writes.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew):
        await Store.open(url, base_domain="exchange.test")


async def test_values_of_every_type_come_back_as_they_went_in(url: str) -> None:
    moment = datetime(2026, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
    async with opened(url) as store:
        number = await store.insert(
            "incoming_phone_numbers", {"account_sid": ACCOUNT, "phone_number": "+16505550100", "beta": True}
        )
        assert await store.fetch("incoming_phone_numbers", number["sid"]) == number
        journal = {"call_sid": "CA1", "account_sid": ACCOUNT, "body": b"\x00\xff"}
        dialogs = [{"a": [1, None, "ü\udce9"]}]
        store.facts.put("journals", journal)
        store.facts.put(
            "calls",
            call("CA1", start_time=moment, sip_response_code=486, caller_name="Zoë ☎\x00", dialogs=dialogs),
        )
        stored = await store.fetch("journals", "CA1") or {}
        assert {name: stored[name] for name in journal} == journal
        row = await store.fetch("calls", "CA1") or {}
        assert row["start_time"] == moment
        assert row["start_time"].tzinfo is UTC
        assert (row["sip_response_code"], row["caller_name"], row["end_time"]) == (486, "Zoë ☎", None)
        assert row["dialogs"] == dialogs


async def test_an_upsert_changes_only_what_it_names(url: str) -> None:
    async with opened(url) as store:
        store.facts.put("calls", call("CA1", status="queued", direction="inbound"))
        first = await store.fetch("calls", "CA1") or {}
        again = {"sid": "CA1", "account_sid": ACCOUNT, "date_created": None, "date_updated": None}
        store.facts.put("calls", {**again, "status": "ringing"})
        second = await store.fetch("calls", "CA1") or {}
        store.facts.put("calls", {"sid": "CA1", "status": "completed"})
        third = await store.fetch("calls", "CA1") or {}
        store.facts.put("calls", {"sid": "CA2", "status": "completed"})  # never announced: nothing to change
        assert await store.fetch("calls", "CA2") is None
        store.facts.remove("calls", "CA1")
        assert await store.fetch("calls", "CA1") is None
    assert [row["status"] for row in (first, second, third)] == ["queued", "ringing", "completed"]
    assert third["direction"] == "inbound"
    assert third["date_created"] == first["date_created"]
    assert first["date_updated"] < second["date_updated"] < third["date_updated"]


async def test_uniqueness_is_reported_with_its_columns(url: str) -> None:
    async with opened(url) as store:
        users = (await store.insert("sip_credential_lists", {"account_sid": ACCOUNT}))["sid"]
        domain = (await store.insert("sip_domains", {"account_sid": ACCOUNT, "domain_name": "a.test"}))["sid"]
        rows: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
            ("sip_domains", {"domain_name": "A.test"}, ("domain_name",)),
            (
                "sip_credentials",
                {"credential_list_sid": users, "username": "bob", "ha1_md5": "0", "ha1_sha256": "0"},
                ("credential_list_sid", "username"),
            ),
            (
                "sip_domain_mappings",
                {"domain_sid": domain, "kind": "calls_credential_list", "list_sid": users},
                ("domain_sid", "kind", "list_sid"),
            ),
            ("outgoing_caller_ids", {"phone_number": "+16505550100"}, ("account_sid", "phone_number")),
            ("incoming_phone_numbers", {"phone_number": "+16505550100"}, ("phone_number",)),
            ("connection_policies", {"sid": "NY" + "0" * 32}, ("sid",)),
        ]
        for table, row, columns in rows:
            with pytest.raises(Conflict) as caught:
                await store.insert(table, {"account_sid": ACCOUNT, **row})
                await store.insert(table, {"account_sid": ACCOUNT, **row})
            assert (caught.value.table, caught.value.columns) == (table, columns)
        with pytest.raises(UsageError):
            await store.insert("ip_records", {"account_sid": ACCOUNT, "ip_address": None})
        with pytest.raises(UsageError):
            await store.insert(
                "connection_policy_targets",
                {"account_sid": ACCOUNT, "connection_policy_sid": "NY1", "target": "sip:a.test"},
            )


async def test_rows_of_another_account_cannot_be_read_changed_or_deleted(url: str) -> None:
    async with opened(url) as store:
        sid = (await store.insert("applications", {"account_sid": ACCOUNT, "friendly_name": "mine"}))["sid"]
        assert await store.fetch("applications", sid, OTHER) is None
        assert await store.update("applications", sid, OTHER, {"friendly_name": "theirs"}) is None
        assert not await store.delete("applications", sid, OTHER)
        assert (await store.fetch("applications", sid, ACCOUNT) or {})["friendly_name"] == "mine"
        assert await store.delete("applications", sid, ACCOUNT)
        assert not await store.delete("applications", sid, ACCOUNT)


async def test_pages_filter_order_and_never_overlap(url: str) -> None:
    start = datetime(2026, 5, 1, tzinfo=UTC)
    async with opened(url) as store:
        for number in reversed(range(25)):
            store.facts.put(
                "calls",
                call(
                    f"CA{number:02}",
                    status=("completed", "busy")[number % 2],
                    start_time=start + timedelta(hours=number),
                    date_created=start + timedelta(hours=number // 5),
                ),
            )
        store.facts.put("calls", {**call("CAx"), "account_sid": OTHER})
        seen: list[str] = []
        while True:
            page = await store.page("calls", where={"account_sid": ACCOUNT}, limit=10, offset=len(seen))
            seen += [row["sid"] for row in page.rows]
            if not page.has_more:
                break
        newest_first = [f"CA{number:02}" for five in (20, 15, 10, 5, 0) for number in range(five, five + 5)]
        assert seen == newest_first  # of one moment by sid

        async def sids(**query: Any) -> list[str]:
            found = await store.page("calls", order="start_time", limit=1000, **query)
            assert not found.has_more
            return [row["sid"] for row in found.rows]

        day = (
            ("start_time", ">=", start + timedelta(hours=3)),
            ("start_time", "<", start + timedelta(hours=6)),
        )
        assert await sids(ranges=day) == ["CA03", "CA04", "CA05"]
        assert await sids(ranges=day, where={"status": "busy"}) == ["CA03", "CA05"]
        assert await sids(where={"sid": ["CA07", "CA01"]}) == ["CA01", "CA07"]
        assert await sids(where={"sid": []}) == []
        assert await sids(where={"start_time": None}) == ["CAx"]
        assert await sids(where={"from": "+16505550100", "account_sid": OTHER}) == ["CAx"]
        assert await store.count("calls", {"status": "busy"}) == 12
        assert (await store.page("calls", limit=0)).has_more
        for bad in ({"where": {"nope": 1}}, {"ranges": [("sid", "like", "C")]}, {"order": "nope"}):
            with pytest.raises(UsageError):
                await store.page("calls", **bad)


async def test_deleting_a_call_takes_its_events_and_journal_along(url: str) -> None:
    async with opened(url) as store:
        store.facts.put("calls", call("CA1"))
        store.facts.put("journals", {"call_sid": "CA1", "account_sid": ACCOUNT})
        for table in ("call_events", "notifications"):
            store.facts.put(table, {"account_sid": ACCOUNT, "call_sid": "CA1"})
        assert await store.delete("calls", "CA1", ACCOUNT)
        counts = [await store.count(table) for table in ("calls", "journals", "call_events", "notifications")]
        assert counts == [0, 0, 0, 0]


async def test_a_row_that_the_database_refuses_does_not_hold_up_the_others(url: str) -> None:
    async with opened(url) as store:
        async with store._writes.begin() as connection:
            await connection.execute(text("CREATE UNIQUE INDEX only_one ON calls (sip_call_id)"))
        for sid in ("CA1", "CA2", "CA3"):
            store.facts.put("calls", call(sid, sip_call_id="same" if sid != "CA3" else "own"))
        assert await store.facts.flush()
        assert store.facts.health.rejected == 1
        assert await store.count("calls") == 2
        assert await store.fetch("calls", "CA3") is not None


async def test_subscribers_hear_of_writes_and_facts_and_one_that_fails_harms_nobody(url: str) -> None:
    heard: list[tuple[str, str]] = []

    def fail(_table: str, _key: str) -> None:
        raise RuntimeError("mine")

    async with opened(url) as store:
        store.on_change(fail)
        stop = store.on_change(lambda table, key: heard.append((table, key)))
        sid = (await store.insert("applications", {"account_sid": ACCOUNT}))["sid"]
        await store.update("applications", sid, None, {"friendly_name": "a"})
        store.facts.put("calls", call("CA1"))
        await store.facts.flush()
        stop()
        await store.delete("applications", sid)
    assert heard == [("applications", sid), ("applications", sid), ("calls", "CA1")]


async def test_writers_at_the_same_time_all_succeed(url: str) -> None:
    async with opened(url) as store:

        async def write(number: int) -> None:
            store.facts.put("calls", call(f"CA{number}"))
            row = await store.insert("applications", {"account_sid": ACCOUNT, "friendly_name": str(number)})
            await store.update("applications", row["sid"], ACCOUNT, {"voice_url": "http://a.test/"})
            await store.page("applications", limit=5)

        async with asyncio.TaskGroup() as group:
            for number in range(30):
                group.create_task(write(number))
        assert await store.count("applications", {"voice_url": "http://a.test/"}) == 30
        assert await store.count("calls") == 30


async def test_a_cancelled_writer_leaves_memory_and_disk_in_agreement(url: str) -> None:
    async with opened(url) as store:
        for number in range(20):
            task = asyncio.create_task(
                store.insert(
                    "outgoing_caller_ids", {"account_sid": ACCOUNT, "phone_number": f"+1650555{number:04}"}
                )
            )
            for _ in range(number):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
    async with opened(url) as again:
        assert store.configuration.caller_ids(ACCOUNT) == again.configuration.caller_ids(ACCOUNT)
        assert again.configuration.caller_ids(ACCOUNT)


async def test_phones_can_be_reached_again_after_a_restart(url: str) -> None:
    now = 1_800_000_000.0
    hop = Hop("UDP", "198.51.100.7", 40000, local=("192.0.2.1", 5060))
    phone = Binding(
        "bob@a.test", Uri.parse("sip:bob@10.0.0.7:5062;ob"), hop, now + 600, "id@1", 2**31 - 1, "Phone/1"
    )
    stream = Binding(
        "bob@a.test",
        Uri.parse("sip:bob@10.0.0.8;transport=tcp"),
        Hop("TCP", "2001:db8::7", 5061, 17),
        now + 900,
        "id@2",
        1,
        path=("<sip:edge.test;lr>",),
        instance="<urn:uuid:1>",
        reg_id="1",
        q=0.5,
    )
    late = phone.replace(contact=Uri.parse("sip:bob@10.0.0.9"), expires_at=now)
    gone = phone.replace(contact=Uri.parse("sip:bob@10.0.0.10"))
    async with opened(url) as store:
        for binding in (phone, stream, late, gone):
            assert store.registrations.record(Change("added", binding), account_sid=ACCOUNT, domain_sid="SD1")
        refreshed = phone.replace(expires_at=now + 700, cseq=3)
        await store.facts.flush()
        store.registrations.record(
            Change("refreshed", refreshed, phone), account_sid=ACCOUNT, domain_sid="SD1"
        )
        await store.facts.flush()
        store.registrations.record(Change("removed", gone), account_sid=ACCOUNT, domain_sid="SD1")
    async with opened(url) as store:
        loaded = await store.registrations.load(now)
        assert set(loaded) == {refreshed, stream}
        assert await store.count("registrations") == 2
        known = loaded[loaded.index(refreshed)]
        refreshed = known.replace(expires_at=now + 800, cseq=4)
        store.registrations.record(
            Change("refreshed", refreshed, known), account_sid=ACCOUNT, domain_sid="SD1"
        )
        await store.facts.flush()
        assert store.registrations.forget(stream)
        assert await store.registrations.load(now) == [refreshed]


async def test_each_server_of_a_database_has_registrations_of_its_own(url: str) -> None:
    now = 1_800_000_000.0
    phone = Binding(
        "bob@a.test", Uri.parse("sip:bob@10.0.0.7"), Hop("UDP", "198.51.100.7", 40000), now + 600, "id", 1
    )
    added = Change("added", phone)
    async with opened(url, node="one") as one, opened(url, node="two") as two:
        for store in (one, two):
            store.registrations.record(added, account_sid=ACCOUNT, domain_sid="SD1")
            await store.facts.flush()
        one.registrations.forget(phone)
        assert await one.registrations.load(now, of_all=False) == []
        assert await two.registrations.load(now, of_all=False) == [phone]
        # Who has the database for itself takes over what is there, once.
        assert await one.registrations.load(now) == [phone]
        assert await one.registrations.load(now, of_all=False) == [phone]
        assert await one.count("registrations") == 1


async def test_old_rows_are_removed_with_their_parts(url: str) -> None:
    then = datetime(2026, 5, 1, tzinfo=UTC)
    async with opened(url) as store:
        await store.insert("accounts", {"sid": ACCOUNT, "auth_token": "t" * 32})
        for number in range(10):
            row = call(f"CA{number}", date_created=then + timedelta(days=number), end_time=then)
            store.facts.put("calls", row)
            store.facts.put("journals", {"call_sid": f"CA{number}", "account_sid": ACCOUNT})
        before = then + timedelta(days=7)
        assert [count async for count in store.remove_older("calls", before, 5)] == [5, 2]
        assert await store.count("journals") == 3
        assert [row["sid"] for row in (await store.page("calls", order="sid")).rows] == ["CA7", "CA8", "CA9"]


async def test_a_server_knows_whether_it_has_the_database_for_itself(
    two_nodes: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two_nodes
    monkeypatch.setattr("ringback.store.nodes.BACK_WITHIN", 0)
    assert not await first.is_alone()
    await second.close()
    async with asyncio.timeout(10):
        while not await first.is_alone():
            await asyncio.sleep(0.01)
    monkeypatch.setattr("ringback.store.nodes.BACK_WITHIN", 1_000_000)
    assert not await first.is_alone()  # others may be on their way back to a database that has just started


@pytest.fixture
async def two_nodes(postgresql: PostgreSQL) -> AsyncIterator[tuple[Store, Store]]:
    """Give two stores on one PostgreSQL database, both listening."""
    url = await postgresql.new_database(f"test_{new_sid('DB').lower()}")
    async with (
        asyncio.timeout(60),
        opened(url, node="first") as first,
        opened(url, node="second") as second,
    ):
        for store in (first, second):
            assert store._nodes is not None
            await store._nodes.listening.wait()
        yield first, second


def heard_by(store: Store, table: str, key: str) -> asyncio.Event:
    """Return an event that is set when the store tells of this row."""
    heard = asyncio.Event()
    store.on_change(lambda *change: heard.set() if change == (table, key) else None)
    return heard


async def test_a_write_reaches_the_memory_of_every_node(two_nodes: tuple[Store, Store]) -> None:
    first, second = two_nodes
    sid = new_sid("SD")
    heard = heard_by(second, "sip_domains", sid)
    await first.insert("sip_domains", {"sid": sid, "account_sid": ACCOUNT, "domain_name": "a.test"})
    await heard.wait()
    assert second.configuration.domain("a.test") == first.configuration.domain("a.test") is not None
    heard.clear()
    await second.update("sip_domains", sid, None, {"domain_name": "b.test"})
    heard = heard_by(second, "sip_domains", sid)
    await first.delete("sip_domains", sid)
    await heard.wait()
    assert second.configuration.domain("b.test") is None
    chosen = heard_by(second, "installation", "SD9")
    await first.set_default_domain("SD9")
    await chosen.wait()
    assert second.configuration.default_domain_sid == "SD9"


async def test_what_another_server_has_open_is_no_left_over(
    two_nodes: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.store.nodes.BACK_WITHIN", 0)
    first, second = two_nodes
    for store, sid in ((first, "CA1"), (second, "CA2")):
        store.facts.put("calls", call(sid, status="in-progress", node=store.node))
        store.facts.put("conferences", {"sid": f"CF{sid}", "account_sid": ACCOUNT, "status": "init"})
        await store.facts.flush()
    assert [row["sid"] for row in (await find_left_behind(first)).calls] == ["CA1"]
    await second.close()
    async with asyncio.timeout(10):
        while not await first.is_alone():
            await asyncio.sleep(0.01)
    left = await find_left_behind(first)
    assert [row["sid"] for row in left.calls] == ["CA1", "CA2"]
    assert len(left.conferences) == 2


async def test_many_rows_in_one_write_reach_the_other_node(two_nodes: tuple[Store, Store]) -> None:
    first, second = two_nodes
    rows = [
        ("outgoing_caller_ids", {"account_sid": ACCOUNT, "phone_number": f"+1{n:010}"}) for n in range(250)
    ]
    last = new_sid("PN")
    heard = heard_by(second, "outgoing_caller_ids", last)
    await first.insert_all(
        [*rows, ("outgoing_caller_ids", {"sid": last, "account_sid": ACCOUNT, "phone_number": "+2"})]
    )
    await heard.wait()
    assert second.configuration.caller_ids(ACCOUNT) == first.configuration.caller_ids(ACCOUNT)
    assert len(second.configuration.caller_ids(ACCOUNT)) == 251


async def test_a_node_that_was_cut_off_reads_everything_again(two_nodes: tuple[Store, Store]) -> None:
    first, second = two_nodes
    assert second._nodes is not None
    second._nodes.listening.clear()
    async with first._engine.connect() as connection:  # cut every other connection to this database
        query = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()"
        )
        assert (await connection.execute(text(f"{query} AND pid <> pg_backend_pid()"))).scalar_one() >= 2
    row = await first.insert("applications", {"account_sid": ACCOUNT})
    await second._nodes.listening.wait()
    assert second.configuration.application(row["sid"]) == row
    second.facts.put("calls", call("CA1"))
    assert await second.facts.flush(within=30)
