# Commands for ports.

cdef class Ports(Owner):
    def open(self, host):
        cdef State* s = self.s
        cdef Port* port
        cdef int index = 0
        cdef bint is_open = False
        self._check()
        drawn = os.urandom(10 + CNAME_SIZE // 2)
        pair = self.pairs.bind(host)
        port = <Port*>calloc(1, sizeof(Port))
        if port == NULL:
            c_close(pair.rtp)
            c_close(pair.rtcp)
            raise MemoryError
        port.out.ssrc = int.from_bytes(drawn[:4], "big")
        port.out.timestamp = int.from_bytes(drawn[4:8], "big")
        port.out.next_sequence = int.from_bytes(drawn[8:10], "big") >> 1  # not near its wrap, for the sake of SRTP
        port.out.at = port.first_at = port.last_at = port.reports.round_trip = -1.0
        port.dtmf.event = -1
        cname = drawn[10:].hex().encode()
        memcpy(port.cname, <const char*>cname, CNAME_SIZE)
        port.rtp, port.rtcp = pair.rtp, pair.rtcp
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
                  dtmf_receive_payload_type, ptime=20, bint send, bint receive, signalling_host,
                  receive_payload_type=None, other_payload_type=None):
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
        settings.receive_type = payload_type_of(
            payload_type if receive_payload_type is None else receive_payload_type
        )
        settings.other_type = payload_type_of(other_payload_type)
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
                port.discarded = rb_discarded(port.rtp)
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
