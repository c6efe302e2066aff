"""What the REST API does to live calls."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from ringback.call.conference import Conference, Member
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
from ringback.rest.participants import ConferenceUpdate, ParticipantUpdate
from ringback.shell.api import CallerIdRequest
from ringback.shell.caller_id_verification import CallerIdVerification
from ringback.shell.exchange import Exchange
from ringback.shell.live import LiveCall
from ringback.shell.records import moment
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

    # -- calls ------------------------------------------------------------------------------------------------

    async def create(self, account_sid: str, params: CallCreate) -> Row:
        """Place a call; its row, queued."""
        if self._exchange.front_desk.draining:
            raise RestError(503, UNAVAILABLE, "The server is stopping; it takes no new calls")
        page, callback = self._masked(*self._page(params))
        planned = self._plan(account_sid, params)
        setup = CallSetup(
            kind="api",
            sid=new_sid("CA"),
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
            display_name=planned.get("display_name", ""),
            timeout=params.timeout,
            time_limit=params.time_limit or DEFAULT_TIME_LIMIT,
            send_digits=params.send_digits or "",
        )
        try:
            self._calls.start(setup, unroutable=(planned["error_code"], planned["error_text"]))
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

    # -- conferences --------------------------------------------------------------------------------------------

    async def conferences(self, account_sid: str) -> Sequence[Row]:
        """Those that are up, and the last ones that ended."""
        return [_conference_row(room) for room in self._calls.conferences.of_account(account_sid)]

    async def update_conference(
        self, account_sid: str, conference_sid: str, changes: ConferenceUpdate
    ) -> Row | None:
        """End one."""
        room = self._calls.conferences.get(account_sid, conference_sid)
        if room is None:
            return None
        if changes.announce_url:
            raise RestError(400, INVALID_PARAMETER, "AnnounceUrl is not supported yet")
        if changes.status == "completed":
            self._calls.conferences.end(conference_sid)
        return _conference_row(room)

    async def participants(self, account_sid: str, conference_sid: str) -> Sequence[Row] | None:
        """Who is in one."""
        room = self._calls.conferences.get(account_sid, conference_sid)
        return None if room is None else [_participant_row(room, member) for member in room.members.values()]

    async def update_participant(
        self, account_sid: str, conference_sid: str, call_sid: str, changes: ParticipantUpdate
    ) -> Row | None:
        """Mute or unmute somebody, put him on hold or take him back."""
        room = self._calls.conferences.get(account_sid, conference_sid)
        if room is None or call_sid not in room.members:
            return None
        if any(
            value is not None
            for value in (
                changes.announce_url,
                changes.coaching,
                changes.wait_url,
            )
        ):
            raise RestError(400, INVALID_PARAMETER, "Only Muted and Hold can be changed yet")
        if changes.muted is not None:
            self._calls.conferences.mute(conference_sid, call_sid, changes.muted)
        if changes.hold is not None:
            url, method = self._exchange.vault.mask(changes.hold_url or ""), changes.hold_method or "GET"
            self._calls.conferences.hold(conference_sid, call_sid, changes.hold, url, method)
        return _participant_row(room, room.members[call_sid])

    async def remove_participant(self, account_sid: str, conference_sid: str, call_sid: str) -> bool:
        """Take somebody out."""
        room = self._calls.conferences.get(account_sid, conference_sid)
        if room is None or call_sid not in room.members:
            return False
        self._calls.conferences.kick(conference_sid, call_sid)
        return True

    # -- caller IDs -------------------------------------------------------------------------------------------------

    async def verify_caller_id(self, account_sid: str, request: CallerIdRequest) -> str:
        """Call a number and ask for the code that the API showed: the call's SID."""
        row = await self.create(account_sid, self.verification.call(account_sid, request))
        self.verification.begun(str(row["sid"]), account_sid, request)
        return str(row["sid"])


def _conference_row(room: Conference) -> dict[str, Any]:
    return {
        "sid": room.sid,
        "account_sid": room.account_sid,
        "friendly_name": room.name,
        "status": room.status,
        "region": "us1",
        "api_version": "2010-04-01",
        "date_created": moment(room.created_at),
        "date_updated": moment(room.updated_at),
        "reason_conference_ended": room.reason or None,
        "call_sid_ending_conference": room.ended_by or None,
    }


def _participant_row(room: Conference, member: Member) -> dict[str, Any]:
    return {
        "account_sid": room.account_sid,
        "call_sid": member.call_sid,
        "conference_sid": room.sid,
        "label": member.label or None,
        "call_sid_to_coach": None,
        "coaching": False,
        "date_created": moment(member.joined_at),
        "date_updated": moment(room.updated_at),
        "start_conference_on_enter": member.start_on_enter,
        "end_conference_on_exit": member.end_on_exit,
        "muted": member.muted,
        "hold": member.held,
        "status": "connected",
        "queue_time": None,
    }
