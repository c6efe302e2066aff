"""A real server in a process of its own, as a user starts it, for the tests that judge from outside."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PORTS = range(13_000, 20_000)
"""Below those that Linux gives to sockets without a wish, and away from the RTP of phones and servers here."""

START_WITHIN = 60.0
"""Seconds: a first start makes keys and loads Node on a busy machine."""

PHONE_PASSWORD = "Correct-Horse-7"
AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
ACCOUNT_SID = "AC" + "ab" * 16


@dataclass
class LiveServer:
    """A server that runs. ``log`` grows with what it prints."""

    process: subprocess.Popen[str]
    directory: Path
    api: str
    sip: tuple[str, int]
    sips: tuple[str, int]
    domain: str
    reader: threading.Thread
    account_sid: str = ACCOUNT_SID
    auth_token: str = AUTH_TOKEN
    password: str = PHONE_PASSWORD
    log: list[str] = field(default_factory=list)

    @property
    def output(self) -> str:
        """All that was printed so far."""
        return "".join(self.log)

    @property
    def data(self) -> Path:
        """The server's folder of data, as it sees it: it may be mounted for it alone."""
        return Path(f"/proc/{self.process.pid}/root") / self.directory.resolve().relative_to("/") / "data"

    def stop(self, within: float = 30.0) -> int:
        """SIGTERM, and the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(within)
        self.reader.join(10)
        return status

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(10)
        self.reader.join(10)


def free_port(*, of: int = 1) -> int:
    """The first ``of`` so many ports in a row, from a multiple of them on: each is free for UDP and TCP, and no socket of another
    program is given it before it is used."""
    while True:
        first = PORTS[
            secrets.randbelow(len(PORTS) // of) * of
        ]  # not random's, which begins anew with each test
        with ExitStack() as stack, suppress(OSError):
            for port in range(first, first + of):
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    stack.enter_context(socket.socket(socket.AF_INET, kind)).bind(("0.0.0.0", port))
            return first


def start_server(
    directory: Path,
    *options: str,
    env: dict[str, str] | None = None,
    within: tuple[str, ...] = (),
    **settings: Any,
) -> LiveServer:
    """Start ``ringback serve`` on loopback and wait until it says how it is reached.

    ``within`` is a command that becomes the server by exec: limits, a namespace, a library before the others.
    """
    sip, sips, low = free_port(), free_port(), 30000 + (os.getpid() * 7 + free_port()) % 200 * 100
    given = {
        "http": "127.0.0.1:0",
        "sip": f"127.0.0.1:{sip}",
        "sips": f"127.0.0.1:{sips}",
        "rtp": f"{low}-{low + 1999}",
        **{name: str(value) for name, value in settings.items()},
    }
    line = [*within, sys.executable, "-m", "ringback.app.cli", "serve", str(directory)]
    line += [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", value)]
    pinned = {
        "RINGBACK_ACCOUNT_SID": ACCOUNT_SID,
        "RINGBACK_AUTH_TOKEN": AUTH_TOKEN,
        "RINGBACK_PHONE_PASSWORD": PHONE_PASSWORD,
        "COLUMNS": "200",
        "PYTHONFAULTHANDLER": "1",
    }
    process = subprocess.Popen(
        [*line, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **pinned, **(env or {})},
    )
    log: list[str] = []
    ready, ended = threading.Event(), threading.Event()

    def read() -> None:
        assert process.stdout is not None
        with process.stdout as printed:
            for text in printed:
                log.append(text)
                if text.startswith("╰"):
                    ready.set()
        ended.set()
        ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    if not ready.wait(START_WITHIN) or ended.is_set():
        process.send_signal(signal.SIGABRT)  # it says where it is
        ended.wait(10)
        process.kill()
        process.wait(10)
        raise RuntimeError(f"the server did not start:\n{''.join(log)}")
    server = LiveServer(
        process=process,
        directory=directory,
        api="",
        sip=("127.0.0.1", sip),
        sips=("127.0.0.1", sips),
        domain="",
        reader=reader,
        log=log,
    )
    running = json.loads((server.data / "server.json").read_text())
    server.api, server.domain = running["api"], running["domain"]
    return server


@contextmanager
def live_server(directory: Path, *options: str, **settings: Any) -> Iterator[LiveServer]:
    """A server for the length of a block; words and settings as of ``start_server``."""
    server = start_server(directory, *options, **settings)
    try:
        yield server
    finally:
        try:
            server.stop(10)
        except subprocess.TimeoutExpired:
            server.kill()
