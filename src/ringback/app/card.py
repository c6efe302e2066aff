"""What a new user sees first: how to reach the server, what to type into a phone, what to dial."""

from __future__ import annotations

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table

from ringback.app.program import ringback
from ringback.app.project import ProjectDirectory, Running

NUMBERS = (
    ("+1 500 555 0001", "answers and echoes what you say"),
    ("+1 500 555 0002", "answers and speaks"),
    ("+1 500 555 0003", "rings for ever"),
    ("+1 500 555 0004", "is busy"),
    ("+1 500 555 0005", "rejects the call"),
    ("+1 500 555 0006", "early media, then an answer"),
    ("+1 500 555 0007", "asks for four digits and repeats them"),
)


HIDDEN = "(hidden)"


def print_card(console: Console, running: Running, place: ProjectDirectory, *, with_secrets: bool) -> None:
    """Print the card of a running server; without secrets it says where they are."""
    access = Table.grid(padding=(0, 2))
    access.add_row("REST API", f"[bold]{running.api}[/bold]")
    access.add_row("Account SID", running.account_sid)
    access.add_row("Auth Token", running.auth_token if with_secrets else HIDDEN)
    tls = f", TLS {running.phones_sips}" if running.phones_sips else ""
    access.add_row("SIP server", f"[bold]{running.phones_sip}[/bold] UDP and TCP{tls}")
    access.add_row("SIP domain", running.domain)

    phones = Table(
        box=None, padding=(0, 2), title="Type into a phone", title_justify="left", title_style="bold"
    )
    for column in ("user", "password", "domain and proxy", "its number"):
        phones.add_column(column, no_wrap=True)
    passwords = place.phones()
    for user, password in passwords.items():
        shown = password if with_secrets else HIDDEN
        phones.add_row(user, shown, running.phones_sip, running.numbers.get(user, ""))

    dial = Table(
        box=None, padding=(0, 2), title="Dial", title_justify="left", title_style="bold", show_header=False
    )
    for number, what in NUMBERS:
        dial.add_row(number.replace(" ", ""), what)
    for user, number in running.numbers.items():
        if user in passwords:
            dial.add_row(number, f"rings {user}")

    local = running.domain.endswith(".localhost")
    where = "resolves on this machine alone" if local else "need not resolve"
    note = (
        f"[dim]The name {running.domain} {where}: phones use the address above. "
        f"Functions, bins and settings are in {place.path}[/dim]"
    )
    if not with_secrets:
        note += f"\nAuth Token and passwords are for a terminal: [bold]{ringback('card', place.path)}[/bold]"
    console.print(Panel(Group(access, "", phones, "", dial, "", note), title="Ringback", expand=False))
