"""The command line: serve, init, card, demo, call, bins, trace, replay."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from ringback import __version__
from ringback.app.errors import Unusable
from ringback.app.program import ringback

app = typer.Typer(
    help="Ringback: a telephone exchange that speaks Twilio.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
OWNER_ONLY = 0o077
"""The umask of a server: its database, its clips and the starter's .env are for its owner alone."""

LOG_WIDTH = 160
"""Columns where there is no terminal that has a width: the lines of a timeline fit in."""

console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else LOG_WIDTH)
complaints = Console(stderr=True)

Directory = Annotated[Path, typer.Argument(help="The project directory.", show_default=False)]
ProjectOption = Annotated[
    Path, typer.Option("--project", "-p", help="The project directory of the running server.")
]


def main() -> None:
    """The program: one line and status 2 for what cannot be used as it was told."""
    try:
        app()
    except Unusable as problem:
        complain(str(problem), "red")
        sys.exit(2)


def complain(line: str, colour: str) -> None:
    """One line on standard error."""
    complaints.print(f"[bold {colour}]ringback:[/] {escape(line)}", highlight=False, soft_wrap=True)


def run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run on uvloop where it is."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work())
    return uvloop.run(work())


@app.command()
def serve(
    directory: Directory,
    http: Annotated[
        str | None,
        typer.Option(help="IP:PORT of the REST API; a port alone stays on this machine. [127.0.0.1:8080]"),
    ] = None,
    sip: Annotated[str | None, typer.Option(help="IP:PORT of SIP over UDP and TCP. [0.0.0.0:5060]")] = None,
    sips: Annotated[str | None, typer.Option(help="IP:PORT of SIP over TLS. [0.0.0.0:5061]")] = None,
    rtp: Annotated[str | None, typer.Option(help="LOW-HIGH ports of sound. [10000-20000]")] = None,
    public_address: Annotated[
        str | None, typer.Option(help="IP address that peers outside are told. [auto]")
    ] = None,
    base_domain: Annotated[
        str | None, typer.Option(help="Domain of SIP domains and URLs. [ringback.localhost]")
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="sqlite:///FILE or postgresql://... [DIR/data/ringback.db]")
    ] = None,
    certificate: Annotated[str | None, typer.Option(help="PEM file of the TLS certificate chain.")] = None,
    key: Annotated[str | None, typer.Option(help="PEM file of its key.")] = None,
    max_calls: Annotated[
        int | None, typer.Option(help="Legs at once; 0: as many as files and ports allow.")
    ] = None,
    drain: Annotated[
        float | None, typer.Option(help="Seconds that calls get to end by themselves after SIGTERM. [60]")
    ] = None,
    vanished_after: Annotated[
        float | None,
        typer.Option(help="Seconds without a sign after which a far end is gone, and its call ended. [300]"),
    ] = None,
    keep_records: Annotated[
        float | None,
        typer.Option(help="Days that records of calls and conferences are kept; 0: for ever. [400]"),
    ] = None,
    keep_timelines: Annotated[
        float | None,
        typer.Option(help="Days that timelines and notifications of calls are kept; 0: for ever. [30]"),
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error. [info]")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Place the demo call once it runs.")] = False,
) -> None:
    """Run the exchange of a project directory; an empty one becomes the starter project."""
    from ringback.app import logs, settings
    from ringback.app.project import ProjectDirectory
    from ringback.app.serving import serve_until_told

    os.umask(OWNER_ONLY)
    place = ProjectDirectory(directory)
    place.check()
    given = settings.load(
        place.path,
        http=http,
        sip=sip,
        sips=sips,
        rtp=rtp,
        public_address=public_address,
        base_domain=base_domain,
        database=database,
        certificate=certificate,
        key=key,
        max_calls=max_calls,
        drain=drain,
        vanished_after=vanished_after,
        keep_records=keep_records,
        keep_timelines=keep_timelines,
        log_level=log_level,
    )
    place.make()
    for line in settings.unknown_variables(os.environ):
        complain(line, "yellow")
    logs.set_up(given.log_level)
    run(lambda: serve_until_told(place, given, console, demo=demo))


@app.command()
def init(directory: Directory) -> None:
    """Write the starter project into a directory, without starting it; what is there already stays."""
    from ringback.app import logs, settings
    from ringback.app.project import ProjectDirectory
    from ringback.app.serving import initialize

    os.umask(OWNER_ONLY)
    place = ProjectDirectory(directory)
    place.make()
    given = settings.load(place.path, http="127.0.0.1:0", sip="127.0.0.1:0", sips="127.0.0.1:0")
    logs.set_up("warning")
    run(lambda: initialize(place, given))
    console.print(
        f"The starter project is in {place.path}. Next: [bold]{ringback('serve', directory)}[/bold]",
        soft_wrap=True,
    )


@app.command()
def card(directory: Directory) -> None:
    """Print the card of the running server once more, with its token and the passwords of the phones."""
    from ringback.app.card import print_card
    from ringback.app.project import ProjectDirectory

    place = ProjectDirectory(directory)
    print_card(console, place.served(), place, with_secrets=True)


@app.command()
def demo(directory: Directory) -> None:
    """Place a demo call on the running server; exit 0 only if sound was verified both ways."""
    from ringback.app.demo import run_demo

    if not run(lambda: run_demo(directory, console)):
        raise typer.Exit(1)


@app.command()
def call(
    to: Annotated[
        str, typer.Argument(help="A number of the account, such as +16505550101.", show_default=False)
    ],
    from_sandbox: Annotated[
        bool, typer.Option("--from-sandbox", help="The sandbox carrier places the call.")
    ] = False,
    project: ProjectOption = Path("project"),
) -> None:
    """Call a number of the running server from outside; exit 0 only if it was answered and nothing went wrong."""
    from ringback.app.client import ServerClient
    from ringback.app.ladder import print_ladder
    from ringback.app.printable import printable

    if not from_sandbox:
        raise Unusable("say who places the call: --from-sandbox")

    async def place() -> bool:
        async with ServerClient(project) as server:
            with console.status(f"The sandbox carrier calls {to} ..."):
                outcome = await server.call_from_sandbox(to)
            detail = escape(printable(outcome["detail"]))
            console.print(f"{outcome['status']} after {outcome['after']} s {detail}".rstrip())
            if not outcome["sid"]:
                return False
            with console.status("Until one side hangs up ..."):
                timeline = await server.timeline(outcome["sid"], whole=True)
            print_ladder(console, timeline)
            return outcome["status"] == "answered" and timeline["verdict"] is None

    if not run(place):
        raise typer.Exit(1)


@app.command()
def trace(
    call_sid: Annotated[str, typer.Argument(help="CA...", show_default=False)],
    journal: Annotated[
        bool, typer.Option("--journal", help="Write the raw journal instead (for `replay`).")
    ] = False,
    project: ProjectOption = Path("project"),
) -> None:
    """Print what happened in a call: SIP, webhooks, TwiML and media in one timeline."""
    from ringback.app.client import ServerClient
    from ringback.app.ladder import print_ladder

    async def show() -> None:
        async with ServerClient(project) as server:
            if journal:
                sys.stdout.buffer.write(await server.journal(call_sid))
            else:
                print_ladder(console, await server.timeline(call_sid))

    run(show)


@app.command()
def bins(directory: Directory) -> None:
    """List the TwiML Bins of a running server's project, and their URLs."""
    from rich.table import Table

    from ringback.app.client import ServerClient
    from ringback.app.server import bin_sid
    from ringback.functions.project import Project

    running = ServerClient(directory).running
    table = Table("bin", "URL by name", "URL by SID", box=None)
    for name in sorted(Project(directory).bins):
        table.add_row(name, f"/bins/{name}", f"/twiml/{bin_sid(running.account_sid, name)}")
    console.print(table)
    base = running.domain.partition(".sip.")[2]
    console.print(
        f"[dim]For numbers and domains put http://{base} before them; for programs {running.api}[/dim]"
    )


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="A journal, from `trace --journal`.", show_default=False)],
) -> None:
    """Run a call's journal again, and compare the effects."""
    from ringback.app.replaying import replay_file

    if not replay_file(file, console):
        raise typer.Exit(1)


@app.command()
def version() -> None:
    """Print the version."""
    console.print(__version__, highlight=False)


def _print_version(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


@app.callback()
def program(
    _: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Ringback: a telephone exchange that speaks Twilio."""


if __name__ == "__main__":
    main()
