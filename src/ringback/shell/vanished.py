"""Calls whose far ends are gone without a word: a phone without power, a network that is cut.

Where a session timer runs (RFC 4028), SIP finds that out by itself. Where none does, a call is over when nothing was
seen of it for so long: no sound, no RTCP report, no SIP request. A call on hold sends no sound and is let be, and
so is one that is bridged to somebody who is heard. Twilio says nothing of this; other exchanges take about as long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from ringback.media.pump import PortStats, RemoteReport
from ringback.shell.live import LiveCall

VANISHED_AFTER: Final = 300.0
"""Seconds; FreeSWITCH's rtp-timeout-sec, too. A person listens to a queue's music for as long without a word, but a
phone sends silence or reports meanwhile."""


class _Sign(NamedTuple):
    """What changes while somebody is there."""

    packets: int
    report: RemoteReport | None
    request: Any


class Vanished:
    """Looks at the calls now and then; ``stats`` gives the numbers of a call's port, ``after`` is in seconds."""

    def __init__(self, stats: Callable[[LiveCall], PortStats], after: float = VANISHED_AFTER) -> None:
        self._stats = stats
        self.after = after
        self._signs: dict[str, tuple[_Sign, float]] = {}

    def look(self, calls: Iterable[LiveCall], now: float) -> list[LiveCall]:
        """The calls that are to be ended; ``now`` is of the monotonic clock."""
        silent = [call for call in calls if call.is_silent and not _watched_by_sip(call)]
        before, self._signs = self._signs, {}
        for call in silent:
            sign = self._sign(call)
            known, since = before.get(call.sid, (sign, now))
            self._signs[call.sid] = (sign, since if known == sign else now)
        gone = {sid for sid, (_, since) in self._signs.items() if now - since >= self.after}
        return [
            call for call in silent if call.sid in gone and (call.bridged is None or call.bridged.sid in gone)
        ]

    def _sign(self, call: LiveCall) -> _Sign:
        stats, session = self._stats(call), call.leg.session
        return _Sign(stats.packets_in, stats.remote, session and session.dialog and session.dialog.remote_seq)


def _watched_by_sip(call: LiveCall) -> bool:
    session = call.leg.session
    return session is not None and session.timer.interval > 0
