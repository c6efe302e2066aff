# Taps: audio of a port in frames of 20 ms.

cdef inline bint take_allowance(Allowance* a, double count, double most, double rate, double now) noexcept nogil:
    """Whether there was room for so many: ringback.rtp.allowance.Allowance."""
    a.left = min(most, a.left + (now - a.at) * rate)
    a.at = now
    if a.left < count:
        return False
    a.left -= count
    return True


cdef inline bint take_frames(Allowance* a, int size, double now) noexcept nogil:
    """The same for the frames of a payload, which are one at least."""
    return take_allowance(a, 1 + max(0, size - 1) // FRAME, FRAMES_AT_ONCE, FRAME_RATE, now)


cdef void feed_tap(
    State* s, Tap* tap, const uint8_t* ulaw, int size, uint32_t timestamp, double now
) noexcept nogil:
    """Cut audio into frames of 160 bytes with milliseconds since the tap was set."""
    cdef double elapsed = 1000.0 * (now - tap.since)
    cdef double drift = tap.anchor_ms + rb_step32(tap.anchor, timestamp) / 8.0 - elapsed
    cdef double at
    cdef uint32_t start
    cdef int piece
    if not tap.anchored or drift > 500.0 or drift < -500.0:
        tap.anchored = True
        tap.anchor = timestamp
        tap.anchor_ms = elapsed
        tap.size = 0
    elif timestamp != tap.expected:
        if rb_step32(tap.expected, timestamp) < 0:
            return
        tap.size = 0
    start = timestamp - <uint32_t>tap.size
    tap.expected = timestamp + <uint32_t>size
    while size > 0:
        piece = min(size, FRAME - tap.size)
        memcpy(tap.held + tap.size, ulaw, <size_t>piece)
        tap.size += piece
        ulaw += piece
        size -= piece
        if tap.size == FRAME:
            at = tap.anchor_ms + rb_step32(tap.anchor, start) / 8.0
            emit(s, FRAMES, tap.tap_id, max(<int64_t>0, rounded(at)), 0, 0, tap.held, FRAME)
            tap.size = 0
            start += FRAME


cdef void feed_taps(
    State* s, Port* port, bint inbound, const uint8_t* ulaw, int size, uint32_t timestamp, double now
) noexcept nogil:
    cdef Tap* tap = port.taps
    if tap == NULL or not take_frames(&port.told, size, now):
        return
    while tap != NULL:
        if tap.is_inbound == inbound:
            feed_tap(s, tap, ulaw, size, timestamp, now)
        tap = tap.next
