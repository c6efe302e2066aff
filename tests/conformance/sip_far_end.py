"""Our user agent on a loopback UDP socket, and PJSIP in a process at the other end."""

from __future__ import annotations

import contextlib
import heapq
import json
import queue
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ringback.sdp import OfferAnswer
from ringback.sip.agent import UserAgent
from ringback.sip.effects import Arm, Disarm, Effect, Ended, Incoming, Resolve, Send
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import Request, Response, parse
from ringback.sip.session import InviteSession
from ringback.sip.uri import bracketed

PATIENCE = 30.0
"""Seconds that anything may take on a busy machine."""


class Pjsip:
    """The process with PJSIP in it."""

    def __init__(self, **options: Any) -> None:
        program = str(Path(__file__).with_name("sip_pjsip_peer.py"))
        self.process = subprocess.Popen(
            [sys.executable, program, json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        host, _, port = self.wait("ready")["address"].rpartition(":")
        self.address = (host.strip("[]"), int(port))

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            if text.startswith("{"):
                self.events.put(json.loads(text))
        self.events.put({"event": "gone"})

    def wait(self, event: str, **expected: Any) -> dict[str, Any]:
        """The next event of that name with these values, while nobody else has to move."""
        while True:
            got = self.events.get(timeout=PATIENCE)
            assert got["event"] != "gone", "PJSIP ended"
            if got["event"] == event and all(got.get(key) == value for key, value in expected.items()):
                return got

    def tell(self, command: str, **more: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": command, **more}) + "\n")
        self.process.stdin.flush()

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join()
        self.process.stdout.close()


class Ours:
    """Our agent. ``on`` has what to do at each type of effect; ``skip`` lets time pass for its timers only."""

    def __init__(self, host: str = "127.0.0.1", **options: Any) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.bind((host, 0))
        self.local: tuple[str, int] = self.sock.getsockname()[:2]
        self.agent = UserAgent(lambda: secrets.token_hex(8), "ours", **options)
        self.sent_by = f"{bracketed(host)}:{self.local[1]}"
        self.contact = f"<sip:ours@{self.sent_by}>"
        self.skipped = 0.0
        self.timers: dict[Any, float] = {}
        self.due: list[tuple[float, Any]] = []
        self.on: dict[type, Callable[[Any], list[Effect] | None]] = {}
        self.seen: list[Effect] = []
        self.sent: list[Request | Response] = []
        self.got: list[Request | Response] = []
        self.sdp = OfferAnswer(host, 45_000, 1)

    @property
    def now(self) -> float:
        return time.monotonic() + self.skipped

    def run(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self.sent.append(parse(effect.data))
                self.sock.sendto(effect.data, (effect.hop.host, effect.hop.port))
            elif isinstance(effect, Arm):
                self.timers[effect.key] = effect.at
                heapq.heappush(self.due, (effect.at, effect.key))
            elif isinstance(effect, Disarm):
                self.timers.pop(effect.key, None)
            elif isinstance(effect, Resolve):
                raise AssertionError("everything here has an address")
            else:
                self.seen.append(effect)
                if type(effect) in self.on:
                    self.run(self.on[type(effect)](effect) or [])

    def step(self, wait: float = 0.05) -> None:
        """Take one datagram, or the timers that are due."""
        self.sock.settimeout(wait)
        try:
            data, address = self.sock.recvfrom(65_535)
        except TimeoutError:
            data = b""
        if data.strip():
            message = parse(data)
            self.got.append(message)
            flow = Flow("UDP", self.local, (address[0], address[1]))
            self.run(self.agent.on_message(message, flow, self.now))
        while self.due and self.due[0][0] <= self.now:
            at, key = heapq.heappop(self.due)
            if self.timers.get(key) == at:
                del self.timers[key]
                self.run(self.agent.on_timer(key, self.now))

    def until(self, condition: Callable[[], Any], what: str = "") -> Any:
        """Go on until something is so."""
        deadline = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert time.monotonic() < deadline, (what, [repr(each) for each in self.got[-6:]], self.seen[-4:])
            self.step()
        return found

    def until_got(self, method: str, status: int = 0, count: int = 1) -> Any:
        """Until so many of these messages came: the last of them."""

        def fitting() -> Any:
            found = [
                each
                for each in self.got
                if each.cseq.method == method
                and (
                    isinstance(each, Request)
                    if not status
                    else isinstance(each, Response) and each.status == status
                )
            ]
            return found[count - 1] if len(found) >= count else None

        return self.until(fitting, f"{status or ''} {method}")

    def call(self, address: tuple[str, int], **options: Any) -> InviteSession:
        host = bracketed(address[0])
        values: dict[str, Any] = {
            "uri": f"sip:peer@{host}:{address[1]}",
            "hops": [Hop("UDP", *address)],
            "from_": f"<sip:ours@{self.sent_by}>",
            "to": f"<sip:peer@{host}>",
            "contact": self.contact,
            "body": self.sdp.offer(),
            "now": self.now,
            "sent_by": self.sent_by,
        }
        session, effects = self.agent.invite(**(values | options))
        self.run(effects)
        return session

    def answering(self, react: Callable[[InviteSession, Request], list[Effect]]) -> None:
        """Accept every INVITE, and then do what ``react`` says."""

        def on_incoming(effect: Incoming) -> list[Effect]:
            session, effects = self.agent.accept(effect.request, effect.flow, self.now, contact=self.contact)
            self.run(effects)
            return react(session, effect.request)

        self.on[Incoming] = on_incoming

    def all(self, kind: type) -> list[Any]:
        return [each for each in self.seen if isinstance(each, kind)]

    def hang_up(self, session: InviteSession) -> None:
        self.run(session.hangup(self.now))
        self.until(lambda: not self.agent.sessions)

    @property
    def endings(self) -> list[str]:
        return [each.cause for each in self.all(Ended)]

    def close(self) -> None:
        self.sock.close()
