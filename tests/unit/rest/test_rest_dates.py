"""Dates, judged by the standard library's own RFC 2822 reader."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rest.dates import day_bounds, parse_moment, rfc2822


def test_a_date_looks_like_twilios() -> None:
    assert rfc2822(datetime(2015, 8, 18, 16, 48, 33, 999, UTC)) == "Tue, 18 Aug 2015 16:48:33 +0000"
    assert rfc2822(datetime(2015, 8, 18, 18, 48, 33, tzinfo=timezone(timedelta(hours=2)))) == (
        "Tue, 18 Aug 2015 16:48:33 +0000"
    )


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_every_date_is_read_back_by_the_standard_library(moment: datetime) -> None:
    assert parsedate_to_datetime(rfc2822(moment)) == moment.replace(microsecond=0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2009-07-06", date(2009, 7, 6)),
        ("2009-07-06T20:36:28Z", datetime(2009, 7, 6, 20, 36, 28, tzinfo=UTC)),
        ("2009-07-06 20:36:28", datetime(2009, 7, 6, 20, 36, 28, tzinfo=UTC)),
        ("2009-07-06T20:36:28.5+02:00", datetime(2009, 7, 6, 18, 36, 28, 500_000, UTC)),
    ],
)
def test_filters_take_days_and_moments(text: str, expected: date) -> None:
    assert parse_moment(text) == expected


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2009-13-01", "2009-07-06T25:00:00Z", "2009-7-6", "2009-07-06\n"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_moment(text)


def test_a_day_has_two_bounds_and_time_an_end() -> None:
    assert day_bounds(date(2024, 2, 29)) == (
        datetime(2024, 2, 29, tzinfo=UTC),
        datetime(2024, 3, 1, tzinfo=UTC),
    )
    with pytest.raises(ValueError, match="day"):
        day_bounds(date(9999, 12, 31))
