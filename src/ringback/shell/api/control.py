"""What the API asks of live calls; the exchange answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ringback.rest.calls import CallCreate, CallUpdate
from ringback.rest.participants import ConferenceUpdate, ParticipantUpdate

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


class CallControl(Protocol):
    """Every method may raise RestError, which is answered as it is. Accounts are checked by the API."""

    async def create(self, account_sid: str, params: CallCreate) -> Row:
        """Makes a call and returns its row, `status` "queued", without waiting for the far end."""

    async def update(self, account_sid: str, call_sid: str, changes: CallUpdate) -> Row:
        """Ends, redirects or changes a call and returns its row.

        Its state allowed it a moment ago (see `ringback.rest.calls.refusal`); RestError 21220 when it has
        ended since, or is not live here.
        """

    def row(self, call_sid: str) -> Row | None:
        """The row of a call that is live on this server, as it is now."""

    async def conferences(self, account_sid: str) -> Sequence[Row]:
        """The account's conferences in progress, and those that ended lately."""

    async def update_conference(
        self, account_sid: str, conference_sid: str, changes: ConferenceUpdate
    ) -> Row | None:
        """Ends a conference or announces something in it; None when there is none."""

    async def participants(self, account_sid: str, conference_sid: str) -> Sequence[Row] | None:
        """Who is in a conference; None when there is none."""

    async def update_participant(
        self, account_sid: str, conference_sid: str, call_sid: str, changes: ParticipantUpdate
    ) -> Row | None:
        """Mutes, holds or changes a participant; None when the call is not in the conference."""

    async def remove_participant(self, account_sid: str, conference_sid: str, call_sid: str) -> bool:
        """Takes a participant out of the conference; False when the call is not in it."""

    async def verify_caller_id(self, account_sid: str, request: CallerIdRequest) -> str:
        """Calls a number to verify it, and returns the call's SID."""
