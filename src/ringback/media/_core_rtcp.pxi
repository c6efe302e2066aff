# RTCP of a port: ringback.rtp.rtcp and ringback.rtp.report.

cdef inline double monotonic() noexcept nogil:
    cdef timespec at
    clock_gettime(CLOCK_MONOTONIC, &at)
    return at.tv_sec + at.tv_nsec * 1e-9


cdef inline double wall_clock() noexcept nogil:
    cdef timespec at
    clock_gettime(CLOCK_REALTIME, &at)
    return at.tv_sec + at.tv_nsec * 1e-9


cdef inline uint64_t ntp_of(double wall) noexcept nogil:
    cdef uint64_t seconds = <uint64_t>wall
    return ((seconds + 2208988800ULL) << 32) + <uint64_t>((wall - seconds) * 4294967296.0)


cdef double report_interval(State* s) noexcept nogil:
    """Seconds to the next report: 0.5 to 1.5 times the mean, RFC 3550 section 6.3.1."""
    s.random ^= s.random << 13             # xorshift; nothing here needs to be unpredictable
    s.random ^= s.random >> 7
    s.random ^= s.random << 17
    return s.report_after * (0.5 + (s.random % 1000) / 1000.0)


cdef int write_block(Port* port, uint8_t* data, double now) noexcept nogil:
    """A report block about the peer, RFC 3550 section 6.4.1; 0 or 24 bytes."""
    cdef Reception* r = &port.reception
    if not r.active or r.received == r.prior_received:
        return 0
    rb_put32(data, r.ssrc)
    rb_put32(data + 4, <uint32_t>(reception_lost(r) & 0xFFFFFF) | <uint32_t>reception_fraction(r) << 24)
    rb_put32(data + 8, <uint32_t>(r.cycles + r.highest))
    rb_put32(data + 12, <uint32_t>(r.jitter >> 4))
    rb_put32(data + 16, port.reports.last_sr)
    rb_put32(data + 20, <uint32_t>(max(0.0, now - port.reports.last_sr_at) * 65536.0) if port.reports.last_sr else 0)
    return 24


cdef int write_compound(Port* port, uint8_t* data, double now, double wall, bint bye) noexcept nogil:
    """SR when something was sent since the last report, else RR; SDES; BYE at the end. At most 100 bytes."""
    cdef Outbound* out = &port.out
    cdef uint64_t ntp
    cdef int size = 8, start
    data[1] = 201
    if out.packets > port.reports.packets_told:
        data[1] = 200
        ntp = ntp_of(wall)
        rb_put32(data + 8, <uint32_t>(ntp >> 32))
        rb_put32(data + 12, <uint32_t>ntp)
        rb_put32(data + 16, out.timestamp + <uint32_t>rounded((now - out.at) * 8000.0))
        rb_put32(data + 20, <uint32_t>out.packets)
        rb_put32(data + 24, <uint32_t>out.octets)
        size = 28
        port.reports.packets_told = out.packets
    start = size
    size += write_block(port, data + size, now)
    data[0] = 0x81 if size > start else 0x80
    rb_put16(data + 2, <uint16_t>(size // 4 - 1))
    rb_put32(data + 4, out.ssrc)
    start = size                           # SDES with a CNAME of 16 bytes: 28 bytes, the last two zero
    memset(data + start, 0, 28)
    data[start] = 0x81
    data[start + 1] = 202
    rb_put16(data + start + 2, 6)
    rb_put32(data + start + 4, out.ssrc)
    data[start + 8] = 1
    data[start + 9] = CNAME_SIZE
    memcpy(data + start + 10, port.cname, CNAME_SIZE)
    size += 28
    if bye:
        data[size] = 0x81
        data[size + 1] = 203
        rb_put16(data + size + 2, 1)
        rb_put32(data + size + 4, out.ssrc)
        size += 8
    return size


cdef Endpoint with_port(const Endpoint* host, int port) noexcept nogil:
    cdef Endpoint made = host[0]
    made.address.v4.sin_port = htons(<uint16_t>(port if port < 65536 else 0))
    return made


cdef Endpoint rtcp_target(Port* port) noexcept nogil:
    cdef Endpoint announced = port.settings.rtcp_remote
    if port.rtcp_source.size:
        return port.rtcp_source
    if not port.settings.active:
        announced.size = 0
        return announced
    if announced.size == 0:
        announced = with_port(&port.lock.remote, udp_port(&port.lock.remote) + 1)
    if port.lock.source.size and not same_host(&port.lock.source, &announced):
        return with_port(&port.lock.source, udp_port(&port.lock.source) + 1)
    return announced


cdef void send_report(Port* port, double now, double wall, bint bye) noexcept nogil:
    cdef uint8_t data[128]
    cdef Endpoint target = rtcp_target(port)
    cdef int size
    if not may_be_sent_to(&target) or (not port.reception.active and port.out.packets == 0):
        return
    size = write_compound(port, data, now, wall, bye)
    rb_send(port.rtcp, data, <size_t>size, &target.address.any, target.size)


cdef void hear_block(Port* port, const uint8_t* block, double wall) noexcept nogil:
    """How the peer receives us."""
    cdef Reports* reports = &port.reports
    cdef uint32_t losses = rb_get32(block + 4)
    cdef uint32_t last_sr = rb_get32(block + 16)
    cdef uint32_t round_trip
    if rb_get32(block) != port.out.ssrc:
        return
    reports.has_remote = True
    reports.fraction_lost = losses >> 24
    reports.lost = <int>(losses & 0xFFFFFF) - (0x1000000 if losses & 0x800000 else 0)
    reports.jitter = rb_get32(block + 12)
    if last_sr == 0:
        return
    round_trip = <uint32_t>(ntp_of(wall) >> 16) - last_sr - rb_get32(block + 20)
    if round_trip < 10 * 65536:            # more is a peer's mistake
        reports.round_trip = round_trip / 65536.0


cdef int compound_part(const uint8_t* data, int left) noexcept nogil:
    """Size of the packet at `data`; -1 when it is cut or its blocks do not fit."""
    cdef int size, count, reason, padding = 0
    if left < 4 or data[0] >> 6 != 2:
        return -1
    size = 4 * (rb_get16(data + 2) + 1)
    if size > left:
        return -1
    if data[0] & 0x20:                     # only the last may be padded, RFC 3550 section 6.4.1
        padding = data[size - 1]
        if size != left or padding == 0 or padding % 4 or padding > size - 4:
            return -1
    count = data[0] & 0x1F
    if data[1] == 200 and size - padding < 28 + 24 * count:
        return -1
    if data[1] == 201 and size - padding < 8 + 24 * count:
        return -1
    if data[1] == 203:
        reason = size - padding - 4 - 4 * count       # bytes: none, or its length, its text, and zeros
        if reason < 0 or (reason and data[4 + 4 * count] >= reason):
            return -1
    return size


cdef bint is_compound(const uint8_t* data, ssize_t size) noexcept nogil:
    cdef int start = 0, part, n
    if size < 8 or size > MAX_DATAGRAM or (data[1] != 200 and data[1] != 201):
        return False
    for n in range(64):                    # ringback.rtp.limits.MAX_RTCP_ITEMS
        part = compound_part(data + start, <int>size - start)
        if part < 0:
            return False
        start += part
        if start == size:
            return True
    return False


cdef bint is_believed(Port* port, const Endpoint* source) noexcept nogil:
    """The first that comes from the media's host, or was announced, until a new offer or another source."""
    cdef const Endpoint* announced = &port.settings.rtcp_remote
    if not port.settings.active:
        return False
    if port.rtcp_locked:
        return same_endpoint(source, &port.rtcp_source)
    if port.lock.source.size:
        return same_host(source, &port.lock.source) or same_endpoint(source, announced)
    return same_host(source, lock_target(&port.lock)) or same_host(source, announced)


cdef void on_rtcp(Port* port, const uint8_t* data, ssize_t size, const Endpoint* source, double now, double wall) noexcept nogil:
    """A datagram of the RTCP socket."""
    cdef int start = 0, part, block, n
    if not is_believed(port, source):
        port.strangers += 1
        return
    if not is_compound(data, size):
        port.malformed += 1
        return
    port.rtcp_source = source[0]
    port.rtcp_locked = True
    while start < size:
        part = 4 * (rb_get16(data + start + 2) + 1)
        if data[start + 1] == 200:
            port.reports.last_sr = rb_get32(data + start + 10)  # the middle of the NTP time
            port.reports.last_sr_at = now
        if data[start + 1] == 200 or data[start + 1] == 201:
            block = start + (28 if data[start + 1] == 200 else 8)
            for n in range(data[start] & 0x1F):
                hear_block(port, data + block + 24 * n, wall)
        start += part
