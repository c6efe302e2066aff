"""The webhooks of calls: what a script asks a program, and what it tells it.

Requests for TwiML run beside each other; the status callbacks of one call go out one after the other,
in order, and never hold the call up.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from typing import Any

import structlog

from ringback.call.effects import Fetch, Note, Notify, info
from ringback.call.events import Fetched
from ringback.shell.documents import KEPT, Documents
from ringback.shell.live import LiveCall
from ringback.shell.tasks import Tasks
from ringback.shell.vault import Vault, public, with_login
from ringback.shell.webhook_request import WebhookAnswer, WebhookRequest
from ringback.shell.webhooks import WebhookClient
from ringback.store import Store
from ringback.twiml.errors import DocumentError

log = structlog.get_logger("ringback.webhooks")

QUEUED = 200
"""Status callbacks of one call that may wait for a slow program; later ones are dropped, with a line."""

UNTOLD = 500
"""Status callbacks of an account's conferences and streams that may be under way; later ones are dropped, with a line."""

SHOWN_URLS = ("ErrorUrl", "AnnounceUrl")
"""Parameters that tell a program its own URLs."""

Remark = Callable[[LiveCall, Note], None]


class CallWebhooks:
    """Signs, sends and reads the webhooks of calls."""

    def __init__(self, client: WebhookClient, store: Store, vault: Vault, remark: Remark) -> None:
        self._client = client
        self._store = store
        self._vault = vault
        self._remark = remark
        self._tasks = Tasks("status callbacks")
        self._untold: Counter[str] = Counter()
        self._documents = Documents(vault)
        self._constants: dict[tuple[str, str], tuple[WebhookAnswer, Note]] = {}
        """Lines of the timeline about documents that are the same for every call."""

    def auth_token(self, account_sid: str) -> str:
        """The token that signs an account's webhooks."""
        account = self._store.configuration.account(account_sid)
        return str.__str__(account["auth_token"]) if account else ""

    def _request(self, account_sid: str, call: str, url: str, method: str, params: Any) -> WebhookRequest:
        told = [(name, public(value) if name in SHOWN_URLS else value) for name, value in params]
        return WebhookRequest(
            url=self._vault.unmask(url),
            method=method,
            params=told,
            auth_token=self.auth_token(account_sid),
            account_sid=account_sid,
            idempotency_token=secrets.token_hex(16),
            call=call,
        )

    async def ask(self, call: LiveCall, fetch: Fetch) -> Fetched:
        """Ask for TwiML: the document, or Twilio's error."""
        request = self._request(call.setup.account_sid, call.sid, fetch.url, fetch.method, fetch.params)
        return self._fetched(call, fetch, await self._client.fetch(request))

    def ask_constant(self, call: LiveCall, fetch: Fetch) -> Fetched | None:
        """The document of a bin that is the same for every call, at once; None where a program is to be asked."""
        answer = self._client.fetch_constant(fetch.method, fetch.url)
        if answer is None:
            return None
        key = (fetch.method, fetch.url)
        known = self._constants.get(key)
        if known is None or known[0] is not answer:
            if len(self._constants) >= KEPT:
                self._constants.clear()
            known = self._constants[key] = answer, _told(f"{fetch.method} {public(fetch.url)}", answer)
        self._remark(call, known[1])
        return self._read(fetch, answer)

    def _fetched(self, call: LiveCall, fetch: Fetch, answer: WebhookAnswer) -> Fetched:
        self._report(call, f"{fetch.method} {public(fetch.url)}", answer)
        return self._read(fetch, answer)

    def _read(self, fetch: Fetch, answer: WebhookAnswer) -> Fetched:
        if answer.error_code:
            return Fetched(fetch.token, answer.url, answer.status, None, answer.error_code, answer.error_text)
        try:
            # What answers with audio is fetched once more to be played, and may ask who we are again.
            itself = with_login(self._vault.unmask(fetch.url), answer.url)
            document = self._documents.read(answer.content_type, answer.body, itself)
        except DocumentError as problem:
            return Fetched(fetch.token, answer.url, answer.status, None, problem.code, problem.text)
        return Fetched(fetch.token, answer.url, answer.status, document, 0, "")

    def notify(self, call: LiveCall, notify: Notify) -> None:
        """Queue a status callback of a call."""
        if call.callbacks is None:
            call.callbacks = asyncio.Queue(QUEUED)
            self._tasks.start(self._deliver(call, call.callbacks), call.sid)
        if call.callbacks.full():
            self._remark(
                call,
                Note("webhook", f"too many status callbacks wait for {public(notify.url)}", "error", 15003),
            )
            return
        call.callbacks.put_nowait(notify)

    async def _deliver(self, call: LiveCall, queue: asyncio.Queue[Notify]) -> None:
        """Send what waits, in order; end when nothing does."""
        try:
            while not queue.empty():
                notify = queue.get_nowait()
                request = self._request(
                    call.setup.account_sid, call.sid, notify.url, notify.method, notify.params
                )
                answer = await self._client.notify(request)
                event = dict(notify.params).get("CallStatus", "")
                self._report(call, f"{notify.method} {public(notify.url)} ({event})", answer)
        finally:
            if call.callbacks is queue:
                call.callbacks = None
            if call.actor.finished:
                self._client.forget(call.sid)

    def notify_for(self, call: LiveCall | None, account_sid: str, notify: Notify) -> None:
        """Send a callback of something that is no call: a conference, a stream."""
        if call is not None:
            self.notify(call, notify)
            return
        if self._untold[account_sid] >= UNTOLD:
            log.warning(
                "too many status callbacks wait",
                account=account_sid,
                url=public(notify.url).partition("?")[0],
            )
            return
        self._untold[account_sid] += 1
        request = self._request(account_sid, "", notify.url, notify.method, notify.params)
        task = self._tasks.start(self._client.notify(request), "status callback")
        task.add_done_callback(lambda _: self._untold.subtract([account_sid]))

    def _report(self, call: LiveCall, what: str, answer: WebhookAnswer) -> None:
        for level, text in answer.lines:
            self._remark(call, Note("function", text, "error" if level == "error" else "info", 0))
        self._remark(call, _told(what, answer))

    async def close(self, within: float) -> None:
        """Let the callbacks that wait go out, ``within`` seconds at most."""
        await self._tasks.drain(within)
        await self._tasks.close()


def _told(what: str, answer: WebhookAnswer) -> Note:
    """What came of a request, for the timeline."""
    took = f"{answer.elapsed * 1000:.0f} ms"
    if answer.error_code:
        return Note("webhook", f"{what}: {answer.error_text}, {took}", "error", answer.error_code)
    kind = f" {answer.content_type}" if answer.content_type else ""
    return info("webhook", f"{what}: {answer.status}{kind}, {took}")
