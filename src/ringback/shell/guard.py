"""What a stranger may cost the exchange: judged by where a message comes from, before it is read.

    a message from --vouched source--> its own, wide bucket ---------------> READ
                   \\-anybody else--> quiet (wrong passwords)? ------------> DROP
                                  \\-> bucket of its address empty? -------> DROP
                                   \\-> else ------------------------------> READ, after the vouched ones (Inbox)

A source (address and port) is vouched for by what it did: it registered or called with the right password, a trunk
has its address, or we sent a request there ourselves. So a flood from elsewhere cannot starve it, from however many
addresses it comes. Whoever forges a vouched source can use up that source's bucket, and nothing else.

Nothing here reads a clock: times are seconds of any clock that never goes back. Every table has a bound.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

Source = tuple[Any, ...]
"""Host and port that a message came from. Compiled code would take a tuple[str, int] apart and make it anew at each step."""


LATENESS_WEIGHT: Final = 0.2
"""Of the newest lateness in the mean: that of about half a second."""
LONGEST_LATENESS: Final = 1.0
"""Seconds; a pause counts no more, so that one alone stays below the limit."""


VOUCHED_ANEW: Final = 1.0
"""Seconds in which a source that is vouched for at every message is only once put to the end of the queue."""
STRANGER: Final = 1
VOUCHED: Final = 2


class GuardLimits(NamedTuple):
    """Bounds with their reasons; rates in messages a second, times in seconds."""

    rate: float = 50.0
    """From an address that nobody knows: four times what an office of 200 phones sends whose lease has run out."""
    burst: float = 500.0
    """200 phones behind one address come back after a restart: a REGISTER, another with a password, and some again."""
    vouched_rate: float = 2_000.0
    """About what one core takes: a carrier may use all of it, a phone gone mad no more."""
    vouched_burst: float = 10_000.0
    answer_excess: int = 200
    """Bytes that an answer to a stranger may be longer than its request: a challenge fits, an amplifier does not."""
    sources: int = 65_536
    """Addresses remembered, some 15 MB; the one unheard for longest is forgotten, and with it that it was bad."""
    vouched: int = 131_072
    """Vouched sources remembered, some 30 MB: more than the phones that one exchange serves."""
    vouched_for: float = 86_400.0
    """A call lasts a day at most, and registrations are renewed each hour."""
    failures: int = 10
    """Wrong passwords in a row that cost an address nothing: a person tries again."""
    quiet: float = 1.0
    """After the next wrong password the address is not heard for so long, then for twice that, and so on ..."""
    longest_quiet: float = 32.0
    """... up to this: as long as a request is repeated (64*T1), so that a good phone beside a bad one gets through."""
    forgiven_after: float = 600.0
    """Without a wrong password for so long, all is forgotten."""
    lag: float = 0.25
    """The event loop is so late: new calls and strangers' registrations are put off. Half of T1, so that requests
    in dialogs are still answered before they are repeated."""
    lag_over: float = 0.1
    """Below this it is over."""
    log_rate: float = 5.0
    log_burst: float = 50.0
    """Lines about refused strangers: a flood must not fill the disk nor wait for a terminal."""


@dataclass(slots=True)
class GuardCounters:
    """What was kept out since the start; for metrics."""

    over_rate: int = 0
    vouched_over_rate: int = 0
    quiet: int = 0
    backlog: int = 0
    too_long_answers: int = 0
    put_off: int = 0
    lines_left_out: int = 0


class Bucket:
    """A token bucket: ``rate`` tokens a second, ``burst`` at most."""

    __slots__ = ("at", "tokens")

    def __init__(self, burst: float, now: float) -> None:
        self.tokens = burst
        self.at = now

    def take(self, rate: float, burst: float, now: float) -> bool:
        """Whether there was a token."""
        self.tokens = tokens = min(burst, self.tokens + (now - self.at) * rate)
        self.at = now
        if tokens < 1.0:
            return False
        self.tokens = tokens - 1.0
        return True

    def borrow(self, count: int, rate: float, burst: float, now: float) -> float:
        """Take tokens that may not be there yet, up to ``burst`` of them: the seconds until they are."""
        self.tokens = max(-burst, min(burst, self.tokens + (now - self.at) * rate) - count)
        self.at = now
        return max(0.0, -self.tokens / rate)


class Lines:
    """Lines of the log of one kind: ``rate`` a second, ``burst`` at most, and then one that says how many are missing."""

    __slots__ = ("_bucket", "_burst", "_left_out", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._bucket = Bucket(burst, 0.0)
        self._rate = rate
        self._burst = burst
        self._left_out = 0

    def next(self, now: float) -> int:
        """For one more line: -1 to leave it out, else how many were left out before."""
        if not self._bucket.take(self._rate, self._burst, now):
            self._left_out += 1
            return -1
        left_out, self._left_out = self._left_out, 0
        return left_out


class _Vouched(Bucket):
    __slots__ = ("until",)

    def __init__(self, burst: float, now: float, until: float) -> None:
        super().__init__(burst, now)
        self.until = until


class _Stranger(Bucket):
    __slots__ = ("failed_at", "failures", "quiet_until")

    def __init__(self, burst: float, now: float) -> None:
        super().__init__(burst, now)
        self.failures = 0
        self.failed_at = 0.0
        self.quiet_until = 0.0


class Guard:
    """Remembers sources. One for all transports of a server."""

    def __init__(self, limits: GuardLimits | None = None) -> None:
        self.limits = limits or GuardLimits()
        self.counters = GuardCounters()
        self._vouched: OrderedDict[Source, _Vouched] = OrderedDict()
        self._strangers: OrderedDict[str, _Stranger] = OrderedDict()
        self._log = Lines(self.limits.log_rate, self.limits.log_burst)
        self._lag = 0.0
        self.is_overloaded = False
        """The event loop is late: put new work off."""

    def __len__(self) -> int:
        """How many sources are remembered."""
        return len(self._vouched) + len(self._strangers)

    @property
    def lateness(self) -> float:
        """Seconds that the event loop is late, in the mean of about half a second."""
        return self._lag

    # -- before a message is read ------------------------------------------------------------------------------

    def is_vouched(self, source: Source, now: float) -> bool:
        """Whether somebody vouched for this source."""
        known = self._vouched.get(source)
        return known is not None and now < known.until

    def admit(self, source: Source, now: float) -> int:
        """Count a message, and say whose it is: VOUCHED or STRANGER; 0 when it is not to be read."""
        limits = self.limits
        known = self._vouched.get(source)
        if known is not None:
            if now < known.until:
                if known.take(limits.vouched_rate, limits.vouched_burst, now):
                    return VOUCHED
                self.counters.vouched_over_rate += 1
                return 0
            del self._vouched[source]
        stranger = self._stranger(source[0], now)
        if now < stranger.quiet_until:
            self.counters.quiet += 1
            return 0
        if stranger.take(limits.rate, limits.burst, now):
            return STRANGER
        self.counters.over_rate += 1
        return 0

    def charge(self, source: Source, messages: int, now: float) -> float:
        """Count what came on a stream: seconds until it may go on. Streams are held up, not thinned out.

        Those of one address have a bucket together, apart from that of its datagrams: they cannot be forged.
        """
        limits = self.limits
        known = self._vouched.get(source)
        if known is not None and now < known.until:
            return known.borrow(messages, limits.vouched_rate, limits.vouched_burst, now)
        stranger = self._stranger(source[0], now, "streams of ")
        return max(stranger.borrow(messages, limits.rate, limits.burst, now), stranger.quiet_until - now)

    def may_connect(self, source: Source, now: float) -> bool:
        """Count a connection that an address opens, as many as it may send messages; False when it is not to be kept."""
        stranger = self._stranger(source[0], now, "connections of ")
        return stranger.take(self.limits.rate, self.limits.burst, now)

    def _stranger(self, host: str, now: float, kind: str = "") -> _Stranger:
        key = kind + _network(host)
        stranger = self._strangers.get(key)
        if stranger is None:
            stranger = self._strangers[key] = _Stranger(self.limits.burst, now)
            if len(self._strangers) > self.limits.sources:
                self._strangers.popitem(last=False)
        else:
            self._strangers.move_to_end(key)
        return stranger

    # -- what is learnt of a source ------------------------------------------------------------------------------

    def vouch(self, source: Source, now: float) -> None:
        """The source proved itself, or is somebody whom we ask."""
        until = now + self.limits.vouched_for
        known = self._vouched.get(source)
        if known is None:
            self._vouched[source] = _Vouched(self.limits.vouched_burst, now, until)
            if len(self._vouched) > self.limits.vouched:
                self._vouched.popitem(last=False)
        elif until - known.until > VOUCHED_ANEW:
            known.until = until
            self._vouched.move_to_end(source)

    def failed(self, source: Source, now: float) -> None:
        """The source gave a wrong password."""
        limits = self.limits
        self._vouched.pop(source, None)
        stranger = self._stranger(source[0], now)
        if now - stranger.failed_at > limits.forgiven_after:
            stranger.failures = 0
        stranger.failures += 1
        stranger.failed_at = now
        beyond = stranger.failures - limits.failures
        if beyond > 0:
            quiet = min(limits.longest_quiet, limits.quiet * 2.0 ** min(beyond - 1, 30))
            stranger.quiet_until = now + quiet
            self._stranger(source[0], now, "streams of ").quiet_until = now + quiet

    # -- what goes out, and how busy we are ----------------------------------------------------------------------

    def may_answer(self, request_size: int, answer_size: int) -> bool:
        """Whether a stranger may get an answer of this size."""
        return answer_size <= request_size + self.limits.answer_excess

    def late(self, seconds: float) -> None:
        """The event loop came so late to something; to be told ten times a second while there is something to do.

        One pause, however long, is no overload: only lateness that lasts for seconds is.
        """
        self._lag += LATENESS_WEIGHT * (min(seconds, LONGEST_LATENESS) - self._lag)
        if self._lag > self.limits.lag:
            self.is_overloaded = True
        elif self._lag < self.limits.lag_over:
            self.is_overloaded = False

    def lines(self, now: float) -> int:
        """For one more line of the log about a stranger: -1 to leave it out, else how many were left out before."""
        left_out = self._log.next(now)
        if left_out < 0:
            self.counters.lines_left_out += 1
        return left_out


_PREFIX: Final = 64


def _network(host: str) -> str:
    """What counts as one address: of IPv6 the network of 64 bits that one customer has."""
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    return f"{int(address) >> _PREFIX:x}"
