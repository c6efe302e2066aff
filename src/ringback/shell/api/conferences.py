"""Conferences, and the people in them."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from ringback.rest.filters import read_filters
from ringback.rest.paging import page_request
from ringback.rest.participants import read_conference_update, read_participant_update
from ringback.rest.resources import CONFERENCE, PARTICIPANT

from .control import CallControl, Row
from .listing import memory_slice
from .request import ApiRequest
from .routes import Routes


class Conferences:
    """The operations on conferences and participants; a participant goes by its call's SID or its label."""

    def __init__(self, calls: CallControl) -> None:
        self._calls = calls

    def add_to(self, routes: Routes) -> None:
        """Adds the paths."""
        routes.add(CONFERENCE.list_path, {"GET": self.list})
        routes.add(CONFERENCE.path, {"GET": self.fetch, "POST": self.update})
        routes.add(PARTICIPANT.list_path, {"GET": self.list_participants})
        routes.add(
            PARTICIPANT.path,
            {
                "GET": self.fetch_participant,
                "POST": self.update_participant,
                "DELETE": self.remove_participant,
            },
        )

    async def list(self, request: ApiRequest) -> Response:
        """The account's conferences."""
        wanted = page_request(request.query)
        criteria = read_filters(CONFERENCE.filters, request.query)
        rows = await self._calls.conferences(request.account_sid)
        found = memory_slice((row for row in rows if criteria.holds(row)), wanted)
        shown = [CONFERENCE.render(row, request.suffix) for row in found.rows]
        return request.listed(CONFERENCE, wanted, found.page(shown))

    async def fetch(self, request: ApiRequest) -> Response:
        """One conference."""
        for row in await self._calls.conferences(request.account_sid):
            if row["sid"] == request.parts["sid"]:
                return request.shown(CONFERENCE, row)
        raise request.not_found()

    async def update(self, request: ApiRequest) -> Response:
        """Ends a conference or announces something in it."""
        changes = read_conference_update(request.form)
        row = await self._calls.update_conference(request.account_sid, request.parts["sid"], changes)
        if row is None:
            raise request.not_found()
        return request.shown(CONFERENCE, row)

    async def list_participants(self, request: ApiRequest) -> Response:
        """Who is in a conference, also only those muted, on hold or coaching."""
        wanted = page_request(request.query)
        criteria = read_filters(PARTICIPANT.filters, request.query)
        rows = [{**row, "sid": row["call_sid"]} for row in await self._participants(request)]
        found = memory_slice((row for row in rows if criteria.holds(row)), wanted)
        shown = [PARTICIPANT.render(row, request.suffix) for row in found.rows]
        return request.listed(PARTICIPANT, wanted, found.page(shown))

    async def fetch_participant(self, request: ApiRequest) -> Response:
        """One participant."""
        return request.shown(PARTICIPANT, await self._participant(request))

    async def update_participant(self, request: ApiRequest) -> Response:
        """Mutes, holds or changes a participant."""
        changes = read_participant_update(request.form)
        call_sid = str((await self._participant(request))["call_sid"])
        row = await self._calls.update_participant(
            request.account_sid, request.parts["conference_sid"], call_sid, changes
        )
        if row is None:
            raise request.not_found()
        return request.shown(PARTICIPANT, row)

    async def remove_participant(self, request: ApiRequest) -> Response:
        """Takes a participant out of the conference."""
        call_sid = str((await self._participant(request))["call_sid"])
        conference_sid = request.parts["conference_sid"]
        if not await self._calls.remove_participant(request.account_sid, conference_sid, call_sid):
            raise request.not_found()
        return request.deleted()

    async def _participants(self, request: ApiRequest) -> Sequence[Row]:
        rows = await self._calls.participants(request.account_sid, request.parts["conference_sid"])
        if rows is None:
            raise request.not_found()
        return rows

    async def _participant(self, request: ApiRequest) -> Row:
        name = request.parts["call_sid"]
        rows = await self._participants(request)
        for key in ("call_sid", "label"):
            for row in rows:
                if row.get(key) == name:
                    return row
        raise request.not_found()
