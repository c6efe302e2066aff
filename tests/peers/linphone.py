"""Linphone's console program for tests: a process each, with a configuration of its own, told what to do on stdin."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from itertools import count
from pathlib import Path
from types import TracebackType

import pytest
from live import LiveServer, free_port
from peers.peer import WITHIN, Event, Inbox, LineReader, end
from peers.sound import share, tone_wav

CONFIG = """
[sip]
sip_port={port}
sip_tcp_port={port}
sip_tls_port=-1
default_proxy=0
use_ipv6=0
use_info=0
use_rfc2833=1
media_encryption=none
guess_hostname=0
contact=sip:{user}@127.0.0.1

[rtp]
audio_rtp_port={rtp}

[net]
firewall_policy=0

[proxy_0]
reg_proxy=<sip:{host}:{proxy};transport={transport}>
reg_route=<sip:{host}:{proxy};transport={transport};lr>
reg_identity=sip:{user}@{domain}
reg_expires=600
reg_sendregister=1
publish=0

[auth_info_0]
username={user}
passwd={password}
"""

_names = count(1)

STATES = {
    "registered": r"Registration on .* successful|^registered, identity=",
    "incoming": r"Receiving new incoming call from (?P<caller>.*), assigned id (?P<id>\d+)",
    "connected": r"Call \d+ with .* connected",
    "ringing": r"\| *OutgoingRinging",
    "paused": r"Call \d+ with .* is now paused",
    "streams": r"Media streams established",
    "ended": r"Call \d+ with .* ended",
    "digit": r"Receiving tone (?P<digit>\S)",
}
"""What the program prints of what happens."""

QUESTIONS = {"registered": "status register", "ringing": "calls"}
"""What has to be asked for that."""


def require_linphone() -> None:
    """Skip the module where Linphone's console program is missing."""
    if shutil.which("linphonec") is None:
        pytest.skip("linphonec is missing: apt-get install linphone-cli", allow_module_level=True)


class Linphone:
    """A linphonec with one account. It sends a tone in each call, and writes what it hears to a file."""

    def __init__(
        self, server: LiveServer, user: str, folder: Path, *, transport: str = "udp", tone: int = 1000
    ) -> None:
        self.name = f"linphone{next(_names)}"
        self.folder = folder / self.name
        (self.folder / ".local/share/linphone").mkdir(parents=True)
        (self.folder / ".config/linphone").mkdir(parents=True)
        self.inbox = Inbox(f"{self.name} of {user}")
        self.heard = self.folder / "heard.wav"
        host, proxy = server.sip
        config = self.folder / "linphonerc"
        config.write_text(
            CONFIG.format(
                port=free_port(),
                rtp=free_port(of=4),
                host=host,
                proxy=proxy,
                transport=transport,
                user=user,
                domain=server.domain,
                password=server.password,
            )
        )
        self.printed: list[str] = []
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", "linphonec", "-c", str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin"},
            text=True,
        )
        self._reader = LineReader(self.process, self._on_line)
        self.tell("soundcard use files")
        self.tell(f"play {tone_wav(folder, tone, 60.0)}")
        self.tell(f"record {self.heard}")

    def _on_line(self, line: str) -> None:
        self.printed.append(line)
        for name, pattern in STATES.items():
            found = re.search(pattern, line)
            if found is not None:
                self.inbox.put({"event": name, **found.groupdict()})

    def __enter__(self) -> Linphone:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up, unregister, end the process."""
        self.tell("quit")
        assert self.process.stdin is not None
        self.process.stdin.close()
        end(self.process, 10)
        self._reader.join()

    def tell(self, line: str) -> None:
        """Give a command."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def expect(self, event: str, within: float = WITHIN) -> Event:
        """Wait for what the program says."""
        until = time.monotonic() + within
        while event in QUESTIONS and time.monotonic() < until:
            self.tell(QUESTIONS[event])
            found = self.inbox.take(event, 0.5)
            if found is not None:
                return found
        return self.inbox.expect(event, within)

    def hears(self, frequency: int, within: float = WITHIN) -> None:
        """Wait until the tone is in what it writes."""
        until = time.monotonic() + within
        while share(self._recorded(), frequency) < 0.6:
            assert time.monotonic() < until, f"{self.name} does not hear {frequency} Hz"
            time.sleep(0.2)

    def _recorded(self) -> bytes:
        """The last second of what it wrote: 16 bits, 8 kHz; the header is filled in at the end."""
        data = self.heard.read_bytes()[44:] if self.heard.exists() else b""
        return data[: len(data) // 2 * 2][-16_000:]
