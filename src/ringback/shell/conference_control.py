"""What the REST API does with conferences that are up: ConferenceControl on an exchange."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ringback.call.conference import Conference
from ringback.call.setup import Page, StatusCallback
from ringback.media.errors import Overload
from ringback.rest.errors import (
    CONFERENCE_FULL,
    LABEL_IN_USE,
    NOBODY_TO_COACH,
    PARTICIPANT_LABEL,
    UNAVAILABLE,
    RestError,
    invalid,
    not_found,
)
from ringback.rest.participants import ConferenceUpdate, ParticipantCreate, ParticipantUpdate
from ringback.rest.sid import is_sid
from ringback.shell.conference_rows import participant_row
from ringback.shell.exchange import Exchange
from ringback.store import new_sid

if TYPE_CHECKING:
    from ringback.shell.control import LiveControl

Row = Mapping[str, Any]

MAX_NAME = 128
"""Characters of a conference's name (Conference resource, FriendlyName)."""

REFUSALS = {13240: NOBODY_TO_COACH, 16020: CONFERENCE_FULL, 16023: PARTICIPANT_LABEL, 16025: LABEL_IN_USE}
"""The codes of the REST API for what TwiML has others for."""


class LiveConferenceControl:
    """ConferenceControl on an exchange; ``calls`` places the calls of participants."""

    def __init__(self, exchange: Exchange, calls: LiveControl) -> None:
        self._vault = exchange.vault
        self._calls = exchange.calls
        self._conferences = exchange.calls.conferences
        self._control = calls

    def row(self, conference_sid: str) -> Row | None:
        """A conference that is up, or was a moment ago."""
        return self._conferences.row(conference_sid)

    def participants(self, conference_sid: str) -> Sequence[Row]:
        """Who is in one, or called to come in."""
        room = self._conferences.get(conference_sid)
        return [] if room is None else [self._row(room, each.call_sid) for each in room.participants]

    def _row(self, room: Conference, call_sid: str) -> dict[str, Any]:
        call, member = self._calls.get(call_sid), room.participant(call_sid)
        assert member is not None, "whoever asks has looked"
        return participant_row(room, member, "" if call is None else str(call.row["status"]))

    # -- calling somebody in ------------------------------------------------------------------------------------

    async def add(self, account_sid: str, conference: str, params: ParticipantCreate) -> Row:
        """Call somebody in; the row, queued."""
        self._control.check_open()
        room = self._room(account_sid, conference, params)
        options = self._options(params)
        try:
            self._check(room, options)
            sid = new_sid("CA")
            page = Page(document=_document(room.name, options))
            call = params.call
            callback = StatusCallback(
                call.status_callback or "", call.status_callback_method, call.status_callback_events
            )
            self._control.place(
                account_sid,
                sid,
                call,
                page,
                callback,
                display_name=params.caller_display_name or "",
                conference=room.sid,
                opened=lambda live: self._conferences.invite(room, live, options),
            )
        finally:
            self._conferences.drop_unused(room)
        if room.participant(sid) is None:  # it has failed at once
            raise invalid("The participant could not be called")
        return {**self._row(room, sid), "status": "queued", "queue_time": "0"}

    def _room(self, account_sid: str, conference: str, params: ParticipantCreate) -> Conference:
        if is_sid(conference, "CF"):
            room = self._conferences.get(conference)
            if room is None or room.account_sid != account_sid:
                raise not_found(
                    f"/2010-04-01/Accounts/{account_sid}/Conferences/{conference}/Participants.json"
                )
            return room
        name = conference.strip()[:MAX_NAME]
        if not name:
            raise invalid("The conference needs a name")
        try:
            return self._conferences.named(account_sid, name, params.region)
        except Overload as problem:
            raise RestError(503, UNAVAILABLE, f"No room for another conference: {problem}") from problem

    def _check(self, room: Conference, options: dict[str, Any]) -> None:
        refusal = room.refusal(options)
        if refusal is not None:
            raise invalid(refusal["text"], REFUSALS[refusal["code"]])

    def _options(self, params: ParticipantCreate) -> dict[str, Any]:
        mask = self._vault.mask
        return {
            "muted": params.muted,
            "beep": params.beep,
            "start_on_enter": params.start_conference_on_enter,
            "end_on_exit": params.end_conference_on_exit,
            "max_participants": params.max_participants,
            "label": params.label,
            "coach": params.call_sid_to_coach or "",
            "wait_url": None if params.wait_url is None else mask(params.wait_url),
            "wait_method": params.wait_method,
            "region": params.region,
            "status_callback": mask(params.conference_status_callback or ""),
            "status_callback_method": params.conference_status_callback_method,
            "status_callback_events": list(params.conference_status_callback_events),
            "early_media": params.early_media,
        }

    # -- changes ------------------------------------------------------------------------------------------------

    async def end(self, conference_sid: str) -> None:
        """End one, unless it is over."""
        room = self._conferences.get(conference_sid)
        if room is not None:
            self._conferences.act(room, room.on_end(time.time()))

    async def announce(self, conference_sid: str, changes: ConferenceUpdate) -> None:
        """Announce something to all."""
        room = self._conferences.get(conference_sid)
        if room is None:
            raise invalid("The conference has ended: nobody is there to hear an announcement")
        _check_announcement(room)
        url = self._vault.mask(changes.announce_url or "")
        self._conferences.act(room, room.on_announce(url, changes.announce_method, "", time.time()))

    async def update(self, conference_sid: str, call_sid: str, changes: ParticipantUpdate) -> Row | None:
        """Change what is known of somebody, mute or hold, or announce something to that one."""
        room = self._conferences.get(conference_sid)
        if room is None or room.participant(call_sid) is None:
            return None
        now, mask, act = time.time(), self._vault.mask, self._conferences.act
        modified = self._modified(room, call_sid, changes)
        if modified:
            act(room, room.on_modify(call_sid, modified, now))
        if changes.muted is not None:
            act(room, room.on_mute(call_sid, changes.muted, now))
        if changes.hold is not None:
            url, method = mask(changes.hold_url or ""), changes.hold_method or "GET"
            act(room, room.on_hold(call_sid, changes.hold, url, method, now))
        if changes.announce_url:
            if call_sid not in room.members:
                raise invalid("The participant has not joined: it cannot hear an announcement")
            _check_announcement(room)
            method = changes.announce_method or "POST"
            act(room, room.on_announce(mask(changes.announce_url), method, call_sid, now))
        return self._row(room, call_sid) if room.participant(call_sid) is not None else None

    def _modified(self, room: Conference, call_sid: str, changes: ParticipantUpdate) -> dict[str, Any]:
        """What is to be set on the member."""
        modified: dict[str, Any] = {}
        if changes.beep_on_exit is not None:
            modified["beeps_on_exit"] = changes.beep_on_exit
        if changes.end_conference_on_exit is not None:
            modified["end_on_exit"] = changes.end_conference_on_exit
        if changes.wait_url is not None:
            modified["wait_url"] = self._vault.mask(changes.wait_url)
            modified["wait_method"] = changes.wait_method or "POST"
        coach = changes.call_sid_to_coach
        if coach is not None and (coach not in room.members or coach == call_sid):
            raise invalid(
                f"CallSidToCoach {coach} is no other participant of the conference", NOBODY_TO_COACH
            )
        if coach is not None:
            modified["coaches"] = coach
        elif changes.coaching is False:
            modified["coaches"] = ""
        return modified

    async def remove(self, conference_sid: str, call_sid: str) -> bool:
        """Take somebody out."""
        room = self._conferences.get(conference_sid)
        if room is None or room.participant(call_sid) is None:
            return False
        self._conferences.act(room, room.on_kick(call_sid, time.time()))
        return True


def _check_announcement(room: Conference) -> None:
    if not room.may_announce:
        raise invalid("Too many announcements are being heard in the conference")


def _document(name: str, options: dict[str, Any]) -> list[Any]:
    """What the call of a participant runs: it joins the conference, where it is known already."""
    noun = {
        "beep": options["beep"],
        "muted": str(options["muted"]).lower(),
        "startConferenceOnEnter": str(options["start_on_enter"]).lower(),
        "endConferenceOnExit": str(options["end_on_exit"]).lower(),
        "maxParticipants": str(options["max_participants"]),
        "participantLabel": options["label"],
        "region": options["region"],
    }
    return ["Response", {}, [["Dial", {}, [["Conference", noun, [name]]]]]]
