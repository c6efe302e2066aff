"""Status callbacks of what is no call."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from ringback.call.effects import Notify
from ringback.shell import call_webhooks
from ringback.shell.call_webhooks import CallWebhooks
from ringback.shell.vault import Vault
from ringback.shell.webhook_request import WebhookRequest

TOLD = Notify("http://x.test/conference", "POST", [("StatusCallbackEvent", "participant-speech-start")])


class Program:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()

    async def notify(self, request: WebhookRequest) -> None:
        self.asked.append(request.account_sid)
        await self.may_answer.wait()


async def test_callbacks_of_conferences_that_wait_are_bounded_for_each_account(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who speaks is told of, and a program that hangs must not have us remember it all."""
    monkeypatch.setattr(call_webhooks, "UNTOLD", 3)
    program = Program()
    accounts = SimpleNamespace(account=lambda sid: {"auth_token": "secret"})
    store: Any = SimpleNamespace(configuration=accounts)
    client: Any = program
    webhooks = CallWebhooks(client, store, Vault(), lambda call, note: None)
    for account in ("AC1", "AC1", "AC1", "AC1", "AC2"):
        webhooks.notify_for(None, account, TOLD)
    await asyncio.sleep(0)
    assert program.asked == ["AC1", "AC1", "AC1", "AC2"]
    program.may_answer.set()
    await webhooks.close(5.0)
    webhooks.notify_for(None, "AC1", TOLD)
    await asyncio.sleep(0)
    assert len(program.asked) == 5, "and there is room again"
    await webhooks.close(5.0)
