"""How the server is doing, in numbers: GET /ringback/v1/vitals, for who looks after it and for ``make soak``."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections import Counter

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ringback.rest.errors import RestError
from ringback.shell.api.authentication import identify
from ringback.shell.exchange import Exchange


def vital_routes(exchange: Exchange) -> list[Route]:
    """The route; it wants the SID and token of the installation's first account, because it counts for all."""
    configuration = exchange.store.configuration

    async def vitals(request: Request) -> Response:
        try:
            account = identify(request.headers.get("authorization"), configuration)
        except RestError as problem:
            return JSONResponse(problem.body(), problem.status)
        if account.sid != configuration.accounts()[0]["sid"]:
            return JSONResponse({"message": "these numbers are for the first account alone"}, 403)
        return JSONResponse(vitals_of(exchange))

    return [Route("/ringback/v1/vitals", vitals)]


def vitals_of(exchange: Exchange) -> dict[str, object]:
    """Counts of what is open at the moment; ``lateness`` is in seconds, a mean over half a second.

    ``garbage`` counts the objects that only Python's collector could free, since the start: many of them stop the server.
    """
    tables = exchange.stack.agent.tables
    facts = exchange.store.facts.health
    tasks = Counter(task.get_name().partition(":")[0] for task in asyncio.all_tasks())
    return {
        "calls": len(exchange.calls),
        "registrations": exchange.registrar.count,
        "tasks": sum(tasks.values()),
        "threads": threading.active_count(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "lateness": round(exchange.guard.lateness, 4),
        "garbage": sum(generation["collected"] for generation in gc.get_stats()),
        "overloaded": exchange.guard.is_overloaded,
        "sources": len(exchange.guard),
        "transactions": len(tables.clients) + len(tables.servers),
        "rows_waiting": facts.pending,
        "rows_refused": facts.refused,
        "database": facts.failing or "ok",
    }
