"""How the server is doing: for its first account alone."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from ringback.shell.guard import Guard
from ringback.shell.vitals import vital_routes
from ringback.store.facts import Health

FIRST, SECOND = "AC" + "1" * 32, "AC" + "2" * 32


def row(sid: str) -> dict[str, Any]:
    return {"sid": sid, "auth_token": f"token of {sid}", "status": "active", "owner_account_sid": None}


def exchange() -> Any:
    rows = {sid: row(sid) for sid in (FIRST, SECOND)}
    configuration = SimpleNamespace(
        accounts=lambda: list(rows.values()), account=rows.get, api_key=lambda user: None
    )
    facts = SimpleNamespace(health=Health(3, 2, 1, "database is locked"))
    tables = SimpleNamespace(clients={"a": 1}, servers={"b": 1, "c": 1})
    return SimpleNamespace(
        store=SimpleNamespace(configuration=configuration, facts=facts),
        calls=[1, 2],
        registrar=SimpleNamespace(count=5),
        guard=Guard(),
        stack=SimpleNamespace(agent=SimpleNamespace(tables=tables)),
    )


def ask(user: str, password: str) -> Request:
    header = b"Basic " + base64.b64encode(f"{user}:{password}".encode())
    return Request({"type": "http", "method": "GET", "headers": [(b"authorization", header)]})


async def test_the_first_account_gets_counts() -> None:
    (route,) = vital_routes(exchange())
    answer = await route.endpoint(ask(FIRST, f"token of {FIRST}"))
    assert answer.status_code == 200
    assert b'"calls":2,"registrations":5,' in answer.body
    assert b'"garbage":' in answer.body
    assert (
        b'"transactions":3,"rows_waiting":3,"rows_refused":2,"database":"database is locked"' in answer.body
    )


@pytest.mark.parametrize(
    ("user", "password", "status"), [(SECOND, f"token of {SECOND}", 403), (FIRST, "wrong", 401)]
)
async def test_nobody_else_does(user: str, password: str, status: int) -> None:
    (route,) = vital_routes(exchange())
    assert (await route.endpoint(ask(user, password))).status_code == status
