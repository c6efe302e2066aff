"""The times of RFC 3261 (table 4) and RFC 6026, in seconds."""

from __future__ import annotations

from typing import NamedTuple


class Timers(NamedTuple):
    """Base values; everything else follows from them."""

    t1: float = 0.5  # RFC 3261 17.1.1.1: estimate of the round trip
    t2: float = 4.0  # 17.1.2.2: longest interval between retransmissions
    t4: float = 5.0  # 17.1.2.2: longest life of a message in the network
    hop_patience: float = 4.0
    """How long a hop may stay silent when there is another to try (not in the RFC; Twilio's 4 s)."""

    @property
    def timeout(self) -> float:
        """Timers B, F, H, J, L, M, and the wait for the ACK of a 2xx: 64*T1."""
        return 64 * self.t1

    @property
    def d(self) -> float:
        """Timer D on unreliable transports: at least 32 s (17.1.1.2), and as long as timer H."""
        return max(32.0, 64 * self.t1)


RELIABLE = frozenset(("TCP", "TLS", "WS", "WSS"))
"""Transports that do not lose messages, so that nothing is retransmitted over them."""

RINGING_REFRESH = 60.0
"""A provisional answer is repeated every minute, RFC 3261 13.3.1.1."""

REINVITE_PATIENCE = 60.0
"""Seconds from its first 1xx in which a re-INVITE must be answered, or it is withdrawn: no person decides on one, for whom a
proxy would wait three minutes (timer C, RFC 3261 section 16.6)."""

GLARE_RETRIES = 4
"""How often a re-INVITE is tried again after 491 before it counts as refused."""

FORKS_MAX = 16
"""2xx from so many different tags are acknowledged for one INVITE; the rest are ignored (a flood)."""

AUTHENTICATIONS_MAX = 4
"""Challenges answered for one request: from two in a proxy chain, each once more as stale."""

ROUTES_MAX = 32
"""Record-Route entries kept in a dialog; a longer path is refused (RFC 3261 16.3 allows 70 hops)."""

REDIRECT_CONTACTS_MAX = 10
"""Contacts of a 3xx that are passed on."""

TRANSACTIONS_MAX = 200_000
"""Server transactions at a time, some 400 MB; each lives 32 s. What comes above gets 503, but a BYE."""

QUEUED_MAX = 16
"""Requests of one dialog that wait for the resolver."""

SOON = 1e-6
"""Seconds that a timer may be early by, from rounding in the shell's clock."""

REFRESH_RETRY = 10.0
"""Seconds until a refresh of a session that was refused for now (491, 500, 503) is tried again."""

INTERVAL_RETRIES = 2
"""How often an INVITE is sent again after 422: two proxies on the way may each ask for more."""

REFERRAL_PATIENCE = 16.0
"""Seconds in which a REFER must be accepted or refused; half of the time that its sender waits (RFC 4320)."""

REFERRAL_LIFE = 180
"""Seconds for which a referral is followed (RFC 3515 section 2.4.4); what it starts has rung out by then."""
