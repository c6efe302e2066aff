"""What the REST API does to live calls."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from ringback.call.effects import Arm
from ringback.call.errors import Overload
from ringback.call.events import Complete, Redirect
from ringback.call.routing import plan
from ringback.call.script import CALL_LIMIT
from ringback.call.setup import CallSetup, Page, StatusCallback
from ringback.call.wanted import Wanted
from ringback.media.errors import PortsExhausted
from ringback.rest.calls import CallCreate, CallUpdate
from ringback.rest.endpoints import EndpointKind
from ringback.rest.errors import INVALID_CALL_STATE, INVALID_PARAMETER, UNAVAILABLE, RestError
from ringback.shell.api import CallerIdRequest
from ringback.shell.caller_id_verification import CallerIdVerification
from ringback.shell.conference_control import LiveConferenceControl
from ringback.shell.exchange import Exchange
from ringback.shell.live import LiveCall
from ringback.shell.steady import steady_time
from ringback.store import new_sid
from ringback.twiml.document import parse
from ringback.twiml.errors import DocumentError
from ringback.twiml.limits import MAX_INLINE_CHARACTERS

Row = Mapping[str, Any]

DEFAULT_TIME_LIMIT = 14_400
"""Seconds: Twilio's longest call (Call resource, TimeLimit)."""

UNSUPPORTED = frozenset({"Record", "MachineDetection", "AsyncAmd"})
"""Parameters of Calls create that come later."""


class LiveControl:
    """CallControl on an exchange."""

    def __init__(self, exchange: Exchange, verification: CallerIdVerification) -> None:
        self._exchange = exchange
        self._calls = exchange.calls
        self._store = exchange.store
        self.verification = verification
        self.conferences = LiveConferenceControl(exchange, self)

    # -- calls ------------------------------------------------------------------------------------------------

    async def create(self, account_sid: str, params: CallCreate) -> Row:
        """Place a call; its row, queued."""
        sid = new_sid("CA")
        return self.place(account_sid, sid, params, *self._page(params))

    def check_open(self) -> None:
        """Raises RestError 503 where no calls are placed any more."""
        if self._exchange.front_desk.draining:
            raise RestError(503, UNAVAILABLE, "The server is stopping; it takes no new calls")

    def place(
        self,
        account_sid: str,
        sid: str,
        params: CallCreate,
        page: Page,
        callback: StatusCallback,
        *,
        display_name: str = "",
        conference: str = "",
        opened: Callable[[LiveCall], None] | None = None,
    ) -> Row:
        """Place a call that runs ``page`` at its answer; its row, queued. ``opened`` is told before anything rings."""
        self.check_open()
        page, callback = self._masked(page, callback)
        planned = self._plan(account_sid, params)
        setup = CallSetup(
            kind="api",
            sid=sid,
            account_sid=account_sid,
            seed=secrets.token_hex(16),
            started_at=time.time(),
            direction="outbound-api",
            from_=params.from_,
            to=planned.get("to") or params.to.address,
            country=self._country(account_sid),
            parameters={"ApplicationSid": params.application_sid} if params.application_sid else {},
            page=page,
            status_callback=callback,
            targets=tuple(planned["targets"]),
            from_user=planned.get("from_user", ""),
            from_domain=planned.get("from_domain", ""),
            display_name=display_name or planned.get("display_name", ""),
            timeout=params.timeout,
            time_limit=params.time_limit or DEFAULT_TIME_LIMIT,
            send_digits=params.send_digits or "",
            conference=conference,
        )
        try:
            self._calls.start(setup, unroutable=(planned["error_code"], planned["error_text"]), opened=opened)
        except (Overload, PortsExhausted) as problem:
            raise RestError(503, UNAVAILABLE, f"No room for another call: {problem}") from problem
        return self._calls.records.new_row(setup)

    def _country(self, account_sid: str) -> str:
        account = self._store.configuration.account(account_sid) or {}
        return str(account.get("country") or "US")

    def _page(self, params: CallCreate) -> tuple[Page, StatusCallback]:
        if params.application_sid:
            row = self._store.configuration.application(params.application_sid)
            assert row is not None, "the API checked it"
            page = Page(
                row["voice_url"] or "",
                row["voice_method"] or "POST",
                row["voice_fallback_url"] or "",
                row["voice_fallback_method"] or "POST",
            )
            return page, StatusCallback(row["status_callback"] or "", row["status_callback_method"] or "POST")
        callback = StatusCallback(
            params.status_callback or "", params.status_callback_method, params.status_callback_events
        )
        document = self._document(params.twiml) if params.twiml is not None else None
        page = Page(
            params.url or "", params.method, params.fallback_url or "", params.fallback_method, document
        )
        return page, callback

    def _masked(self, page: Page, callback: StatusCallback) -> tuple[Page, StatusCallback]:
        """Without passwords in URLs: journals keep these."""
        mask = self._exchange.vault.mask
        page = replace(page, url=mask(page.url), fallback_url=mask(page.fallback_url))
        return page, replace(callback, url=mask(callback.url))

    def _document(self, twiml: str) -> list[Any]:
        if len(twiml) > MAX_INLINE_CHARACTERS:
            text = f"Twiml has {len(twiml)} characters; {MAX_INLINE_CHARACTERS} is the limit. Use Url instead"
            raise RestError(400, 32018, text)
        try:
            return self._exchange.vault.mask_document(parse(twiml, self._exchange.vault.hide).plain())
        except DocumentError as problem:
            raise RestError(400, problem.code, f"Twiml is not valid: {problem.text}") from problem

    def _plan(self, account_sid: str, params: CallCreate) -> dict[str, Any]:
        """Where the call goes. What is wrong with the way there fails the call, not the request, as at Twilio."""
        if params.to.kind not in (EndpointKind.NUMBER, EndpointKind.SIP):
            text = f"Calls to {params.to.kind.value} endpoints are not supported yet: use a number or a SIP address"
            raise RestError(400, INVALID_PARAMETER, text)
        wanted: Wanted = {
            "kind": "sip" if params.to.kind is EndpointKind.SIP else "number",
            "address": params.to.address,
            "caller_id": params.caller_id or params.from_,
            "caller": params.from_,
            "caller_direction": "outbound-api",
            "is_withheld": False,
            "asserted": "",
            "account_sid": account_sid,
            "country": self._country(account_sid),
            "byoc": params.byoc or "",
            "username": params.sip_auth_username or "",
            "password": self._exchange.vault.hide(params.sip_auth_password or ""),
        }
        configuration, registrar = self._store.configuration, self._exchange.registrar
        return plan(wanted, configuration, registrar, steady_time(), secrets.SystemRandom().random)

    async def update(self, account_sid: str, call_sid: str, changes: CallUpdate) -> Row:
        """End or redirect a live call."""
        call = self._live(account_sid, call_sid)
        if changes.time_limit is not None:
            self._calls.arm(call, Arm(CALL_LIMIT, changes.time_limit))
        if changes.status is not None:
            ringing = call.actor.call.answered_at is None
            if changes.status == "canceled" and not ringing:
                raise RestError(
                    400,
                    INVALID_CALL_STATE,
                    "Call is not in a cancelable state: it was answered. Use completed",
                )
            status = "canceled" if ringing else "completed"
            self._calls.deliver(call, Complete(status, "ended over REST"))
        elif changes.redirects and call_sid in self.verification:
            raise RestError(400, INVALID_CALL_STATE, "A verification call cannot be redirected")
        elif changes.redirects:
            self._calls.conferences.expect_no_more(call)
            document = self._document(changes.twiml) if changes.twiml is not None else None
            self._calls.deliver(
                call, Redirect(self._exchange.vault.mask(changes.url or ""), changes.method, document)
            )
        return call.row

    def _live(self, account_sid: str, call_sid: str) -> LiveCall:
        call = self._calls.get(call_sid)
        if call is None or call.setup.account_sid != account_sid or call.actor.call.ended is not None:
            raise RestError(400, INVALID_CALL_STATE, "Call is not in-progress. Cannot redirect or end it.")
        return call

    def row(self, call_sid: str) -> Row | None:
        """A call's row as it is now."""
        return self._calls.row(call_sid)

    # -- caller IDs -------------------------------------------------------------------------------------------------

    async def verify_caller_id(self, account_sid: str, request: CallerIdRequest) -> str:
        """Call a number and ask for the code that the API showed: the call's SID."""
        row = await self.create(account_sid, self.verification.call(account_sid, request))
        self.verification.begun(str(row["sid"]), account_sid, request)
        return str(row["sid"])
