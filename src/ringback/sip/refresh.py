"""Session timers, RFC 4028: both ends learn within the interval that the other is gone.

    off --2xx with Session-Expires--> REFRESHER --half the interval--> refresh --2xx--> REFRESHER ...
                                 \\--> REFRESHED --a refresh of theirs--> REFRESHED ...
    either --shortly before the interval is over, nothing came--> BYE, Ended("timeout", 408)

A refresh is an UPDATE without an offer where the peer takes it, else a re-INVITE with the SDP that holds. Timer
``refresh``; effects Arm, Disarm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ringback.sip.dialog import Header
from ringback.sip.effects import Arm, Disarm, Effect
from ringback.sip.errors import SipSyntaxError
from ringback.sip.fields import Message
from ringback.sip.headers import parse_params
from ringback.sip.limits import MAX_DELTA_SECONDS
from ringback.sip.message import Request, Response
from ringback.sip.reason import SESSION_EXPIRED
from ringback.sip.timers import INTERVAL_RETRIES, REFRESH_RETRY, SOON

if TYPE_CHECKING:
    from ringback.sip.session import InviteSession

EXTENSION: Final = "timer"


class SessionExpires(NamedTuple):
    """The value of Session-Expires: seconds, and who refreshes ("uac", "uas", "" when it does not say)."""

    interval: int
    refresher: str


def parse_session_expires(message: Message) -> SessionExpires | None:
    """Read it; None when there is none, or it makes no sense."""
    if not message.has("Session-Expires"):
        return None
    value = message.get("Session-Expires") or ""
    seconds, semicolon, rest = value.partition(";")
    interval = _seconds(seconds)
    if interval is None:
        return None
    refresher = ""
    if semicolon:
        try:
            refresher = (parse_params(semicolon + rest).get("refresher") or "").lower()
        except SipSyntaxError:
            return None
    return SessionExpires(interval, refresher if refresher in ("uac", "uas") else "")


def min_se_of(message: Message) -> int:
    """Min-SE in seconds; 0 when there is none."""
    if not message.has("Min-SE"):
        return 0
    return _seconds((message.get("Min-SE") or "").partition(";")[0]) or 0


def _seconds(text: str) -> int | None:
    text = text.strip(" \t")
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        return None
    return min(int(text), MAX_DELTA_SECONDS)


class SessionTimer:
    """The timer of one session. ``interval`` is 0 while it is off; ``min_se`` is the shortest that we take."""

    __slots__ = ("_ends_at", "_min_se", "_open", "_raised", "_update", "interval", "is_refresher")

    def __init__(self, min_se: int) -> None:
        self.interval = 0
        self.is_refresher = False
        self._min_se = min_se
        self._ends_at = 0.0
        self._open = False
        self._raised = 0
        self._update = False

    # -- as caller, and of refreshes of ours

    def headers(self, session: InviteSession) -> list[Header]:
        """What a request of ours asks for (section 7.1, 7.4)."""
        agent = session.agent
        if self.interval:
            refresher = ";refresher=uac" if self.is_refresher else ";refresher=uas"
        else:
            refresher = ""  # the first time the callee may choose
        interval = max(self.interval or agent.session_expires, self._min_se)
        fields = [("Session-Expires", f"{interval}{refresher}")]
        if self._min_se > agent.min_se:
            fields.append(("Min-SE", str(self._min_se)))
        return fields

    def raise_to(self, response: Response) -> bool:
        """Take a 422: True when asking again makes sense (section 7.3), which it does not for ever."""
        wanted = min_se_of(response)
        if wanted <= self._min_se or self._raised == INTERVAL_RETRIES:
            return False
        self._raised += 1
        self._min_se = wanted
        if self.interval:
            self.interval = max(self.interval, wanted)
        return True

    def on_accepted(self, session: InviteSession, response: Response, now: float, out: list[Effect]) -> None:
        """A 2xx to an INVITE, re-INVITE or UPDATE of ours (section 7.2)."""
        self._open = False
        self._raised = 0
        agreed = parse_session_expires(response)
        if agreed is None:
            self.stop(session, out)
            return
        self.is_refresher = agreed.refresher != "uas"
        self._start(session, agreed.interval, response, now, out)

    def on_refused(self, session: InviteSession, response: Response, now: float, out: list[Effect]) -> None:
        """A refresh of ours was refused: try another way, or later, while the session lasts (section 10)."""
        self._open = False
        status = response.status
        if status == 422 and self.raise_to(response):
            self._refresh(session, now, out)
        elif self._update and status in (405, 501):
            self._update = False
            self._refresh(session, now, out)
        else:
            self.try_later(session, now, out)

    def try_later(self, session: InviteSession, now: float, out: list[Effect]) -> None:
        """A refresh of ours came to nothing: another one soon, while the session lasts."""
        self._open = False
        if self.interval and not session.is_over:
            at = min(now + REFRESH_RETRY, self._ends_at)
            out.append(Arm(("refresh", session.dialog.local_tag), at))

    # -- as callee, and of refreshes of theirs

    def agree(self, session: InviteSession, request: Request, now: float, out: list[Effect]) -> list[Header]:
        """What our 2xx says, and the timer that follows from it (section 9)."""
        wanted = parse_session_expires(request)
        supports = EXTENSION in request.tokens("Supported")
        if wanted is None and not supports:
            self.stop(session, out)
            return []
        interval, refresher = wanted or (session.agent.session_expires, "")
        lowest = max(min_se_of(request), session.agent.min_se)
        interval = max(min(interval, session.agent.session_expires), lowest)
        if not supports:
            refresher = "uas"
        elif not refresher:
            refresher = "uas" if self.interval and self.is_refresher else "uac"
        self.is_refresher = refresher == "uas"
        self._start(session, interval, request, now, out)
        fields = [("Session-Expires", f"{interval};refresher={refresher}")]
        if supports:
            fields.append(("Require", EXTENSION))
        return fields

    # -- both

    def _start(
        self, session: InviteSession, interval: int, message: Message, now: float, out: list[Effect]
    ) -> None:
        interval = max(interval, session.agent.min_se)
        self.interval = interval
        self._update = "update" in message.tokens("Allow")
        self._arm(session, now, out)

    def _arm(self, session: InviteSession, now: float, out: list[Effect]) -> None:
        interval = self.interval
        self._ends_at = now + interval - min(32.0, interval / 3)  # section 10
        at = now + interval / 2 if self.is_refresher else self._ends_at
        out.append(Arm(("refresh", session.dialog.local_tag), at))

    def set(self, interval: int, is_refresher: bool, update: bool) -> None:
        """What another process had agreed on (InviteSession.record)."""
        self.interval, self.is_refresher, self._update = interval, is_refresher, update

    def resume(self, session: InviteSession, now: float, out: list[Effect]) -> None:
        """Go on with what was set, as if it had been agreed on now."""
        if self.interval:
            self._arm(session, now, out)

    @property
    def record(self) -> list[int]:
        """As data fit for JSON."""
        return [self.interval, int(self.is_refresher), int(self._update)]

    def stop(self, session: InviteSession, out: list[Effect]) -> None:
        """No timer any more."""
        if self.interval:
            self.interval = 0
            out.append(Disarm(("refresh", session.dialog.local_tag)))

    def on_timer(self, session: InviteSession, now: float, out: list[Effect]) -> None:
        """Refresh, or give the session up."""
        if not self.interval or session.is_over:
            return
        if not self.is_refresher or now + SOON >= self._ends_at:
            self.interval = 0
            session.break_off("timeout", 408, None, now, out, headers=[SESSION_EXPIRED.header])
        else:
            self._refresh(session, now, out)
            out.append(Arm(("refresh", session.dialog.local_tag), self._ends_at))

    def _refresh(self, session: InviteSession, now: float, out: list[Effect]) -> None:
        if self._open or not session.is_confirmed:
            return
        if self._update:
            self._open = True
            session.start("UPDATE", self.headers(session), b"", now, out)
        elif session.local_sdp:
            self._open = session.reoffers.refresh(session, session.local_sdp, now, out)
