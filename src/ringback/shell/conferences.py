"""The conferences of this server: the machine of each, its mixer, its members' calls, and its record."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from ringback.call import conference as room
from ringback.call.conference import BY_API, HUNG_UP, Conference, ConferenceEffect
from ringback.call.effects import LeaveConference, Notify, Tell
from ringback.call.events import Complete
from ringback.media.pump import Pump
from ringback.media.tones import beep
from ringback.shell.conference_rows import conference_row
from ringback.shell.live import LiveCall
from ringback.shell.speakers import Speakers
from ringback.store import Store, new_sid

if TYPE_CHECKING:
    from ringback.shell.calls import Calls

ENDED = 1_000
"""Conferences that are over and can be read from memory, until the writer has them on disk."""

NOBODY = -1
"""The port of who has left."""


class _Room:
    __slots__ = ("conference", "mixer", "row")

    def __init__(self, conference: Conference, mixer: int) -> None:
        self.conference = conference
        self.mixer = mixer
        self.row: dict[str, Any] = {}
        """Its record as last written."""


class Conferences:
    """Conferences by account and name, and by SID."""

    def __init__(
        self,
        pump: Pump,
        calls: Calls,
        store: Store,
        notify: Callable[[LiveCall | None, str, Notify], None],
    ) -> None:
        self._pump = pump
        self._calls = calls
        self._store = store
        self._notify = notify
        self._speakers = Speakers(calls.sound, self._on_speech)
        self._by_name: dict[tuple[str, str], _Room] = {}
        self._by_sid: dict[str, _Room] = {}
        self._ended: dict[str, dict[str, Any]] = {}
        self._play_ids = count(1)

    # -- what there is ------------------------------------------------------------------------------------------

    def row(self, sid: str) -> Mapping[str, Any] | None:
        """The record of a conference that is up, or was a moment ago."""
        found = self._by_sid.get(sid)
        return self._ended.get(sid) if found is None else conference_row(found.conference)

    def get(self, sid: str) -> Conference | None:
        """A conference that is up, by its SID."""
        found = self._by_sid.get(sid)
        return None if found is None else found.conference

    def named(self, account_sid: str, name: str, region: str = "us1", sid: str = "") -> Conference:
        """The account's conference of that name, which is made if there is none. Raises media's Overload."""
        found = self._by_name.get((account_sid, name))
        if found is None:
            conference = Conference(sid or new_sid("CF"), account_sid, name, time.time(), region)
            found = _Room(conference, self._pump.open_mixer())
            self._by_name[account_sid, name] = self._by_sid[conference.sid] = found
        return found.conference

    def drop_unused(self, conference: Conference) -> None:
        """Forget a conference that was made for somebody who does not come after all."""
        found = self._by_sid.get(conference.sid)
        if found is not None and not conference.participants and not found.row:
            self._close(found)
            del self._ended[conference.sid]

    # -- who comes and goes -------------------------------------------------------------------------------------

    def join(self, call: LiveCall, name: str, options: dict[str, Any]) -> None:
        """A call wants into the account's conference of that name."""
        conference = self.named(call.setup.account_sid, name, options["region"], options["conference_sid"])
        if call.conference_sid not in ("", conference.sid):
            self.leave(call)
        call.conference_sid = conference.sid
        self.act(conference, conference.on_join(call.sid, options, time.time()))
        if conference.participant(call.sid) is None:
            call.conference_sid = ""
        self.drop_unused(conference)

    def invite(self, conference: Conference, call: LiveCall, options: dict[str, Any]) -> None:
        """A call is placed to come in."""
        call.conference_sid = conference.sid
        conference.on_invite(call.sid, options, time.time())
        self.act(conference, [])

    def leave(self, call: LiveCall, left: LeaveConference | None = None) -> None:
        """A call leaves the conference it is in, or will not come; without ``left`` because it is over."""
        found = self._by_sid.get(call.conference_sid)
        call.conference_sid = ""
        if found is None:
            return
        conference, now = found.conference, time.time()
        if call.sid in conference.expected:
            effects = conference.on_failed(call.sid, str(call.row["status"]), now)
        elif left is None:
            effects = conference.on_leave(call.sid, now, HUNG_UP, "completed")
        else:
            effects = conference.on_leave(call.sid, now, left.reason, left.call_status)
        self.act(conference, effects)

    def expect_no_more(self, call: LiveCall) -> None:
        """A call that was placed to come in was given something else to do."""
        found = self._by_sid.get(call.conference_sid)
        if found is not None and call.sid in found.conference.expected:
            call.conference_sid = ""
            status = str(call.row["status"])
            left = found.conference.on_leave(call.sid, time.time(), BY_API, status)
            self.act(found.conference, left)

    def told(self, call: LiveCall, tell: Tell) -> None:
        """What the call of a member says."""
        found = self._by_sid.get(tell.recipient)
        if found is not None:
            told = found.conference.on_told(call.sid, tell.subject, tell.data, time.time())
            self.act(found.conference, told)

    def _on_speech(self, call: LiveCall, speaks: bool) -> None:
        found = self._by_sid.get(call.conference_sid)
        if found is not None:
            self.act(found.conference, found.conference.on_speech(call.sid, speaks, time.time()))

    # -- effects ------------------------------------------------------------------------------------------------

    def act(self, conference: Conference, effects: list[ConferenceEffect]) -> None:
        """Carry out what the conference asks for, and write down how it is now.

        What members are told comes last: they may come back at once, and the room must be closed by then.
        """
        found = self._by_sid.get(conference.sid)
        if found is None:
            return  # it has ended by what was done just before
        last = [effect for effect in effects if isinstance(effect, Tell | room.Dismiss)]
        for effect in effects:
            match effect:
                case room.Mix() | room.Unmix() | room.Hold() | room.Listen():
                    self._mix(found, effect)
                case room.Beep():
                    self._pump.play_mixer(found.mixer, next(self._play_ids), beep())
                case Notify():
                    self._notify(None, conference.account_sid, effect)
                case room.Close():
                    self._close(found)
        self._record(found)
        for effect in last:
            if isinstance(effect, Tell):
                self._calls.tell(conference.sid, effect)
            else:
                self._dismiss(effect.call_sid)

    def _mix(self, found: _Room, effect: room.Mix | room.Unmix | room.Hold | room.Listen) -> None:
        call = self._calls.get(effect.call_sid)
        if isinstance(effect, room.Unmix):
            self._speakers.forget(effect.call_sid)
        if call is None:
            return
        match effect:
            case room.Mix(_, muted, deaf, heard_by):
                listener = self._calls.get(heard_by)
                port = 0 if not heard_by else NOBODY if listener is None else listener.port.id
                self._pump.mix(found.mixer, call.port.id, muted=muted, deaf=deaf, heard_by=port)
            case room.Unmix():
                call.conference_sid = ""
                self._pump.unmix(found.mixer, call.port.id)
            case room.Hold():
                self._pump.unmix(found.mixer, call.port.id)
            case room.Listen():
                self._speakers.listen(call)

    def _dismiss(self, call_sid: str) -> None:
        call = self._calls.get(call_sid)
        if call is not None:
            call.conference_sid = ""
            status = "canceled" if call.actor.call.answered_at is None else "completed"
            self._calls.deliver(call, Complete(status, "taken out of the conference"))

    def _close(self, found: _Room) -> None:
        conference = found.conference
        self._pump.close_mixer(found.mixer)
        del self._by_sid[conference.sid]
        del self._by_name[conference.account_sid, conference.name]
        self._ended[conference.sid] = conference_row(conference)
        if len(self._ended) > ENDED:
            del self._ended[next(iter(self._ended))]

    def _record(self, found: _Room) -> None:
        if not found.row and not found.conference.participants:
            return  # it was made for somebody who was refused
        row = conference_row(found.conference)
        if row != found.row and self._store.facts.put("conferences", {**row, "node": self._store.node}):
            found.row = row
