"""Streams whose WebSocket cannot be opened."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from ringback.shell.media_streams import MediaStreams
from ringback.shell.vault import Vault


@pytest.mark.parametrize("url", ["wss://host.test:99999/", "wss://host..test/"])
async def test_a_url_that_leads_nowhere_is_an_error_of_the_stream(url: str) -> None:
    tasks: list[asyncio.Task[None]] = []
    told: list[dict[str, str]] = []
    notes: list[Any] = []
    calls: Any = SimpleNamespace(
        tasks=SimpleNamespace(start=lambda work, name: tasks.append(asyncio.ensure_future(work))),
        remark=lambda call, note: notes.append(note),
    )
    call: Any = SimpleNamespace(sid="CA1", setup=SimpleNamespace(account_sid="AC1"), stream_sids=[])
    streams = MediaStreams(
        calls,
        lambda call, account, told_now: told.append(dict(told_now.params)),
        lambda sid: "token",
        Vault(),
    )
    options = {
        "name": "ear",
        "url": url,
        "track": "inbound_track",
        "parameters": {},
        "status_callback": "http://program.test/",
        "status_callback_method": "POST",
    }
    streams.start(call, "MZ1", options)
    await asyncio.gather(*tasks)
    assert [params["StreamEvent"] for params in told] == ["stream-error"]
    assert [note.code for note in notes] == [31920]
    assert call.stream_sids == []
