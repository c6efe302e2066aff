"""What peers may cost the SIP transports, and what the transports report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ringback.sip.errors import SipSyntaxError
from ringback.sip.flow import Flow, Hop
from ringback.sip.message import Request, Response


class TransportLimits(NamedTuple):
    """Bounds with their reasons; times in seconds, sizes in bytes."""

    datagrams_per_turn: int = 64  # then timers and streams get their turn: about 5 ms of calls' work
    datagrams_drained: int = 1_024  # out of the kernel's buffer in one turn, where a guard judges them: 4 ms
    turn: float = (
        0.005  # seconds of work on what was drained, and on strangers' streams; others wait no longer
    )
    stranger_read: int = 2 * 1024  # bytes of a stranger's stream in one turn: some 4 messages
    stream_read: int = 16 * 1024  # bytes of one stream in one turn: some 40 messages
    socket_buffer: int = 4 * 1024 * 1024  # 3,000 messages: a registration storm of one second
    datagram_queue: int = 4_096  # messages that wait for a full socket; beyond, UDP loses them as UDP does
    accepts_per_turn: int = 32
    streams: int = 20_000  # each costs a descriptor and some 10 kB, with TLS 25 kB
    streams_per_source: int = 200  # an office of phones behind one address
    strangers: int = 4_000  # streams that nobody vouches for yet, of the above: 100 MB with TLS
    strangers_held: int = (
        32 * 1024 * 1024
    )  # bytes of unread messages and unsent answers of all strangers together
    handshakes: float = 300.0  # TLS handshakes begun a second: at 0.75 ms each, a quarter of a core
    handshakes_at_once: float = 20.0  # 15 ms of work, before the rate above counts
    handshake_after: float = 10.0  # a TLS handshake over a satellite takes 2 s
    connect_after: float = 5.0  # a TCP connection that takes three SYNs is as good as none for a call
    first_message_after: float = 30.0  # a stream that was accepted must say something sensible
    message_after: float = 30.0  # between the first and the last byte of one message
    idle_after: float = 3_900.0  # the longest registration (3,600 s) and some slack: its flow must stay open
    stranger_idle_after: float = 300.0  # somebody types a password meanwhile; monitors ask every 30 s
    write_buffer: int = 1024 * 1024  # unsent bytes of one stream; a reader that is slower is gone
    opening_buffer: int = 256 * 1024  # bytes that wait for one connection to open
    sweep_every: float = 5.0  # how exact the times above are


class Callbacks(NamedTuple):
    """Whom the transports tell.

    on_message      one message that could be read
    on_garbage      what could not; `error.message` is the request to refuse, as far as it was read
    on_closed       a stream's number: it is gone
    on_unreachable  a hop and the `transaction` that was given to `send`; never from within `send`
    """

    on_message: Callable[[Request | Response, Flow], None]
    on_garbage: Callable[[SipSyntaxError, Flow], None]
    on_closed: Callable[[int], None]
    on_unreachable: Callable[[Hop, str], None]


@dataclass(slots=True)
class Counters:
    """What went through since the start; for metrics."""

    messages_in: int = 0
    messages_out: int = 0
    garbage: int = 0
    keep_alives: int = 0
    unreachable: int = 0
    datagrams_dropped: int = 0  # the send queue was full
    streams_accepted: int = 0
    streams_opened: int = 0
    streams_refused: int = 0  # a limit on connections
    streams_cut: int = 0  # strangers' that gave way to others, or held too much
    handshakes_failed: int = 0
    streams_expired: int = 0  # idle, silent or stuck in a message
    slow_readers: int = 0
    at_hand: int = 0  # bytes of the datagram that is worked on now; 0 for none
