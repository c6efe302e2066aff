"""Serving until told to stop: the first SIGTERM or SIGINT drains, a second one and SIGHUP end at once."""

from __future__ import annotations

import asyncio
import signal
import sys

import structlog
from rich.console import Console

from ringback.app import memory
from ringback.app.card import print_card
from ringback.app.demo import run_demo
from ringback.app.errors import Unusable
from ringback.app.program import ringback
from ringback.app.project import ProjectDirectory
from ringback.app.server import Server
from ringback.app.settings import Settings

log = structlog.get_logger("ringback")


async def initialize(place: ProjectDirectory, settings: Settings) -> None:
    """Make the starter project and its data, and leave."""
    is_unseen = place.is_unseen()
    server = Server(place, settings)
    await server.start()
    await server.stop()
    if is_unseen:
        place.hold_back()


async def serve_until_told(
    place: ProjectDirectory, settings: Settings, console: Console, *, demo: bool
) -> None:
    """Run a server until SIGTERM, SIGINT or SIGHUP."""
    told, told_again = asyncio.Event(), asyncio.Event()

    def tell() -> None:
        (told_again if told.is_set() else told).set()

    def leave() -> None:
        told.set()
        told_again.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, tell)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it, and is to go on
        loop.add_signal_handler(signal.SIGHUP, leave)  # the terminal is closed: nobody can say it twice
    is_unseen = place.is_unseen()  # who starts it needs what was made, wherever the card goes
    with console.status("Starting ..."):
        server = Server(place, settings)
        await server.start()
    memory.settle()
    showing: asyncio.Task[None] | None = None
    try:
        print_card(console, server.running, place, with_secrets=is_unseen or sys.stdout.isatty())
        place.has_shown()
        if demo:
            showing = asyncio.create_task(_show_demo(place, console))
        await told.wait()
        log.info("stopping; a second signal ends the calls at once", calls=len(server.exchange.calls))
        draining = asyncio.create_task(server.drain())
        again = asyncio.create_task(told_again.wait())
        await asyncio.wait({draining, again}, return_when=asyncio.FIRST_COMPLETED)
        for task in (draining, again):
            task.cancel()
    finally:
        if showing is not None:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)
        await server.stop()


async def _show_demo(place: ProjectDirectory, console: Console) -> None:
    try:
        await run_demo(place.path, console)
    except Unusable as problem:
        console.print(f"[red]The demo call could not be placed: {problem}[/red]")
        return
    again = ringback("demo", place.path)
    console.print(f"[dim]Still serving. Once more: {again}. Stop with Ctrl+C.[/dim]", soft_wrap=True)
