"""A conference: who is in it, who hears whom, and when it starts and ends.

::

    init --two members, one of them starts it--> in-progress --all gone, or one that ends it--> completed

Effects are those of a call (Tell, Notify) and of its mixer (Mix, Unmix, Hold, Beep, Listen). Until it has started its
members are mixed deaf and muted: they hear nothing of each other (TwiML reference, "Conference"), but what their calls
play. What a member hears instead of the room it is told ("hear"): music before the start, or on hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ringback.call.announcement import Announcement
from ringback.call.conference_report import ConferenceReport
from ringback.call.effects import Notify, Tell
from ringback.call.limits import MAX_ANNOUNCEMENTS
from ringback.call.member import Member, is_label, member_of

HUNG_UP = "participant_hung_up"
BY_API = "participant_updated_via_api"
ADD_FAILED = "participant_add_failed"


class Mix(NamedTuple):
    """Bring a member's sound into the mixer, or change how it is there; ``heard_by``: by this call alone."""

    call_sid: str
    muted: bool
    deaf: bool
    heard_by: str = ""


class Unmix(NamedTuple):
    """Take a member's sound out of the mixer."""

    call_sid: str


class Hold(NamedTuple):
    """Take a member's sound out of the mixer for a while: it hears what its own call plays."""

    call_sid: str


class Listen(NamedTuple):
    """Tell ``on_speech`` when this member begins and ends to speak."""

    call_sid: str


class Dismiss(NamedTuple):
    """End the call of somebody who was called to come in, and has not come."""

    call_sid: str


class Beep(NamedTuple):
    """Play the beep to all."""


class Close(NamedTuple):
    """The conference is over."""

    reason: str


ConferenceEffect = Mix | Unmix | Hold | Listen | Dismiss | Beep | Close | Tell | Notify
Effects = list[ConferenceEffect]


class Conference:
    """One conference of an account; ``status`` is Twilio's init, in-progress or completed.

    Times are seconds since the epoch. The first member's status callback is the conference's.
    """

    def __init__(self, sid: str, account_sid: str, name: str, now: float, region: str = "us1") -> None:
        self.sid = sid
        self.account_sid = account_sid
        self.name = name
        self.region = region
        self.status = "init"
        self.created_at = self.updated_at = now
        self.ended_by = ""
        self.reason = ""
        self.members: dict[str, Member] = {}
        self.expected: dict[str, Member] = {}
        """Who was called to come in (REST: POST Participants), and has not answered yet."""
        self._report = ConferenceReport(sid, account_sid, name)
        self._announcements: dict[int, Announcement] = {}
        self._announced = 0

    def participant(self, call_sid: str) -> Member | None:
        """Who is in the conference or called to come in, by its call."""
        return self.members.get(call_sid) or self.expected.get(call_sid)

    @property
    def participants(self) -> list[Member]:
        """All of those."""
        return [*self.members.values(), *self.expected.values()]

    # -- coming -----------------------------------------------------------------------------------------------

    def refusal(self, options: Mapping[str, Any], replaces: str = "") -> dict[str, Any] | None:
        """Why nobody with these options may come in, as a code and a text; None if he may."""
        others = [member for member in self.participants if member.call_sid != replaces]
        if len(others) >= options["max_participants"]:
            text = f"the conference {self.name} is full ({len(others)} participants)"
            return {"code": 16020, "text": text}
        label, coach = options["label"], options["coach"]
        if not is_label(label):
            return {"code": 16023, "text": f"{label!r:.60} cannot be a participant's label"}
        if label and any(member.label == label for member in others):
            return {"code": 16025, "text": f"the participant label {label!r} is taken"}
        if coach and coach not in self.members:
            return {"code": 13240, "text": f"who is to be coached, {coach:.40}, is not in the conference"}
        return None

    def on_invite(self, call_sid: str, options: dict[str, Any], now: float) -> None:
        """Somebody is called to come in, whom ``refusal`` does not keep out."""
        self._subscribed(options)
        self.expected[call_sid] = member_of(call_sid, options, now)
        self.updated_at = now

    def _subscribed(self, options: dict[str, Any]) -> None:
        if not self.members and not self.expected:
            self._report.subscribe(options)

    def on_join(self, call_sid: str, options: dict[str, Any], now: float) -> Effects:
        """A call wants in, maybe in the place of a member; its answer is Told "joined" or "refused"."""
        replaced = self.members.get(options.get("replaces", ""))
        member = self.expected.pop(call_sid, None)
        if member is None:
            refusal = self.refusal(options, replaced.call_sid if replaced else "")
            if refusal is not None:
                return [Tell(call_sid, "refused", refusal)]
            if replaced is None:
                self._subscribed(options)
            member = member_of(call_sid, options, now)
        if replaced is not None:
            member.muted = replaced.muted
            del self.members[replaced.call_sid]
        member.joined_at = member.updated_at = self.updated_at = now
        self.members[call_sid] = member
        effects: Effects = [Tell(call_sid, "joined", {})]
        if replaced is not None:
            effects += self._replaced(replaced, call_sid, now)
        effects += self._report.participant("join", "participant-join", now, member)
        if self._report.wants("speaker"):
            effects.append(Listen(call_sid))
        if self.status == "init" and self._may_start():
            self.status = "in-progress"
            effects += self._report.started(now)
            for other in self.members.values():
                effects += [self._mixed(other), *(self._heard(other) if other is not member else [])]
        else:
            effects.append(self._mixed(member))
        if self.status == "init" or member.held:
            effects += self._heard(member)
        if self.status == "in-progress" and member.beeps_on_enter and replaced is None:
            effects.append(Beep())
        return effects

    def _replaced(self, gone: Member, heir: str, now: float) -> Effects:
        """Somebody has come in the place of a member, for whom it is coached on, too."""
        effects: Effects = [Unmix(gone.call_sid), *self._left(gone, HUNG_UP, "completed", now)]
        for other in self.members.values():
            if other.coaches == gone.call_sid:
                other.coaches = heir
                effects.append(self._mixed(other))
        return effects

    def _may_start(self) -> bool:
        return len(self.members) >= 2 and any(member.start_on_enter for member in self.members.values())

    def _mixed(self, member: Member) -> Mix | Hold:
        if member.held:
            return Hold(member.call_sid)
        waits = self.status == "init"
        is_deaf = waits or member.call_sid in self.expected
        return Mix(member.call_sid, member.muted or waits, is_deaf, member.coaches)

    def _heard(self, member: Member) -> list[Tell]:
        """What a member hears from now on instead of the room, or the room."""
        if member.held:
            what = {"what": "hold", "url": member.hold_url, "method": member.hold_method}
        elif self.status == "init" and member.wait_url is None:
            what = {"what": "wait", "url": "", "method": ""}
        elif self.status == "init" and member.wait_url:
            what = {"what": "wait", "url": member.wait_url, "method": member.wait_method}
        else:
            what = {"what": "room", "url": "", "method": ""}
        return [Tell(member.call_sid, "hear", what)]

    # -- going ------------------------------------------------------------------------------------------------

    def on_leave(
        self, call_sid: str, now: float, reason: str = HUNG_UP, call_status: str = "completed"
    ) -> Effects:
        """A member is gone: it hung up, was redirected, or left; with Twilio's ReasonParticipantLeft."""
        return self._leave(call_sid, "left", reason, call_status, now)

    def on_failed(self, call_sid: str, call_status: str, now: float) -> Effects:
        """The call of somebody who was called to come in has ended before he did."""
        return self._leave(call_sid, "left", ADD_FAILED, call_status, now)

    def _leave(self, call_sid: str, how: str, reason: str, call_status: str, now: float) -> Effects:
        """``how`` it went: left or kicked."""
        member = self.members.pop(call_sid, None)
        was_in = member is not None
        member = member or self.expected.pop(call_sid, None)
        if member is None:
            return []
        self.updated_at = now
        effects: Effects = [Unmix(call_sid)]
        effects += self._left(member, reason, call_status, now)
        ends = was_in and member.end_on_exit and self.status == "in-progress" and bool(self.members)
        if self.participants and not ends:
            if was_in and member.beeps_on_exit:
                effects.append(Beep())
            return effects
        who = "participant-with-end-conference-on-exit" if ends else "last-participant"
        return effects + self._end(f"{who}-{how}", member, now)

    def _left(self, member: Member, reason: str, call_status: str, now: float) -> Effects:
        extra = [("ParticipantCallStatus", call_status), ("ReasonParticipantLeft", reason)]
        effects: Effects = [*self._report.participant("leave", "participant-leave", now, member, extra)]
        for announcement in list(self._announcements.values()):
            effects += announcement.on_heard(member.call_sid, "")
        return effects + self._finished(now)

    def on_end(self, now: float) -> Effects:
        """The REST API ends the conference."""
        return [] if self.status == "completed" else self._end("conference-ended-via-api", None, now)

    def _end(self, reason: str, ended_by: Member | None, now: float) -> Effects:
        self.status = "completed"
        self.reason, self.ended_by = reason, ended_by.call_sid if ended_by else ""
        self.updated_at = now
        why = "conference_ended_via_api" if ended_by is None else "moderator_ended_conference"
        effects: Effects = []
        for other in list(self.members.values()):
            del self.members[other.call_sid]
            effects += [Unmix(other.call_sid), Tell(other.call_sid, "conference-ended", {})]
            effects += self._left(other, why, "in-progress", now)
        for other in list(self.expected.values()):
            del self.expected[other.call_sid]
            effects += [
                Unmix(other.call_sid),
                Dismiss(other.call_sid),
                *self._left(other, why, "canceled", now),
            ]
        return [*effects, *self._report.ended(reason, ended_by, now), Close(reason)]

    def on_kick(self, call_sid: str, now: float) -> Effects:
        """The REST API takes a member out, whose call goes on behind the Dial, or calls it no longer."""
        if call_sid in self.members:
            told: Tell | Dismiss = Tell(call_sid, "removed", {})
            return [*self._leave(call_sid, "kicked", BY_API, "in-progress", now), told]
        if call_sid in self.expected:
            told = Dismiss(call_sid)
            return [*self._leave(call_sid, "kicked", BY_API, "canceled", now), told]
        return []

    # -- changes ----------------------------------------------------------------------------------------------

    def on_mute(self, call_sid: str, muted: bool, now: float) -> Effects:
        """The REST API mutes or unmutes a member."""
        member = self.participant(call_sid)
        if member is None or member.muted == muted:
            return []
        member.muted = muted
        event = "participant-mute" if muted else "participant-unmute"
        return [*self._remixed(member, now), *self._report.participant("mute", event, now, member)]

    def _remixed(self, member: Member, now: float) -> Effects:
        member.updated_at = self.updated_at = now
        return [self._mixed(member)] if member.call_sid in self.members or member.sounds_early else []

    def on_hold(self, call_sid: str, held: bool, url: str, method: str, now: float) -> Effects:
        """The REST API puts a member on hold, where its call plays what ``url`` gives ("": music), or takes it back.

        Who is on hold hears another ``url`` from then on.
        """
        member = self.participant(call_sid)
        if member is None or (member.held == held and (not held or not url)):
            return []
        is_new = member.held != held
        member.held, member.hold_url, member.hold_method = held, url, method
        effects = self._remixed(member, now)
        if is_new:
            event = "participant-hold" if held else "participant-unhold"
            effects += self._report.participant("hold", event, now, member)
        return effects + (self._heard(member) if call_sid in self.members else [])

    def on_modify(self, call_sid: str, changes: dict[str, Any], now: float) -> Effects:
        """The REST API changes members of Member: end_on_exit, beeps_on_exit, coaches, wait_url, wait_method."""
        member = self.participant(call_sid)
        changed = {name for name, value in changes.items() if member and getattr(member, name) != value}
        if member is None or not changed:
            return []
        for name in changed:
            setattr(member, name, changes[name])
        effects = self._remixed(member, now)
        if "wait_url" in changed and self.status == "init" and call_sid in self.members:
            effects += self._heard(member)
        return effects + list(self._report.participant("modify", "participant-modify", now, member))

    def on_speech(self, call_sid: str, speaks: bool, now: float) -> Effects:
        """A member begins or ends to speak. Who is muted or on hold is not heard to."""
        member = self.members.get(call_sid)
        if member is None or member.speaks == speaks or ((member.muted or member.held) and speaks):
            return []
        member.speaks = speaks
        event = "participant-speech-start" if speaks else "participant-speech-stop"
        return [*self._report.participant("speaker", event, now, member)]

    # -- announcements ----------------------------------------------------------------------------------------

    @property
    def may_announce(self) -> bool:
        """Whether there is room for another announcement."""
        return len(self._announcements) < MAX_ANNOUNCEMENTS

    def on_announce(self, url: str, method: str, call_sid: str, now: float) -> Effects:
        """The REST API has something said to one member, or to all who are not on hold (call_sid "")."""
        if not self.may_announce:
            return [*self._report.announced(url, "too many announcements wait", None, now)]
        listeners = [m.call_sid for m in self.members.values() if call_sid == m.call_sid or not call_sid]
        if not call_sid:
            listeners = [sid for sid in listeners if not self.members[sid].held]
        self._announced += 1
        announcement = Announcement(self._announced, url, method, call_sid, listeners)
        self._announcements[self._announced] = announcement
        return [*announcement.begin(), *self._finished(now)]

    def on_told(self, call_sid: str, subject: str, data: dict[str, Any], now: float) -> Effects:
        """What the call of a member tells: of an announcement its document, or that it is over there.

        That of one who is called in tells that its far end sends sound, which the others hear.
        """
        if subject == "early-media":
            called = self.expected.get(call_sid)
            if called is None or not called.early_media or self.status != "in-progress":
                return []
            called.sounds_early = True
            return [self._mixed(called)]
        announcement = self._announcements.get(data.get("number", 0))
        if announcement is None:
            return []
        if subject == "announcement":
            return [*announcement.on_answer(call_sid, data["answer"])]
        return [*announcement.on_heard(call_sid, data["failure"]), *self._finished(now)]

    def _finished(self, now: float) -> Effects:
        """The announcements that everybody has heard are over."""
        effects: Effects = []
        for number, announcement in list(self._announcements.items()):
            over = announcement.over()
            if over is not None:
                del self._announcements[number]
                member = self.members.get(over.call_sid)
                effects += self._report.announced(over.url, over.failure, member, now)
        return effects
