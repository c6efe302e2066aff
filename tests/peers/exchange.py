"""A running server with what a test wants of it: domains and numbers with TwiML of the test's own, timelines, REST."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from live import LiveServer, live_server
from peers.hooks import Answer, Hooks
from peers.peer import WITHIN
from twilio.rest import Client

from ringback.call.journal import decode
from ringback.call.replay import replay
from ringback.twiml.scripts import script_of

ALICE, BOB = "+16505550101", "+16505550102"
"""The numbers of the starter's phones."""

ECHO, SPEECH, RINGS, BUSY, REJECTS, EARLY, DIGITS = (f"+1500555000{last}" for last in range(1, 8))
"""The numbers of the sandbox carrier."""


class Exchange:
    """The server, its REST client, and web hooks."""

    def __init__(self, server: LiveServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.trunk = ""
        self.hooks = Hooks()
        self.client = Client(server.account_sid, server.auth_token)
        self.client.api.base_url = server.api
        self._names = count(1)
        self._pool = ThreadPoolExecutor(4)

    def close(self) -> None:
        """Let go of sockets and threads."""
        self._pool.shutdown()
        self.hooks.close()
        session = self.client.http_client.session
        if session is not None:
            session.close()

    def domain(self, twiml: Answer, *, registration: bool = False, credentials: bool = True) -> str:
        """A new SIP domain whose calls get this TwiML; the starter's users may call. Its name."""
        name = f"d{next(self._names)}"
        domain = self.client.sip.domains.create(
            domain_name=name, voice_url=self.hooks.give(name, twiml), sip_registration=registration
        )
        if credentials:
            users = self.client.sip.credential_lists.list()[0].sid
            domain.auth.calls.credential_list_mappings.create(credential_list_sid=users)
            domain.auth.registrations.credential_list_mappings.create(credential_list_sid=users)
        return str(domain.domain_name)

    def user(self, name: str) -> None:
        """One more user of the starter's domain."""
        users = self.client.sip.credential_lists.list()[0]
        users.credentials.create(username=name, password=self.server.password)

    def hook_of(self, domain: str) -> str:
        """The name of a domain's hook."""
        return domain.partition(".")[0]

    def number(self, twiml: Answer) -> str:
        """A new number whose calls get this TwiML."""
        number = f"+1415555{next(self._names) + 1000:04d}"
        url = self.hooks.give(f"n{number[1:]}", twiml)
        self.client.incoming_phone_numbers.create(phone_number=number, voice_url=url)
        return number

    def get(self, path: str) -> Any:
        """Ringback's own API."""
        answer = self.client.request("GET", self.server.api + path)
        return json.loads(answer.text)

    def timeline(self, sid: str) -> list[str]:
        """The lines of a call."""
        return [line["text"] for line in self.get(f"/ringback/v1/calls/{sid}/timeline")["lines"]]

    def replay_all(self) -> int:
        """Replay the journal of every call; the number of their events."""
        events = 0
        for call in self.client.calls.list():
            answer = self.client.request("GET", f"{self.server.api}/ringback/v1/calls/{call.sid}/journal")
            found = replay(decode(answer.text.encode()), script_of)
            assert found.difference is None, (call.sid, found.difference)
            events += found.events
        return events

    def call_from_outside(self, number: str) -> Future[dict[str, Any]]:
        """Have the sandbox carrier call a number; what became of it, once it is answered or over."""

        def call() -> dict[str, Any]:
            url = f"{self.server.api}/ringback/v1/sandbox/calls"
            answer = self.client.request("POST", url, data={"To": number}, timeout=70)
            return dict(json.loads(answer.text))

        return self._pool.submit(call)

    def call_record(self, sid: str, status: str, within: float = WITHIN) -> Any:
        """A call's record, read until it has this status."""
        until = time.monotonic() + within
        while True:
            record = self.client.calls(sid).fetch()
            if record.status == status:
                return record
            assert time.monotonic() < until, f"the call is {record.status}, not {status}"


@contextmanager
def exchange(folder: Path, *options: str, **settings: Any) -> Iterator[Exchange]:
    """A server for the length of a block."""
    with live_server(folder / "project", *options, **settings) as server:
        made = Exchange(server, folder)
        try:
            yield made
        finally:
            made.close()
