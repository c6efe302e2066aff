# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""The compiled pump: the twin of `ringback.media.pure`, whose tests it shares.

    Python threads:  CorePump's methods --(mutex, without the GIL)--> State <-- pump_thread
    pump_thread:     epoll on all sockets and a timer of 20 ms while there are any; never takes the GIL

A packet is received, judged, changed in place and sent again under the mutex, which goes to a command that waits for
it after a few packets; whoever has it meanwhile runs with the thread's priority. Buffers to play are the caller's
`bytes`: they are kept alive by a reference that is given back when Python comes by (`events` or `play`).

The parts that never take the GIL: system, types, sound (tables, mixing), stream (lock, statistics, continuity), rtcp,
socket, notice (events on their way), tap, port (packets), tick (each 20 ms), priority, thread, table (who is connected
to whom, and the end). Python's side, py: values, owner (life and events), and the commands for ports, sounds and mixers,
each a class on the one before. Apart from all that: the datagrams of SIP's sockets, which Python's own thread takes.
"""

import os
import secrets
import socket

from ringback.media import g711
from ringback.media.datagrams import PureDatagrams
from ringback.media.errors import Overload, UnknownPort, UsageError
from ringback.media.limits import MAX_AUDIO
from ringback.media.pump import REPORT_AFTER, SILENT_AFTER, Port as PortName, PortStats, RemoteReport, quality
from ringback.media.sockets import PortPairs, canonical
from ringback.rtp import tones
from ringback.rtp.dtmf import DIGITS as KEYS, checked
from ringback.rtp.errors import UsageError as RtpUsageError
from ringback.rtp.source import nat_is_evident

include "_core_system.pxi"
include "_core_datagrams.pxi"
include "_core_types.pxi"
include "_core_sound.pxi"
include "_core_stream.pxi"
include "_core_rtcp.pxi"
include "_core_socket.pxi"
include "_core_notice.pxi"
include "_core_tap.pxi"
include "_core_port.pxi"
include "_core_tick.pxi"
include "_core_priority.pxi"
include "_core_thread.pxi"
include "_core_table.pxi"
include "_core_py_values.pxi"
include "_core_py_owner.pxi"
include "_core_py_ports.pxi"
include "_core_py_sounds.pxi"
include "_core_py_mixers.pxi"

_fill_tables()


def limits() -> dict[str, int]:
    """What was compiled in, for the test that holds it to the limits of the pure twin."""
    return {
        "MAX_DATAGRAM": MAX_DATAGRAM,
        "MAX_CANDIDATES": CANDIDATES,
        "CONSISTENT_PACKETS": CONSISTENT,
        "MAX_DIGITS": DIGITS_ROOM,
        "MAX_FRAMES": FRAMES_AT_ONCE,
        "FRAME_RATE": FRAME_RATE,
        "MAX_DIGITS_AT_ONCE": DIGITS_AT_ONCE,
        "DIGIT_RATE": DIGIT_RATE,
        "MAX_PORTS": PORTS,
        "MAX_MIXERS": MIXERS,
        "MAX_TAPS": TAPS,
        "MAX_EVENTS": EVENTS,
        "MAX_FRAME_EVENTS": FRAME_EVENTS,
        "FRAME": FRAME,
        "CAPACITY": CAPACITY,
        "DELAY": DELAY,
        "LATE_IN_A_ROW": LATE_IN_A_ROW,
        "WINDOW": WINDOW,
        "MOST": MOST,
        "SHORT": SHORT,
        "FADE": FADE,
        "JOIN": JOIN,
    }


def played(script: list[tuple[int, int, bytes] | None]) -> list[bytes]:
    """What a playout buffer gives (16-bit samples), for the test that holds it to the pure twin.

    Each step is a packet (SSRC, timestamp, mu-law of at most MAX_DATAGRAM bytes), or None where a frame is read.
    """
    cdef Playout* buffer = <Playout*>calloc(1, sizeof(Playout))
    cdef list frames = []
    cdef bytes ulaw
    if buffer == NULL:
        raise MemoryError
    for step in script:
        if step is None:
            playout_read(buffer)
            frames.append((<const char*>buffer.own)[: FRAME * <int>sizeof(int16_t)])
        else:
            ssrc, timestamp, ulaw = step
            size = min(len(ulaw), <int>MAX_DATAGRAM)
            playout_write(buffer, ssrc, timestamp, <const uint8_t*><const char*>ulaw, size)
    free(buffer)
    return frames
