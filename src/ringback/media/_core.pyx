# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""The compiled pump: the twin of `ringback.media.pure`, whose tests it shares.

    Python threads:  CorePump's methods --(mutex, without the GIL)--> State <-- pump_thread
    pump_thread:     epoll on all sockets and a timer of 20 ms while there are any; never takes the GIL

A packet is received, judged, changed in place and sent again under the mutex, which goes to a command that waits for
it after a few packets; whoever has it meanwhile runs with the thread's priority. Buffers to play are the caller's `bytes`: they are kept alive by
a reference that is given back when Python comes by (`events` or `play`).

The parts: types, sound (tables, mixing), stream (lock, statistics, continuity), rtcp, socket, port, priority, thread,
table (who is connected to whom, and the end).
"""

import secrets
import socket

from ringback.media import g711
from ringback.media.errors import Overload, UnknownPort, UsageError
from ringback.media.limits import MAX_AUDIO
from ringback.media.pump import REPORT_AFTER, SILENT_AFTER, Port as PortName, PortStats, RemoteReport, quality
from ringback.media.sockets import PortPairs, canonical
from ringback.rtp import tones
from ringback.rtp.dtmf import checked
from ringback.rtp.errors import UsageError as RtpUsageError
from ringback.rtp.source import nat_is_evident

include "_core_types.pxi"
include "_core_sound.pxi"
include "_core_stream.pxi"
include "_core_rtcp.pxi"
include "_core_socket.pxi"
include "_core_port.pxi"
include "_core_priority.pxi"
include "_core_thread.pxi"
include "_core_table.pxi"

_fill_tables()


cdef object address_of(const Endpoint* endpoint):
    if endpoint.size == 0:
        return None
    if endpoint.address.any.sa_family == AF_INET:
        host = socket.inet_ntop(socket.AF_INET, (<char*>&endpoint.address.v4.sin_addr)[:4])
    else:
        host = socket.inet_ntop(socket.AF_INET6, (<char*>&endpoint.address.v6.sin6_addr)[:16])
    return host, udp_port(endpoint)


cdef Endpoint endpoint_of(host, int port) except *:
    cdef Endpoint made
    cdef bytes text = canonical(host).encode()
    memset(&made, 0, sizeof(made))
    if not 0 <= port <= 65535:
        raise UsageError(f"UDP port {port}")
    if inet_pton(AF_INET, text, &made.address.v4.sin_addr) == 1:
        made.address.v4.sin_family = AF_INET
        made.size = sizeof(sockaddr_in)
    elif inet_pton(AF_INET6, text, &made.address.v6.sin6_addr) == 1:
        made.address.v6.sin6_family = AF_INET6
        made.size = sizeof(sockaddr_in6)
    else:
        raise UsageError(f"{host!r} has a scope")
    made.address.v4.sin_port = htons(<uint16_t>port)
    return made


cdef int payload_type_of(object number) except -2:
    if number is None:
        return -1
    if not 0 <= number < 128:
        raise UsageError(f"payload type {number}")
    return number


cdef object stats_of(const Port* port):
    cdef const Reports* reports = &port.reports
    lost = port.lost_before + reception_lost(&port.reception)
    jitter = (port.reception.jitter >> 4) / 8000.0
    rtt = reports.round_trip if reports.round_trip >= 0 else None
    remote = None
    if reports.has_remote:
        remote = RemoteReport(reports.fraction_lost / 256.0, reports.lost, reports.jitter / 8000.0)
    return PortStats(
        packets_in=port.packets_in,
        bytes_in=port.bytes_in,
        packets_out=port.out.packets,
        bytes_out=port.out.octets,
        lost=lost,
        jitter=jitter,
        mos=quality(lost=lost, received=port.packets_in, jitter=jitter, round_trip=rtt),
        first_packet_at=port.first_at - port.opened_at if port.first_at >= 0 else None,
        last_packet_at=port.last_at - port.opened_at if port.last_at >= 0 else None,
        source=address_of(&port.lock.source),
        rtt=rtt,
        strangers=port.strangers,
        malformed=port.malformed,
        remote=remote,
    )


cdef object event_of(const Notice* notice):
    if notice.kind == FRAMES:
        return "frames", notice.id, (<const char*>notice.data)[:FRAME], notice.number
    if notice.kind == DIGIT:
        return "digit", notice.id, chr(DIGITS[notice.flag]), notice.number
    if notice.kind == PLAYED:
        return "played", notice.id, notice.number, bool(notice.flag)
    if notice.kind == LOCKED:
        return "locked", notice.id, ((<const char*>notice.data)[: notice.size].decode(), notice.number)
    if notice.kind == SILENT:
        return "silent", notice.id, notice.value
    if notice.kind == HEARD:
        return "heard", notice.id
    return "mixer_played", notice.id, notice.number


def limits() -> dict[str, int]:
    """What was compiled in, for the test that holds it to the limits of the pure twin."""
    return {
        "MAX_DATAGRAM": MAX_DATAGRAM,
        "MAX_CANDIDATES": CANDIDATES,
        "CONSISTENT_PACKETS": CONSISTENT,
        "MAX_DIGITS": DIGITS_ROOM,
        "MAX_PORTS": PORTS,
        "MAX_MIXERS": MIXERS,
        "MAX_TAPS": TAPS,
        "MAX_EVENTS": EVENTS,
        "MAX_FRAME_EVENTS": FRAME_EVENTS,
        "FRAME": FRAME,
        "CAPACITY": CAPACITY,
        "DELAY": DELAY,
        "LATE_IN_A_ROW": LATE_IN_A_ROW,
    }


cdef class CorePump:
    """See `ringback.media.pump.Pump`."""

    cdef State* s
    cdef bint closed
    cdef bint started
    cdef object pairs
    cdef dict names
    cdef dict taps

    def __cinit__(self, rtp_ports, *, double report_after=REPORT_AFTER, double silent_after=SILENT_AFTER):
        self.pairs = PortPairs(rtp_ports)
        self.names = {}
        self.taps = {}
        self.s = <State*>calloc(1, sizeof(State))
        if self.s == NULL:
            raise MemoryError
        self.s.ports = <Port**>calloc(PORTS, sizeof(Port*))
        self.s.mixers = <Mixer**>calloc(MIXERS, sizeof(Mixer*))
        self.s.busy = <uint8_t*>calloc(PORTS, sizeof(uint8_t))
        if self.s.ports == NULL or self.s.mixers == NULL or self.s.busy == NULL:
            raise MemoryError
        if not init_mutex(&self.s.mutex):
            raise OSError(errno, "the pump cannot have its mutex")
        self.s.report_after = report_after
        self.s.silent_after = silent_after
        self.s.random = secrets.randbits(63) | 1
        self.s.epoll = epoll_create1(EPOLL_CLOEXEC)
        self.s.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        self.s.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        self.s.notice_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        if min(self.s.epoll, self.s.timer, self.s.wake, self.s.notice_fd) < 0:
            raise OSError(errno, "the pump cannot have its descriptors")
        self._start()

    cdef _start(self):
        cdef sigset_t signals, before
        if not set_timer(self.s, True) or not watch(self.s, self.s.timer, TIMER):
            raise OSError(errno, "the pump cannot have its timer")
        if not watch(self.s, self.s.wake, WAKE):
            raise OSError(errno, "the pump cannot be woken")
        sigfillset(&signals)               # signals belong to Python's main thread
        pthread_sigmask(SIG_SETMASK, &signals, &before)
        failure = pthread_create(&self.s.thread, NULL, pump_thread, self.s)
        pthread_sigmask(SIG_SETMASK, &before, NULL)
        if failure:
            raise OSError(failure, "the pump cannot have its thread")
        self.started = True

    cdef _check(self):
        if self.closed:
            raise UsageError("the pump is closed")

    # Events

    def fileno(self):
        return self.s.notice_fd

    def events(self):
        cdef State* s = self.s
        cdef Notice* notices
        cdef uint64_t counter
        cdef int count, n
        if self.closed:
            return []
        with nogil:
            acquire(s)
            if not s.closing:
                c_read(s.notice_fd, &counter, sizeof(counter))
            notices = s.notices
            count = s.notice_count
            s.notices = NULL
            s.notice_count = s.notice_room = 0
            release(s)
        try:
            return [event_of(&notices[n]) for n in range(count)]
        finally:
            free(notices)
            self._release_buffers()

    cdef _release_buffers(self):
        cdef State* s = self.s
        cdef PyObject** done
        cdef int count, n
        with nogil:
            acquire(s)
            done = s.done
            count = s.done_count
            if count:                      # the thread goes on with an array of its own
                s.done = <PyObject**>malloc(s.done_room * sizeof(PyObject*))
                if s.done == NULL:
                    s.done = done
                    count = 0
                else:
                    s.done_count = 0
                    s.buffers -= count
            release(s)
        if count:
            for n in range(count):
                Py_DECREF(<object>done[n])
            free(done)

    # Ports

    def open(self, host):
        cdef State* s = self.s
        cdef Port* port
        cdef int index = 0
        cdef bint is_open = False
        self._check()
        pair = self.pairs.bind(host)
        port = <Port*>calloc(1, sizeof(Port))
        if port == NULL:
            raise MemoryError
        drawn = secrets.token_bytes(10 + CNAME_SIZE // 2)
        port.out.ssrc = int.from_bytes(drawn[:4], "big")
        port.out.timestamp = int.from_bytes(drawn[4:8], "big")
        port.out.next_sequence = int.from_bytes(drawn[8:10], "big") >> 1  # not near its wrap, for the sake of SRTP
        port.out.at = port.first_at = port.last_at = port.reports.round_trip = -1.0
        port.dtmf.event = -1
        cname = drawn[10:].hex().encode()
        memcpy(port.cname, <const char*>cname, CNAME_SIZE)
        port.rtp, port.rtcp = pair.rtp.detach(), pair.rtcp.detach()
        port.is_wild = pair.host in ("0.0.0.0", "::")
        port.opened_at = port.quiet_since = port.idle_since = monotonic()
        with nogil:
            acquire(s)
            port.report_at = port.opened_at + report_interval(s)
            while index < PORTS and s.ports[index] != NULL:
                index += 1
            if index < PORTS and not s.closing:
                s.last_number += 1
                port.id = s.last_number << INDEX_BITS | index
                if watch(s, port.rtp, port.id << 1) and watch(s, port.rtcp, port.id << 1 | 1):
                    is_open = True
                    s.ports[index] = port
                    s.port_top = max(s.port_top, index + 1)
                    if s.asleep:
                        set_timer(s, True)
            release(s)
        if not is_open:
            c_close(port.rtp)
            c_close(port.rtcp)
            free(port)
            self.pairs.release(pair.host, pair.port)
            raise Overload("the pump can have no more ports")
        self.names[port.id] = (pair.host, pair.port)
        return PortName(port.id, pair.host, pair.port)

    def configure(self, int64_t port_id, *, remote, rtcp_remote, payload_type, codec, dtmf_payload_type,
                  dtmf_receive_payload_type, ptime=20, bint send, bint receive, signalling_host):
        cdef State* s = self.s
        cdef Port* port
        cdef Configuration settings
        cdef Endpoint announced, signalling
        cdef bint nat = False
        self._check()
        if codec not in ("PCMU", "PCMA"):
            raise UsageError(f"codec {codec!r}")
        memset(&settings, 0, sizeof(settings))
        memset(&signalling, 0, sizeof(signalling))
        settings.active = True
        settings.codec = ULAW if codec == "PCMU" else ALAW
        settings.payload_type = payload_type_of(int(payload_type))
        settings.dtmf_send = payload_type_of(dtmf_payload_type)
        settings.dtmf_receive = payload_type_of(dtmf_receive_payload_type)
        settings.send = send
        settings.receive = receive
        announced = endpoint_of(remote[0], remote[1])
        if rtcp_remote is not None:
            settings.rtcp_remote = endpoint_of(rtcp_remote[0], rtcp_remote[1])
        if signalling_host is not None:
            signalling = endpoint_of(signalling_host, 0)
            nat = nat_is_evident(canonical(remote[0]), canonical(signalling_host))
        with nogil:
            acquire(s)
            port = port_of(s, port_id)
            if port != NULL:
                if not same_endpoint(&announced, &port.lock.remote):
                    port.rtcp_source.size = 0
                port.rtcp_locked = False
                open_to_all(port)
                port.settings = settings
                lock_configure(&port.lock, &announced, &signalling, nat)
                port.quiet_since = port.idle_since = monotonic()
                if port.silent:
                    port.heard = port.silent = False
            release(s)
        if port == NULL:
            raise UnknownPort(f"port {port_id}")

    def close_port(self, int64_t port_id):
        cdef State* s = self.s
        cdef Port* port
        cdef Tap* tap
        self._check()
        with nogil:
            acquire(s)
            port = port_of(s, port_id)
            if port != NULL:
                drop_port(s, port)
            release(s)
        if port == NULL:
            raise UnknownPort(f"port {port_id}")
        numbers = stats_of(port)           # nobody else knows the port any more
        tap = port.taps
        while tap != NULL:
            self.taps.pop(tap.tap_id, None)
            tap = tap.next
        free_port(port)
        self.pairs.release(*self.names.pop(port_id))
        return numbers

    def stats(self, int64_t port_id):
        cdef State* s = self.s
        cdef Port* port
        cdef Port copy
        self._check()
        with nogil:
            acquire(s)
            port = port_of(s, port_id)
            if port != NULL:
                copy = port[0]
            release(s)
        if port == NULL:
            raise UnknownPort(f"port {port_id}")
        return stats_of(&copy)

    def connect(self, int64_t a, int64_t b):
        cdef State* s = self.s
        cdef Port* one
        cdef Port* other
        self._check()
        with nogil:
            acquire(s)
            one = port_of(s, a)
            other = port_of(s, b)
            if one != NULL and other != NULL and one != other:
                part(one)
                part(other)
                leave_mixer(one)
                leave_mixer(other)
                one.peer = other
                other.peer = one
            release(s)
        if one == NULL or other == NULL:
            raise UnknownPort(f"port {a if one == NULL else b}")
        if one == other:
            raise UsageError("a port cannot be connected to itself")

    def disconnect(self, int64_t a, int64_t b):
        cdef State* s = self.s
        cdef Port* one
        cdef Port* other
        self._check()
        with nogil:
            acquire(s)
            one = port_of(s, a)
            other = port_of(s, b)
            if one != NULL and other != NULL and one.peer == other:
                part(one)
            release(s)

    # Playing and digits

    cdef _play(self, int64_t port_id, int64_t mixer_id, int64_t play_id, bytes audio, int64_t loops):
        """To a port, or to a mixer when `port_id` is less than 0."""
        cdef State* s = self.s
        cdef Port* port = NULL
        cdef Mixer* mixer = NULL
        cdef Playing* playing = NULL
        cdef bint started = False
        cdef const uint8_t* data = <const uint8_t*><const char*>audio
        cdef int64_t size = len(audio)
        cdef PyObject* owner = <PyObject*>audio
        self._check()
        if size > MAX_AUDIO:
            raise UsageError(f"{size} bytes of audio, at most {MAX_AUDIO}")
        Py_INCREF(audio)
        with nogil:
            acquire(s)
            port = port_of(s, port_id)
            mixer = mixer_of(s, mixer_id)
            if port != NULL:
                end_playing(s, port, True)
                playing = &port.playing
            elif mixer != NULL:
                if mixer.playing.active:
                    emit(s, MIXER_PLAYED, mixer.id, mixer.playing.play_id, 1, 0, NULL, 0)
                    end_buffer(s, &mixer.playing)
                playing = &mixer.playing
            if playing != NULL:
                started = start_playing(s, playing, play_id, data, size, loops, owner)
                if port != NULL:
                    occupy(s, port)
            release(s)
        if not started:
            Py_DECREF(audio)
        self._release_buffers()
        if playing == NULL:
            raise UnknownPort(f"port {port_id}" if port_id >= 0 else f"mixer {mixer_id}")
        if not started:
            raise MemoryError

    def play(self, int64_t port_id, int64_t play_id, audio, int64_t loops):
        if loops < 0:
            raise UsageError(f"{loops} loops")
        self._play(max(port_id, 0), -1, play_id, bytes(audio), loops)

    def stop(self, int64_t port_id):
        cdef State* s = self.s
        cdef Port* port
        self._check()
        with nogil:
            acquire(s)
            port = port_of(s, port_id)
            if port != NULL:
                end_playing(s, port, True)
                end_spelling(s, port, True)
            release(s)

    def send_digits(self, int64_t port_id, digits, int64_t play_id):
        cdef State* s = self.s
        cdef Port* port
        cdef Spelling spelling
        self._check()
        try:
            text = checked(digits).encode()
        except RtpUsageError as error:
            raise UsageError(str(error)) from error
        memset(&spelling, 0, sizeof(spelling))
        spelling.active = spelling.has_id = True
        spelling.play_id = play_id
        spelling.size = len(text)
        memcpy(spelling.digits, <const char*>text, <size_t>spelling.size)
        with nogil:
            acquire(s)
            port = port_of(s, port_id)
            if port != NULL:
                end_spelling(s, port, True)
                port.spelling = spelling
                occupy(s, port)
            release(s)
        if port == NULL:
            raise UnknownPort(f"port {port_id}")

    # Taps

    def tap(self, int64_t port_id, int64_t tap_id, track):
        cdef State* s = self.s
        cdef Port* port
        cdef Tap* tap
        cdef bint is_set = False
        self._check()
        if track not in ("inbound", "outbound"):
            raise UsageError(f"track {track!r}")
        if tap_id in self.taps:
            raise UsageError(f"tap {tap_id} is set already")
        self.taps[tap_id] = port_id        # before the GIL is released, so that an id is given once
        tap = <Tap*>calloc(1, sizeof(Tap))
        if tap != NULL:
            tap.tap_id = tap_id
            tap.is_inbound = track == "inbound"
            tap.since = monotonic()
        with nogil:
            acquire(s)
            port = port_of(s, port_id)
            if port != NULL and tap != NULL and port.tap_count < TAPS:
                tap.next = port.taps
                port.taps = tap
                port.tap_count += 1
                is_set = True
            release(s)
        if is_set:
            return
        del self.taps[tap_id]
        if tap == NULL:
            raise MemoryError
        free(tap)
        if port == NULL:
            raise UnknownPort(f"port {port_id}")
        raise Overload(f"{TAPS} taps on one port")

    def untap(self, int64_t tap_id):
        cdef State* s = self.s
        cdef Port* port
        cdef Tap** link
        cdef Tap* tap = NULL
        cdef int64_t port_id
        self._check()
        port_id = self.taps.pop(tap_id, -1)
        with nogil:
            acquire(s)
            port = port_of(s, port_id)
            if port != NULL:
                link = &port.taps
                while link[0] != NULL and link[0].tap_id != tap_id:
                    link = &link[0].next
                tap = link[0]
                if tap != NULL:
                    link[0] = tap.next
                    port.tap_count -= 1
            release(s)
        free(tap)

    # Mixers

    def open_mixer(self):
        cdef State* s = self.s
        cdef Mixer* mixer
        cdef int index = 0
        self._check()
        mixer = <Mixer*>calloc(1, sizeof(Mixer))
        if mixer == NULL:
            raise MemoryError
        with nogil:
            acquire(s)
            while index < MIXERS and s.mixers[index] != NULL:
                index += 1
            if index < MIXERS:
                s.last_number += 1
                mixer.id = s.last_number << INDEX_BITS | index
                s.mixers[index] = mixer
                s.mixer_top = max(s.mixer_top, index + 1)
                if s.asleep:
                    set_timer(s, True)
            release(s)
        if index == MIXERS:
            free(mixer)
            raise Overload("too many mixers")
        return mixer.id

    def mix(self, int64_t mixer_id, int64_t port_id, *, bint muted=False, bint deaf=False):
        cdef State* s = self.s
        cdef Mixer* mixer
        cdef Port* port
        cdef Playout* playout
        self._check()
        playout = <Playout*>calloc(1, sizeof(Playout))
        if playout == NULL:
            raise MemoryError
        with nogil:
            acquire(s)
            mixer = mixer_of(s, mixer_id)
            port = port_of(s, port_id)
            if mixer != NULL and port != NULL:
                part(port)
                if port.mixer != mixer:
                    leave_mixer(port)
                    port.playout = playout
                    playout = NULL
                    port.mixer = mixer
                    port.next_member = mixer.members
                    mixer.members = port
                port.muted = muted
                port.deaf = deaf
                occupy(s, port)
            release(s)
        free(playout)
        if mixer == NULL or port == NULL:
            raise UnknownPort(f"mixer {mixer_id}" if mixer == NULL else f"port {port_id}")

    def set_muted(self, int64_t mixer_id, int64_t port_id, bint muted):
        cdef State* s = self.s
        cdef Mixer* mixer
        cdef Port* port
        cdef bint is_member
        self._check()
        with nogil:
            acquire(s)
            mixer = mixer_of(s, mixer_id)
            port = port_of(s, port_id)
            is_member = mixer != NULL and port != NULL and port.mixer == mixer
            if is_member:
                port.muted = muted
            release(s)
        if not is_member:
            raise UnknownPort(f"port {port_id} is not in mixer {mixer_id}")

    def unmix(self, int64_t mixer_id, int64_t port_id):
        cdef State* s = self.s
        cdef Mixer* mixer
        cdef Port* port
        self._check()
        with nogil:
            acquire(s)
            mixer = mixer_of(s, mixer_id)
            port = port_of(s, port_id)
            if mixer != NULL and port != NULL and port.mixer == mixer:
                leave_mixer(port)
            release(s)

    def close_mixer(self, int64_t mixer_id):
        cdef State* s = self.s
        cdef Mixer* mixer
        self._check()
        with nogil:
            acquire(s)
            mixer = mixer_of(s, mixer_id)
            if mixer != NULL:
                drop_mixer(s, mixer)
            release(s)

    def play_mixer(self, int64_t mixer_id, int64_t play_id, audio):
        self._play(-1, max(mixer_id, 0), play_id, bytes(audio), 1)

    # The end

    def close(self):
        """Say goodbye on all ports and end the thread; memory is freed when nobody knows the pump any more."""
        if self.closed:
            return
        self.closed = True
        shut(self.s, self.started)
        self._release_buffers()
        for host, port in self.names.values():
            self.pairs.release(host, port)

    def __dealloc__(self):
        cdef int n
        if self.s == NULL:
            return
        if not self.closed:
            shut(self.s, self.started)
        for n in range(self.s.done_count):
            Py_DECREF(<object>self.s.done[n])
        free(self.s.notices)
        free(self.s.done)
        free(self.s.ports)
        free(self.s.busy)
        free(self.s.mixers)
        pthread_mutex_destroy(&self.s.mutex)
        free(self.s)
