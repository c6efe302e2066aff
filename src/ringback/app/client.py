"""The running server of a project directory, as other commands talk to it."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from ringback.app.errors import Unusable
from ringback.app.project import ProjectDirectory, Running


class ServerClient:
    """HTTP to a running server. Raises Unusable when none runs in the directory, or it does not answer."""

    def __init__(self, directory: Path) -> None:
        self.running: Running = ProjectDirectory(directory).served()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        login = aiohttp.BasicAuth(self.running.account_sid, self.running.auth_token)
        timeout = aiohttp.ClientTimeout(total=90)
        self._session = aiohttp.ClientSession(self.running.api, auth=login, timeout=timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def timeline(self, call_sid: str, *, whole: bool = False) -> dict[str, Any]:
        """The timeline of a call; the ``whole`` one waits for its end."""
        wait = "?wait=over" if whole else ""
        found: dict[str, Any] = await self._ask("GET", f"/ringback/v1/calls/{call_sid}/timeline{wait}")
        return found

    async def journal(self, call_sid: str) -> bytes:
        """The journal of a call."""
        return await self._read("GET", f"/ringback/v1/calls/{call_sid}/journal")

    async def call_from_sandbox(self, number: str) -> dict[str, Any]:
        """Have the sandbox carrier call a number of the account."""
        found: dict[str, Any] = await self._ask("POST", "/ringback/v1/sandbox/calls", {"To": number})
        return found

    async def _ask(self, method: str, path: str, form: dict[str, str] | None = None) -> Any:
        return json.loads(await self._read(method, path, form))

    async def _read(self, method: str, path: str, form: dict[str, str] | None = None) -> bytes:
        assert self._session is not None
        try:
            async with self._session.request(method, path, data=form) as answer:
                body = await answer.read()
                if answer.status >= 400:
                    raise Unusable(await _message(answer, body))
                return body
        except (aiohttp.ClientError, TimeoutError) as problem:
            raise Unusable(f"the server at {self.running.api} does not answer: {problem}") from None


async def _message(answer: aiohttp.ClientResponse, body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.status} {answer.reason}"
