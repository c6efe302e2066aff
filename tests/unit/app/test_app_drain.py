"""What a server says and does while it waits for its calls at the end."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from ringback.app import server as module
from ringback.app.server import Server
from ringback.app.settings import load


class FakeExchange:
    """Calls end after so many looks."""

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.calls = range(3)

    async def drain(self, within: float) -> bool:
        self.looks -= 1
        await asyncio.sleep(0)
        return self.looks < 0


def server_of(looks: int, drain: float, tmp_path: Any) -> Server:
    server = Server(SimpleNamespace(path=tmp_path), load(tmp_path, drain=drain))  # type: ignore[arg-type]
    server.exchange = FakeExchange(looks)  # type: ignore[assignment]
    return server


async def test_it_says_for_how_many_calls_it_waits_until_they_end(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "log", structlog.get_logger("test"))
    with structlog.testing.capture_logs() as lines:
        assert await server_of(2, 3_600.0, tmp_path).drain()
    assert [(line["calls"], line["seconds_left"]) for line in lines] == [(3, 3_600), (3, 3_600)]


@pytest.mark.parametrize("drain", [0.0, 1e-9])
async def test_when_the_time_is_up_it_goes_on(
    drain: float, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "log", structlog.get_logger("test"))
    with structlog.testing.capture_logs() as lines:
        assert not await server_of(1_000_000, drain, tmp_path).drain()
    assert lines[-1]["event"] == "the time to drain is up; calls are ended"
