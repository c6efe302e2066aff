"""How much one server takes on, by what the system gives it."""

from __future__ import annotations

import resource

from ringback.shell.transport_limits import TransportLimits

DESCRIPTORS_A_LEG = 2
"""Sockets of one leg: RTP and RTCP."""

DESCRIPTORS_KEPT = 512
"""Descriptors for everything that is neither a call nor a SIP stream: webhooks, HTTP, the database, workers."""

SHARE_OF_STREAMS = 0.25
"""Of the other descriptors: strangers open streams, and must not leave calls without."""

HTTP_CONNECTIONS = 2_000
"""At most: each costs a descriptor and some 15 kB."""

HTTP_CONNECTIONS_KEPT = 200
"""Of the descriptors that are kept, HTTP's."""

SHARE_OF_HTTP = 0.05
"""Of the other descriptors."""

SANDBOX_RTP = 400
"""Ports at the top of the RTP range that are the sandbox carrier's: a hundred calls and their mirrors."""


def raise_file_limit() -> int:
    """Raise the limit on open files to its hard limit; the limit now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def most_calls(wanted: int, rtp_ports: tuple[int, int], descriptors: int) -> int:
    """Legs that may be up at once before descriptors or RTP ports run out; ``wanted`` 0 is as many as go."""
    low, high = rtp_ports
    by_ports = (high - low + 1 - SANDBOX_RTP) // 2
    for_http = most_http_connections(descriptors) - HTTP_CONNECTIONS_KEPT
    by_files = (descriptors - DESCRIPTORS_KEPT - for_http - most_streams(descriptors)) // DESCRIPTORS_A_LEG
    room = max(1, min(by_ports, by_files))
    return min(wanted, room) if wanted else room


def most_streams(descriptors: int) -> int:
    """SIP streams that may be open at once before calls would want for descriptors."""
    share = int((descriptors - DESCRIPTORS_KEPT) * SHARE_OF_STREAMS)
    return max(1, min(TransportLimits().streams, share))


def most_http_connections(descriptors: int) -> int:
    """HTTP connections that may be open at once."""
    share = int((descriptors - DESCRIPTORS_KEPT) * SHARE_OF_HTTP)
    return min(HTTP_CONNECTIONS, HTTP_CONNECTIONS_KEPT + max(0, share))
