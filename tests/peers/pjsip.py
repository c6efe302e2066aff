"""PJSIP phones for tests: a process each (pjsip_phone.py), their calls, and what they hear."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from live import LiveServer
from peers.peer import WITHIN, Event, Inbox, LineReader, end
from peers.sound import loud, read_pcm, share, tone_wav

PROGRAM = Path(__file__).with_name("pjsip_phone.py")
CHUNK = 0.6
"""Seconds of one look at what is heard."""


def require_pjsip() -> None:
    """Skip the module where PJSIP is missing."""
    if importlib.util.find_spec("pjsua2") is None:
        pytest.skip("PJSIP is missing: pip install pjsua2-python", allow_module_level=True)


class Call:
    """A call of a phone."""

    def __init__(self, phone: Phone, number: int) -> None:
        self.phone = phone
        self.number = number

    def tell(self, command: str, **more: Any) -> None:
        """Give a command about this call."""
        self.phone.tell(command, call=self.number, **more)

    def expect(self, kind: str, within: float = WITHIN, **wanted: Any) -> Event:
        """The next event of this call."""
        return self.phone.inbox.expect(kind, within, call=self.number, **wanted)

    def state(self, name: str, within: float = WITHIN) -> Event:
        """Wait until the call is CONFIRMED, EARLY, DISCONNECTED ..."""
        return self.expect("state", within, state=name)

    def up(self, within: float = WITHIN) -> Call:
        """Wait until the call is up and has sound."""
        self.state("CONFIRMED", within)
        return self

    def ended(self, within: float = WITHIN) -> int:
        """Wait for the end: its SIP status."""
        return int(self.state("DISCONNECTED", within)["status"])

    def answer(self, status: int = 200) -> None:
        """180, 183, 200, or a refusal."""
        self.tell("answer", status=status)

    def hang_up(self) -> None:
        """BYE, CANCEL or 603."""
        self.tell("hangup")

    def transfer(self, to: str, headers: dict[str, str] | None = None) -> None:
        """REFER: the far end is to be connected with somebody else."""
        self.tell("transfer", to=to, headers=headers or {})

    def replace(self, other: Call) -> None:
        """REFER with Replaces: the far end is to be connected with that of another call."""
        self.tell("replace", other=other.number)

    def referred(self, within: float = WITHIN) -> Call:
        """Wait until the far end asks for another call (REFER): the call that is placed then."""
        return Call(self.phone, self.expect("referred", within)["new"])

    def transferred(self, within: float = WITHIN) -> int:
        """Wait for the end of a transfer: the status of its last NOTIFY, or of the refusal."""
        while True:
            event = self.expect("transfer", within)
            if event["final"] or event["status"] >= 300:
                return int(event["status"])

    def media(self, within: float = WITHIN, **wanted: Any) -> Event:
        """Wait for negotiated sound: status, direction, codec."""
        return self.expect("media", within, **wanted)

    # -- sound -------------------------------------------------------------------------------------------

    def plays(self, frequency: int) -> None:
        """Send a tone from now on."""
        self.tell("play", file=str(tone_wav(self.phone.folder, frequency)))

    def listen(self, seconds: float = CHUNK) -> bytes:
        """What is heard in the next so many seconds, also nothing: 16-bit PCM."""
        return self.listened(self.start_listening(seconds), seconds + WITHIN)

    def start_listening(self, seconds: float = 60.0, *, from_the_first: bool = False) -> Path:
        """Record from now on for so many seconds, or to the end of the call; ``from_the_first`` sound on when it has none yet."""
        file = self.phone.folder / f"heard-{self.phone.name}-{next(self.phone.files)}.wav"
        self.tell("listen", file=str(file), seconds=seconds, from_the_first=from_the_first)
        return file

    def listened(self, file: Path, within: float = WITHIN) -> bytes:
        """What was recorded, once the recording is complete."""
        self.expect("heard", within)
        return read_pcm(file)

    def hears(self, *frequencies: int, within: float = WITHIN) -> None:
        """Wait until the tone of these frequencies is heard."""
        until, best = time.monotonic() + within, 0.0
        while best < 0.6:
            assert time.monotonic() < until, f"{self.phone.name} hears only {best:.2f} of {frequencies} Hz"
            best = max(best, share(self.listen(), *frequencies))

    def hears_nothing_of(self, frequency: int, within: float = WITHIN) -> None:
        """Wait until the tone is gone."""
        until = time.monotonic() + within
        while share(self.listen(), frequency) > 0.2:
            assert time.monotonic() < until, f"{self.phone.name} still hears {frequency} Hz"

    def hears_sound(self, within: float = WITHIN) -> None:
        """Wait until anything is heard."""
        until = time.monotonic() + within
        while not loud(self.listen()):
            assert time.monotonic() < until, f"{self.phone.name} hears nothing"


class Phone:
    """A PJSIP phone, started; a context manager that ends its process."""

    def __init__(
        self,
        server: LiveServer,
        user: str,
        folder: Path,
        *,
        transport: str = "udp",
        password: str | None = None,
        domain: str = "",
        expires: int = 600,
        contact: str = "",
        instance: str = "",
        trusts: Path | None = None,
        codecs: Sequence[str] = ("PCMU", "PCMA"),
    ) -> None:
        self.name = user
        self.folder = folder
        self.files = count(1)
        self.inbox = Inbox(f"PJSIP phone {user}")
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), ",".join(codecs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._reader = LineReader(self.process, self._on_line)
        self.tell("start", transport=transport, trusts=str(trusts or ""))
        self.address = self.inbox.expect("started", 30)["address"]
        host, port = server.sips if transport == "tls" else server.sip
        self.domain = domain or server.domain
        self._account = {
            "user": user,
            "password": server.password if password is None else password,
            "domain": self.domain,
            "proxy": f"sip:{host}:{port};transport={transport};lr",
            "expires": expires,
            "contact": contact,
            "instance": instance,
        }
        self.account()

    def account(self, **changes: Any) -> None:
        """Take an account; an earlier one stays as it is registered."""
        self.tell("account", **{**self._account, **changes})

    def _on_line(self, line: str) -> None:
        if line.startswith("{"):
            self.inbox.put(json.loads(line))

    def __enter__(self) -> Phone:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up, unregister, end the process."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        end(self.process, 10)
        self._reader.join()

    def abandon(self) -> None:
        """Pull the plug: nothing is unregistered, no call is hung up."""
        self.process.kill()

    def tell(self, command: str, **more: Any) -> None:
        """Give a command."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": command, **more}) + "\n")
        self.process.stdin.flush()

    def register(self) -> Event:
        """Register: the final answer, whatever it is."""
        self.tell("register", on=True)
        return self.inbox.expect("registered")

    def unregister(self) -> Event:
        """Unregister: the final answer."""
        self.tell("register", on=False)
        return self.inbox.expect("registered")

    def on(self) -> Phone:
        """Register, or fail."""
        answer = self.register()
        assert answer["status"] == 200, answer
        return self

    def call(self, to: str, headers: dict[str, str] | None = None) -> Call:
        """Call a number or user of the own domain, or a whole URI."""
        uri = to if to.startswith("sip:") else f"sip:{to}@{self.domain}"
        self.tell("call", to=uri, headers=headers or {})
        return Call(self, self.inbox.expect("calling")["call"])

    def rung(self, within: float = WITHIN) -> Call:
        """Wait for a call; it rings until ``answer`` is told."""
        return Call(self, self.incoming(within)["call"])

    def incoming(self, within: float = WITHIN) -> Event:
        """Wait for a call: the event with its INVITE."""
        return self.inbox.expect("incoming", within)


def header(message: str, name: str) -> str:
    """A header of a message, "" if it has none."""
    found = re.search(rf"(?im)^{re.escape(name)}\s*:\s*(.*?)\s*$", message)
    return found[1] if found else ""
