"""A Ringback under measurement: a real server in a process of its own, configured over its REST API."""

from __future__ import annotations

import asyncio
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench.measure import SERVER_CORE, on_core, settle
from tests.live import LiveServer, free_port, start_server

DOMAIN = "bench.example.com"
PASSWORD = "Correct-Horse-7"
AT_ONCE = 8


@dataclass
class Ours:
    """The server, and a client for its REST API."""

    server: LiveServer
    http_port: int

    @property
    def pid(self) -> int:
        """The root of its processes."""
        return self.server.process.pid

    def write(self, path: str, text: str) -> None:
        """A file of the project: a bin or a Function."""
        file = self.server.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def bin(self, name: str, document: str) -> str:
        """A TwiML Bin; its URL."""
        self.write(f"bins/{name}.xml", f"<Response>{document}</Response>")
        return f"http://ringback.localhost/bins/{name}"

    def function(self, name: str, script: str) -> str:
        """A Function; its URL."""
        self.write(f"functions/{name}.js", script)
        return f"http://ringback.localhost/functions/{name}"

    def configure(self, users: int, **domains: str) -> None:
        """Domains NAME.example.com with these voice URLs, open to 127.0.0.1; credentials for ``users`` phones."""
        asyncio.run(self._configure(users, domains))

    async def _configure(self, users: int, domains: dict[str, str]) -> None:
        server = self.server
        root = f"{server.api}/2010-04-01/Accounts/{server.account_sid}/SIP"
        auth = aiohttp.BasicAuth(server.account_sid, server.auth_token)
        async with aiohttp.ClientSession(auth=auth) as session:

            async def post(path: str, **form: Any) -> str:
                async with session.post(f"{root}/{path}.json", data=form) as answer:
                    body = await answer.json()
                    if answer.status >= 300:
                        raise RuntimeError(f"{path}: {answer.status} {body}")
                    return str(body["sid"])

            acl = await post("IpAccessControlLists", FriendlyName="bench")
            await post(f"IpAccessControlLists/{acl}/IpAddresses", FriendlyName="here", IpAddress="127.0.0.1")
            phones = await post("CredentialLists", FriendlyName="phones")
            for start in range(0, users, AT_ONCE):
                batch = range(start, min(users, start + AT_ONCE))
                path = f"CredentialLists/{phones}/Credentials"
                await asyncio.gather(*(post(path, Username=f"u{n}", Password=PASSWORD) for n in batch))
            for name, url in domains.items():
                voice = {"VoiceUrl": url} if url else {}
                domain = await post(
                    "Domains", DomainName=f"{name}.example.com", SipRegistration="true", **voice
                )
                await post(
                    f"Domains/{domain}/Auth/Calls/IpAccessControlListMappings", IpAccessControlListSid=acl
                )
                if users:
                    await post(
                        f"Domains/{domain}/Auth/Registrations/CredentialListMappings",
                        CredentialListSid=phones,
                    )


@contextmanager
def ringback(**settings: Any) -> Iterator[Ours]:
    """A server on the server's core, with a project of its own, as it comes but for its log."""
    given = {"log_level": "warning", "rtp": "10000-29999", **settings}
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        with on_core(SERVER_CORE):
            server = start_server(Path(folder), http=f"127.0.0.1:{port}", **given)
        try:
            settle(server.process.pid)
            yield Ours(server, port)
        finally:
            try:
                server.stop(10)
            except subprocess.TimeoutExpired:
                print("The server still had calls when the load was over, and was killed.")
                server.kill()
            errors = [line for line in server.log if re.search(r"\berror\b", line)]
            if errors:
                print(f"The server's log has {len(errors)} errors; the first: {errors[0].strip()}")


def users_file(folder: Path, users: int, domain: str) -> Path:
    """What SIPp reads: domain, user, password, a line a phone."""
    path = folder / "users.csv"
    rows = [f"{domain};u{n};[authentication username=u{n} password={PASSWORD}]" for n in range(users)]
    path.write_text("\n".join(["SEQUENTIAL", *rows]) + "\n", encoding="utf-8")
    return path
