# Taps: audio of a port in frames of 20 ms.

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
    while tap != NULL:
        if tap.is_inbound == inbound:
            feed_tap(s, tap, ulaw, size, timestamp, now)
        tap = tap.next
