"""The conferences of this server: the machine of each, its mixer, and its members' calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any

from ringback.call import conference as room
from ringback.call.conference import Conference, ConferenceEffect
from ringback.call.effects import Notify, Tell
from ringback.media.pump import Pump
from ringback.media.tones import beep
from ringback.shell.live import LiveCall

if TYPE_CHECKING:
    from ringback.shell.calls import Calls


ENDED = 1_000
"""Conferences that are over and can still be read."""


class _Room:
    __slots__ = ("conference", "mixer")

    def __init__(self, conference: Conference, mixer: int) -> None:
        self.conference = conference
        self.mixer = mixer


class Conferences:
    """Conferences by account and name, and by SID."""

    def __init__(
        self, pump: Pump, calls: Calls, notify: Callable[[LiveCall | None, str, Notify], None]
    ) -> None:
        self._pump = pump
        self._calls = calls
        self._notify = notify
        self._by_name: dict[tuple[str, str], _Room] = {}
        self._by_sid: dict[str, _Room] = {}
        self._ended: dict[str, Conference] = {}
        self._play_ids = count(1)

    def join(self, call: LiveCall, name: str, options: dict[str, Any]) -> None:
        """A call wants into the account's conference of that name, which is made if there is none."""
        key = (call.setup.account_sid, name)
        found = self._by_name.get(key)
        if found is None:
            conference = Conference(options["conference_sid"], call.setup.account_sid, name, time.time())
            found = _Room(conference, self._pump.open_mixer())
            self._by_name[key] = self._by_sid[conference.sid] = found
        call.conference_sid = found.conference.sid
        self._carry_out(found, found.conference.on_join(call.sid, options, time.time()))
        if call.sid not in found.conference.members:
            call.conference_sid = ""

    def leave(self, call: LiveCall) -> None:
        """A call leaves the conference it is in."""
        found = self._by_sid.get(call.conference_sid)
        call.conference_sid = ""
        if found is not None:
            self._carry_out(found, found.conference.on_leave(call.sid, time.time()))

    def of_account(self, account_sid: str) -> list[Conference]:
        """The account's conferences: those that are up, and the last ones that ended."""
        found = [*self._ended.values(), *(room.conference for room in self._by_sid.values())]
        return [conference for conference in found if conference.account_sid == account_sid]

    def get(self, account_sid: str, sid: str) -> Conference | None:
        """A conference that is up or has ended, by its SID."""
        found = self._by_sid.get(sid)
        conference = self._ended.get(sid) if found is None else found.conference
        return conference if conference and conference.account_sid == account_sid else None

    def mute(self, sid: str, call_sid: str, muted: bool) -> None:
        """Mute or unmute a member."""
        found = self._by_sid[sid]
        self._carry_out(found, found.conference.on_mute(call_sid, muted, time.time()))

    def hold(self, sid: str, call_sid: str, held: bool, url: str, method: str) -> None:
        """Put a member on hold, or take it back."""
        found = self._by_sid[sid]
        self._carry_out(found, found.conference.on_hold(call_sid, held, url, method, time.time()))

    def kick(self, sid: str, call_sid: str) -> None:
        """Take a member out."""
        found = self._by_sid[sid]
        self._carry_out(found, found.conference.on_kick(call_sid, time.time()))

    def end(self, sid: str) -> None:
        """End a conference, unless it is over."""
        found = self._by_sid.get(sid)
        if found is not None:
            self._carry_out(found, found.conference.on_end(time.time()))

    def _carry_out(self, found: _Room, effects: list[ConferenceEffect]) -> None:
        """What members are told comes last: they may come back at once, and the room must be closed by then."""
        sid = found.conference.sid
        for effect in sorted(effects, key=lambda effect: isinstance(effect, Tell)):
            match effect:
                case room.Mix(call_sid, muted, deaf):
                    call = self._calls.get(call_sid)
                    if call is not None:
                        self._pump.mix(found.mixer, call.port.id, muted=muted, deaf=deaf)
                case room.Unmix(call_sid):
                    call = self._calls.get(call_sid)
                    if call is not None:
                        call.conference_sid = ""
                        self._pump.unmix(found.mixer, call.port.id)
                case room.Hold(call_sid):
                    call = self._calls.get(call_sid)
                    if call is not None:
                        self._pump.unmix(found.mixer, call.port.id)
                case room.Beep():
                    self._pump.play_mixer(found.mixer, next(self._play_ids), beep())
                case Tell():
                    self._calls.tell(sid, effect)
                case Notify():
                    self._notify(None, found.conference.account_sid, effect)
                case room.Close():
                    self._pump.close_mixer(found.mixer)
                    del self._by_sid[sid]
                    self._ended[sid] = found.conference
                    if len(self._ended) > ENDED:
                        del self._ended[next(iter(self._ended))]
                    del self._by_name[(found.conference.account_sid, found.conference.name)]
