"""What the tests by Twilio's own Python package share: the API over HTTP on the loopback interface, and its client."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvicorn
from integration.api_calls import FakeCalls
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from ringback.shell.api import create_api
from ringback.store import Store, new_auth_token, new_sid

T = TypeVar("T")
PASSWORD = "IWasAtSignal2018"


class Exchange:
    """A server in a thread of its own, with a store and an account."""

    def __init__(self, folder: Path) -> None:
        self.account_sid = new_sid("AC")
        self.token = str(new_auth_token())
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.port = self.run(self._start(folder))

    async def _start(self, folder: Path) -> int:
        self.store = await Store.open(f"sqlite:///{folder / 'api.db'}", base_domain="ringback.localhost")
        await self.store.insert(
            "accounts", {"sid": self.account_sid, "friendly_name": "Main", "auth_token": self.token}
        )
        self.calls = FakeCalls(self.store)
        config = uvicorn.Config(create_api(self.store, self.calls), log_level="warning", lifespan="off")
        listener = socket.create_server(("127.0.0.1", 0))  # requests wait in it until the server is up
        port: int = listener.getsockname()[1]
        self._server = uvicorn.Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        return port

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def client(self, username: str | None = None, password: str | None = None, **more: Any) -> Client:
        client = Client(username or self.account_sid, password or self.token, **more)
        client.api.base_url = f"http://127.0.0.1:{self.port}"
        return client

    def close(self) -> None:
        async def stop() -> None:
            self._server.should_exit = True
            await self._serving
            await self.store.close()

        self.run(stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(30)
        self.loop.close()


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    exchange = Exchange(tmp_path_factory.mktemp("api"))
    yield exchange
    exchange.close()


@pytest.fixture
def client(exchange: Exchange) -> Iterator[Client]:
    client = exchange.client()
    yield client
    session = client.http_client.session
    if session is not None:
        session.close()


_numbers = iter(range(100, 1000))


def fresh_number() -> str:
    return f"+1415555{next(_numbers):04d}"


@contextmanager
def refused(status: int, code: int) -> Iterator[None]:
    """Expects the SDK's exception with this status and code."""
    with pytest.raises(TwilioRestException) as caught:
        yield
    assert (caught.value.status, caught.value.code) == (status, code)


def list_error(client: Client, path: str) -> tuple[int, int]:
    """Status and code that a list answers; the SDK keeps them to itself."""
    response = client.request("GET", f"{client.api.base_url}/2010-04-01/Accounts/{client.account_sid}/{path}")
    return response.status_code, json.loads(response.text)["code"]
