"""Rows are checked, cleaned and completed before they reach a database."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from ringback.store.errors import UsageError
from ringback.store.rows import changed, checked, completed, table_named
from ringback.store.sids import SID

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ACCOUNT = "AC" + "0" * 32


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("calls", {"colour": "blue"}),
        ("calls", {"start_time": datetime(2026, 5, 1)}),  # no zone
        ("calls", {"start_time": "2026-05-01"}),
        ("calls", {"status": 1.5}),
        ("calls", {"sip_response_code": "200"}),
        ("calls", {"sip_response_code": 2**31}),
        ("registrations", {"cseq": 2**63}),
        ("sip_domains", {"secure": "true"}),
        ("sip_domains", {"domain_name": "bücher.example"}),
        ("journals", {"body": "text"}),
        ("journals", {"body": b"x" * (4 * 1024 * 1024 + 1)}),
        ("call_events", {"request": "{}"}),
        ("accounts", {"auth_token": "ä"}),
    ],
)
def test_what_a_database_would_refuse_is_refused_at_once(table: str, row: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        checked(table_named(table), row)


def test_the_installation_is_not_a_table_for_rows() -> None:
    with pytest.raises(UsageError):
        table_named("installation")


def test_text_that_utf8_or_postgresql_cannot_hold_is_cleaned() -> None:
    row = checked(table_named("calls"), {"from": "a\x00b", "to": "\udcff", "duration": 42})
    assert row == {"from": "ab", "to": "?", "duration": "42"}


def test_a_moment_becomes_utc() -> None:
    there = datetime(2026, 5, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    assert checked(table_named("calls"), {"start_time": there})["start_time"].tzinfo is UTC
    assert checked(table_named("calls"), {"start_time": there})["start_time"] == NOW


def test_a_new_row_gets_sid_dates_and_defaults() -> None:
    row = completed(
        table_named("incoming_phone_numbers"), {"account_sid": ACCOUNT, "phone_number": "+16505550100"}, NOW
    )
    assert SID.fullmatch(row["sid"])
    assert row["sid"].startswith("PN")
    assert row["date_created"] == row["date_updated"] == NOW
    assert row["voice_method"] == "POST"
    assert row["capabilities"]["voice"] is True
    assert row["voice_url"] is None


def test_a_default_object_is_not_shared_between_rows() -> None:
    table = table_named("incoming_phone_numbers")
    first, second = (completed(table, {"account_sid": ACCOUNT, "phone_number": n}, NOW) for n in ("+1", "+2"))
    first["capabilities"]["voice"] = False
    assert second["capabilities"]["voice"] is True


def test_a_row_without_what_is_required_is_refused_and_named() -> None:
    with pytest.raises(UsageError, match="domain_name"):
        completed(table_named("sip_domains"), {"account_sid": ACCOUNT}, NOW)


def test_the_key_and_required_values_do_not_change() -> None:
    table = table_named("sip_domains")
    for changes in ({"sid": "SD1"}, {"account_sid": None}, {"domain_name": None}):
        with pytest.raises(UsageError):
            changed(table, changes, NOW)
    assert changed(table, {"domain_name": "A.Example."}, NOW) == {
        "domain_name": "a.example",
        "date_updated": NOW,
    }
