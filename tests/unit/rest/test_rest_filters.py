"""Filters of lists."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ringback.rest.errors import RestError
from ringback.rest.filters import Criteria, read_filters
from ringback.rest.forms import parse_query
from ringback.rest.resources import CALL, PARTICIPANT


def criteria(query: str) -> Criteria:
    return read_filters(CALL.filters, parse_query(query.encode()))


def test_equal_columns() -> None:
    found = criteria("To=(415)%20555-1234&From=sip:a@b&Status=busy&ParentCallSid=&Unknown=1")
    assert found.equal == {"to": "+14155551234", "from": "sip:a@b", "status": "busy"}


@pytest.mark.parametrize(
    ("query", "inside", "outside"),
    [
        ("StartTime=2024-05-06", "2024-05-06T00:00:00", "2024-05-07T00:00:00"),
        ("StartTime=2024-05-06", "2024-05-06T23:59:59", "2024-05-05T23:59:59"),
        ("StartTime=2024-05-06T00:00:00Z", "2024-05-06T12:00:00", "2024-05-07T00:00:00"),
        ("StartTime>=2024-05-06", "2024-05-06T00:00:00", "2024-05-05T23:59:59"),
        ("StartTime<=2024-05-06", "2024-05-05T23:59:59", "2024-05-06T00:00:00"),
        ("StartTime%3E=2024-05-06T10:00:00Z", "2024-05-06T10:00:00", "2024-05-06T09:59:59"),
        ("StartTime%3C=2024-05-06T10:00:00Z", "2024-05-06T09:59:59", "2024-05-06T10:00:00"),
        ("StartTime>=2024-05-06&StartTime<=2024-05-08", "2024-05-07T00:00:00", "2024-05-08T00:00:00"),
    ],
)
def test_times(query: str, inside: str, outside: str) -> None:
    found = criteria(query)
    assert found.holds({"start_time": datetime.fromisoformat(inside).replace(tzinfo=UTC)})
    assert not found.holds({"start_time": datetime.fromisoformat(outside).replace(tzinfo=UTC)})
    assert not found.holds({"start_time": None})


@pytest.mark.parametrize(
    "query", ["Status=lunch", "StartTime=noon", "EndTime>=2024-99-01", "StartTime<=9999-12-31x"]
)
def test_wrong_filters_are_20001(query: str) -> None:
    with pytest.raises(RestError) as caught:
        criteria(query)
    assert (caught.value.status, caught.value.code) == (400, 20001)


def test_booleans() -> None:
    found = read_filters(PARTICIPANT.filters, parse_query(b"Muted=True"))
    assert found.equal == {"muted": True}
    with pytest.raises(RestError):
        read_filters(PARTICIPANT.filters, parse_query(b"Hold=perhaps"))
