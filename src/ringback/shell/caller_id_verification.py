"""Caller IDs that are verified by a call: it asks for the code that the API showed (Twilio: ValidationRequests)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from urllib.parse import urlsplit

from ringback.call.effects import Notify
from ringback.rest.calls import CallCreate
from ringback.rest.endpoints import Endpoint, EndpointKind
from ringback.rest.errors import INVALID_PARAMETER, RestError
from ringback.shell.api import CallerIdRequest
from ringback.shell.local_http import LocalAnswer, LocalRequest
from ringback.store import Store

WAITING = 10_000
"""Verifications that are remembered; the oldest is forgotten, in case the end of its call was never told."""

ENDED = "/ended"
"""Behind the URL that checks a code: where a verification call reports its end."""


class CallerIdVerification:
    """The verifications that are under way. ``url`` is where their calls ask, ``notify`` tells a program's webhook."""

    def __init__(self, store: Store, url: str, notify: Callable[[None, str, Notify], None]) -> None:
        self._store = store
        self._url = url
        self._notify = notify
        self._waiting: dict[str, tuple[str, CallerIdRequest]] = {}
        """By call SID: account and request."""

    def __contains__(self, call_sid: str) -> bool:
        return call_sid in self._waiting

    def call(self, account_sid: str, request: CallerIdRequest) -> CallCreate:
        """The call that asks for the code."""
        shown = next(iter(self._store.configuration.numbers(account_sid)), None)
        if shown is None:
            raise RestError(400, INVALID_PARAMETER, "The account needs a phone number to call from")
        twiml = (
            f'<Response><Pause length="{max(0, request.call_delay)}"/>'
            f'<Gather numDigits="6" timeout="10" action="{self._url}">'
            "<Say>Please enter the validation code that was shown to you.</Say></Gather>"
            "<Say>No code was entered. Goodbye.</Say></Response>"
        )
        return CallCreate(
            to=Endpoint(EndpointKind.NUMBER, request.phone_number),
            from_=str(shown["phone_number"]),
            twiml=twiml,
            send_digits=request.extension,
            status_callback=f"{self._url}{ENDED}",
        )

    def begun(self, call_sid: str, account_sid: str, request: CallerIdRequest) -> None:
        """That call is placed."""
        self._waiting[call_sid] = (account_sid, request)
        if len(self._waiting) > WAITING:
            del self._waiting[next(iter(self._waiting))]

    async def answer(self, request: LocalRequest) -> LocalAnswer | None:
        """What such a call asks or reports; None for another URL."""
        path, ours = urlsplit(request.url).path, urlsplit(self._url).path
        if path == ours:
            form = request.fields()
            twiml = await self._check(form.get("CallSid", ""), form.get("Digits", ""))
            return LocalAnswer(200, "text/xml", twiml.encode())
        if path == ours + ENDED:
            await self._give_up(request.fields().get("CallSid", ""))
            return LocalAnswer(204, "", b"")
        return None

    async def _check(self, call_sid: str, digits: str) -> str:
        """What was typed: the TwiML to go on with."""
        account_sid, request = self._waiting.pop(call_sid, ("", None))
        if request is None:
            return "<Response><Hangup/></Response>"
        verified = secrets.compare_digest(digits.encode(), request.validation_code.encode())
        await self._ended(account_sid, call_sid, request, verified)
        said = "Thank you. This number is verified." if verified else "That is not the code. Goodbye."
        return f"<Response><Say>{said}</Say></Response>"

    async def _give_up(self, call_sid: str) -> None:
        """The call is over; if no code was typed in it, the number is not verified."""
        account_sid, request = self._waiting.pop(call_sid, ("", None))
        if request is not None:
            await self._ended(account_sid, call_sid, request, False)

    async def _ended(self, account_sid: str, call_sid: str, request: CallerIdRequest, verified: bool) -> None:
        params = [("VerificationStatus", "success" if verified else "failed"), ("AccountSid", account_sid)]
        params += [("CallSid", call_sid), ("To", request.phone_number), ("Called", request.phone_number)]
        if verified:
            row = {
                "account_sid": account_sid,
                "phone_number": request.phone_number,
                "friendly_name": request.friendly_name,
            }
            stored = await self._store.insert("outgoing_caller_ids", row)
            params.append(("OutgoingCallerIdSid", stored["sid"]))
        if request.status_callback:
            notify = Notify(request.status_callback, request.status_callback_method, params)
            self._notify(None, account_sid, notify)
