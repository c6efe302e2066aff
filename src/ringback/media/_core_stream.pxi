# Endpoints, the source lock, reception statistics and the outbound stream; the twins of ringback.rtp.

cdef inline bint same_host(const Endpoint* a, const Endpoint* b) noexcept nogil:
    if a.size == 0 or b.size == 0 or a.address.any.sa_family != b.address.any.sa_family:
        return False
    if a.address.any.sa_family == AF_INET:
        return a.address.v4.sin_addr.s_addr == b.address.v4.sin_addr.s_addr
    return memcmp(a.address.v6.sin6_addr.s6_addr, b.address.v6.sin6_addr.s6_addr, 16) == 0


cdef inline int udp_port(const Endpoint* a) noexcept nogil:
    # sin_port and sin6_port are at the same place
    return ntohs(a.address.v4.sin_port)


cdef inline bint same_endpoint(const Endpoint* a, const Endpoint* b) noexcept nogil:
    return same_host(a, b) and a.address.v4.sin_port == b.address.v4.sin_port


cdef bint may_be_sent_to(const Endpoint* target) noexcept nogil:
    """False for none, for port 0 and for the unspecified address of an old hold (RFC 2543)."""
    cdef int n
    if target.size == 0 or target.address.v4.sin_port == 0:
        return False
    if target.address.any.sa_family == AF_INET:
        return target.address.v4.sin_addr.s_addr != 0
    for n in range(16):
        if target.address.v6.sin6_addr.s6_addr[n]:
            return True
    return False


# The source lock

cdef void lock_configure(Lock* lock, const Endpoint* remote, const Endpoint* signalling, bint nat) noexcept nogil:
    if not same_endpoint(remote, &lock.remote):
        lock.kept.size = 0
        lock.kept_is_trusted = False
    elif lock.source.size:
        lock.kept = lock.source
        lock.kept_is_trusted = lock.trusted
    lock.remote = remote[0]
    lock.signalling = signalling[0]
    lock.nat = nat
    lock.source.size = 0
    lock.trusted = False
    memset(lock.candidates, 0, sizeof(lock.candidates))


cdef inline const Endpoint* lock_target(const Lock* lock) noexcept nogil:
    if lock.source.size:
        return &lock.source
    return &lock.kept if lock.kept.size else &lock.remote


cdef bint is_vouched_for(const Lock* lock, const Endpoint* source) noexcept nogil:
    """The announced address; any port of the signalling host, where that is another host."""
    if same_endpoint(source, &lock.remote) or (lock.kept_is_trusted and same_endpoint(source, &lock.kept)):
        return True
    return same_host(source, &lock.signalling) and not same_host(source, &lock.remote)


cdef Candidate* candidate_of(Lock* lock, const Endpoint* source) noexcept nogil:
    cdef int n
    for n in range(CANDIDATES):
        if same_endpoint(source, &lock.candidates[n].source):
            return &lock.candidates[n]
    return NULL


cdef bint is_consistent(Lock* lock, const Endpoint* source, uint32_t ssrc, uint16_t sequence) noexcept nogil:
    cdef Candidate* found = candidate_of(lock, source)
    cdef Candidate* known
    cdef int n
    if found == NULL:
        # the one that is furthest from being believed, and of those the one unheard for longest
        found = &lock.candidates[0]
        for n in range(1, CANDIDATES):
            known = &lock.candidates[n]
            if known.count < found.count or (known.count == found.count and known.heard < found.heard):
                found = known
        found.source = source[0]
        found.count = 0
    elif found.ssrc != ssrc or sequence != <uint16_t>(found.sequence + 1):
        found.count = 0
    lock.order += 1
    found.heard = lock.order
    found.ssrc = ssrc
    found.sequence = sequence
    found.count += 1
    return found.count >= CONSISTENT


cdef int lock_offer(
    Lock* lock, const Endpoint* source, bint negotiated, uint32_t ssrc, uint16_t sequence
) noexcept nogil:
    """-1 a stranger, 0 the locked source, 1 locked by this packet."""
    cdef Candidate* candidate
    cdef bint vouched
    if same_endpoint(source, &lock.source):
        return 0
    if lock.trusted:
        return -1
    if not negotiated:
        candidate = candidate_of(lock, source)
        if candidate != NULL:
            memset(candidate, 0, sizeof(Candidate))
        return -1
    vouched = is_vouched_for(lock, source)
    if not vouched:
        if lock.source.size or not (lock.nat or same_host(source, &lock.remote)):
            return -1
        if not is_consistent(lock, source, ssrc, sequence):
            return -1
    lock.source = source[0]
    lock.trusted = vouched
    memset(lock.candidates, 0, sizeof(lock.candidates))
    return 1


# Reception, RFC 3550 appendix A

cdef void reception_restart(Reception* r, uint16_t sequence) noexcept nogil:
    r.base = r.highest = sequence
    r.cycles = 0
    r.bad = -1
    r.received = r.prior_expected = r.prior_received = 0


cdef void reception_receive(Reception* r, uint16_t sequence) noexcept nogil:
    cdef uint16_t ahead = <uint16_t>(sequence - r.highest)
    if ahead < 3000:                       # MAX_DROPOUT
        if sequence < r.highest:
            r.cycles += 65536
        r.highest = sequence
    elif ahead <= 65536 - 100:             # MAX_MISORDER
        if <int>sequence != r.bad:
            r.bad = <int>(<uint16_t>(sequence + 1))
            return
        reception_restart(r, sequence)
    r.received += 1


cdef void reception_time(Reception* r, uint32_t timestamp, double arrival) noexcept nogil:
    cdef uint32_t transit = <uint32_t>(<int64_t>(arrival * 8000.0)) - timestamp
    cdef int64_t difference
    if r.has_transit:
        difference = rb_step32(r.transit, transit)
        if difference < 0:
            difference = -difference
        if difference <= 80000:            # more is a clock that began anew
            r.jitter += difference - ((r.jitter + 8) >> 4)
    r.has_transit = True
    r.transit = transit


cdef inline int64_t reception_expected(const Reception* r) noexcept nogil:
    return r.cycles + r.highest - r.base + 1


cdef int64_t reception_lost(const Reception* r) noexcept nogil:
    cdef int64_t lost
    if not r.active:
        return 0
    lost = reception_expected(r) - r.received
    return max(<int64_t>-0x800000, min(<int64_t>0x7FFFFF, lost))


cdef int reception_fraction(Reception* r) noexcept nogil:
    cdef int64_t now_expected = reception_expected(r)
    cdef int64_t expected = now_expected - r.prior_expected
    cdef int64_t lost = expected - (r.received - r.prior_received)
    r.prior_expected = now_expected
    r.prior_received = r.received
    if expected <= 0 or lost <= 0:
        return 0
    return <int>min(<int64_t>255, (lost << 8) / expected)


# The outbound stream

cdef inline int64_t rounded(double value) noexcept nogil:
    return <int64_t>(value + 0.5) if value >= 0 else <int64_t>(value - 0.5)


cdef uint32_t out_resumed(const Outbound* out, double now) noexcept nogil:
    cdef int64_t passed
    if out.at < 0:
        return out.timestamp
    passed = max(<int64_t>out.samples, rounded((now - out.at) * 8000.0))
    return out.timestamp + <uint32_t>passed


cdef void out_sent(Outbound* out, const Stamp* stamp, uint32_t samples, int size, double now) noexcept nogil:
    cdef int step = 1 if out.at < 0 else rb_step32(out.timestamp, stamp.timestamp)
    if rb_step16(out.next_sequence, stamp.sequence) >= 0:
        out.next_sequence = stamp.sequence + 1
    if step > 0:
        out.timestamp = stamp.timestamp
        out.samples = samples
        out.at = now
    elif step == 0:
        out.samples = max(out.samples, samples)
    out.packets += 1
    out.octets += size


cdef void out_frame(Outbound* out, Stamp* stamp, double now) noexcept nogil:
    cdef bint steady = out.origin == OURS and out.at >= 0 and now - out.at < 0.030
    stamp.sequence = out.next_sequence
    stamp.timestamp = out.timestamp + out.samples if steady else out_resumed(out, now)
    stamp.marker = not steady
    out.origin = OURS
    out_sent(out, stamp, FRAME, FRAME, now)


cdef void out_event(
    Outbound* out, Stamp* stamp, uint32_t timestamp, uint32_t duration, bint marker, double now
) noexcept nogil:
    stamp.sequence = out.next_sequence
    stamp.timestamp = timestamp
    stamp.marker = marker
    out.origin = OURS
    out_sent(out, stamp, duration, 4, now)


cdef bint out_relay(
    Outbound* out, Stamp* stamp, int64_t port, uint32_t ssrc, uint32_t samples, int size, double now
) noexcept nogil:
    """Turn the stamp of a packet of `port` into ours; False for one from before the change of origin."""
    cdef int ahead = rb_step16(out.input, stamp.sequence)
    cdef int64_t leap = rb_step32(out.input_timestamp, stamp.timestamp)
    if (
        out.origin != RELAYED or out.origin_port != port or out.origin_ssrc != ssrc
        or ahead > 3000 or ahead < -3000 or leap > 80000 or leap < -80000
    ):
        out.origin = RELAYED
        out.origin_port = port
        out.origin_ssrc = ssrc
        out.base = out.input = stamp.sequence
        out.input_timestamp = stamp.timestamp
        out.sequence_shift = out.next_sequence - stamp.sequence
        out.timestamp_shift = out_resumed(out, now) - stamp.timestamp
        stamp.marker = True
    elif rb_step16(out.base, stamp.sequence) < 0:
        return False
    elif ahead > 0:
        out.input = stamp.sequence
        out.input_timestamp = stamp.timestamp
        if rb_step16(out.base, stamp.sequence) > 0x4000:
            out.base = stamp.sequence - 3000
    stamp.sequence = stamp.sequence + out.sequence_shift
    stamp.timestamp = stamp.timestamp + out.timestamp_shift
    out_sent(out, stamp, samples, size, now)
    return True
