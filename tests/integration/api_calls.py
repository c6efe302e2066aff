"""The exchange as the API tests need it: calls that exist in memory and in the store, and obey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ringback.rest.calls import CallCreate, CallUpdate
from ringback.rest.participants import ConferenceUpdate, ParticipantCreate, ParticipantUpdate
from ringback.shell.api import CallerIdRequest
from ringback.store import Store, new_sid

Row = dict[str, Any]


class FakeCalls:
    """Records what it is told; `answer` and `end` move a call along as the far end would."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.live: dict[str, Row] = {}
        self.created: list[CallCreate] = []
        self.updated: list[CallUpdate] = []
        self.verifications: list[CallerIdRequest] = []
        self.conferences = FakeConferences(store)

    async def create(self, account_sid: str, params: CallCreate) -> Row:
        self.created.append(params)
        now = datetime.now(UTC)
        row: Row = {
            "sid": new_sid("CA"),
            "account_sid": account_sid,
            "date_created": now,
            "date_updated": now,
            "to": params.to.address,
            "from": params.from_,
            "status": "queued",
            "direction": "outbound-api",
        }
        self.live[row["sid"]] = row
        self.store.facts.put("calls", row)
        return dict(row)

    async def update(self, account_sid: str, call_sid: str, changes: CallUpdate) -> Row:
        self.updated.append(changes)
        if changes.status:
            return self.end(call_sid, changes.status)
        return dict(self.live[call_sid])

    async def answer(self, call_sid: str) -> None:
        self._change(call_sid, status="in-progress", start_time=datetime.now(UTC))

    def end(self, call_sid: str, status: str = "completed") -> Row:
        self._change(call_sid, status=status, end_time=datetime.now(UTC), duration="7")
        return self.live.pop(call_sid)

    def _change(self, call_sid: str, **changes: Any) -> None:
        self.live[call_sid].update(changes)
        self.store.facts.put("calls", self.live[call_sid])

    def row(self, call_sid: str) -> Row | None:
        return self.live.get(call_sid)

    async def verify_caller_id(self, account_sid: str, request: CallerIdRequest) -> str:
        self.verifications.append(request)
        return new_sid("CA")


class FakeConferences:
    """Conferences whose participants are rows."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rooms: dict[str, Row] = {}
        self.people: dict[str, list[Row]] = {}
        self.added: list[ParticipantCreate] = []
        self.announced: list[ConferenceUpdate] = []

    def open_room(self, account_sid: str, name: str, *labels: str) -> Row:
        now = datetime.now(UTC)
        room: Row = {
            "sid": new_sid("CF"),
            "account_sid": account_sid,
            "friendly_name": name,
            "status": "in-progress",
            "date_created": now,
            "date_updated": now,
        }
        self.rooms[room["sid"]] = room
        self.people[room["sid"]] = [self._person(room, label) for label in labels]
        self.store.facts.put("conferences", room)
        return room

    def _person(self, room: Row, label: str) -> Row:
        now = datetime.now(UTC)
        flags = {"muted": False, "hold": False, "coaching": False}
        dates = {"date_created": now, "date_updated": now}
        sids = {"conference_sid": room["sid"], "call_sid": new_sid("CA"), "account_sid": room["account_sid"]}
        return {"label": label, **sids, **flags, **dates}

    def row(self, conference_sid: str) -> Row | None:
        return self.rooms.get(conference_sid)

    def participants(self, conference_sid: str) -> Sequence[Row]:
        return self.people.get(conference_sid, [])

    async def add(self, account_sid: str, conference: str, params: ParticipantCreate) -> Row:
        self.added.append(params)
        room = self.rooms.get(conference) or self.open_room(account_sid, conference)
        person = self._person(room, params.label) | {
            "muted": params.muted,
            "status": "queued",
            "queue_time": "0",
        }
        self.people[room["sid"]].append(person)
        return person

    async def end(self, conference_sid: str) -> None:
        room = self.rooms.pop(conference_sid)
        self.people.pop(conference_sid)
        room |= {"status": "completed", "reason_conference_ended": "conference-ended-via-api"}
        self.store.facts.put("conferences", room)

    async def announce(self, conference_sid: str, changes: ConferenceUpdate) -> None:
        self.announced.append(changes)

    async def update(self, conference_sid: str, call_sid: str, changes: ParticipantUpdate) -> Row | None:
        for person in self.people[conference_sid]:
            if person["call_sid"] == call_sid:
                given = {name: value for name, value in asdict(changes).items() if value is not None}
                person.update({name: value for name, value in given.items() if name in person})
                return person
        return None

    async def remove(self, conference_sid: str, call_sid: str) -> bool:
        before = self.people[conference_sid]
        self.people[conference_sid] = [person for person in before if person["call_sid"] != call_sid]
        return len(self.people[conference_sid]) < len(before)
