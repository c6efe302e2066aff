"""A long list leaves the event loop turns for calls."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

from ringback.rest.forms import Form
from ringback.rest.paging import page_request
from ringback.rest.rendering import json_body, json_list
from ringback.rest.resources import NOTIFICATION
from ringback.shell.api.collection import Collection
from ringback.shell.api.listing import Slice
from ringback.shell.api.request import ROWS_A_TURN, ApiRequest

ROWS = 20 * ROWS_A_TURN


async def test_a_long_list_is_made_in_many_turns() -> None:
    store: Any = None
    caller: Any = None
    request = ApiRequest("/x", ".json", caller, {"sid": "AC1"}, {}, Form(), Form())
    now = datetime(2026, 1, 1, tzinfo=UTC)
    rows: list[Any] = [{"sid": f"NO{n}", "account_sid": "AC1", "date_created": now} for n in range(ROWS)]
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    answer = await Collection(store, NOTIFICATION).listed(
        request, page_request(Form([("PageSize", "1000")])), Slice(rows, more=False)
    )
    waiting.cancel()
    assert turns >= ROWS // ROWS_A_TURN
    assert len(json.loads(bytes(answer.body))[NOTIFICATION.list_key]) == ROWS


def test_a_list_is_written_as_one_object_would_be() -> None:
    items: list[dict[str, object]] = [{"sid": "CA1", "to": "é"}, {"sid": "CA2", "to": None}]
    envelope = {"page": 0, "uri": "/x"}
    assert json_list("calls", items, envelope) == json_body({"calls": items, **envelope})
    assert json_list("calls", [], envelope) == json_body({"calls": [], **envelope})
