"""A call's timeline on a terminal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ringback.app.printable import printable

STYLES = {
    "sip": "cyan",
    "webhook": "magenta",
    "function": "green",
    "twiml": "blue",
    "media": "yellow",
    "rest": "red",
}
LEVELS = {"error": "bold red", "warning": "bold yellow"}


def print_ladder(console: Console, timeline: dict[str, Any]) -> None:
    """Print the lines of a timeline as the server gave it, and its verdict."""
    lines = timeline["lines"]
    if not lines:
        return
    began_at = lines[0]["at"]
    legs = list(dict.fromkeys(line["call_sid"] for line in lines))
    table = Table(box=None, padding=(0, 1), show_header=True, header_style="dim")
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("leg", no_wrap=True)
    table.add_column("lane", no_wrap=True)
    table.add_column("what happened")
    for line in lines:
        lane = line["lane"]
        code = f" (error {line['code']})" if line["code"] else ""
        table.add_row(
            f"{line['at'] - began_at:8.3f}",
            chr(ord("A") + min(25, legs.index(line["call_sid"]))),
            Text(lane, style=STYLES.get(lane, "")),
            Text(f"{printable(line['text'])}{code}", style=LEVELS.get(line["level"], "")),
        )
    started = datetime.fromtimestamp(began_at).astimezone()
    console.print(f"[bold]{legs[0]}[/bold]  {started:%Y-%m-%d %H:%M:%S %Z}")
    for index, sid in enumerate(legs[1:26], start=1):
        console.print(f"[dim]leg {chr(ord('A') + index)} is {sid}[/dim]")
    console.print(table)
    found = timeline["verdict"]
    if found is None:
        console.print("[green]verdict: nothing went wrong[/green]")
    else:
        code = f" (error {found['code']})" if found["code"] else ""
        style = LEVELS.get(found["level"], "")
        console.print(Text(f"verdict: {printable(found['text'])}{code}", style=style))
