"""What a new user sees first: how to reach the server, what to type into a phone, what to dial."""

from __future__ import annotations

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table

from ringback.app.server import Server

NUMBERS = (
    ("+1 500 555 0001", "answers and echoes what you say"),
    ("+1 500 555 0002", "answers and speaks"),
    ("+1 500 555 0003", "rings for ever"),
    ("+1 500 555 0004", "is busy"),
    ("+1 500 555 0005", "rejects the call"),
    ("+1 500 555 0006", "early media, then an answer"),
    ("+1 500 555 0007", "asks for four digits and repeats them"),
)


def print_card(console: Console, server: Server, reachable: str) -> None:
    """Print the card; ``reachable`` is the address that phones in the network use."""
    access = Table.grid(padding=(0, 2))
    access.add_row("REST API", f"[bold]{server.http.url}[/bold]")
    access.add_row("Account SID", server.account_sid)
    access.add_row("Auth Token", server.auth_token)
    sip_port = server.exchange.sip_address[1]
    sips = server.exchange.sips_address
    tls = f", TLS {reachable}:{sips[1]}" if sips else ""
    access.add_row("SIP server", f"[bold]{reachable}:{sip_port}[/bold] UDP and TCP{tls}")
    access.add_row("SIP domain", server.domain)

    phones = Table(
        box=None, padding=(0, 2), title="Type into a phone", title_justify="left", title_style="bold"
    )
    for column in ("user", "password", "domain and proxy", "its number"):
        phones.add_column(column, no_wrap=True)
    numbers = {
        str(row["voice_url"]).rpartition("/")[2]: str(row["phone_number"])
        for row in server.store.configuration.numbers(server.account_sid)
    }
    for user, password in server.passwords.items():
        phones.add_row(user, password, f"{reachable}:{sip_port}", numbers.get(user, ""))

    dial = Table(
        box=None, padding=(0, 2), title="Dial", title_justify="left", title_style="bold", show_header=False
    )
    for number, what in NUMBERS:
        dial.add_row(number.replace(" ", ""), what)
    for user, number in numbers.items():
        if user in server.passwords:
            dial.add_row(number, f"rings {user}")

    local = server.domain.endswith(".localhost")
    where = "resolves on this machine alone" if local else "need not resolve"
    note = (
        f"[dim]The name {server.domain} {where}: phones use the address above. "
        f"Functions, bins and settings are in {server.directory.path}[/dim]"
    )
    console.print(Panel(Group(access, "", phones, "", dial, "", note), title="Ringback", expand=False))
