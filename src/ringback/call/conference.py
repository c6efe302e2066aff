"""A conference: who is in it, who hears whom, and when it starts and ends.

::

    init --two members, one of them starts it--> in-progress --all gone, or one that ends it--> completed

Effects are those of a call (Tell, Notify, Note) and of its mixer (Mix, Unmix, Mute, Beep). Until it has
started its members are mixed deaf and muted: they hear nothing of each other (TwiML reference, "Conference").
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, NamedTuple

from ringback.call.effects import Notify, Tell


class Mix(NamedTuple):
    """Bring a member's sound into the mixer, or change how it is there."""

    call_sid: str
    muted: bool
    deaf: bool


class Unmix(NamedTuple):
    """Take a member's sound out of the mixer."""

    call_sid: str


class Hold(NamedTuple):
    """Take a member's sound out of the mixer for a while: it hears what its own call plays."""

    call_sid: str


class Beep(NamedTuple):
    """Play the beep to all."""


class Close(NamedTuple):
    """The conference is over."""

    reason: str


ConferenceEffect = Mix | Unmix | Hold | Beep | Close | Tell | Notify


@dataclass(slots=True)
class Member:
    """One participant, by its call."""

    call_sid: str
    label: str
    muted: bool
    start_on_enter: bool
    end_on_exit: bool
    beep: str
    joined_at: float
    held: bool = False


class Conference:
    """One conference of an account; ``status`` is Twilio's init, in-progress or completed.

    Times are seconds since the epoch. The first member's status callback is the conference's.
    """

    def __init__(self, sid: str, account_sid: str, name: str, now: float) -> None:
        self.sid = sid
        self.account_sid = account_sid
        self.name = name
        self.status = "init"
        self.created_at = self.updated_at = now
        self.ended_by = ""
        self.reason = ""
        self.members: dict[str, Member] = {}
        self._callback: tuple[str, str, tuple[str, ...]] = ("", "POST", ())
        self._sequence = 0

    def on_join(self, call_sid: str, options: dict[str, Any], now: float) -> list[ConferenceEffect]:
        """A call wants in, maybe in the place of a member; its answer is Told "joined" or "refused"."""
        replaced = self.members.pop(options.get("replaces", ""), None)
        refusal = self._refusal(options)
        if refusal is not None:
            if replaced is not None:
                self.members[replaced.call_sid] = replaced
            return [Tell(call_sid, "refused", refusal)]
        if not self.members and replaced is None:
            wanted = tuple(options["status_callback_events"])
            self._callback = (options["status_callback"], options["status_callback_method"], wanted)
        member = Member(
            call_sid,
            options["label"],
            options["muted"] if replaced is None else replaced.muted,
            options["start_on_enter"],
            options["end_on_exit"],
            options["beep"],
            now,
        )
        self.members[call_sid] = member
        self.updated_at = now
        effects: list[ConferenceEffect] = [Tell(call_sid, "joined", {})]
        if replaced is not None:
            effects += [Unmix(replaced.call_sid), *self._notify("leave", "participant-leave", now, replaced)]
        effects += self._notify("join", "participant-join", now, member)
        starting = self.status == "init" and self._may_start()
        if starting:
            self.status = "in-progress"
            effects += self._notify("start", "conference-start", now, None)
            effects += [self._mixed(other) for other in self.members.values()]
        else:
            effects.append(self._mixed(member))
        if self.status == "in-progress" and member.beep in ("true", "onEnter") and replaced is None:
            effects.append(Beep())
        return effects

    def _refusal(self, options: dict[str, Any]) -> dict[str, Any] | None:
        if len(self.members) >= options["max_participants"]:
            return {
                "code": 16020,
                "text": f"the conference {self.name} is full ({len(self.members)} participants)",
            }
        label = options["label"]
        if label and any(member.label == label for member in self.members.values()):
            return {"code": 16025, "text": f"the participant label {label!r} is taken"}
        return None

    def _may_start(self) -> bool:
        return len(self.members) >= 2 and any(member.start_on_enter for member in self.members.values())

    def _mixed(self, member: Member) -> Mix | Hold:
        if member.held:
            return Hold(member.call_sid)
        waiting = self.status == "init"
        return Mix(member.call_sid, member.muted or waiting, waiting)

    def on_leave(self, call_sid: str, now: float) -> list[ConferenceEffect]:
        """A member is gone: it hung up, was redirected, or left."""
        return self._leave(call_sid, "left", now)

    def _leave(self, call_sid: str, how: str, now: float) -> list[ConferenceEffect]:
        """``how`` it went: left or kicked."""
        member = self.members.pop(call_sid, None)
        if member is None:
            return []
        self.updated_at = now
        effects: list[ConferenceEffect] = [Unmix(call_sid)]
        effects += self._notify("leave", "participant-leave", now, member)
        if self.members and not (member.end_on_exit and self.status == "in-progress"):
            if member.beep in ("true", "onExit"):
                effects.append(Beep())
            return effects
        who = "participant-with-end-conference-on-exit" if self.members else "last-participant"
        return effects + self._end(f"{who}-{how}", member, now)

    def on_end(self, now: float) -> list[ConferenceEffect]:
        """The REST API ends the conference."""
        return [] if self.status == "completed" else self._end("conference-ended-via-api", None, now)

    def _end(self, reason: str, ended_by: Member | None, now: float) -> list[ConferenceEffect]:
        self.status = "completed"
        self.reason, self.ended_by = reason, ended_by.call_sid if ended_by else ""
        self.updated_at = now
        effects: list[ConferenceEffect] = []
        for other in self.members.values():
            effects += [Unmix(other.call_sid), Tell(other.call_sid, "conference-ended", {})]
            effects += self._notify("leave", "participant-leave", now, other)
        self.members.clear()
        effects += self._notify("end", "conference-end", now, ended_by)
        effects.append(Close(reason))
        return effects

    def on_mute(self, call_sid: str, muted: bool, now: float) -> list[ConferenceEffect]:
        """The REST API mutes or unmutes a member."""
        member = self.members.get(call_sid)
        if member is None or member.muted == muted:
            return []
        member.muted = muted
        self.updated_at = now
        event = "participant-mute" if muted else "participant-unmute"
        return [self._mixed(member), *self._notify("mute", event, now, member)]

    def on_hold(self, call_sid: str, held: bool, url: str, method: str, now: float) -> list[ConferenceEffect]:
        """The REST API puts a member on hold, where its call runs the document of ``url``, or takes it back."""
        member = self.members.get(call_sid)
        if member is None or member.held == held:
            return []
        member.held = held
        self.updated_at = now
        told = Tell(call_sid, "held" if held else "unheld", {"url": url, "method": method} if held else {})
        event = "participant-hold" if held else "participant-unhold"
        return [self._mixed(member), *self._notify("hold", event, now, member), told]

    def on_kick(self, call_sid: str, now: float) -> list[ConferenceEffect]:
        """The REST API takes a member out; its call goes on behind the Dial."""
        if call_sid not in self.members:
            return []
        return [*self._leave(call_sid, "kicked", now), Tell(call_sid, "removed", {})]

    def _notify(self, wanted: str, event: str, now: float, member: Member | None) -> list[ConferenceEffect]:
        url, method, events = self._callback
        if not url or wanted not in events:
            return []
        params = [
            ("ConferenceSid", self.sid),
            ("FriendlyName", self.name),
            ("AccountSid", self.account_sid),
            ("SequenceNumber", str(self._sequence)),
            ("Timestamp", f"{formatdate(now)[:-5]}+0000"),
            ("StatusCallbackEvent", event),
        ]
        if event == "conference-end":
            params.append(("ReasonConferenceEnded", self.reason))
            if member is not None:
                params.append(("CallSidEndingConference", member.call_sid))
                if member.label:
                    params.append(("ParticipantLabelEndingConference", member.label))
        elif member is not None:
            params += [
                ("CallSid", member.call_sid),
                ("Muted", str(member.muted).lower()),
                ("Hold", str(member.held).lower()),
                ("Coaching", "false"),
                ("EndConferenceOnExit", str(member.end_on_exit).lower()),
                ("StartConferenceOnEnter", str(member.start_on_enter).lower()),
            ]
            if member.label:
                params.append(("ParticipantLabel", member.label))
        self._sequence += 1
        return [Notify(url, method, params)]
