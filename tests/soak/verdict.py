"""What a soak is judged by, and the table of its course."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.table import Table
from soak.load import Load
from soak.vitals import MB, Sample, slope

GROWTH = 4 * MB
"""Memory may grow by so much an hour, less twice the error of the measurement."""
SLACK = {"descriptors": 8, "threads": 8, "tasks": 4}
"""More of these than at the start is no leak: pools of the database and of threads grow up to a bound."""
TRANSACTIONS = 2
"""The look at the vitals itself comes by HTTP; a phone's registration may be under way."""
GARBAGE = 5
"""Objects an operation that only Python's collector can free: an HTTP connection leaves thirty, a call none."""
FAILED = 0.001
"""Of the operations: the phones are Python on the same machine, and give up after 25 s."""
COLUMNS = 5
"""Samples between the start and the end in the table."""


class Outcome(NamedTuple):
    """One thing that is judged."""

    what: str
    is_good: bool
    why: str


def judge(
    start: Sample, samples: Sequence[Sample], end: Sample, load: Load, missing: str, log: str
) -> list[Outcome]:
    """All that is judged; ``missing`` says what is wrong with the records."""
    grown = slope([(one.at, one.memory) for one in samples[len(samples) // 3 :]])
    total, lost = load.placed.total(), load.failed.total()
    found = [
        Outcome(
            "memory",
            grown.growth - 2 * grown.error <= GROWTH,
            f"{grown} in the last two thirds, at most {GROWTH / MB:+g}; {start.memory / MB:.0f} MB at the start, "
            f"{end.memory / MB:.0f} at the end",
        )
    ]
    for name, slack in SLACK.items():
        first, last = getattr(start, name), getattr(end, name)
        found.append(Outcome(name, last <= first + slack, f"{last} after {first}, at most {slack} more"))
    found += [
        Outcome(
            "transactions", end.transactions <= TRANSACTIONS, f"{end.transactions}, at most {TRANSACTIONS}"
        ),
        Outcome(
            "garbage",
            end.garbage - start.garbage <= GARBAGE * total,
            f"{end.garbage - start.garbage:,} objects, at most {GARBAGE} an operation",
        ),
        Outcome(
            "operations",
            lost <= FAILED * total,
            f"{lost} of {total:,} failed, at most {FAILED * total:.0f}; {load.refused.total()} put off",
        ),
        Outcome("records", not missing, missing or f"{load.expected.total():,}, one for every leg"),
    ]
    spoilt = [word for word in ("Traceback", "facts_refused") if word in log]
    found.append(Outcome("log", not spoilt, ", ".join(spoilt) or "no traceback, no row refused"))
    return found


def course(samples: Sequence[Sample]) -> Table:
    """A column for the start, for some moments between, and for the end."""
    last = len(samples) - 1
    chosen = sorted({round(last * n / (COLUMNS + 1)) for n in range(COLUMNS + 2)})
    table = Table("", *(f"{(samples[n].at - samples[0].at) / 60:.0f} min" for n in chosen))

    def row(what: str, values: Sequence[object]) -> None:
        table.add_row(what, *(str(values[n]) for n in chosen))

    row("memory, MB", [f"{one.memory / MB:.0f}" for one in samples])
    row("of its children, MB", [f"{one.children / MB:.0f}" for one in samples])
    for name in ("descriptors", "threads", "tasks", "transactions"):
        row(name, [getattr(one, name) for one in samples])
    row("legs up", [one.calls for one in samples])
    row("late, ms", [f"{one.lateness * 1000:.1f}" for one in samples])
    return table
