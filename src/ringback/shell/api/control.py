"""What the API asks of live calls; the exchange answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ringback.rest.calls import CallCreate, CallUpdate
from ringback.rest.participants import ConferenceUpdate, ParticipantCreate, ParticipantUpdate

Row = Mapping[str, Any]
"""A row of a resource: Twilio's field names, aware UTC datetimes."""


@dataclass(frozen=True, slots=True)
class CallerIdRequest:
    """A number that the account wants to show: call it, ask for the code, then store the caller ID.

    `call_delay` is in seconds; `extension` is dialled after the answer.
    """

    phone_number: str
    friendly_name: str
    validation_code: str = field(repr=False)
    call_delay: int = 0
    extension: str | None = None
    status_callback: str | None = None
    status_callback_method: str = "POST"


class ConferenceControl(Protocol):
    """As CallControl, for conferences that are up on this server. What has ended is in the store."""

    def row(self, conference_sid: str) -> Row | None:
        """The row of a conference that is up, or was a moment ago."""

    def participants(self, conference_sid: str) -> Sequence[Row]:
        """Who is in a conference or called to come in; nobody when it is not up."""

    async def add(self, account_sid: str, conference: str, params: ParticipantCreate) -> Row:
        """Calls somebody into a conference that is up, by its SID, or any by its name; the participant's row.

        RestError 404 when there is no such SID.
        """

    async def end(self, conference_sid: str) -> None:
        """Ends a conference that is up."""

    async def announce(self, conference_sid: str, changes: ConferenceUpdate) -> None:
        """Announces something in a conference that is up."""

    async def update(self, conference_sid: str, call_sid: str, changes: ParticipantUpdate) -> Row | None:
        """Mutes, holds or changes a participant; None when the call is not in the conference."""

    async def remove(self, conference_sid: str, call_sid: str) -> bool:
        """Takes a participant out of the conference; False when the call is not in it."""


class CallControl(Protocol):
    """Every method may raise RestError, which is answered as it is. Accounts are checked by the API."""

    @property
    def conferences(self) -> ConferenceControl:
        """The conferences that calls are in."""

    async def create(self, account_sid: str, params: CallCreate) -> Row:
        """Makes a call and returns its row, `status` "queued", without waiting for the far end."""

    async def update(self, account_sid: str, call_sid: str, changes: CallUpdate) -> Row:
        """Ends, redirects or changes a call and returns its row.

        Its state allowed it a moment ago (see `ringback.rest.calls.refusal`); RestError 21220 when it has
        ended since, or is not live here.
        """

    def row(self, call_sid: str) -> Row | None:
        """The row of a call that is live on this server, as it is now."""

    async def verify_caller_id(self, account_sid: str, request: CallerIdRequest) -> str:
        """Calls a number to verify it, and returns the call's SID."""
