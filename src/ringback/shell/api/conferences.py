"""Conferences, and the people in them."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from ringback.rest.filters import read_filters
from ringback.rest.paging import page_request
from ringback.rest.participants import read_conference_update, read_participant, read_participant_update
from ringback.rest.resources import CONFERENCE, PARTICIPANT
from ringback.store import Store

from .calls import check_may_call, warn
from .collection import Collection
from .control import CallControl, Row
from .listing import memory_slice
from .request import ApiRequest
from .routes import Routes


class Conferences(Collection):
    """The operations on conferences: one that is up is shown as the exchange has it, else as it is stored."""

    resource = CONFERENCE

    def __init__(self, store: Store, calls: CallControl) -> None:
        super().__init__(store)
        self._calls = calls

    async def row(self, request: ApiRequest) -> Row:
        """The row of a conference that is up, else the stored one."""
        return await found(self.store, self._calls, request, request.parts["sid"])

    async def update(self, request: ApiRequest) -> Response:
        """Ends a conference or announces something in it."""
        sid = str((await self.row(request))["sid"])
        changes = read_conference_update(request.form)
        if changes.announce_url:
            await self._calls.conferences.announce(sid, changes)
        if changes.status == "completed":
            await self._calls.conferences.end(sid)
        return request.shown(CONFERENCE, await self.row(request))


class Participants:
    """The operations on participants, each of whom goes by the SID of the call or by a label."""

    def __init__(self, store: Store, calls: CallControl) -> None:
        self._store = store
        self._calls = calls

    def add_to(self, routes: Routes) -> None:
        """Adds the paths."""
        routes.add(PARTICIPANT.list_path, {"GET": self.list, "POST": self.create})
        routes.add(PARTICIPANT.path, {"GET": self.fetch, "POST": self.update, "DELETE": self.remove})

    async def list(self, request: ApiRequest) -> Response:
        """Who is in a conference, also only those muted, on hold or coaching; nobody when it has ended."""
        wanted = page_request(request.query)
        criteria = read_filters(PARTICIPANT.filters, request.query)
        rows = [{**row, "sid": row["call_sid"]} for row in await self._rows(request)]
        page = memory_slice((row for row in rows if criteria.holds(row)), wanted)
        shown = [PARTICIPANT.render(row, request.suffix) for row in page.rows]
        return await request.listed(PARTICIPANT, wanted, page.page(shown))

    async def create(self, request: ApiRequest) -> Response:
        """Calls somebody into a conference: 201, before anything rings."""
        params = read_participant(request.form)
        await check_may_call(self._store, request, params.call)
        row = await self._calls.conferences.add(request.account_sid, request.parts["conference_sid"], params)
        warn(self._store, request, str(row["call_sid"]), params.call)
        return request.shown(PARTICIPANT, row, 201)

    async def fetch(self, request: ApiRequest) -> Response:
        """One participant."""
        return request.shown(PARTICIPANT, await self._row(request))

    async def update(self, request: ApiRequest) -> Response:
        """Mutes, holds or changes a participant."""
        changes = read_participant_update(request.form)
        before = await self._row(request)
        row = await self._calls.conferences.update(
            str(before["conference_sid"]), str(before["call_sid"]), changes
        )
        if row is None:
            raise request.not_found()
        return request.shown(PARTICIPANT, row)

    async def remove(self, request: ApiRequest) -> Response:
        """Takes a participant out of the conference."""
        row = await self._row(request)
        if not await self._calls.conferences.remove(str(row["conference_sid"]), str(row["call_sid"])):
            raise request.not_found()
        return request.deleted()

    async def _rows(self, request: ApiRequest) -> Sequence[Row]:
        conference = await found(self._store, self._calls, request, request.parts["conference_sid"])
        return self._calls.conferences.participants(str(conference["sid"]))

    async def _row(self, request: ApiRequest) -> Row:
        name = request.parts["call_sid"]
        rows = await self._rows(request)
        for key in ("call_sid", "label"):
            for row in rows:
                if row.get(key) == name:
                    return row
        raise request.not_found()


async def found(store: Store, calls: CallControl, request: ApiRequest, sid: str) -> Row:
    """The account's conference of this SID, as it is now. Raises RestError 404."""
    row = calls.conferences.row(sid) or await store.fetch("conferences", sid, request.account_sid)
    if row is None or row["account_sid"] != request.account_sid:
        raise request.not_found()
    return row
