"""The filters of a list operation, read into what a query needs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from .dates import day_bounds, parse_moment
from .errors import RestError, invalid
from .forms import Form, boolean
from .phone_numbers import to_e164
from .resource import Filter, Row, Type


class Range(NamedTuple):
    """A comparison: `op` is one of ``<``, ``<=``, ``>``, ``>=``."""

    column: str
    op: str
    value: datetime


class Criteria(NamedTuple):
    """What rows must be: equal in these columns, and within these ranges."""

    equal: dict[str, object]
    ranges: list[Range]

    def holds(self, row: Row) -> bool:
        """Whether a row meets the criteria, for lists that are kept in memory."""
        return all(row.get(column) == value for column, value in self.equal.items()) and all(
            _within(row.get(column), op, bound) for column, op, bound in self.ranges
        )


def read_filters(filters: Iterable[Filter], query: Form) -> Criteria:
    """Reads the filters that a query string has; empty values count as absent. Raises RestError 20001."""
    criteria = Criteria({}, [])
    for item in filters:
        text = query.get(item.name)
        if text:
            _equal(criteria, item, text)
        if item.moments:
            for operator in "<>":
                text = query.get(item.name + operator)
                if text:
                    criteria.ranges.append(_comparison(item, operator, text.removeprefix("=")))
    return criteria


def _equal(criteria: Criteria, item: Filter, text: str) -> None:
    if item.type is Type.BOOLEAN:
        try:
            criteria.equal[item.column] = boolean(text)
        except ValueError as error:
            raise invalid(f"{item.name} must be true or false") from error
    elif item.type is Type.DATE:
        criteria.ranges.extend(_day(item, text))
    elif item.choices and text not in item.choices:
        raise invalid(f"{item.name} must be one of {', '.join(item.choices)}")
    elif item.column in ("to", "from"):
        criteria.equal[item.column] = to_e164(text) or text
    else:
        criteria.equal[item.column] = text


def _day(item: Filter, text: str) -> list[Range]:
    """``StartTime=2009-07-06`` is that whole day in UTC; a moment, as SDKs send for a day, means its day."""
    try:
        moment = parse_moment(text)
        start, end = day_bounds(moment)
    except ValueError as error:
        raise _no_date(item) from error
    return [Range(item.column, ">=", start), Range(item.column, "<", end)]


def _comparison(item: Filter, operator: str, text: str) -> Range:
    """``StartTime>``: on or after a day or moment; ``StartTime<``: before it."""
    try:
        moment = parse_moment(text)
        start = moment if isinstance(moment, datetime) else day_bounds(moment)[0]
    except ValueError as error:
        raise _no_date(item) from error
    return Range(item.column, ">=" if operator == ">" else "<", start)


def _no_date(item: Filter) -> RestError:
    return invalid(f"{item.name} must be a date such as 2009-07-06 or 2009-07-06T20:36:28Z")


def _within(value: object, op: str, bound: datetime) -> bool:
    if not isinstance(value, datetime):
        return False
    match op:
        case "<":
            return value < bound
        case "<=":
            return value <= bound
        case ">":
            return value > bound
        case _:
            return value >= bound
