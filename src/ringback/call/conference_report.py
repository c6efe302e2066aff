"""What a conference tells its status callback (TwiML reference, Conference, "statusCallback")."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any, Final

from ringback.call.effects import Notify, Pairs
from ringback.call.member import Member

WHY_IT_ENDED: Final = {
    "conference-ended-via-api": "The conference was ended via API",
    "participant-with-end-conference-on-exit-left": "A participant with EndConferenceOnExit=true left",
    "participant-with-end-conference-on-exit-kicked": "A participant with EndConferenceOnExit=true was removed",
    "last-participant-left": "The last participant left",
    "last-participant-kicked": "The last participant was removed",
}
"""Each ReasonConferenceEnded as a sentence, its Reason."""


class ConferenceReport:
    """The callbacks of one conference. Only what its first participant has set counts."""

    __slots__ = ("_common", "_events", "_method", "_sequence", "_url")

    def __init__(self, sid: str, account_sid: str, name: str) -> None:
        self._common = [("ConferenceSid", sid), ("FriendlyName", name), ("AccountSid", account_sid)]
        self._url = ""
        self._method = "POST"
        self._events: tuple[str, ...] = ()
        self._sequence = 0

    def subscribe(self, options: dict[str, Any]) -> None:
        """The first participant says where, and of what: start end join leave mute hold modify speaker announcement."""
        self._url, self._method = options["status_callback"], options["status_callback_method"]
        self._events = tuple(options["status_callback_events"])

    def wants(self, kind: str) -> bool:
        """Whether events of this kind are told."""
        return bool(self._url) and kind in self._events

    def participant(
        self, kind: str, event: str, now: float, member: Member, extra: Pairs | None = None
    ) -> list[Notify]:
        """Something about one participant."""
        return self._tell(kind, event, now, [*_of(member), *(extra or [])])

    def started(self, now: float) -> list[Notify]:
        """The conference is in progress."""
        return self._tell("start", "conference-start", now, [])

    def ended(self, reason: str, by: Member | None, now: float) -> list[Notify]:
        """The conference is over, by whose leaving, if by any."""
        params = [("ReasonConferenceEnded", reason), ("Reason", WHY_IT_ENDED[reason])]
        if by is not None:
            params.append(("CallSidEndingConference", by.call_sid))
            if by.label:
                params.append(("ParticipantLabelEndingConference", by.label))
        return self._tell("end", "conference-end", now, params)

    def announced(self, url: str, failure: str, member: Member | None, now: float) -> list[Notify]:
        """An announcement is over, or could not be made; ``member`` is whom it was for, if it is still there."""
        params = [("AnnounceUrl", url)]
        if failure:
            params.append(("ReasonAnnouncementFailed", failure))
        event = "announcement-fail" if failure else "announcement-end"
        return self._tell("announcement", event, now, [*(_of(member) if member else []), *params])

    def _tell(self, kind: str, event: str, now: float, params: Pairs) -> list[Notify]:
        if not self.wants(kind):
            return []
        told = [
            *self._common,
            ("SequenceNumber", str(self._sequence)),
            ("Timestamp", f"{formatdate(now)[:-5]}+0000"),
            ("StatusCallbackEvent", event),
            *params,
        ]
        self._sequence += 1
        return [Notify(self._url, self._method, told)]


def _of(member: Member) -> Pairs:
    params = [
        ("CallSid", member.call_sid),
        ("Muted", str(member.muted).lower()),
        ("Hold", str(member.held).lower()),
        ("Coaching", str(bool(member.coaches)).lower()),
        ("EndConferenceOnExit", str(member.end_on_exit).lower()),
        ("StartConferenceOnEnter", str(member.start_on_enter).lower()),
    ]
    if member.label:
        params.append(("ParticipantLabel", member.label))
    return params
