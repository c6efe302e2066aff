"""Timelines and journals over HTTP, for people and for ``ringback trace``: /ringback/v1/..."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ringback.call.errors import JournalError
from ringback.call.journal import decode
from ringback.call.timeline import merged, verdict
from ringback.rest.errors import RestError
from ringback.rest.sid import is_sid
from ringback.shell.api.authentication import identify
from ringback.shell.api.face import read_form
from ringback.shell.calls import Calls
from ringback.store import Store
from ringback.store.packing import unpacked

CHILDREN = 100
"""Dialed legs whose lines are merged into their parent's timeline."""

SandboxCall = Callable[[str, str], Awaitable[dict[str, Any]]]
"""Has the sandbox call a number of an account."""


class Timelines:
    """Finds the journals of calls, live or kept."""

    def __init__(self, store: Store, calls: Calls) -> None:
        self._store = store
        self._calls = calls

    async def journal(self, account_sid: str, call_sid: str) -> bytes | None:
        """The journal of an account's call as JSON lines; None if there is none."""
        live = self._calls.get(call_sid)
        if live is not None:
            return live.actor.journal.encode() if live.setup.account_sid == account_sid else None
        await self._store.facts.flush()
        row = await self._store.fetch("journals", call_sid, account_sid)
        # Versions before gave a call that was left behind by a killed server a row without a journal.
        return unpacked(row["body"]) if row is not None and row["body"] is not None else None

    async def journals(self, account_sid: str, call_sid: str) -> list[bytes]:
        """The call's journal and those of the legs that it dialed; [] if there is none."""
        own = await self.journal(account_sid, call_sid)
        if own is None:
            return []
        found = [own]
        sids = [call.sid for call in self._calls if call.setup.parent_sid == call_sid]
        page = await self._store.page(
            "calls", where={"parent_call_sid": call_sid, "account_sid": account_sid}, limit=CHILDREN
        )
        sids += [row["sid"] for row in page.rows if row["sid"] not in sids]
        for sid in sids[:CHILDREN]:
            body = await self.journal(account_sid, sid)
            if body is not None:
                found.append(body)
        return found


def told(journals: list[bytes]) -> bytes:
    """The timeline that journals make, with its verdict, as JSON. Raises JournalError."""
    lines = merged([decode(journal) for journal in journals])
    found = verdict(lines)
    shown = {"lines": [line._asdict() for line in lines], "verdict": found._asdict() if found else None}
    return msgspec.json.encode(shown)


def timeline_routes(store: Store, calls: Calls, sandbox_call: SandboxCall) -> list[Route]:
    """The routes; every one wants an account's SID and token."""
    timelines = Timelines(store, calls)

    def account_of(request: Request) -> str:
        return identify(request.headers.get("authorization"), store.configuration).sid

    def guarded(
        work: Callable[[Request, str], Awaitable[Response]],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            try:
                return await work(request, account_of(request))
            except RestError as problem:
                return JSONResponse(problem.body(), problem.status)
            except JournalError as problem:
                return JSONResponse({"message": str(problem)}, 500)

        return handle

    async def missing(sid: str, account_sid: str) -> Response:
        row = await store.fetch("calls", sid, account_sid) if is_sid(sid, "CA") else None
        lost = (
            f"the call {sid} has no timeline: it is older than timelines are kept (--keep-timelines), "
            "or was up when the server stopped, or its journal was not saved"
        )
        return JSONResponse({"message": lost if row else f"no call {sid} here"}, 404)

    async def timeline(request: Request, account_sid: str) -> Response:
        sid = request.path_params["sid"]
        family = [call for call in calls if sid in (call.sid, call.setup.parent_sid)]
        own = all(call.setup.account_sid == account_sid for call in family)
        if own and request.query_params.get("wait") == "over":
            await calls.until_over(sid)
        journals = await timelines.journals(account_sid, sid) if is_sid(sid, "CA") else []
        if not journals:
            return await missing(sid, account_sid)
        # Beside the event loop: 20,000 lines take it half a second.
        return Response(await asyncio.to_thread(told, journals), media_type="application/json")

    async def journal(request: Request, account_sid: str) -> Response:
        sid = request.path_params["sid"]
        body = await timelines.journal(account_sid, sid) if is_sid(sid, "CA") else None
        if body is None:
            return await missing(sid, account_sid)
        return PlainTextResponse(body, media_type="application/jsonl")

    async def from_sandbox(request: Request, account_sid: str) -> Response:
        form = await read_form(request)
        return JSONResponse(await sandbox_call(account_sid, form.get("To") or ""), 201)

    return [
        Route("/ringback/v1/calls/{sid}/timeline", guarded(timeline)),
        Route("/ringback/v1/calls/{sid}/journal", guarded(journal)),
        Route("/ringback/v1/sandbox/calls", guarded(from_sandbox), methods=["POST"]),
    ]
