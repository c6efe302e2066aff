"""What a line of the bench gives, and the table of all."""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.table import Table


class Row(NamedTuple):
    """One measured thing of ours and one peer's. Costs are microseconds of CPU for one operation, one a round."""

    name: str
    ours: list[float]
    peer: str
    peers: list[float]
    note: str = ""


class Fact(NamedTuple):
    """A number that has no peer."""

    name: str
    value: str


def tell(line: str, number: int = 0, rounds: int = 0) -> None:
    """Say what is measured now: a whole bench takes a quarter of an hour."""
    print(f"  {line}, round {number} of {rounds}" if number else f"  {line}", flush=True)


def show(rows: list[Row], facts: list[Fact], console: Console | None = None) -> None:
    """Print the tables."""
    console = console or Console(width=130)
    if rows:
        table = Table(title="CPU time of one operation, medians of the rounds", title_justify="left")
        table.add_column("operation")
        for head in ("ours µs", "peer µs", "ratio"):
            table.add_column(head, justify="right")
        table.add_column("peer")
        table.add_column("rounds of ours; remarks")
        for row in rows:
            ours = median(row.ours) if row.ours else None
            peer = median(row.peers) if row.peers else None
            ratio = f"{ours / peer:.2f}" if ours and peer else ""
            rounds = " ".join(_cost(cost) for cost in row.ours)
            remark = f"{rounds}; {row.note}" if row.note else rounds
            table.add_row(row.name, _cost(ours), _cost(peer), ratio, row.peer, remark)
        console.print(table)
    if facts:
        table = Table(title="Beside it", title_justify="left", show_header=False)
        for fact in facts:
            table.add_row(fact.name, fact.value)
        console.print(table)


def _cost(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"
