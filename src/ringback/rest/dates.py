"""Dates of the 2010 API: RFC 2822 in answers, ISO 8601 in filters; all in UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})\Z")
_DATE_TIME: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,6}))?(Z|[+-]\d{2}:?\d{2})?\Z"
)


def rfc2822(moment: datetime) -> str:
    """The moment as in ``Tue, 18 Aug 2015 16:48:33 +0000`` (RFC 2822 section 3.3), whatever the locale.

    A moment without a zone is taken as UTC.
    """
    utc = moment.astimezone(UTC) if moment.tzinfo is not None else moment
    return (
        f"{_DAYS[utc.weekday()]}, {utc.day:02d} {_MONTHS[utc.month - 1]} {utc.year:04d} "
        f"{utc.hour:02d}:{utc.minute:02d}:{utc.second:02d} +0000"
    )


def parse_moment(text: str) -> datetime | date:
    """A filter's value: ``2009-07-06`` gives a date, ``2009-07-06T20:36:28Z`` a moment in UTC.

    Raises ValueError for anything else.
    """
    if _DATE.match(text):
        return date.fromisoformat(text)
    match = _DATE_TIME.match(text)
    if match is None:
        raise ValueError("not an ISO 8601 date or time")
    day, clock, fraction, zone = match.groups()
    iso = f"{day}T{clock}.{(fraction or '').ljust(6, '0')}{'+00:00' if zone in (None, 'Z') else zone}"
    return datetime.fromisoformat(iso).astimezone(UTC)


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """The first moment of a day in UTC, and the first after it. Raises ValueError at the end of time."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    try:
        return start, start + timedelta(days=1)
    except OverflowError as error:
        raise ValueError("no day after that") from error
